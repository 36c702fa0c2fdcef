"""What all plugins yield for one hook, by name, and the guards that keep a fault of one from the others."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Generic, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from cleanroom.plugins.manager import BUILTIN, FAULTS, Plugin, Plugins

Item = TypeVar("Item")


class PluginFailed(Exception):  # noqa: N818 - what happened, not a mistake of the caller
    """What was asked for cannot be had, since a plugin failed; the message says which, and is no fault of ours."""


class Guard(Struct, frozen=True):
    """How to call the function of an item that a plugin adds, so that no fault of it harms what others add."""

    what: str  # what a person calls such an item: the rule
    function: str  # the field of the item that holds it
    accept: Callable[[Any], Any]  # returns what is passed on; raises TypeError where that is of another type
    instead: Callable[[str], Any]  # returns or raises what stands in for it, given "the rule x of plugin y failed"
    expected: tuple[type[Exception], ...] = ()  # errors that are no faults

    def around(self, plugin: Plugin, item: Any) -> Any:
        """Return the item with its function guarded."""
        function = getattr(item, self.function)

        def call(*arguments: Any, **named: Any) -> Any:
            try:
                return self.accept(function(*arguments, **named))
            except self.expected:
                raise
            except FAULTS:
                plugin.blame_error(f"{self.what} {item.name} raises")
            return self.instead(f"{self.what} {item.name} of {plugin.title} failed")

        return replace(item, **{self.function: call})


class Contract(Struct, frozen=True):
    """What may be yielded for a hook."""

    kinds: tuple[type[Any], ...]
    guard: Guard | None = None


class Registry(Mapping[str, Item], Generic[Item]):
    """What all plugins yield for one hook, by name; they are asked when it is first looked at.

    Of two with one name, the first plugin's stays.
    """

    def __init__(
        self,
        hook: str,
        plugins: Callable[[], Plugins],
        contract: Callable[[], Contract],
        *,
        ships: Callable[[], Iterable[Item]] = tuple,
        reserved: Iterable[str] = (),
        prepare: Callable[[Item], Item] | None = None,
    ) -> None:
        """Take what keeps to the ``contract``, which is asked late, since the types take long to import.

        ``ships`` gives what ships and comes by no hook. No one may have a name in ``reserved``. ``prepare`` is applied
        to every item, before its guard.
        """
        self.hook = hook
        self._plugins, self._contract, self._ships = plugins, contract, ships
        self._reserved = frozenset(reserved)
        self._prepare = prepare
        self._found: dict[str, tuple[Plugin, Item]] | None = None

    @property
    def kinds(self) -> tuple[type[Any], ...]:
        """The types of what is in here."""
        return self._contract().kinds

    def owner(self, name: str) -> Plugin:
        """Return which plugin the item called ``name`` is of. Raises KeyError."""
        return self._all()[name][0]

    def clear(self) -> None:
        """Ask the plugins again when it is next looked at."""
        self._found = None

    def _all(self) -> dict[str, tuple[Plugin, Item]]:
        if self._found is None:
            plugins, contract = self._plugins(), self._contract()
            found: dict[str, tuple[Plugin, Item]] = {}
            for item in self._ships():
                plugins.builtin.adds.setdefault(self.hook, []).append(_name_of(item))
                found[_name_of(item)] = plugins.builtin, item
            for plugin, item in plugins.yielded(self.hook, contract.kinds, _name_of):
                name = _name_of(item)
                if name in found or name in self._reserved:
                    holder = found[name][0].title if name in found else BUILTIN
                    plugin.blame(f"{self.hook} yields {name!r}, which {holder} has; this one is left out")
                    plugin.adds[self.hook].remove(name)
                    continue
                if self._prepare is not None:
                    item = self._prepare(item)
                if contract.guard is not None and not plugin.is_builtin:
                    item = contract.guard.around(plugin, item)
                found[name] = plugin, item
            self._found = found
        return self._found

    def __getitem__(self, name: str) -> Item:
        return self._all()[name][1]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())


def _name_of(item: Any) -> str:
    return str(item.name)
