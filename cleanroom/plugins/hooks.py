"""What pluggy says of plugins: the mark for their functions, and which functions of theirs are hooks of ours.

Imported where a plugin is installed, since pluggy takes longer to import than most calls take.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import ModuleType
from typing import Any

from pluggy import HookimplMarker, HookspecMarker, PluginManager, PluginValidationError

from cleanroom.plugins.entry_points import GROUP
from cleanroom.suggest import did_you_mean

hookimpl = HookimplMarker(GROUP)


class _Manager(PluginManager):
    def parse_hookimpl_opts(self, plugin: object, name: str) -> Any:
        # Most attributes of a module are no functions of ours, and looking at one takes long. pytest does the same.
        return super().parse_hookimpl_opts(plugin, name) if name.startswith(f"{GROUP}_") else None


def judge(specs: ModuleType, plugins: Sequence[object]) -> list[tuple[Mapping[str, Callable[[], Any]], list[str]]]:
    """Return of each plugin its functions by the name of their hook, and what is wrong with it.

    The hooks are the functions of ``specs`` whose names begin with the group's.
    """
    hooks = [name for name in vars(specs) if name.startswith(f"{GROUP}_")]
    manager = _Manager(GROUP)
    for name in hooks:
        HookspecMarker(GROUP)(getattr(specs, name))
    manager.add_hookspecs(specs)
    functions: list[dict[str, Callable[[], Any]]] = [{} for _ in plugins]
    problems: list[list[str]] = [[] for _ in plugins]
    for number, plugin in enumerate(plugins):
        try:
            manager.register(plugin, str(number))
        except (PluginValidationError, ValueError) as error:
            if manager.has_plugin(str(number)):
                manager.unregister(name=str(number))
            problems[number].append(_misfit(error, hooks))
    for number, message in _unknown_hooks(manager, hooks):
        problems[number].append(message)
    for hook in hooks:
        for implementation in getattr(manager.hook, hook).get_hookimpls():
            number = int(implementation.plugin_name)
            if implementation.wrapper or implementation.hookwrapper:
                problems[number].append(f"{hook} is a wrapper; each plugin answers for itself alone")
            else:
                functions[number][hook] = implementation.function
    for number, plugin in enumerate(plugins):
        if not (functions[number] or problems[number]):
            problems[number].append(_no_hooks(plugin, hooks))
    return list(zip(functions, problems, strict=True))


def _unknown_hooks(manager: PluginManager, hooks: Sequence[str]) -> Iterator[tuple[int, str]]:
    """Take out the plugins with a function that is marked and no hook. All at once: asking takes its time."""
    while True:
        try:
            manager.check_pending()
        except PluginValidationError as error:
            number = int(manager.get_name(error.plugin) or 0)
            manager.unregister(error.plugin)
            yield number, _misfit(error, hooks)
        else:
            return


def _no_hooks(plugin: object, hooks: Sequence[str]) -> str:
    """Return in words why cleanroom calls nothing of a plugin."""
    marked = [name for name, value in getattr(plugin, "__dict__", {}).items() if hasattr(value, f"{GROUP}_impl")]
    if marked:
        return f"{marked[0]} is no hook of cleanroom{did_you_mean(marked[0], hooks)} (there are: {', '.join(hooks)})"
    unmarked = [hook for hook in hooks if callable(getattr(plugin, hook, None))]
    hint = f"; mark {', '.join(unmarked)} with @cleanroom.hookimpl" if unmarked else ""
    return f"has no function that cleanroom calls{hint}"


def _misfit(error: Exception, hooks: Sequence[str]) -> str:
    """Return in words why pluggy refuses a plugin: a function that is no hook, or one with other arguments."""
    text = str(error)
    if match := re.search(r"unknown hook '(\w+)'", text):
        return f"{match[1]} is no hook of cleanroom{did_you_mean(match[1], hooks)}"
    if match := re.search(r"hook '(\w+)'", text):
        return f"{match[1]} must take no arguments ({text.splitlines()[-1].strip()})"
    return text
