"""Finding plugins, loading them one by one, and saying what is wrong with one without letting it harm the others.

A plugin is what an entry point of the group ``cleanroom`` names. What ships with cleanroom is a plugin too
(``cleanroom.builtin``), the first; where there is no other, neither pluggy nor the metadata of distributions is read.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from cleanroom.records import dataclass, field

if TYPE_CHECKING:
    import pluggy

GROUP = "cleanroom"  # of entry points
VARIABLE = "CLEANROOM_PLUGINS"  # names of the plugins to load, comma-separated; empty: none
HOOKS = (
    "cleanroom_recipes",
    "cleanroom_rules",
    "cleanroom_readers",
    "cleanroom_reports",
    "cleanroom_exports",
    "cleanroom_images",
    "cleanroom_commands",
)
BUILTIN = "built-in"

Item = TypeVar("Item")


@dataclass(slots=True)
class Plugin:
    """One plugin, and what became of it."""

    name: str  # of the entry point
    distribution: str
    version: str
    value: str  # of the entry point: what it names
    path: str = ""  # where it was loaded from
    problems: list[Problem] = field(default_factory=list)
    adds: dict[str, list[str]] = field(default_factory=dict)  # hook -> names
    seconds: float = 0.0  # that loading it took
    module: Any = None  # None when it could not be loaded

    @property
    def title(self) -> str:
        """How a person is told of it: ``cleanroom-nix 1.0 (nix = cleanroom_nix)``."""
        return BUILTIN if self.name == BUILTIN else f"{self.distribution} {self.version} ({self.name} = {self.value})"


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a plugin, in one line; ``details`` is the traceback where there is one."""

    message: str
    details: str = ""


class Plugins:
    """All plugins of a process, in order: what ships first, then by distribution and name."""

    def __init__(self, wanted: str | None = None) -> None:
        """Load the plugins that ``wanted`` names (entry points or distributions, comma-separated); None loads all."""
        self.builtin = Plugin(BUILTIN, GROUP, "", "cleanroom.builtin", module=import_module("cleanroom.builtin"))
        self.all = [self.builtin]
        self._manager: pluggy.PluginManager | None = None
        if wanted is None or wanted.strip():
            names = None if wanted is None else {name.strip() for name in wanted.split(",")}
            for entry_point, distribution, version in _entry_points(names):
                self.all.append(self._load(entry_point, distribution, version))

    @property
    def problems(self) -> list[tuple[Plugin, Problem]]:
        """What is wrong, and with which plugin, so far."""
        return [(plugin, problem) for plugin in self.all for problem in plugin.problems]

    def yielded(self, hook: str, kind: type[Item], name: Callable[[Item], str]) -> Iterator[tuple[Plugin, Item]]:
        """Yield what the plugins' functions called ``hook`` yield, as far as it is of the type ``kind``."""
        for plugin in self.all:
            for item in self._call(plugin, hook):
                if isinstance(item, kind):
                    plugin.adds.setdefault(hook, []).append(name(item))
                    yield plugin, item
                else:
                    wanted = " or ".join(part.__name__ for part in (kind if isinstance(kind, tuple) else (kind,)))
                    blame(plugin, f"{hook} yields {type(item).__name__}, not {wanted}")

    def _call(self, plugin: Plugin, hook: str) -> list[Any]:
        function = getattr(plugin.module, hook, None)
        if function is None:
            return []
        with _quiet():
            try:
                return list(function())
            except (Exception, SystemExit):
                blame(plugin, f"{hook} raises {_cause()}", _traceback())
                return []

    def _load(self, entry_point: Any, distribution: str, version: str) -> Plugin:
        import pluggy

        from cleanroom.markers import hookimpl

        if self._manager is None:
            hookspecs = import_module("cleanroom.hookspecs")  # which names the types of all that it adds
            self._manager = pluggy.PluginManager(GROUP)
            self._manager.add_hookspecs(hookspecs)
            for hook in HOOKS:
                hookimpl(getattr(self.builtin.module, hook))
            self._manager.register(self.builtin.module, BUILTIN)
        plugin = Plugin(entry_point.name, distribution, version, entry_point.value)
        start = time.perf_counter()
        with _quiet():
            try:
                module = entry_point.load()
            except (Exception, SystemExit):
                blame(plugin, f"cannot be imported: {_cause()}", _traceback())
                return plugin
            finally:
                plugin.seconds = time.perf_counter() - start
        plugin.path = str(getattr(module, "__file__", "") or "")
        try:
            self._manager.register(module, f"{distribution}:{entry_point.name}")
            self._manager.check_pending()
        except Exception as error:
            if self._manager.is_registered(module):
                self._manager.unregister(module)
            blame(plugin, _misfit(error))
            return plugin
        hooks = [hook for hook in HOOKS if self._manager.parse_hookimpl_opts(module, hook) is not None]
        if not hooks:
            unmarked = [hook for hook in HOOKS if callable(getattr(module, hook, None))]
            hint = f"; mark {', '.join(unmarked)} with @cleanroom.hookimpl" if unmarked else ""
            blame(plugin, f"has no function that cleanroom calls{hint}")
            return plugin
        plugin.module = _Only(module, hooks)
        return plugin


