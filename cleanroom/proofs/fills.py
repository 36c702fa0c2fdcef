"""Where the files of a command land: in caches that a recipe knows, and elsewhere. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping

from msgspec import Struct

from cleanroom.proofs.difference import places
from cleanroom.proofs.prediction import LEFT
from cleanroom.proofs.snapshot import FILE, Snapshot
from cleanroom.recipes.measurements import Held

_MOST = 10
_DEPTH = 4  # parts of a path by which bytes are added up
_LIKE_CACHES = ("/tmp/", "/var/tmp/", "/var/cache/", "/root/.", "/home/")


class Landed(Struct, frozen=True, kw_only=True):
    """What a line wrote: bytes by cache, and the heaviest places besides."""

    line: str
    held: Mapping[str, int]
    unexpected: tuple[str, ...]  # caches that the engine does not say are filled
    elsewhere: Mapping[str, int]  # bytes by folder, the heaviest first
    suspects: tuple[str, ...]  # of these, where one looks for caches


def landed(
    line: str,
    base: Snapshot,
    shown: Snapshot,
    caches: Collection[str],
    held: Mapping[str, Held],
    states: Mapping[str, str],
) -> Landed:
    """Return where what ``shown`` has more than ``base`` lies; ``states`` is what the engine says of the caches."""
    is_cache = places(caches)
    sizes: Counter[str] = Counter()
    for path, node in shown.items():
        before = base.get(path)
        if node.kind == FILE and not is_cache(path) and (before is None or before.content != node.content):
            sizes["/".join(path.rpartition("/")[0].split("/")[: _DEPTH + 1]) or "/"] += node.size
    filled = {name: found.bytes + found.linked for name, found in held.items() if found.bytes + found.linked}
    return Landed(
        line=line,
        held=filled,
        unexpected=tuple(name for name in filled if states.get(name) != LEFT),
        elsewhere=dict(sizes.most_common(_MOST)),
        suspects=tuple(path for path, size in sizes.items() if size and _is_suspect(path)),
    )


def _is_suspect(path: str) -> bool:
    return f"{path}/".startswith(_LIKE_CACHES) or "cache" in path.lower()
