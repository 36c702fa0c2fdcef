"""Compare a simulated build with that of the file after a fix: what the fix broke.

What counts as the same: each command that was called is called as often, by the same user, in the same folder, and
ends the same way; each RUN, and what the container starts with, ends as before; what was installed still works.
Commands that the fix added must succeed; those that it removed must be clean-ups or updates. Words that the fix added
to commands, or took away, are left out of the comparison, and files of a cache (globs that the shell expanded) count as
the cache.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from cleanroom.lint.findings import Finding

from .image_build import Build, Command

# Commands that a fix adds and drops: clean-ups, and what fetches lists anew for those behind it.
_REMOVABLE = re.compile(r"rm|find|rmdir|sudo|sh|bash|mkdir|xargs")
_CLEANS = re.compile(r"(?:auto-?|dist-?)?clean|purge|clear|prune|cache|update|makecache|refresh|-S[cuy]+|locals")
_SETTINGS = ("RUN", "FROM", "ENV", "\\", "&&", ";", "")


@dataclass(frozen=True, slots=True)
class Break:
    """Something that the fix broke: a kind for statistics, and words."""

    kind: str  # fails, gone, runs, payload, added, stays
    what: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.what}"


def breaks(before: Build, after: Build, old: str, new: str) -> list[Break]:
    """Return what is broken in the build ``after``, of the text ``new``, that was not in ``before``, of ``old``."""
    if before.problem or after.problem:
        return [Break("build", after.problem)] if after.problem and not before.problem else []
    return [*_commands(before, after, old, new), *_runs(before, after), *_payload(before, after)]


def _words(text: str) -> Counter[str]:
    return Counter(re.split(r"[\s\"'=(){};&|]+", text))


def _commands(before: Build, after: Build, old: str, new: str) -> Iterator[Break]:
    olds, news = _words(old), _words(new)
    changed = {word for word in (news - olds) + (olds - news) if word not in _SETTINGS}
    first = _by_line(before.commands, before, changed)
    second = _by_line(after.commands, after, changed)
    for key in first.keys() | second.keys():
        ones, others = first.get(key, []), second.get(key, [])
        user, cwd, argv = key
        line = f"{' '.join(argv)} (user {user}, in {cwd})"
        if len(others) < len(ones) and not _is_removable(argv):
            yield Break("gone", f"{line} is no longer called")
        worse = Counter(code != 0 for code in others)[True] - Counter(code != 0 for code in ones)[True]
        if worse > 0:
            kind = "fails" if len(others) <= len(ones) else "added"
            yield Break(kind, f"{line} ends with {next(code for code in others if code != 0)}")
        elif len(others) > len(ones) > 0 and argv[0] not in changed and not _is_removable(argv):
            yield Break("added", f"{line} is called once more")


def _is_removable(argv: tuple[str, ...]) -> bool:
    """Return True for a command that a fix may drop: one that cleans, or fetches lists anew."""
    return bool(_REMOVABLE.fullmatch(argv[0])) or any(map(_CLEANS.fullmatch, argv[1:]))


def _by_line(
    commands: Iterable[Command], build: Build, changed: set[str]
) -> dict[tuple[int, str, tuple[str, ...]], list[int | None]]:
    found: dict[tuple[int, str, tuple[str, ...]], list[int | None]] = defaultdict(list)
    for command in commands:
        words = [command.argv[0].rpartition("/")[2]]
        for word in command.argv[1:]:
            name = _cache_of(word, build)
            if name:
                if words[-1] != name:
                    words.append(name)
            elif word not in changed and word.partition("=")[0] not in changed:
                words.append(_stripped(word, changed))
        found[command.user, command.cwd, tuple(words)].append(command.code)
    return found


def _stripped(word: str, changed: set[str]) -> str:
    """Return a script that stands in a word without the words that the fix added to it."""
    return " ".join(part for part in word.split() if part not in changed) if re.search(r"\s", word) else word


def _cache_of(word: str, build: Build) -> str:
    for name, places in build.places.items():
        for place in places:
            bare = re.split(r"/[^/]*[*?\[]", place)[0]
            if word == bare or word.startswith(f"{bare}/"):
                return f"<{name.partition('.')[0]}>"
    return ""


def _runs(before: Build, after: Build) -> Iterator[Break]:
    for keyword in ("RUN", "COPY", "CMD", "ENTRYPOINT", "HEALTHCHECK"):
        old = [run for run in before.failed if run.keyword == keyword]
        new = [run for run in after.failed if run.keyword == keyword]
        if len(new) > len(old):
            known = Counter(run.output.strip()[-60:] for run in old)
            worst = next((run for run in new if not known[run.output.strip()[-60:]]), new[-1])
            yield Break("runs", f"{keyword} on line {worst.line} ends with {worst.code}: {worst.output.strip()[-200:]}")


def _payload(before: Build, after: Build) -> Iterator[Break]:
    for what, works in before.payload.items():
        if works and not after.payload.get(what):
            yield Break("payload", f"{what} does not work any more")


def stays(before: Build, after: Build, fixed: Iterable[Finding]) -> list[Break]:
    """Return what a fix said that it keeps out of the image, and that is in it as before."""
    found = []
    wanted: dict[tuple[str, str], set[int]] = defaultdict(set)
    for finding in fixed:
        if finding.cache and finding.rule in ("left-behind", "cleaned-late", "cleaned-early"):
            wanted[finding.stage, f"{finding.manager}.{finding.cache}"].add(finding.instruction_line)
    for (stage, cache), lines in wanted.items():
        if any(run.line in lines for run in before.failed):
            continue  # it never came to the end
        dirty = [layer for layer in before.layers if cache in layer.caches and layer.line in lines]
        still = [layer for layer in after.layers if cache in layer.caches]
        elsewhere = [layer for layer in before.layers if cache in layer.caches and layer.line not in lines]
        if dirty and len(still) > len(elsewhere):
            lines_still = ", ".join(str(layer.line) for layer in still)
            found.append(Break("stays", f"{cache} in stage {stage}, layers on lines {lines_still} of the new text"))
    return found
