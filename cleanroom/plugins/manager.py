"""Finding plugins, loading them one by one, and saying what is wrong with one without letting it harm the others.

A plugin is what an entry point of the group ``cleanroom`` names. What ships with cleanroom is a plugin too
(``cleanroom.builtin``), the first. Pluggy is imported where a plugin has more than plain functions,
``importlib.metadata`` for what is in archives: both take longer to import than most calls take.
"""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import import_module
from io import StringIO
from time import perf_counter
from typing import TYPE_CHECKING

from msgspec import Struct, field

from cleanroom.plugins.markers import hookimpl, plain_hooks
from cleanroom.suggest import did_you_mean

if TYPE_CHECKING:
    from typing import Any, TypeAlias, TypeVar

    from pluggy import PluginManager

    Item = TypeVar("Item")
    Kinds: TypeAlias = type[Any] | tuple[type[Any], ...]

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
SLOW = 0.5  # seconds; who takes longer is named in the list of plugins
# Whatever a plugin raises, sys.exit() among it, is its own affair; Ctrl-C is the user's.
FAULTS = (Exception, SystemExit)


class EntryPoint(Struct, frozen=True, order=True):
    """Where a distribution names a plugin. Plugins load in this order."""

    distribution: str  # its normal name: lower case, hyphens
    name: str
    value: str  # module or module:object
    version: str


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
    hooks: dict[str, Callable[[], Any]] = field(default_factory=dict)  # its functions; none when it did not load

    @property
    def is_builtin(self) -> bool:
        """Whether it is what ships with cleanroom."""
        return self.name == BUILTIN

    @property
    def title(self) -> str:
        """How a person is told of it: ``cleanroom-nix 1.0 (nix = cleanroom_nix)``."""
        return BUILTIN if self.is_builtin else f"{self.distribution} {self.version} ({self.name} = {self.value})"


