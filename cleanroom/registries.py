"""What ships and what plugins add, joined: rules, readers, formats, exports, places that images come from.

Nothing below this module knows that there are plugins. A plugin's function is called with a guard around it: what it
does wrong is noted, and costs only what it adds.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from functools import cache, partial
from typing import TYPE_CHECKING, Any, NoReturn

from msgspec.structs import replace

from cleanroom import builtin, hookspecs
from cleanroom.plugins.manager import VARIABLE, Plugins
from cleanroom.plugins.registry import Contract, Guard, PluginFailed, Registry

if TYPE_CHECKING:
    from cleanroom.formats.findings import Format
    from cleanroom.formats.recipes import Export
    from cleanroom.images.sources import ImageSource
    from cleanroom.lint.rules import Rule
    from cleanroom.recipes.library import Library
    from cleanroom.recipes.model import RecipeProblem
    from cleanroom.syntax.readers import Reader


@cache
def plugins() -> Plugins:
    """Return the plugins of this process; loaded at the first call, as the environment variable says."""
    return Plugins(builtin, hookspecs, os.environ.get(VARIABLE))


def _each(kind: type, found: Iterable[Any]) -> Iterator[Any]:
    """Return what is found, all of it. Raises TypeError where something is of another type."""
    whole = list(found)
    for item in whole:
        if not isinstance(item, kind):
            raise TypeError(f"it yields {type(item).__name__}, not {kind.__name__}")
    return iter(whole)


def _texts(found: Mapping[str, str]) -> Mapping[str, str]:
    if not all(isinstance(part, str) for pair in found.items() for part in pair):
        raise TypeError("it returns no texts by their paths")
    return found


def _one(kind: Any, found: Any) -> Any:
    if not isinstance(found, kind):
        name = getattr(kind, "__name__", "") or kind.__args__[0].__name__
        raise TypeError(f"it returns {type(found).__name__}, not {name}")
    return found


def _fail(message: str) -> NoReturn:
    raise PluginFailed(message)


def _sound_findings(found: Iterable[Any]) -> Iterator[Any]:
    """Return findings, all of them. Raises TypeError where one has a field that no format could write."""
    import msgspec

    from cleanroom.lint.findings import SEVERITIES, Finding

    whole = list(_each(Finding, found))
    for item in whole:
        msgspec.convert(msgspec.to_builtins(item), Finding)
        if item.severity not in SEVERITIES:
            raise TypeError(f"the severity of a finding is {item.severity!r}, not one of {', '.join(SEVERITIES)}")
        if not item.message:
            raise TypeError("a finding has no message")
    return iter(whole)


def _rule() -> Contract:
    from cleanroom.lint.rules import Rule

    return Contract((Rule,), Guard("the rule", "find", _sound_findings, lambda _: iter(())))


def _reader() -> Contract:
    from cleanroom.syntax.dockerfile import Dockerfile, DockerfileError
    from cleanroom.syntax.readers import Reader

    def unread(message: str) -> NoReturn:
        raise DockerfileError(message, 1, 1)

    return Contract((Reader,), Guard("the reader", "parse", partial(_one, Dockerfile), unread, (DockerfileError,)))


def _format() -> Contract:
    from cleanroom.formats.findings import Format

    return Contract((Format,), Guard("the format", "render", partial(_each, str), _fail))


def _export() -> Contract:
    from cleanroom.formats.recipes import Export

    return Contract((Export,), Guard("the export", "render", _texts, _fail))


def _image_source() -> Contract:
    from cleanroom.images.image import Image, ImageError
    from cleanroom.images.sources import ImageSource

    accept = partial(_one, Image | None)
    return Contract((ImageSource,), Guard("the source of images", "find", accept, lambda _: None, (ImageError,)))


def _with_rules(item: Format) -> Format:
    """Return a format that knows the rules where it asks for them."""
    return replace(item, render=partial(item.render, rules=RULES), wants_rules=False) if item.wants_rules else item


RULES: Registry[Rule] = Registry("cleanroom_rules", plugins, _rule)
READERS: Registry[Reader] = Registry("cleanroom_readers", plugins, _reader)
# "text" is what people read, on a terminal in colour; it is no document.
FORMATS: Registry[Format] = Registry("cleanroom_reports", plugins, _format, reserved=["text"], prepare=_with_rules)
EXPORTS: Registry[Export] = Registry("cleanroom_exports", plugins, _export)
IMAGE_SOURCES: Registry[ImageSource] = Registry("cleanroom_images", plugins, _image_source)
ALL: tuple[Registry[Any], ...] = (RULES, READERS, FORMATS, EXPORTS, IMAGE_SOURCES)


def library(*folders: str) -> Library:
    """Return the library of the recipes that ship, of those that plugins add, and of those in ``folders`` (or files).

    Raises RecipeError for a bad one in these.
    """
    return _library(folders)


@cache
def _library(folders: tuple[str, ...]) -> Library:
    from cleanroom.recipes.library import Library
    from cleanroom.recipes.model import RecipeError
    from cleanroom.recipes.sources import given, in_one_line, shipped

    supplies = []
    for plugin, path in plugins().yielded("cleanroom_recipes", (str, os.PathLike), os.fspath):
        if plugin.is_builtin:
            supplies.append(shipped(path))
            continue
        supply, errors = given(path, plugin.title, plugin.blame)
        supplies.append(supply)
        for error in errors:
            plugin.blame(in_one_line(error))
    problems: list[RecipeProblem] = []
    for folder in folders:
        supply, errors = given(folder, folder)
        supplies.append(supply)
        problems += [problem for error in errors for problem in error.problems]
    if problems:
        raise RecipeError(problems)
    return Library(supplies)
