"""Settings: the nearest ``.cleanroom.toml``, ``cleanroom.toml`` or ``[tool.cleanroom]`` in ``pyproject.toml``, upward.

``KEYS`` says all that there is to say of each: what is accepted, the JSON Schema and the reference are made from it.
A settings file may be a stranger's: the files it names lie in its own repository, and are of a bounded size.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from enum import Enum

from msgspec import Struct
from msgspec.structs import replace

from cleanroom.lint.findings import SEVERITIES
from cleanroom.project import reading
from cleanroom.suggest import did_you_mean

PREFERENCES = ("clean", "prevent", "mount")
NAMES = (".cleanroom.toml", "cleanroom.toml", "pyproject.toml")  # the first that is there


class Kind(Enum):
    """What a setting holds."""

    TEXT = "a string"
    LIST = "a list of strings"
    SWITCH = "true or false"
    TABLE = "a table of strings"
    LISTS = "a table of lists of strings"


class Key(Struct, frozen=True):
    """One setting. ``example`` is TOML; ``is_path`` means that it names files, relative to the settings file."""

    name: str
    kind: Kind
    what: str
    example: str
    choices: tuple[str, ...] = ()
    is_path: bool = False


_RULE = "left-behind[apt.lists]"
KEYS = (
    Key("select", Kind.LIST, "Report only these rules, also those that are off by default.", '["left-behind"]'),
    Key("ignore", Kind.LIST, "Do not report these.", f'["{_RULE}"]'),
    Key(
        "per-file-ignores", Kind.LISTS, "Do not report these in files that a pattern matches.", '{ "test/" = ["apt"] }'
    ),
    Key(
        *("severity", Kind.TABLE, "How severe findings of a rule are; the last entry that means a finding counts."),
        '{ left-behind = "error", "left-behind[go]" = "info" }',
        choices=SEVERITIES,
    ),
    Key("fail-on", Kind.TEXT, "Exit 1 from this severity on.", '"warning"', choices=SEVERITIES),
    Key("prefer", Kind.TEXT, "The kind of remedy to name first.", '"prevent"', choices=PREFERENCES),
    Key("target", Kind.TEXT, "The stage that is built, when it is not the last.", '"app"'),
    Key(
        "exclude", Kind.LIST, "Do not read these files and folders; patterns as in .gitignore.", '["vendor/", "*.bak"]'
    ),
    Key("gitignore", Kind.SWITCH, "Do not read what .gitignore files name.", "true"),
    Key("baseline", Kind.TEXT, "Report only what is not in this file.", '"cleanroom-baseline.json"', is_path=True),
    Key(
        "recipes", Kind.LIST, "Files and folders of recipes besides those that ship.", '["build/recipes"]', is_path=True
    ),
    Key("extend", Kind.TEXT, "A settings file whose settings count where this one is silent.", '"../cleanroom.toml"'),
)
_BY_NAME = {key.name: key for key in KEYS}


class Settings(Struct, frozen=True):
    """What a project asks for; every default means *as without a settings file*.

    Patterns are relative to the folder of ``file``, the other paths are whole.
    """

    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    per_file_ignores: tuple[tuple[str, tuple[str, ...]], ...] = ()
    severity: tuple[tuple[str, str], ...] = ()
    fail_on: str = "warning"
    prefer: str = ""
    target: str = ""
    exclude: tuple[str, ...] = ()
    gitignore: bool = True
    baseline: str = ""
    recipes: tuple[str, ...] = ()
    file: str = ""  # where they stand


class SettingsError(ValueError):
    """Settings that cannot be used; the message names the file."""


def find(folder: str | os.PathLike[str]) -> Settings:
    """Return the settings in force in ``folder``: those of the nearest file, upward. Raises SettingsError."""
    return next((found for file in _files(folder) if (found := read(file)) is not None), Settings())


def _files(folder: str | os.PathLike[str]) -> Iterator[str]:
    """Yield the files that may have settings, from ``folder`` upward."""
    place = os.path.abspath(folder)
    while True:
        for name in NAMES:
            file = os.path.join(place, name)
            if os.path.isfile(file):
                yield file
        above = os.path.dirname(place)
        if above == place:
            return
        place = above


def read(file: str) -> Settings | None:
    """Return the settings in ``file``; None for a ``pyproject.toml`` that has none. Raises SettingsError."""
    values = _read(file, ())
    return None if values is None else Settings(**values, file=file)  # type: ignore[arg-type]  # each was checked


def _read(file: str, extending: tuple[str, ...]) -> dict[str, object] | None:
    table = _table(file)
    if table is None:
        return None
    values = _values(table, file)
    base = values.pop("extend", None)
    if base is None:
        return values
    place = str(_inside(base, "extend", file))
    if os.path.realpath(place) in map(os.path.realpath, (file, *extending)):
        raise SettingsError(f"{file}: extend: {base} extends this file in turn")
    return {**(_read(place, (file, *extending)) or {}), **values}


def _table(file: str) -> dict[str, object] | None:
    try:
        text = reading.read(file, reading.root_of(file))
    except reading.ReadError as error:
        raise SettingsError(f"{file}: {error}") from None
    in_pyproject = os.path.basename(file) == "pyproject.toml"
    if in_pyproject and not any(map(_may_be_ours, text.splitlines())):
        return None  # the TOML reader is slow to import
    table: object = _parse(text, file)
    if in_pyproject:
        for key in ("tool", "cleanroom"):
            table = table.get(key) if isinstance(table, dict) else None
        if table is None:
            return None
    if not isinstance(table, dict):
        raise SettingsError(f"{file}: tool.cleanroom must be a table")
    return table


def _may_be_ours(line: str) -> bool:
    """Return True if a line of a ``pyproject.toml`` may name the table ``tool.cleanroom``."""
    return "tool" in line and ("cleanroom" in line or line.strip(" []\t") in ("tool", '"tool"', "'tool'"))


def _parse(text: str, file: str) -> dict[str, object]:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise SettingsError(f"{file}: not TOML: {error}") from None


def _values(table: dict[str, object], file: str) -> dict[str, object]:
    """Return the values of a table, by the names of the fields of Settings and ``extend``. Raises SettingsError."""
    values: dict[str, object] = {}
    for name, value in table.items():
        key = _BY_NAME.get(name)
        if key is None:
            hint = did_you_mean(name, _BY_NAME)
            if name == "tool":
                hint = "; in this file the keys stand by themselves, without [tool.cleanroom]"
            raise SettingsError(f"{file}: unknown setting {name!r}{hint}")
        if not _fits(value, key.kind):
            raise SettingsError(f"{file}: {name} must be {key.kind.value}, such as {name} = {key.example}")
        for choice in _chosen(value) if key.choices else ():
            if choice not in key.choices:
                raise SettingsError(f"{file}: {name} must be one of {', '.join(key.choices)}, not {choice!r}")
        value = _frozen(value)
        if key.is_path:
            value = _inside(value, name, file)
        values[name.replace("-", "_")] = value
    return values


def _fits(value: object, kind: Kind) -> bool:
    if kind is Kind.LIST:
        return isinstance(value, list) and all(isinstance(item, str) for item in value)
    if kind is Kind.TABLE:
        return isinstance(value, dict) and all(isinstance(item, str) for item in value.values())
    if kind is Kind.LISTS:
        return isinstance(value, dict) and all(_fits(item, Kind.LIST) for item in value.values())
    return isinstance(value, bool if kind is Kind.SWITCH else str)


def _chosen(value: object) -> tuple[object, ...]:
    return tuple(value.values()) if isinstance(value, dict) else (value,)


def _frozen(value: object) -> object:
    if isinstance(value, dict):
        return tuple((name, _frozen(item)) for name, item in value.items())
    return tuple(value) if isinstance(value, list) else value


def _inside(value: object, name: str, file: str) -> object:
    """Return whole paths for those that a file names. Raises SettingsError for one that leads out of its repository."""
    if isinstance(value, tuple):
        return tuple(_inside(item, name, file) for item in value)
    place = os.path.join(os.path.dirname(file), str(value))
    root = reading.root_of(file)
    if not reading.is_inside(os.path.realpath(place), root):
        raise SettingsError(f"{file}: {name}: {value} leads out of {root}; name it on the command line")
    return place


def for_file(settings: Settings, path: str) -> Settings:
    """Return the settings for one file, with what ``per-file-ignores`` says of it among ``ignore``."""
    if not settings.per_file_ignores:
        return settings
    from cleanroom.project.gitignore import Patterns

    root = os.path.dirname(settings.file)
    meant = [
        selector
        for pattern, selectors in settings.per_file_ignores
        if Patterns([pattern], root).match_below(path)
        for selector in selectors
    ]
    return replace(settings, ignore=(*settings.ignore, *meant))
