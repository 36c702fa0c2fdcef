"""What an image with a remedy has otherwise than one without, beside the caches. Pure: trees in, words out.

What differs between two builds without a remedy says nothing about one. Besides, these may differ: the caches and the
folders that only held them, the targets of cache mounts, logs, byte code that Python writes when it first imports a
module, times, and what the proof declares.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator
from fnmatch import fnmatchcase

from msgspec import Struct

from cleanroom.proofs.snapshot import FILE, FOLDER, Node, Snapshot

LOG_GROWTH = 64 * 1024  # bytes that all logs together may grow by
_VARIES = 0.1  # of the size of what differs from build to build anyway
_FEW_BYTES = 256
_BYTE_CODE = 4  # times the size of its source, at most


class Allowed(Struct, frozen=True, kw_only=True):
    """Where things may differ. Paths may have globs, and stand for all below them too."""

    caches: tuple[str, ...] = ()
    kept: tuple[str, ...] = ()  # what must stay, also below a cache
    folders: tuple[str, ...] = ()  # of which only the contents are a cache
    targets: tuple[str, ...] = ()  # of cache mounts: Buildah before 1.30 removes them from the image
    removed: tuple[str, ...] = ()  # what the remedy takes away on purpose, before the install
    declared: tuple[str, ...] = ()  # by the proof


class Plain(Struct, frozen=True, kw_only=True):
    """Builds without a remedy: what they begin from, and two of them, which show what varies by itself."""

    base: Snapshot
    first: Snapshot
    again: Snapshot


def differences(plain: Plain, found: Snapshot, allowed: Allowed) -> list[str]:
    """Return what ``found`` has otherwise than the builds without a remedy, a line each."""
    is_cache = places(allowed.caches, allowed.kept)
    is_free = places(allowed.declared)

    def outside(shown: Snapshot) -> Snapshot:
        return {path: node for path, node in shown.items() if not is_cache(path) and not is_free(path)}

    before, again, after = outside(plain.first), outside(plain.again), outside(found)
    gone = before.keys() - after.keys() - _holders(before, plain, is_cache) - {*allowed.targets}
    new = after.keys() - before.keys() - _ways(plain.first, allowed, is_cache)
    is_mounted = places(allowed.targets)
    is_removed = places(allowed.removed)
    gone = {path for path in gone if not is_removed(path) and not (is_mounted(path) and path in plain.base)}
    gone |= {path for path in allowed.folders if path in plain.first and path not in found} - {*allowed.targets}
    gone, new = _without_random(gone, new, before, again, after)
    logs = {path for path in new if _is_log(path)}
    new -= logs | _byte_code(new, after)
    lines = [f"{path} is gone" for path in _tops(gone)]
    lines += [f"{path} is new" for path in _tops(new)]
    for path in sorted(before.keys() & after.keys()):
        lines += [f"{path} {what}" for what in _changes(before[path], again.get(path), after[path], _is_log(path))]
    lines += _links(before, again, after)
    grown = sum(after[path].size - before[path].size for path in before.keys() & after.keys() if _is_log(path))
    grown += sum(after[path].size for path in logs)
    if grown > LOG_GROWTH:
        lines.append(f"logs grow by {grown:,} bytes")
    return lines


# -- places ------------------------------------------------------------------------------------------------------------


def places(patterns: Collection[str], but: Collection[str] = ()) -> Callable[[str], bool]:
    """Return a test of paths: at or below one of ``patterns``, of which no one of ``but`` says more."""
    inside, outside = _Depth(patterns), _Depth(but)
    return lambda path: (depth := inside(path)) > 0 and depth > outside(path)


class _Depth:
    """How many parts of a path the longest of some patterns names; 0 where none does."""

    def __init__(self, patterns: Collection[str]) -> None:
        split = [tuple(part for part in pattern.split("/") if part) for pattern in patterns]
        self._globs = [parts for parts in split if any(character in part for part in parts for character in "*?[")]
        self._plain = frozenset(parts for parts in split if parts not in self._globs)

    def __call__(self, path: str) -> int:
        parts = tuple(path.split("/")[1:])
        depth = next((count for count in range(len(parts), 0, -1) if parts[:count] in self._plain), 0)
        for glob in self._globs:
            if depth < len(glob) <= len(parts) and all(map(fnmatchcase, parts, glob)):
                depth = len(glob)
        return depth


def _parents(path: str) -> Iterator[str]:
    while path != "/":
        path = path.rpartition("/")[0] or "/"
        yield path


def _tops(paths: Collection[str]) -> list[str]:
    """Return the paths that lie below no other one of them."""
    return sorted(path for path in paths if path == "/" or (path.rpartition("/")[0] or "/") not in paths)


def _holders(before: Snapshot, plain: Plain, is_cache: Callable[[str], bool]) -> set[str]:
    """Return the folders that the install made for a cache, and that hold nothing else."""
    made = {parent for path in plain.first if is_cache(path) for parent in _parents(path)}
    made = {path for path in made if path in before and path not in plain.base}
    return made - {parent for path in before.keys() - made for parent in _parents(path)}


def _ways(first: Snapshot, allowed: Allowed, is_cache: Callable[[str], bool]) -> set[str]:
    """Return the folders that lead to a cache or a mount, and the targets themselves."""
    ends = [*allowed.targets, *filter(is_cache, first)]
    return {*allowed.targets, *(parent for path in ends for parent in _parents(path))}


def _is_log(path: str) -> bool:
    return path.startswith("/var/log/") or path.endswith(".log")


def _byte_code(new: Collection[str], after: Snapshot) -> set[str]:
    """Return the new paths that hold what Python compiled of a module that lies beside them."""
    found = set()
    for path in new:
        folder, _, name = path.rpartition("/")
        above, _, last = folder.rpartition("/")
        source = after.get(f"{above}/{name.split('.')[0]}.py")
        if last == "__pycache__" and name.endswith(".pyc") and source is not None:
            found |= {path} if after[path].size <= source.size * _BYTE_CODE + 1024 else set()
    return found | {folder for folder in new if folder.endswith("/__pycache__") and after[folder].kind == FOLDER}


# -- what varies by itself ---------------------------------------------------------------------------------------------


def _without_random(
    gone: set[str], new: set[str], before: Snapshot, again: Snapshot, after: Snapshot
) -> tuple[set[str], set[str]]:
    """Leave out what has another name in each build, if there are about as many files, as large, in the same folder."""
    ones, others = _by_folder(before.keys() - again.keys()), _by_folder(again.keys() - before.keys())
    now = _by_folder(new)
    for folder in ones.keys() & others.keys():
        tops = now.get(folder, [])
        one, other, found = _weight(ones[folder], before), _weight(others[folder], again), _weight(tops, after)
        if all(_is_like(size, a, b) for size, a, b in zip(found, one, other, strict=True)):
            gone -= _below(gone, ones[folder])
            new -= _below(new, tops)
    return gone, new


def _by_folder(paths: Collection[str]) -> dict[str, list[str]]:
    found: defaultdict[str, list[str]] = defaultdict(list)
    for path in _tops(paths):
        found[path.rpartition("/")[0] or "/"].append(path)
    return found


def _below(paths: Collection[str], tops: Collection[str]) -> set[str]:
    return {path for path in paths if path in tops or any(parent in tops for parent in _parents(path))}


def _weight(tops: Collection[str], shown: Snapshot) -> tuple[int, int]:
    """Return 1,000 for each file at ``tops`` or below, and the bytes of all."""
    nodes = [shown[path] for path in _below(shown, frozenset(tops))]
    return 1000 * len(nodes), sum(node.size for node in nodes)


def _is_like(size: int, one: int, other: int) -> bool:
    """Return True if a size is about that of two builds without a remedy."""
    slack = max(_FEW_BYTES, int(max(one, other) * _VARIES))
    is_empty = size == 0 and min(one, other) > 0
    return not is_empty and min(one, other) - slack <= size <= max(one, other) + slack


def _changes(before: Node, again: Node | None, after: Node, is_log: bool) -> Iterator[str]:
    """Yield what differs at a path, but for what differs without a remedy too."""
    again = again or before
    if after.kind != before.kind:
        yield f"is a {after.kind}, not a {before.kind}"
        return
    if after.mode != before.mode == again.mode:
        yield f"has the rights {after.mode:o}, not {before.mode:o}"
    if after.owner != before.owner == again.owner:
        yield "belongs to {}:{}, not {}:{}".format(*after.owner, *before.owner)
    if after.attributes != before.attributes == again.attributes:
        yield "has other attributes"
    if after.content in (before.content, again.content):
        return
    varies = again.content != before.content or is_log
    if not varies:
        yield f"has other content, {after.size:,} bytes, not {before.size:,}"
    elif before.kind == FILE and not _is_like(
        min(after.size, before.size) if is_log else after.size, before.size, again.size
    ):
        yield f"has {after.size:,} bytes, not {before.size:,}"


def _links(before: Snapshot, again: Snapshot, after: Snapshot) -> Iterator[str]:
    """Yield the paths whose file has other names than without a remedy."""
    one, other, now = _names(before), _names(again), _names(after)
    shared = before.keys() & after.keys()
    for path in sorted(shared & (one.keys() | now.keys())):
        names = one.get(path, frozenset((path,))) & shared
        if names == other.get(path, frozenset((path,))) & shared != now.get(path, frozenset((path,))) & shared:
            yield f"{path} shares its file with other names"


def _names(shown: Snapshot) -> dict[str, frozenset[str]]:
    """Return all names of each file that has several."""
    by_inode: defaultdict[int, list[str]] = defaultdict(list)
    for path, node in shown.items():
        if node.kind == FILE:
            by_inode[node.inode].append(path)
    several: Iterable[frozenset[str]] = (frozenset(paths) for paths in by_inode.values() if len(paths) > 1)
    return {path: paths for paths in several for path in paths}
