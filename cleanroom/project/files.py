"""Which files are meant, and how each is to be checked: found once, for ``check``, ``fix`` and all else."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from msgspec import Struct, field
from msgspec.structs import replace

from cleanroom.project import discover, reading
from cleanroom.project.gitignore import Patterns
from cleanroom.project.settings import Settings, SettingsError, for_file
from cleanroom.project.settings import find as find_settings
from cleanroom.project.settings import read as read_settings
from cleanroom.registries import READERS, library

if TYPE_CHECKING:
    from cleanroom.recipes.library import Library
    from cleanroom.syntax.readers import Reader

_LARGEST_SCRIPT = 1 << 20  # bytes; what is larger is no script that someone wrote


class File(Struct, frozen=True):
    """One file that is meant. Without a ``root`` it may be anywhere."""

    path: str
    name: str  # what it is called: another one for standard input
    settings: Settings
    context: str | None  # the folder of the build context
    root: str | None  # the folder that links must not lead out of
    known: tuple[str, ...] = ()  # fingerprints of findings that are not reported
    lines: tuple[tuple[int, int], ...] | None = None  # report only findings in these ranges of lines; None: all

    def read_bytes(self) -> bytes:
        """Return what is in it. Raises ReadError."""
        return reading.read_bytes(self.path, self.root)

    def read(self) -> str:
        """Return its text. Raises ReadError."""
        return reading.read(self.path, self.root)


class Wish(Struct, frozen=True):
    """What the command line says about which files are read, and how."""

    given: Mapping[str, Any] = field(default_factory=dict)  # in the place of settings
    exclude: tuple[str, ...] = ()  # in the place of those of settings, relative to the current folder
    context: str | None = None  # of all files; by default the folder of each
    config: str | None = None  # the settings file; "" for none; by default the nearest
    force_exclude: bool = False  # heed excludes also for files that are named
    trust: bool = False  # read files wherever links lead, however large
    stdin_name: str = ""  # what standard input is called


class Found(Struct, frozen=True):
    """The files that are meant, and lines for standard error: ``errors`` about what cannot be read, and ``notes``."""

    files: tuple[File, ...]
    errors: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()


def find(paths: Iterable[str], wish: Wish | None = None) -> Found:
    """Return the files that ``paths`` mean; one that is meant twice comes once.

    Raises SettingsError, UnknownName and RecipeError.
    """
    wish = wish or Wish()
    settings_in = functools.cache(functools.partial(_settings, wish))
    root_of = functools.cache(reading.root_of)
    found: dict[str, File] = {}  # by absolute path
    errors: list[str] = []
    for path in paths:
        called = wish.stdin_name or path if path == reading.STDIN else path
        folder = path if os.path.isdir(path) else os.path.dirname(called)
        settings = settings_in(folder)
        is_trusted = wish.trust or path == reading.STDIN or path.startswith(("/dev/", "/proc/self/"))  # no hook's names
        root = None if is_trusted else root_of(folder or os.curdir)
        patterns = (
            Patterns(wish.exclude) if wish.exclude else Patterns(settings.exclude, os.path.dirname(settings.file))
        )
        if wish.force_exclude and path != reading.STDIN and patterns.match_below(path):
            continue
        walked = root_of(path) if settings.gitignore and folder == path else ""
        files, troubles = discover.discover(path, patterns.match, walked)
        errors += [f"{trouble.path}: error: {trouble.message}" for trouble in troubles]
        for file in files:
            key = file if file == reading.STDIN else os.path.abspath(file)
            name = called if file == reading.STDIN else file
            found.setdefault(key, File(file, name, for_file(settings, name), _context(name, wish.context), root))
    notes = () if "recipes" in wish.given else _announcements(found.values())
    return Found(tuple(found.values()), tuple(errors), tuple(notes))


def _settings(wish: Wish, folder: str) -> Settings:
    """Return the settings in force in ``folder``, with what was given on the command line in their place."""
    if wish.config is None:
        own = find_settings(folder)
    elif wish.config:
        own = read_settings(wish.config) or Settings(file=wish.config)
    else:
        own = Settings()
    settings = replace(own, **wish.given)
    if not (settings.select or settings.ignore or settings.recipes or settings.severity or settings.per_file_ignores):
        return settings
    # What is wrong with recipes is said once, not for each file.
    known = library(*settings.recipes) if "recipes" in wish.given else stranger_library(own)
    return _resolved(settings, known, wish.given)


def _resolved(settings: Settings, known: Library, given: Mapping[str, Any]) -> Settings:
    """Return settings with the selectors in them resolved. Raises UnknownName, with the file that holds the name."""
    from cleanroom.project.names import selectors

    def resolve(key: str, names: Iterable[str]) -> tuple[str, ...]:
        return selectors(names, known, "" if key in given else f"{settings.file}: {key}: ")

    return replace(
        settings,
        select=resolve("select", settings.select),
        ignore=resolve("ignore", settings.ignore),
        per_file_ignores=tuple(
            (pattern, resolve("per-file-ignores", names)) for pattern, names in settings.per_file_ignores
        ),
        severity=tuple((resolve("severity", [name])[0], severity) for name, severity in settings.severity),
    )


def stranger_library(settings: Settings) -> Library:
    """Return the library with the recipes that a settings file names. Raises SettingsError where one replaces another.

    The file may have come with what is checked: its recipes may add managers, and not say what cleans apt.
    """
    for folder in settings.recipes:
        _check_recipes(folder, settings.file)
    known = library(*settings.recipes)
    for identifier in known.ids():
        if known.provider(identifier) in settings.recipes and (recipe := known.find(identifier)).replaces:
            raise SettingsError(
                f"{settings.file}: recipes: {recipe.id} would stand in for {recipe.replaces}; "
                "only --recipes may name recipes that do"
            )
    return known


def _check_recipes(folder: str, file: str) -> None:
    """Raise SettingsError unless all recipes in ``folder`` are regular files in the repository, of a bounded size."""
    root = reading.root_of(file)
    names = sorted(os.listdir(folder)) if os.path.isdir(folder) else [""]
    for name in names:
        if not name or name.endswith((".yaml", ".yml")):
            place = os.path.join(folder, name) if name else folder
            try:
                reading.read_bytes(place, root)
            except reading.ReadError as error:
                raise SettingsError(f"{file}: recipes: {place}: {error}") from None


def announcement(settings: Settings) -> str:
    """Return what is said of a settings file that adds recipes, which may be unexpected; "" of one that does not."""
    return f"with the recipes in {', '.join(settings.recipes)}, as {settings.file} says" if settings.recipes else ""


def _announcements(files: Iterable[File]) -> Iterator[str]:
    return filter(None, dict.fromkeys(announcement(file.settings) for file in files))


def arguments(file: File, reader: str = "") -> dict[str, Any]:
    """Return the arguments of ``check`` and ``fix`` for one file; ``reader`` is a name."""
    settings = file.settings
    return {
        "library": library(*settings.recipes),
        "reader": file_reader(file.name, reader),
        "target": settings.target or None,
        "read_file": script_reader(file.context),
        "select": settings.select,
        "ignore": settings.ignore,
        "severity": settings.severity,
        "prefer": settings.prefer,
    }


def file_reader(path: str, name: str) -> Reader | None:
    """Return the reader called ``name``, else that of files called as ``path`` is; None for Dockerfiles."""
    from cleanroom.syntax.readers import DOCKERFILE

    reader = READERS[name] if name else discover.reader_of(os.path.basename(path))
    return None if reader is DOCKERFILE else reader


def script_reader(context: str | None) -> Callable[[str], str | None] | None:
    """Return a reader of scripts from a build context, None when there is none."""
    return None if context is None else functools.partial(_read_script, context)


def _read_script(context: str, path: str) -> str | None:
    """Return the text of a file in the build context; None when it is not there, lies outside or is not text."""
    root = os.path.realpath(context)
    try:
        file = os.path.realpath(os.path.join(root, path.lstrip("/")))
        if not os.path.isfile(file) or os.path.getsize(file) > _LARGEST_SCRIPT:
            return None
        return reading.read_bytes(file, root).decode()
    except (OSError, ValueError, reading.ReadError):  # a name that no file can have, bytes that are no text
        return None


def _context(file: str, given: str | None) -> str | None:
    if given is not None or file == reading.STDIN:
        return given
    return os.path.dirname(file) or os.curdir
