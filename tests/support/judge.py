"""Compare a simulated build with that of the file after a fix: what the fix broke.

What counts as the same: each command that was called is called as often, by the same user, in the same folder, and
ends the same way; each RUN, and what the container starts with, ends as before; what was installed still works, and
files outside the caches are there.
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

from .image_build import Build, Command, is_in

# Commands that a fix adds and drops: clean-ups, and what fetches lists anew for those behind it.
_REMOVABLE = re.compile(r"rm|find|rmdir|sudo|sh|bash|mkdir|xargs")
_CLEANS = re.compile(r"(?:auto-?|dist-?)?clean|purge|clear|prune|cache|update|makecache|refresh|-S[cuy]+|locals")
_TEMPORARY = ("/tmp", "/var/tmp", "/var/log", "/run")
_SETTINGS = ("RUN", "FROM", "ENV", "\\", "&&", ";", "")


@dataclass(frozen=True, slots=True)
class Break:
    """Something that the fix broke: a kind for statistics, and words."""

    kind: str  # fails, gone, runs, payload, files, added, stays, hides, build, time
    what: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.what}"


def breaks(before: Build, after: Build, old: str, new: str) -> list[Break]:
    """Return what is broken in the build ``after``, of the text ``new``, that was not in ``before``, of ``old``."""
    if before.problem or after.problem:
        return [Break("build", after.problem)] if after.problem and not before.problem else []
    if any(run.code is None for run in before.runs):
        return []  # how far it got depends on the machine
    if slow := [run for run in after.runs if run.code is None]:
        return [Break("time", f"RUN on line {slow[0].line} takes too long")]
    found = [*_commands(before, after, old, new), *_runs(before, after)]
    if before.is_stopped or after.is_stopped:
        return found
    return [*found, *_payload(before, after), *_files(before, after, _words(new) - _words(old))]


def _words(text: str) -> Counter[str]:
    return Counter(re.split(r"[\s\"'=(){};&|]+", text))


def changed_words(old: str, new: str) -> frozenset[str]:
    """Return the words that a fix added or took away."""
    olds, news = _words(old), _words(new)
    return frozenset(word for word in (news - olds) + (olds - news) if word not in _SETTINGS)


def commands_to_fail(before: Build, changed: frozenset[str]) -> list[tuple[str, ...]]:
    """Return the words of each command of a build that a fix leaves as it is, without those that it changes."""
    found = {
        (command.argv[0].rpartition("/")[2], *(word for word in command.argv[1:] if word not in changed)): command
        for command in before.commands
    }
    return [words for words, command in found.items() if not _is_removable(command)]


def _commands(before: Build, after: Build, old: str, new: str) -> Iterator[Break]:
    changed = changed_words(old, new)
    places = [(name, place) for build in (before, after) for name in build.places for place in build.places[name]]
    first = _by_line(before.commands, places, changed)
    second = _by_line(after.commands, places, changed)
    for key in first.keys() | second.keys():
        ones, others = first.get(key, []), second.get(key, [])
        command = (ones or others)[0]
        line = f"{' '.join(command.argv)} (user {command.user}, in {command.cwd})"
        bad = [one for one in others if one.code != 0]
        if len(others) < len(ones) and not any(map(_is_removable, ones)):
            yield Break("gone", f"{line} is no longer called")
        if len(bad) > sum(one.code != 0 for one in ones):
            yield Break("fails" if len(others) <= len(ones) else "added", f"{line} ends with {bad[-1].code}")
        elif len(others) > len(ones) > 0 and key[2][0] not in changed and not any(map(_is_removable, others)):
            yield Break("added", f"{line} is called once more")


def _is_removable(command: Command) -> bool:
    """Return True for a command that a fix may drop: one that cleans, or fetches lists anew."""
    program = command.argv[0].rpartition("/")[2]
    return bool(_REMOVABLE.fullmatch(program)) or any(map(_CLEANS.fullmatch, command.argv[1:]))


_Key = tuple[int, str, tuple[str, ...]]


def _by_line(
    commands: Iterable[Command], places: list[tuple[str, str]], changed: frozenset[str]
) -> dict[_Key, list[Command]]:
    """Return the commands by user, folder and the words that a fix does not change."""
    found: dict[_Key, list[Command]] = defaultdict(list)
    for command in commands:
        words = [command.argv[0].rpartition("/")[2]]
        for word in command.argv[1:]:
            name = _cache_of(word, places)
            if name:
                if words[-1] != name:
                    words.append(name)
            elif word not in changed and word.partition("=")[0] not in changed:
                words.append(_stripped(word, changed))
        found[command.user, command.cwd, tuple(words)].append(command)
    return found


def _stripped(word: str, changed: frozenset[str]) -> str:
    """Return a script that stands in a word without the words that the fix added to it."""
    return " ".join(part for part in word.split() if part not in changed) if re.search(r"\s", word) else word


def _cache_of(word: str, places: list[tuple[str, str]]) -> str:
    for name, place in places:
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
        elif len(new) < len(old) and _failures(before) == _failures(after):
            yield Break("hides", f"{keyword} on line {old[0].line} no longer fails, though a command in it does")


def _failures(build: Build) -> int:
    return sum(command.code != 0 for command in build.commands)


def _payload(before: Build, after: Build) -> Iterator[Break]:
    for what, works in before.payload.items():
        if works and not after.payload.get(what):
            yield Break("payload", f"{what} does not work any more")


def _files(before: Build, after: Build, added: Counter[str]) -> Iterator[Break]:
    """Yield which files are no longer there that a build made outside its caches, and that the fix does not name."""
    caches = [place for build in (before, after) for places in build.places.values() for place in places]
    for stage, files in before.files.items():
        for path in sorted(files - after.files.get(stage, frozenset())):
            if not is_in(path, [*caches, *_TEMPORARY]) and not is_in(path, [word for word in added if word[:1] == "/"]):
                yield Break("files", f"{path} is not there any more in stage {stage}")
                break


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
