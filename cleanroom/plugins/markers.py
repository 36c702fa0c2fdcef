"""The mark for a plugin's functions, ``hookimpl``, which is pluggy's, and reading it where there is nothing to judge.

Most plugins have plain functions, marked without options. These are marked and found without pluggy, which takes
longer to import than most calls take; what is unusual is pluggy's.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from types import FunctionType, ModuleType
from typing import TYPE_CHECKING

PROJECT = "cleanroom"  # what pluggy knows the hooks by, and what their names begin with
_PREFIX = f"{PROJECT}_"

if TYPE_CHECKING:
    from typing import Any, TypeAlias

    import pluggy

    Hooks: TypeAlias = dict[str, Callable[[], Any]]

    hookimpl = pluggy.HookimplMarker(PROJECT)
else:

    def hookimpl(function=None, *arguments, **options):
        """Mark a function as what cleanroom calls; the options are those of ``pluggy.HookimplMarker``."""
        if type(function) is FunctionType and not (arguments or options):
            function.cleanroom_impl = {}  # of the options; pluggy adds their defaults
            return function
        import pluggy

        return pluggy.HookimplMarker(PROJECT)(function, *arguments, **options)


def plain_hooks(plugins: Iterable[object], known: Sequence[str]) -> list[Hooks] | None:
    """Return the functions of each plugin that are marked, by their names, which are among ``known``.

    None where pluggy may have something to say of one of the plugins: then it has to read them all.
    """
    found: list[Hooks] = []
    seen: set[object] = set()
    for plugin in plugins:
        hooks = _of_module(plugin, known) if type(plugin) is ModuleType else None
        if not hooks or plugin in seen:
            return None
        seen.add(plugin)
        found.append(hooks)
    return found


def _of_module(module: ModuleType, known: Sequence[str]) -> Hooks | None:
    """Return the functions of one plugin; None where anything is out of the ordinary."""
    hooks: Hooks = {}
    for name, value in vars(module).items():
        if not name.startswith(_PREFIX) or isinstance(value, ModuleType):
            continue
        if type(value) is not FunctionType:
            return None
        options = getattr(value, f"{PROJECT}_impl", None)
        if options is None:
            continue
        is_plain = type(options) is dict and not any(options.values()) and not hasattr(value, "__wrapped__")
        if name not in known or value.__code__.co_argcount or not is_plain:
            return None
        hooks[name] = value
    return hooks
