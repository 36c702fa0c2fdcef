"""What every reader of a format gives: the layers of an image and what its configuration says; how much is read."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Protocol


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
    steps: int = 20_000_000  # folders passed while paths, links and patterns are followed
    repeated: int = 1 << 30  # unpacked bytes of layers that stand in the image once more


DEFAULT = Limits()
_ANY = 1 << 62
NONE = Limits(
    unpacked=_ANY, expansion=_ANY, entries=1 << 31, name_bytes=_ANY, layers=1 << 15, steps=_ANY, repeated=_ANY
)
LONGEST_PATH = 4096  # bytes, Linux's PATH_MAX: no system can unpack what is longer


class Readable(Protocol):
    """Bytes, from front to back."""

    def read(self, count: int, /) -> bytes:
        """Return the next bytes, ``count`` at most, perhaps fewer; none at the end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LayerSource:
    """One layer, not yet read. ``open`` gives its stored bytes; digests are hexadecimal SHA-256, ``""`` if unknown."""

    name: str  # for messages
    size: int  # stored bytes, 0 if unknown
    open: Callable[[], AbstractContextManager[Readable]]
    digest: str = ""  # of what is stored
    diff_id: str = ""  # of what it unpacks to


def gzipped(layer: LayerSource) -> tuple[int, int]:
    """Return what a layer that is not compressed weighs, in bytes: as it is, and with gzip at its usual level."""
    packer = zlib.compressobj(6, wbits=31)
    plain = packed = 0
    with layer.open() as file:
        while piece := file.read(1 << 20):
            plain += len(piece)
            packed += len(packer.compress(piece))
    return plain, packed + len(packer.flush())


@dataclass(frozen=True, slots=True)
class Step:
    """One entry of the history: what made a layer, or changed the configuration."""

    created_by: str
    comment: str = ""
    created: str = ""
    makes_layer: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """What an image's configuration says about paths, and how its layers came to be.

    Source: https://github.com/opencontainers/image-spec/blob/main/config.md
    """

    environment: Mapping[str, str] = field(default_factory=dict)
    user: str = ""
    platform: str = ""
    diff_ids: tuple[str, ...] = ()  # hexadecimal
    history: tuple[Step, ...] = ()
    base_name: str = ""  # as the annotation org.opencontainers.image.base.name has it


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """An image of any format. ``folder`` is set instead of layers for a root file system that is a folder."""

    reference: str
    kind: str  # oci-layout, oci-archive, docker-archive, dir, rootfs-archive, rootfs
    digest: str = ""  # of its manifest, or of its configuration where the format has no manifest
    configuration: Configuration = field(default_factory=Configuration)
    layers: tuple[LayerSource, ...] = ()
    folder: str = ""


def json_object(data: bytes, what: str) -> dict[str, Any]:
    """Return the JSON object in ``data``. Raises ImageError, in which it is called ``what``."""
    try:
        value = json.loads(data)
    except (ValueError, RecursionError):
        raise ImageError(f"{what} is not valid JSON") from None
    if not isinstance(value, dict):
        raise ImageError(f"{what} is not a JSON object")
    return value


def texts(value: object) -> Iterator[str]:
    """Yield the strings of a list; nothing if it is none."""
    if isinstance(value, list):
        yield from (item for item in value if isinstance(item, str))


def hexadecimal(digest: object, what: str) -> str:
    """Return the digits of a ``sha256:…`` digest. Raises ImageError for what is none, which could name any file."""
    if isinstance(digest, str):
        algorithm, _, digits = digest.partition(":")
        length = {"sha256": 64, "sha512": 128}.get(algorithm)
        if length == len(digits) and not set(digits) - set("0123456789abcdef"):
            return digits
    raise ImageError(f"{what}: {str(digest)[:100]!r} is no digest")


def configuration(data: bytes, annotations: Mapping[str, Any] | None = None) -> Configuration:
    """Read an image's configuration. What is not as the specification has it is passed over where that does no harm."""
    document = json_object(data, "the image's configuration")
    rootfs = document.get("rootfs")
    diff_ids = tuple(
        hexadecimal(digest, "the image's configuration")
        for digest in texts(rootfs.get("diff_ids") if isinstance(rootfs, dict) else None)
    )
    config = document.get("config")
    config = config if isinstance(config, dict) else {}
    environment = dict(item.partition("=")[::2] for item in texts(config.get("Env")))
    history = document.get("history")
    steps = tuple(
        Step(
            _text(item.get("created_by")),
            _text(item.get("comment")),
            _text(item.get("created")),
            not item.get("empty_layer"),
        )
        for item in (history if isinstance(history, list) else ())
        if isinstance(item, dict)
    )
    platform = "/".join(
        part for part in (_text(document.get(key)) for key in ("os", "architecture", "variant")) if part
    )
    labels = config.get("Labels")
    base = ""
    for place in (annotations, labels):
        if isinstance(place, dict):
            base = base or _text(place.get("org.opencontainers.image.base.name"))
    return Configuration(
        environment=environment,
        user=_text(config.get("User")),
        platform=platform,
        diff_ids=diff_ids,
        history=steps,
        base_name=base,
    )


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