class Plugins:
    """All plugins of a process, in order: what ships first, then by distribution and name."""

    def __init__(self, wanted: str | None = None) -> None:
        """Load the plugins that ``wanted`` names (entry points or distributions, comma-separated); None loads all."""
        module = import_module("cleanroom.builtin")
        self.builtin = Plugin(BUILTIN, GROUP, import_module("cleanroom").__version__, "cleanroom.builtin")
        self.builtin.hooks = {hook: getattr(module, hook) for hook in HOOKS}
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
            self._load(points)

    @property
    def problems(self) -> list[tuple[Plugin, Problem]]:
        """What is wrong, and with which plugin, so far."""
        return [(plugin, problem) for plugin in self.all for problem in plugin.problems]

    def yielded(self, hook: str, kinds: Kinds, name: Callable[[Any], str]) -> Iterator[tuple[Plugin, Any]]:
        """Yield what the plugins' functions called ``hook`` yield, as far as it is of the type ``kinds``.

        ``name`` tells what the list of plugins calls it.
        """
        for plugin in self.all:
            for item in self._ask(plugin, hook):
                if isinstance(item, kinds):
                    plugin.adds.setdefault(hook, []).append(name(item))
                    yield plugin, item
                else:
                    wanted = " or ".join(kind.__name__ for kind in (kinds if isinstance(kinds, tuple) else (kinds,)))
                    blame(plugin, f"{hook} yields {type(item).__name__}, not {wanted}: {_short(repr(item))}")

    def _ask(self, plugin: Plugin, hook: str) -> list[Any]:
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
            blame_error(plugin, f"{hook} raises")
            return []

    def _note_missing(self, names: Sequence[str], points: Sequence[EntryPoint]) -> None:
        known = sorted({name for point in points for name in (point.distribution, point.name)})
        for name in names:
            if not any(_is_wanted(point, [name]) for point in points):
                self.missing.append(f"{VARIABLE}: no plugin {name!r} is installed{did_you_mean(name, known)}")

    def _load(self, points: Sequence[EntryPoint]) -> None:
        """Import the plugins, each by itself, and take their functions."""
        imported: list[tuple[Plugin, object]] = []
        for point in points:
            plugin = Plugin(point.name, point.distribution, point.version, point.value)
            self.all.append(plugin)
            try:
                with _Watched(plugin):
                    imported.append((plugin, _imported(plugin)))
            except FAULTS:
                blame_error(plugin, "cannot be imported:")
        plain = plain_hooks((found for _, found in imported), HOOKS)
        if plain is None:
            self._register(imported)
            return
        for (plugin, _), hooks in zip(imported, plain, strict=True):
            plugin.hooks = hooks

    def _register(self, imported: Sequence[tuple[Plugin, object]]) -> None:
        """Have pluggy judge the plugins, one by one, and take the functions that it accepts."""
        from pluggy import PluginValidationError

        manager = _manager()
        for function in self.builtin.hooks.values():
            hookimpl(function)
        manager.register(import_module(self.builtin.value), BUILTIN)
        by_name: dict[str, Plugin] = {}
        for number, (plugin, found) in enumerate(imported):
            try:
                manager.register(found, str(number))
            except (PluginValidationError, ValueError) as error:
                if manager.has_plugin(str(number)):
                    manager.unregister(name=str(number))
                blame(plugin, _misfit(error))
                continue
            by_name[str(number)] = plugin
        self._refuse_unknown_hooks(manager, by_name)
        for hook in HOOKS:
            for implementation in getattr(manager.hook, hook).get_hookimpls():
                if (owner := by_name.get(implementation.plugin_name)) is None:
                    continue
                if implementation.wrapper or implementation.hookwrapper:
                    blame(owner, f"{hook} is a wrapper; each plugin answers for itself alone")
                else:
                    owner.hooks[hook] = implementation.function
        for name, plugin in by_name.items():
            if not (plugin.hooks or plugin.problems):
                blame(plugin, _no_hooks(manager.get_plugin(name)))

    @staticmethod
    def _refuse_unknown_hooks(manager: PluginManager, by_name: dict[str, Plugin]) -> None:
        """Take out the plugins with a function that is marked and no hook. All at once: asking takes its time."""
        from pluggy import PluginValidationError

        while True:
            try:
                manager.check_pending()
            except PluginValidationError as error:
                name = manager.get_name(error.plugin)
                manager.unregister(error.plugin)
                blame(by_name.pop(str(name)), _misfit(error))
            else:
                return


def _manager() -> PluginManager:
    """Return a manager that knows the hooks."""
    from pluggy import PluginManager

    class Manager(PluginManager):
        def parse_hookimpl_opts(self, plugin: object, name: str) -> Any:
            # Most attributes of a module are no functions of ours, and looking at one takes long. pytest does the same.
            return super().parse_hookimpl_opts(plugin, name) if name.startswith(f"{GROUP}_") else None

    manager = Manager(GROUP)
    manager.add_hookspecs(import_module("cleanroom.hookspecs"))
    return manager


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
            blame(self._plugin, f"prints to standard output, which is for answers: {_short(text)}")


def _imported(plugin: Plugin) -> object:
    """Return the object that a plugin's entry point names. Raises whatever the plugin raises."""
    module, _, attributes = plugin.value.partition(":")
    found: Any = import_module(module.strip())
    plugin.path = str(getattr(found, "__file__", "") or "")
    for attribute in filter(None, attributes.strip().split(".")):
        found = getattr(found, attribute)
    return found


