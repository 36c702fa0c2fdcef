"""What ``rm`` and ``find`` remove, read from their command lines."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice, pairwise, takewhile

from cleanroom.syntax.paths import ANYWHERE, UNKNOWN, plain

_BRACES = re.compile(r"\\?\{\\?\}")
_RUNS = frozenset(("-exec", "-execdir", "-ok", "-okdir"))
MAX_OPERANDS = 1_000  # of one command; a * in one counts as one
_CONDITIONS = frozenset(
    ("-name", "-iname", "-path", "-regex", "-mtime", "-size", "-newer", "-maxdepth", "-user")  # not all is removed
)


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


def by_find(argv: Sequence[str], resolve: Callable[[str], str]) -> tuple[tuple[str, ...], bool]:
    """Return the same for ``find`` with ``-delete`` or ``-exec rm``; no pattern where it removes nothing."""
    words = [plain(word) for word in argv]
    if not removes(words):
        return (), False
    starts = few(
        resolve(pattern)
        for pattern, _ in takewhile(
            lambda pair: not pair[1].startswith(("-", "(", "!")), zip(argv[1:], words[1:], strict=True)
        )
    )
    conditions = _CONDITIONS.intersection(words)
    names = [name for word, name in pairwise(words) if word in ("-name", "-iname")]
    if not conditions or (names == ["*"] and conditions == {"-name"}):
        return starts, True
    if not names and conditions & {"-path", "-regex"}:
        return few(f"{start.rstrip('/')}/{UNKNOWN}" for start in starts), True
    at_any_depth = not {"-maxdepth", "-prune", "-not", "!"} & set(words)
    between = f"/{ANYWHERE}/" if at_any_depth else "/"
    folders = words[words.index("-type") + 1 :][:1] != ["f"] if "-type" in words else True
    return few(f"{start.rstrip('/')}{between}{name}" for start in starts for name in names), folders


def by_exec(argv: Sequence[str], resolve: Callable[[str], str]) -> Iterator[list[str]]:
    """Yield the commands that ``find`` runs, but for ``rm``, with what it finds in the place of ``{}``."""
    words = [plain(word) for word in argv]
    for start, word in enumerate(words, 1):
        if word not in _RUNS:
            continue
        end = next((index for index in range(start, len(words)) if _ends(words, index)), len(words))
        found = by_find([*argv[: start - 1], "-delete"], resolve)[0] or (UNKNOWN,)
        command: list[str] = []
        for index in range(start, end):
            command += found if words[index] == "{}" else [found[0].join(_BRACES.split(argv[index]))]
        if command and command[0].rpartition("/")[2] != "rm":
            yield command


def _ends(words: Sequence[str], index: int) -> bool:
    return words[index] == ";" or (words[index] == "+" and words[index - 1] == "{}")
