"""Data classes that cost little to define: the decorator of the standard library, for slotted records without bases.

``dataclasses.dataclass`` compiles up to eight methods for each class as it is defined, half a millisecond on Python
3.11; for the classes of this package that takes as long as all else that a check of one file does. Here all methods
are shared, but for the constructor of a class of which many instances are made. To type checkers, and to
``dataclasses`` itself (``fields``, ``replace``, ``asdict``), these are ordinary data classes.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from reprlib import recursive_repr

TYPE_CHECKING = False  # type checkers take it for true; ``typing`` itself takes long to import
if TYPE_CHECKING:
    from dataclasses import dataclass, field, replace
    from typing import Any
else:

    def field(*, default_factory: Callable[[], object]) -> Any:
        """Give a field a default that each instance gets anew."""
        return _Factory(default_factory)

    def replace(record: Any, /, **changes: Any) -> Any:
        """Return a copy of ``record`` with other values in some fields."""
        return record.__replace__(**changes)

    def dataclass(
        *, slots: bool, frozen: bool = False, order: bool = False, kw_only: bool = False
    ) -> Callable[[type], type]:
        """Make a class a record; the options are those of ``dataclasses.dataclass``."""

        def make(cls: type) -> type:
            if not slots or cls.__bases__ != (object,):
                raise TypeError(f"{cls.__qualname__}: a record has slots and no base class")
            names = tuple(cls.__annotations__)
            namespace = dict(vars(cls))
            defaults = {name: namespace.pop(name) for name in names if name in namespace}
            del namespace["__dict__"], namespace["__weakref__"]
            methods = {**_METHODS, **(_FROZEN if frozen else {}), **(_ORDER if order else {})}
            made = type(cls.__name__, (), {"__slots__": names, **methods, **namespace})
            made.__qualname__ = cls.__qualname__
            made.__match_args__ = () if kw_only else names
            made.__record__ = _Record(names, defaults, {"frozen": frozen, "order": order, "kw_only": kw_only})
            made.__values__ = operator.attrgetter(*names)  # a tuple; one value where there is one field: compares alike
            return made

        return make


__all__ = ["dataclass", "field", "plain", "replace"]


class _Factory:
    __slots__ = ("new",)

    def __init__(self, new: Callable[[], object]) -> None:
        self.new = new


_FEW = 32  # instances; compiling a constructor takes as long as making about fifty with the shared one


class _Record:
    """What is known of a record class: its fields, their defaults, and the options it was made with."""

    __slots__ = ("defaults", "made", "names", "options", "positional", "setters")

    def __init__(self, names: tuple[str, ...], defaults: Mapping[str, Any], options: Mapping[str, bool]) -> None:
        self.names = names
        self.defaults = defaults
        self.options = options
        self.positional = () if options["kw_only"] else names
        self.setters: list[tuple[str, Any]] = []  # of the fields, once there is an instance
        self.made = 0  # instances, while they are few


def _constructor(cls: Any) -> Any:
    """Compile the ``__init__`` of a record class."""
    record = cls.__record__
    parameters = ["self", "*"] if record.options["kw_only"] else ["self"]
    lines = []
    scope: dict[str, Any] = {"_set": object.__setattr__, "_absent": object()}
    for name in record.names:
        value = name
        if name not in record.defaults:
            parameters.append(name)
        elif isinstance(default := record.defaults[name], _Factory):
            scope[f"_new_{name}"] = default.new
            parameters.append(f"{name}=_absent")
            value = f"_new_{name}() if {name} is _absent else {name}"
        else:
            scope[f"_default_{name}"] = default
            parameters.append(f"{name}=_default_{name}")
        lines.append(f" _set(self, {name!r}, {value})" if record.options["frozen"] else f" self.{name} = {value}")
    exec(f"def __init__({', '.join(parameters)}):\n" + "\n".join(lines), scope)
    init = scope["__init__"]
    init.__module__ = cls.__module__
    init.__qualname__ = f"{cls.__qualname__}.__init__"
    init.__annotations__ = {**cls.__annotations__, "return": None}
    return init


class _FromTwin:
    """What others look for on a data class, taken from one of the standard library that is made when they do."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, instance: object, owner: Any) -> Any:
        import dataclasses
        import inspect

        record = owner.__record__
        defaults = {
            name: dataclasses.field(default_factory=default.new) if isinstance(default, _Factory) else default
            for name, default in record.defaults.items()
        }
        plain = type(owner.__name__, (), {"__annotations__": owner.__annotations__, **defaults})
        twin: Any = dataclasses.dataclass(**record.options)(plain)
        owner.__dataclass_fields__ = twin.__dataclass_fields__
        owner.__dataclass_params__ = twin.__dataclass_params__
        owner.__signature__ = inspect.signature(twin)
        return getattr(owner, self._name)