class Registry(Mapping[str, "Item"]):
    """What all plugins yield for one hook, by name; they are asked when it is first looked at.

    Of two with one name, the first plugin's stays; no one may have a name in ``reserved``.
    """

    def __init__(
        self,
        hook: str,
        *kinds: type[Item],
        reserved: Sequence[str] = (),
        guard: Callable[[Plugin, Item], Item] | None = None,
    ) -> None:
        """Take what is of the types ``kinds``; ``guard`` returns what stands in for an item of a plugin.

        Of that, no fault may harm what others add.
        """
        self.hook, self.kinds = hook, kinds
        self._reserved, self._guard = reserved, guard
        self._items: dict[str, Item] | None = None
        self._owners: dict[str, Plugin] = {}

    def owner(self, name: str) -> Plugin:
        """Return which plugin the item called ``name`` is of. Raises KeyError."""
        self._load()
        return self._owners[name]

    def _load(self) -> dict[str, Item]:
        if self._items is None:
            items: dict[str, Item] = {}
            for plugin, item in active().yielded(self.hook, self.kinds, _name_of):
                name = _name_of(item)
                if name in items or name in self._reserved:
                    holder = self._owners[name].title if name in items else BUILTIN
                    blame(plugin, f"{self.hook} yields {name!r}, which {holder} has; this one is left out")
                    plugin.adds[self.hook].remove(name)
                else:
                    items[name] = item if self._guard is None or plugin.is_builtin else self._guard(plugin, item)
                    self._owners[name] = plugin
            self._items = items
        return self._items

    def __getitem__(self, name: str) -> Item:
        return self._load()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._load())

    def __len__(self) -> int:
        return len(self._load())


class PluginFailed(Exception):  # noqa: N818 - what happened, not a mistake of the caller
    """What was asked for cannot be had, since a plugin failed; the message says which, and is no fault of ours."""


def _name_of(item: Any) -> str:
    return str(item.name)


def when_used(module: str) -> Callable[[Any], Any]:
    """Return what calls the function ``render`` of a module, which is imported then."""

    def render(argument: Any) -> Any:
        return import_module(module).render(argument)

    return render


_ACTIVE: Plugins | None = None


def active() -> Plugins:
    """Return the plugins of this process; loaded at the first call, as the environment variable says."""
    global _ACTIVE
    if _ACTIVE is None:
        _ACTIVE = Plugins(os.environ.get(VARIABLE))
    return _ACTIVE


def blame(plugin: Plugin, message: str, details: str = "") -> None:
    """Note what is wrong with a plugin."""
    problem = Problem(" ".join(message.split()), details)
    if not any(problem.message == other.message for other in plugin.problems):
        plugin.problems.append(problem)


def blame_error(plugin: Plugin, what: str) -> None:
    """Note that a plugin failed with the error that is handled now: ``what``, such as "the rule x raises"."""
    import traceback

    error = sys.exc_info()[1]
    cause = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
    blame(plugin, f"{what} {cause}", traceback.format_exc())


def found_problems() -> tuple[tuple[str, Problem], ...]:
    """Return what is wrong with plugins in this process, for the one that started it, by their titles."""
    return tuple((plugin.title, problem) for plugin, problem in _ACTIVE.problems) if _ACTIVE is not None else ()


def take_over(problems: Sequence[tuple[str, Problem]]) -> None:
    """Note the problems that another process found."""
    if problems:
        by_title = {plugin.title: plugin for plugin in active().all}
        for title, problem in problems:
            if title in by_title:
                blame(by_title[title], problem.message, problem.details)


def say_problems(*, verbose: bool = False) -> bool:
    """Say on standard error what is wrong with the plugins that were loaded, a line each; return whether anything is.

    ``verbose`` adds the tracebacks.
    """
    if _ACTIVE is None:
        return False
    for line in _ACTIVE.missing:
        sys.stderr.write(f"{line}\n")
    for plugin, problem in _ACTIVE.problems:
        sys.stderr.write(f"plugin {plugin.title}: {problem.message}\n")
        if verbose:
            sys.stderr.write(problem.details)
    return bool(_ACTIVE.missing or _ACTIVE.problems)


