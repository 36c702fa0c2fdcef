"""What commands do to caches: events, in the order in which a script runs.

Guards are the conditions under which a command runs when all goes well: a command behind ``||`` runs only when
the one before it failed, one in a branch only when that branch is taken. A clean-up counts for a fill when it runs
whenever the fill did, so when its guards are among those of the fill.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum

from msgspec import Struct

from cleanroom.recipes.model import Cache, Hazard, Lean, Payload, Recipe
from cleanroom.syntax import shell
from cleanroom.syntax.text import Span

Guards = frozenset[tuple[str, bool]]
NO_GUARDS: Guards = frozenset()


class Fill(Struct):
    """A command that puts bytes into a cache; ``paths`` are the places where it may lie, usually one."""

    recipe: Recipe
    cache: Cache
    paths: tuple[str, ...]
    span: Span
    guards: Guards
    order: int
    verb: str
    prevented: str = ""  # by what: an option, a variable, a file
    sudo: bool = False
    tops_up: bool = False  # adds nothing when an earlier layer holds it
    prefetch: bool = False  # for a later command of the same manager, and nothing else
    user: str = ""  # who runs it; "" where that is not told
    command: shell.Command | None = None  # as it stands in the Dockerfile; None in a file, or put together at run time
    nested: bool = False  # in the text of ``sh -c`` or ``eval``, or in a file: not in the shell that runs the RUN


class Clean(Struct):
    """A clean-up command of a manager. ``paths`` are those of the caches it empties, by cache id."""

    recipe: Recipe
    paths: Mapping[str, tuple[str, ...]]
    hazards: tuple[Hazard, ...]
    span: Span
    guards: Guards
    order: int
    command: shell.Command | None = None
    nested: bool = False


class Remove(Struct):
    """``rm`` or ``find -delete``: what it removes, as patterns. One not ``forced`` fails where there is nothing."""

    patterns: tuple[str, ...]
    recursive: bool
    span: Span
    guards: Guards
    order: int
    command: shell.Command | None = None
    nested: bool = False
    forced: bool = True
    certain: bool = True  # False where it may leave some of it: find with ! -name


class Used(Struct):
    """Another use of a manager, which may need what a clean-up removed."""

    recipe: Recipe
    verb: str
    order: int
    span: Span
    command: shell.Command | None = None
    nested: bool = False


class Installed(Struct):
    """A command that put what it installed into ``paths``, usually one, where one looks for caches."""

    recipe: Recipe
    payload: Payload
    paths: tuple[str, ...]
    span: Span
    order: int
    command: shell.Command | None = None
    nested: bool = False
    certain: bool = True  # False where it depends on a version that is not known


class Required(Struct):
    """A command that fails when a cache is empty: ``apt-get install`` without package lists."""

    recipe: Recipe
    cache: Cache
    order: int
    span: Span
    guards: Guards
    sudo: bool = False
    command: shell.Command | None = None
    nested: bool = False


class Optional(Struct):
    """A command that installs what nothing needs at run time, as the ``lean`` option says."""

    recipe: Recipe
    lean: Lean
    span: Span
    guards: Guards
    order: int
    removed: bool = False  # a later command of the same RUN takes it out again
    command: shell.Command | None = None
    nested: bool = False


class Copied(Struct):
    """``cp``, ``mv`` or ``install``: what it takes elsewhere, as patterns."""

    patterns: tuple[str, ...]
    span: Span
    order: int
    command: shell.Command | None = None
    nested: bool = False


Event = Fill | Clean | Remove | Used | Installed | Required | Optional | Copied


class Write(Struct, frozen=True):
    """A command, or a COPY or ADD, that puts bytes at one of ``paths``; it stands before the event ``order``."""

    paths: tuple[str, ...]
    what: str  # downloads, clones, unpacks, copies, moves
    folder: bool
    span: Span
    guards: Guards
    order: int
    taken: tuple[str, ...] = ()  # patterns of what it moves there


class Reowned(Struct, frozen=True):
    """``chown -R`` or ``chmod -R``: what it changes, as patterns, is in its layer once more."""

    patterns: tuple[str, ...]
    program: str
    span: Span
    guards: Guards
    order: int


class Packages(Struct, frozen=True):
    """A command that installs packages by name, or takes such away again."""

    recipe: Recipe
    names: tuple[str, ...]
    installs: bool
    scope: str  # where it does so, as one of the recipe's ``scope_options`` says: --global
    span: Span
    guards: Guards
    order: int


Change = Write | Reowned | Packages


class Unresolved(Struct, frozen=True):
    """Something that could not be known: no finding follows from it."""

    line: int
    reason: str


class How(Enum):
    """What a command wants of a place that it names."""

    EXISTS = "exists"  # that it is there: chown, cd, the folder of a file that is written
    CONTENT = "content"  # what is in it: cp, cat, any program that is not known
    PUTS = "puts"  # it puts something there: the last word of cp


class Named(Struct, frozen=True):
    """A command that names a place which may be a cache, or be above or below one; ``path`` is a pattern."""

    path: str
    how: How
    span: Span
    order: int  # how many events of the RUN are before it


class Unseen(Struct, frozen=True):
    """A command that runs what is not seen: a script of the build context, a download, a target of make."""

    what: str
    text: str | None  # what it says, where that is known but not followed (Python)
    span: Span
    order: int


Use = Named | Unseen
