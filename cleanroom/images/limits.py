"""What makes an image unreadable, and how much of one is read before it is taken for an attack."""

from __future__ import annotations

from dataclasses import dataclass


class ImageError(Exception):
    """An image that cannot be read, or that no one should unpack. The message says what, where and what to do."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds for time and memory. The defaults are far above what real images have."""

    unpacked: int = 256 << 30  # bytes of all layers together
    expansion: int = 300  # a layer may unpack to this many times its size; deflate reaches 1032, zstd far more
    expansion_from: int = 2 << 30  # bytes; below, any expansion is harmless
    entries: int = 2_000_000  # files and folders of all layers together
    name_bytes: int = 256 << 20  # of all names together
    layers: int = 1_000
    document: int = 4 << 20  # bytes of a manifest, an index, a configuration; registries take no more
    manifests: int = 1_000  # manifests and indexes of one layout
    archived: int = 100_000  # members of the archive that layers and manifests come in


DEFAULT = Limits()
NONE = Limits(unpacked=1 << 62, expansion=1 << 62, entries=1 << 31, name_bytes=1 << 62, layers=1 << 15)
LONGEST_PATH = 4096  # bytes, Linux's PATH_MAX: no system can unpack what is longer
