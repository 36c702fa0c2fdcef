"""Loading plugins one by one, and noting what is wrong with one without letting it harm the others.

A plugin is what an entry point of the group ``cleanroom`` names. What ships is a plugin too, the first.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import import_module
from io import StringIO
from time import perf_counter
from types import ModuleType
from typing import Any

from msgspec import Struct, field

from cleanroom.plugins.entry_points import GROUP, EntryPoint, find, normal
from cleanroom.suggest import did_you_mean
from cleanroom.version import __version__

VARIABLE = "CLEANROOM_PLUGINS"  # names of the plugins to load, comma-separated; empty: none
BUILTIN = "built-in"
SLOW = 0.5  # seconds; who takes longer is named in the list of plugins
# Whatever a plugin raises, sys.exit() among it, is its own affair; Ctrl-C is the user's.
FAULTS = (Exception, SystemExit)


class Problem(Struct, frozen=True):
    """What is wrong with a plugin, in one line; ``details`` is the traceback where there is one."""

    message: str
    details: str = ""


class Plugin(Struct):
    """One plugin, and what became of it."""

    name: str  # of the entry point
    distribution: str
    version: str
    value: str  # of the entry point: what it names
    path: str = ""  # where it was loaded from
    problems: list[Problem] = field(default_factory=list)
    adds: dict[str, list[str]] = field(default_factory=dict)  # hook -> names
    seconds: float = 0.0  # that loading it and asking it took
    hooks: Mapping[str, Callable[[], Any]] = field(default_factory=dict)  # its functions; none when it did not load

    @property
    def is_builtin(self) -> bool:
        """Whether it is what ships with cleanroom."""
        return self.name == BUILTIN

    @property
    def title(self) -> str:
        """Its name in messages: ``cleanroom-nix 1.0 (nix = cleanroom_nix)``."""
        return BUILTIN if self.is_builtin else f"{self.distribution} {self.version} ({self.name} = {self.value})"

    def blame(self, message: str, details: str = "") -> None:
        """Note what is wrong with it; the same is noted once."""
        problem = Problem(" ".join(message.split()), details)
        if not any(problem.message == other.message for other in self.problems):
            self.problems.append(problem)

    def blame_error(self, what: str) -> None:
        """Note that it failed with the error that is handled now: ``what``, such as "the rule x raises"."""
        import traceback

        error = sys.exc_info()[1]
        cause = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        self.blame(f"{what} {cause}", traceback.format_exc())


class Plugins:
    """All plugins of a process, in order: what ships first, then by distribution and name."""

    def __init__(self, builtin: ModuleType, specs: ModuleType, wanted: str | None = None) -> None:
        """Load the plugins that ``wanted`` names (entry points or distributions, comma-separated); None loads all.

        ``builtin`` has the functions of what ships, ``specs`` those that a plugin may have, by the same names.
        """
        self.builtin = Plugin(BUILTIN, GROUP, __version__, builtin.__name__)
        self.builtin.hooks = {name: value for name, value in vars(builtin).items() if name.startswith(f"{GROUP}_")}
        self.all = [self.builtin]
        self.missing: list[str] = []  # what is wanted and not there, in words
        names = None if wanted is None else [name.strip() for name in wanted.split(",") if name.strip()]
        if names == []:
            return
        points = find(sys.path)
        if names is not None:
            self._note_missing(names, points)
            points = [point for point in points if _is_wanted(point, names)]
        if points:
            self._load(points, specs)

    @property
    def problems(self) -> list[tuple[Plugin, Problem]]:
        """What is wrong, and with which plugin, so far."""
        return [(plugin, problem) for plugin in self.all for problem in plugin.problems]

    def yielded(
        self, hook: str, kinds: tuple[type[Any], ...], name: Callable[[Any], str]
    ) -> Iterator[tuple[Plugin, Any]]:
        """Yield what the plugins' functions called ``hook`` yield, if it is of the types ``kinds``.

        ``name`` tells what the list of plugins calls it.
        """
        for plugin in self.all:
            for item in _ask(plugin, hook):
                if isinstance(item, kinds):
                    plugin.adds.setdefault(hook, []).append(name(item))
                    yield plugin, item
                else:
                    wanted = " or ".join(kind.__name__ for kind in kinds)
                    plugin.blame(f"{hook} yields {type(item).__name__}, not {wanted}: {_short(repr(item))}")

    def take_over(self, problems: Sequence[tuple[str, Problem]]) -> None:
        """Note the problems that another process found, by the titles of plugins."""
        by_title = {plugin.title: plugin for plugin in self.all}
        for title, problem in problems:
            if title in by_title:
                by_title[title].blame(problem.message, problem.details)

    def say_problems(self, *, verbose: bool = False) -> bool:
        """Say on standard error what is wrong, a line each; return whether anything is. ``verbose`` adds tracebacks."""
        for line in self.missing:
            sys.stderr.write(f"{line}\n")
        for plugin, problem in self.problems:
            sys.stderr.write(f"plugin {plugin.title}: {problem.message}\n")
            if verbose:
                sys.stderr.write(problem.details)
        return bool(self.missing or self.problems)

    def _note_missing(self, names: Sequence[str], points: Sequence[EntryPoint]) -> None:
        known = sorted({name for point in points for name in (point.distribution, point.name)})
        for name in names:
            if not any(_is_wanted(point, [name]) for point in points):
                self.missing.append(f"{VARIABLE}: no plugin {name!r} is installed{did_you_mean(name, known)}")

    def _load(self, points: Sequence[EntryPoint], specs: ModuleType) -> None:
        """Import the plugins, each by itself, and take their functions."""
        imported: list[tuple[Plugin, object]] = []
        for point in points:
            plugin = Plugin(point.name, point.distribution, point.version, point.value)
            self.all.append(plugin)
            try:
                with _Watched(plugin):
                    imported.append((plugin, _imported(plugin)))
            except FAULTS:
                plugin.blame_error("cannot be imported:")
        from cleanroom.plugins.hooks import judge

        judged = judge(specs, [found for _, found in imported])
        for (plugin, _), (functions, problems) in zip(imported, judged, strict=True):
            plugin.hooks = functions
            for problem in problems:
                plugin.blame(problem)


def _is_wanted(point: EntryPoint, names: Sequence[str]) -> bool:
    return any(normal(name) in (normal(point.distribution), normal(point.name)) for name in names)


def _ask(plugin: Plugin, hook: str) -> list[Any]:
    """Return what a plugin's function yields; nothing where it fails, or is not there."""
    function = plugin.hooks.get(hook)
    if function is None:
        return []
    if plugin.is_builtin:
        return list(function())
    try:
        with _Watched(plugin):
            answer = function()
            if isinstance(answer, (str, bytes)):
                raise TypeError(f"it returns text ({answer!r}); yield each object")
            return [] if answer is None else list(answer)
    except FAULTS:
        plugin.blame_error(f"{hook} raises")
        return []


class _Watched:
    """While a plugin's code runs: takes the time, and keeps what it prints off standard output, which is for answers.

    What another thread prints meanwhile would be taken for the plugin's; none runs while plugins are asked.
    """

    def __init__(self, plugin: Plugin) -> None:
        self._plugin = plugin

    def __enter__(self) -> None:
        self._stdout, self._caught = sys.stdout, StringIO()
        sys.stdout = self._caught
        self._start = perf_counter()

    def __exit__(self, *_: object) -> None:
        self._plugin.seconds += perf_counter() - self._start
        sys.stdout = self._stdout
        if text := self._caught.getvalue().strip():
            self._plugin.blame(f"prints to standard output, which is for answers: {_short(text)}")


def _imported(plugin: Plugin) -> object:
    """Return the object that a plugin's entry point names. Raises whatever the plugin raises."""
    module, _, attributes = plugin.value.partition("[")[0].partition(":")
    found: Any = import_module(module.strip())
    plugin.path = str(getattr(found, "__file__", "") or "")
    for attribute in filter(None, attributes.strip().split(".")):
        found = getattr(found, attribute)
    return found


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= 200 else f"{text[:199]}…"
