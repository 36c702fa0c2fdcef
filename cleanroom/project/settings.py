"""Settings: ``[tool.cleanroom]`` in ``pyproject.toml``, or ``cleanroom.toml``, found upward from what is checked."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

from msgspec import Struct

from cleanroom.lint.findings import SEVERITIES
from cleanroom.suggest import did_you_mean

PREFERENCES = ("clean", "prevent", "mount")


class Settings(Struct, frozen=True):
    """What a project asks for; every default means *as without a settings file*."""

    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()
    prefer: str = ""
    exclude: tuple[str, ...] = ()  # patterns relative to the folder of ``file``
    recipes: tuple[str, ...] = ()  # folders of recipes, relative to the folder of ``file``
    target: str = ""
    fail_on: str = "warning"
    file: str = ""  # where they stand


class SettingsError(ValueError):
    """Settings that cannot be used; the message names the file."""


def find(folder: str | os.PathLike[str]) -> Settings:
    """Return the settings in force in ``folder``: those of the nearest file, upward. Raises SettingsError."""
    return next((found for file in _files(folder) if (found := read(file)) is not None), Settings())


def recipes_for(folder: str | os.PathLike[str]) -> tuple[str, ...]:
    """Return the folders of recipes that the settings in force in ``folder`` add. Raises SettingsError.

    Reads TOML only where there may be some, since the reader is slow to import.
    """
    for file in _files(folder):
        try:
            with open(file, encoding="utf-8", errors="replace") as stream:
                text = stream.read()
        except OSError:
            continue
        if "[tool.cleanroom" in text or not file.endswith("pyproject.toml"):
            has_list = any(line.lstrip().startswith("recipes") for line in text.splitlines())
            return find(folder).recipes if has_list else ()
    return ()


def _files(folder: str | os.PathLike[str]) -> Iterator[str]:
    """Yield the files that may have settings, from ``folder`` upward."""
    place = os.path.abspath(folder)
    while True:
        for name in ("cleanroom.toml", "pyproject.toml"):
            file = os.path.join(place, name)
            if os.path.isfile(file):
                yield file
        above = os.path.dirname(place)
        if above == place:
            return
        place = above


def read(file: str) -> Settings | None:
    """Return the settings in ``file``; None for a ``pyproject.toml`` that has none. Raises SettingsError."""
    try:
        with open(file, encoding="utf-8") as stream:
            text = stream.read()
    except (OSError, UnicodeDecodeError) as error:
        raise SettingsError(f"{file}: {error}") from None
    in_pyproject = os.path.basename(file) == "pyproject.toml"
    if in_pyproject and "cleanroom" not in text:
        return None  # the TOML reader is slow to import
    table: object = _parse(text, file)
    if in_pyproject:
        for key in ("tool", "cleanroom"):
            table = table.get(key) if isinstance(table, dict) else None
        if table is None:
            return None
    if not isinstance(table, dict):
        raise SettingsError(f"{file}: tool.cleanroom must be a table")
    return _settings(table, file)


def _parse(text: str, file: str) -> dict[str, object]:
    if sys.version_info >= (3, 11):
        import tomllib
    else:
        import tomli as tomllib
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{file}: not TOML: {error}") from None


_LISTS = ("select", "ignore", "exclude", "recipes")
_CHOICES = {"prefer": PREFERENCES, "fail-on": SEVERITIES}
_KEYS = (*_LISTS, *_CHOICES, "target")


def _settings(table: dict[str, object], file: str) -> Settings:
    values: dict[str, object] = {}
    for key, value in table.items():
        if key not in _KEYS:
            raise SettingsError(f"{file}: unknown setting {key!r}{did_you_mean(key, _KEYS)}")
        if key in _LISTS:
            if not (isinstance(value, list) and all(isinstance(item, str) for item in value)):
                raise SettingsError(f'{file}: {key} must be a list of strings, such as {key} = ["…"]')
            value = tuple(value)
        elif not isinstance(value, str):
            raise SettingsError(f"{file}: {key} must be a string")
        elif key in _CHOICES and value not in _CHOICES[key]:
            raise SettingsError(f"{file}: {key} must be one of {', '.join(_CHOICES[key])}, not {value!r}")
        values[key.replace("-", "_")] = value
    if "recipes" in values:
        folder = os.path.dirname(file)
        values["recipes"] = tuple(os.path.join(folder, path) for path in values["recipes"])  # type: ignore[attr-defined]
    return Settings(**values, file=file)  # type: ignore[arg-type]  # each was checked above