# -- the methods that all share ----------------------------------------------------------------------------------------


def _init(self: Any, /, *arguments: Any, **named: Any) -> None:
    cls = type(self)
    record = cls.__record__
    record.made += 1
    positional = record.positional
    if record.made <= _FEW and len(arguments) <= len(positional):
        values = {**record.defaults, **named}
        for name, value in zip(positional, arguments, strict=False):
            if name in named:
                break
            values[name] = value
        else:
            setters = record.setters = record.setters or [(name, vars(cls)[name].__set__) for name in record.names]
            if len(values) == len(setters):
                try:
                    for name, put in setters:
                        value = values[name]
                        put(self, value.new() if type(value) is _Factory else value)
                    return
                except KeyError:  # one is missing
                    pass
    cls.__init__ = _constructor(cls)  # says what is wrong, if something is
    self.__init__(*arguments, **named)


@recursive_repr("...")
def _repr(self: Any) -> str:
    values = ", ".join(f"{name}={getattr(self, name)!r}" for name in self.__record__.names)
    return f"{type(self).__qualname__}({values})"


def _eq(self: Any, other: Any) -> Any:
    if type(self) is not type(other):
        return NotImplemented
    values = self.__values__
    return values(self) == values(other)


def _replace(self: Any, /, **changes: Any) -> Any:
    values = {name: getattr(self, name) for name in self.__record__.names}
    return type(self)(**{**values, **changes})


def _hash(self: Any) -> int:
    return hash(self.__values__(self))


def _refuse_set(self: object, name: str, value: object) -> None:  # noqa: ARG001 - the signature of __setattr__
    from dataclasses import FrozenInstanceError

    raise FrozenInstanceError(f"cannot assign to field {name!r}")


def _refuse_delete(self: object, name: str) -> None:  # noqa: ARG001
    from dataclasses import FrozenInstanceError

    raise FrozenInstanceError(f"cannot delete field {name!r}")


def _getstate(self: Any) -> list[Any]:
    return [getattr(self, name) for name in self.__record__.names]


def _setstate(self: Any, state: list[Any]) -> None:
    for name, value in zip(self.__record__.names, state, strict=True):
        object.__setattr__(self, name, value)


def _comparison(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], Any]:
    def method(self: Any, other: Any) -> Any:
        if type(self) is not type(other):
            return NotImplemented
        values = self.__values__
        return compare(values(self), values(other))

    return method


_METHODS: Mapping[str, Any] = {
    "__init__": _init,
    "__repr__": _repr,
    "__eq__": _eq,
    "__replace__": _replace,
    **{name: _FromTwin() for name in ("__dataclass_fields__", "__dataclass_params__", "__signature__")},
}
_FROZEN: Mapping[str, Any] = {
    "__setattr__": _refuse_set,
    "__delattr__": _refuse_delete,
    "__hash__": _hash,
    "__getstate__": _getstate,
    "__setstate__": _setstate,
}
_ORDER: Mapping[str, Any] = {
    "__lt__": _comparison(operator.lt),
    "__le__": _comparison(operator.le),
    "__gt__": _comparison(operator.gt),
    "__ge__": _comparison(operator.ge),
}


def plain(value: object) -> object:
    """Return a dataclass, and all within it, as mappings and lists; fields that are empty are left out."""
    from dataclasses import fields, is_dataclass

    if is_dataclass(value):
        items = ((field.name, getattr(value, field.name)) for field in fields(value))
        return {name: plain(item) for name, item in items if item not in ("", None, (), {}, False)}
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return [plain(item) for item in value]
    return value