class _Only:
    """The functions of a plugin that are marked, and nothing else of it."""

    def __init__(self, module: Any, hooks: Iterable[str]) -> None:
        for hook in hooks:
            setattr(self, hook, getattr(module, hook))


class Registry(Mapping[str, Item], Generic[Item]):
    """What all plugins yield for one hook, by name; they are asked when it is first looked at.

    Of two with one name, the first plugin's stays.
    """

    def __init__(self, hook: str, kind: type[Item], name: Callable[[Item], str] = lambda item: item.name) -> None:  # type: ignore[attr-defined]
        self._hook, self._kind, self._name = hook, kind, name
        self._items: dict[str, Item] | None = None
        self._plugins: dict[str, Plugin] = {}

    def provider(self, name: str) -> Plugin:
        """Return which plugin the item called ``name`` is of. Raises KeyError."""
        self._load()
        return self._plugins[name]

    def _load(self) -> dict[str, Item]:
        if self._items is None:
            items: dict[str, Item] = {}
            for plugin, item in active().yielded(self._hook, self._kind, self._name):
                name = self._name(item)
                if name in items:
                    other = self._plugins[name].title
                    blame(plugin, f"{self._hook} yields {name!r}, which {other} has; this one is left out")
                else:
                    items[name], self._plugins[name] = item, plugin
            self._items = items
        return self._items

    def __getitem__(self, name: str) -> Item:
        return self._load()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._load())

    def __len__(self) -> int:
        return len(self._load())


_ACTIVE: Plugins | None = None


def active() -> Plugins:
    """Return the plugins of this process; loaded at the first call, as the environment variable says."""
    global _ACTIVE
    if _ACTIVE is None:
        wanted = os.environ.get(VARIABLE)
        if wanted is None and not _may_be_there():
            wanted = ""
        _ACTIVE = Plugins(wanted)
    return _ACTIVE


def blame(plugin: Plugin, message: str, details: str = "") -> None:
    """Note what is wrong with a plugin."""
    problem = Problem(" ".join(message.split()), details)
    if problem not in plugin.problems:
        plugin.problems.append(problem)


def say_problems(*, verbose: bool = False) -> bool:
    """Say on standard error what is wrong with the plugins that were loaded, a line each; return whether anything is.

    ``verbose`` adds the tracebacks.
    """
    problems = _ACTIVE.problems if _ACTIVE is not None else []
    for plugin, problem in problems:
        sys.stderr.write(f"plugin {plugin.title}: {problem.message}\n")
        if verbose:
            sys.stderr.write(problem.details)
    return bool(problems)


def _may_be_there() -> bool:
    """Tell whether a distribution seems to have an entry point of the group; True when in doubt.

    The metadata of distributions takes longer to read than a query takes; this only looks for the group's name.
    """
    for folder in dict.fromkeys(sys.path):
        try:
            entries = os.scandir(folder or ".")
        except NotADirectoryError:  # a zip file, which only importlib.metadata looks into
            return True
        except OSError:
            continue
        with entries:
            for entry in entries:
                if entry.name.endswith((".dist-info", ".egg-info")):
                    try:
                        with open(f"{entry.path}/entry_points.txt", "rb") as file:  # noqa: PTH123 - for speed
                            if b"[cleanroom]" in file.read().replace(b" ", b""):
                                return True
                    except OSError:
                        continue
    return False


def _entry_points(names: set[str] | None) -> list[tuple[Any, str, str]]:
    from importlib.metadata import distributions

    found: dict[tuple[str, str], tuple[Any, str, str]] = {}
    for distribution in distributions():
        for entry_point in distribution.entry_points:
            if entry_point.group != GROUP:
                continue
            title = distribution.metadata["Name"] or "?"
            if names is None or entry_point.name in names or title in names:
                # Of a distribution that is there twice, the first on the path is the one that is imported.
                found.setdefault((title.lower(), entry_point.name), (entry_point, title, distribution.version))
    return [found[key] for key in sorted(found)]


def _quiet() -> Any:
    """Keep what a plugin prints off standard output, which is for findings."""
    from contextlib import redirect_stdout

    return redirect_stdout(sys.stderr)


def _cause() -> str:
    error = sys.exc_info()[1]
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _traceback() -> str:
    import traceback

    return traceback.format_exc()


def _misfit(error: Exception) -> str:
    """Return in words why pluggy refuses a plugin: a function that is no hook, or one with other arguments."""
    import re

    from cleanroom.suggest import did_you_mean

    text = str(error)
    if match := re.search(r"unknown hook '(\w+)'", text):
        return f"{match[1]} is no hook of cleanroom{did_you_mean(match[1], HOOKS)}"
    if match := re.search(r"hook '(\w+)'", text):
        return f"{match[1]} must take no arguments ({text.splitlines()[-1].strip()})"
    return text