def find(path: Sequence[str]) -> list[EntryPoint]:
    """Return the entry points of our group in the folders of ``path``, sorted.

    Reads the metadata of distributions as ``importlib.metadata`` does
    (https://packaging.python.org/en/latest/specifications/entry-points/) where the file names the group; of two
    distributions of one name, the first on the path counts, whose modules are the ones that are imported.
    """
    found: dict[str, list[EntryPoint]] = {}
    for folder in dict.fromkeys(path):
        try:
            entries = os.scandir(folder or os.curdir)
        except NotADirectoryError:
            for name, points in _in_archive(folder):
                found.setdefault(name, points)
            continue
        except OSError:
            continue
        with entries:
            places = sorted(entry.path for entry in entries if entry.name.endswith((".dist-info", ".egg-info")))
        for place in places:
            text = _read(f"{place}/entry_points.txt")
            if text is None or GROUP not in text:
                continue
            distribution, version = _identity(place)
            named = _points(text, distribution, version)
            if named is not None:
                found.setdefault(distribution, named)
    return sorted(point for points in found.values() for point in points)


def _identity(place: str) -> tuple[str, str]:
    """Return the normal name of a distribution and its version, by the folder of its metadata.

    Of a wheel, the name of the folder says both; one file less to read for each plugin.
    """
    name, _, version = os.path.basename(place).removesuffix(".dist-info").partition("-")
    if not place.endswith(".dist-info") or not version:
        fields = dict(_FIELD.findall((_read(f"{place}/PKG-INFO") or "").partition("\n\n")[0]))
        name, version = fields.get("Name", name.removesuffix(".egg-info")), fields.get("Version", "?")
    return _normal(name), version


_FIELD = re.compile(r"^(Name|Version): *(\S+)", re.MULTILINE)
_SEPARATORS = re.compile(r"[-_.]+")


def _normal(name: str) -> str:
    """Return the name of a distribution as all of its spellings have it."""
    return _SEPARATORS.sub("-", name).lower()


def _is_wanted(point: EntryPoint, names: Sequence[str]) -> bool:
    return any(_normal(name) in (_normal(point.distribution), _normal(point.name)) for name in names)


def _read(file: str) -> str | None:
    try:
        with open(file, "rb") as stream:
            return stream.read().decode("utf-8", "replace")
    except OSError:
        return None


def _points(text: str, distribution: str, version: str) -> list[EntryPoint] | None:
    """Return the entry points of our group in the text of an ``entry_points.txt``; None where it has no such group."""
    points: list[EntryPoint] | None = None
    group = ""
    for line in map(str.strip, text.splitlines()):
        if line.startswith("["):
            group = line[1:-1].strip() if line.endswith("]") else ""
            if group == GROUP:
                points = points or []
        elif points is not None and group == GROUP and line and line[0] not in "#;":
            name, _, value = line.partition("=")
            points.append(EntryPoint(distribution, name.strip(), value.partition("[")[0].strip(), version))
    return points


def _in_archive(archive: str) -> Iterator[tuple[str, list[EntryPoint]]]:
    """Yield the same for what is in a zip file on the path."""
    from importlib.metadata import distributions

    for distribution in distributions(path=[archive]):
        name = _normal(distribution.metadata["Name"])
        if points := _points(distribution.read_text("entry_points.txt") or "", name, distribution.version):
            yield name, points


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= 200 else f"{text[:199]}…"


def _no_hooks(found: object) -> str:
    """Return in words why cleanroom calls nothing of a plugin."""
    marked = [name for name, value in getattr(found, "__dict__", {}).items() if hasattr(value, f"{GROUP}_impl")]
    unmarked = [hook for hook in HOOKS if callable(getattr(found, hook, None))]
    if marked:
        return f"{marked[0]} is no hook of cleanroom{did_you_mean(marked[0], HOOKS)} (there are: {', '.join(HOOKS)})"
    hint = f"; mark {', '.join(unmarked)} with @cleanroom.hookimpl" if unmarked else ""
    return f"has no function that cleanroom calls{hint}"


def _misfit(error: Exception) -> str:
    """Return in words why pluggy refuses a plugin: a function that is no hook, or one with other arguments."""
    text = str(error)
    if match := re.search(r"unknown hook '(\w+)'", text):
        return f"{match[1]} is no hook of cleanroom{did_you_mean(match[1], HOOKS)}"
    if match := re.search(r"hook '(\w+)'", text):
        return f"{match[1]} must take no arguments ({text.splitlines()[-1].strip()})"
    return text
