"""What ``rm`` and ``find`` remove, read from their command lines."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice, pairwise, takewhile

from msgspec import Struct

from cleanroom.syntax.paths import ANYWHERE, UNKNOWN, plain

_BRACES = re.compile(r"\\?\{\\?\}")
_NAMES = frozenset(("-name", "-iname"))
_RUNS = frozenset(("-exec", "-execdir", "-ok", "-okdir"))
MAX_OPERANDS = 1_000  # of one command; a * in one counts as one
# Not all that is named is removed.
_EXCEPT = frozenset(("!", "-not", "-o", "-or", "-path", "-wholename", "-ipath", "-regex", "-iregex", "-size", "-user"))
_EXCEPT |= frozenset(("-mtime", "-atime", "-ctime", "-mmin", "-amin", "-cmin", "-newer", "-group", "-perm", "-uid"))
_DEEPEST = 8  # to which -maxdepth is followed


class Found(Struct, frozen=True):
    """What ``find`` removes: patterns, with what is in folders if ``recursive``; perhaps not all if not ``certain``."""

    patterns: tuple[str, ...] = ()
    recursive: bool = False
    certain: bool = True


def few(patterns: Iterable[str]) -> tuple[str, ...]:
    """Return the patterns, or one that is unknown when they are more than can be followed."""
    found = tuple(islice(patterns, MAX_OPERANDS + 1))
    return found if len(found) <= MAX_OPERANDS else (UNKNOWN,)


def by_rm(operands: Sequence[str], resolve: Callable[[str], str]) -> tuple[tuple[str, ...], bool]:
    """Return the patterns that ``rm`` with these words removes, and whether with all that is in folders.

    ``resolve`` makes a pattern one from the root.
    """
    options = [plain(word) for word in operands if word.startswith("-")]
    recursive = any(
        option == "--recursive" or (not option.startswith("--") and set(option) & {"r", "R"}) for option in options
    )
    return few(resolve(word) for word in operands if not word.startswith("-")), recursive


def is_forced(words: Sequence[str]) -> bool:
    """Return True if ``rm`` with these words does not mind what is not there."""
    return any(word == "--force" or (word[:1] == "-" and word[:2] != "--" and "f" in word) for word in words)


def removes(words: Sequence[str]) -> bool:
    """Return True if ``find`` with these words removes what it finds."""
    return "-delete" in words or any(
        word in ("-exec", "-execdir") and command.rpartition("/")[2] == "rm" for word, command in pairwise(words)
    )


def by_find(argv: Sequence[str], resolve: Callable[[str], str]) -> Found:
    """Return what ``find`` with ``-delete`` or ``-exec rm`` removes."""
    words = [plain(word) for word in argv]
    if not removes(words) or "-empty" in words:
        return Found()
    begin = [
        pattern
        for pattern, _ in takewhile(
            lambda pair: not pair[1].startswith(("-", "(", "!")), zip(argv[1:], words[1:], strict=True)
        )
    ]
    starts = few(resolve(pattern) for pattern in begin)
    certain = not _EXCEPT & set(words)
    named = [(before, name) for before, test, name in zip(words, words[1:], words[2:], strict=False) if test in _NAMES]
    names = [name for before, name in named if before not in ("!", "-not") and name != "*"]
    depth = _depth(words)
    files = ("-type", "f") in pairwise(words)
    if not names and depth is None:
        return Found(starts, True, certain)
    if not names:
        inside = starts if depth == 0 else few(f"{start.rstrip('/')}/*" for start in starts)
        return Found(inside, True, certain and not files)
    between = [f"/{ANYWHERE}/"] if depth is None else ["/*" * level + "/" for level in range(min(depth, _DEEPEST))]
    patterns = few(f"{start.rstrip('/')}{path}{name}" for start in starts for path in between for name in names)
    return Found(patterns, not files, certain)


def _depth(words: Sequence[str]) -> int | None:
    """Return how deep below where it starts ``find`` looks, None for as deep as it goes."""
    given = next((value for word, value in pairwise(words) if word == "-maxdepth"), "")
    return int(given) if given.isdecimal() else None


def by_exec(argv: Sequence[str], resolve: Callable[[str], str]) -> Iterator[list[str]]:
    """Yield the commands that ``find`` runs, but for ``rm``, with what it finds in the place of ``{}``."""
    words = [plain(word) for word in argv]
    for start, word in enumerate(words, 1):
        if word not in _RUNS:
            continue
        end = next((index for index in range(start, len(words)) if _ends(words, index)), len(words))
        found = by_find([*argv[: start - 1], "-delete"], resolve).patterns or (UNKNOWN,)
        command: list[str] = []
        for index in range(start, end):
            command += found if words[index] == "{}" else [found[0].join(_BRACES.split(argv[index]))]
        if command and command[0].rpartition("/")[2] != "rm":
            yield command


def _ends(words: Sequence[str], index: int) -> bool:
    return words[index] == ";" or (words[index] == "+" and words[index - 1] == "{}")
