"""Find an image's manifest, configuration and layers in what tools write: OCI layouts, ``docker save``, ``dir:``.

Sources: https://github.com/opencontainers/image-spec/blob/main/image-layout.md,
https://github.com/moby/docker-image-spec/blob/main/spec.md#combined-image-json--filesystem-changeset-format,
https://github.com/containers/image/blob/main/docs/containers-transports.5.md
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from cleanroom.images import platform as platforms
from cleanroom.images.files import Files, read
from cleanroom.images.image import (
    Configuration,
    Image,
    ImageError,
    LayerSource,
    Limits,
    configuration,
    hexadecimal,
    json_object,
    texts,
)

_ATTESTATION = "vnd.docker.reference.type"
_NAMES = ("io.containerd.image.name", "org.opencontainers.image.ref.name")
_LINUX = "bin boot dev etc home lib lib32 lib64 media mnt nix opt proc root run sbin snap srv sys tmp usr var"
# The folders at the top of a file system, one of which every one has.
SYSTEM = frozenset(_LINUX.split()) | {"Files", "ProgramData", "Users", "Windows"}


def is_layout(files: Files, limits: Limits) -> bool:
    """Return True if these files are those of an image, or were meant to be: a file system may have such names too."""
    names = {name for name in ("oci-layout", "index.json", "manifest.json") if files.size(name) is not None}
    if not names & {"index.json", "manifest.json"}:
        return False
    return "oci-layout" in names or not SYSTEM & set(files.names()) or _is_manifest(files, limits)


def _is_manifest(files: Files, limits: Limits) -> bool:
    """Return True if ``manifest.json`` is one of an image, whose configuration is there."""
    size = files.size("manifest.json")
    if size is None or size > limits.document:
        return False
    try:
        found = json.loads(read(files, "manifest.json", limits))
    except (ValueError, RecursionError):
        return False
    entries = found if isinstance(found, list) else [found]
    return any(
        isinstance(entry, dict)
        and (
            (isinstance(entry.get("Config"), str) and files.size(entry["Config"]) is not None)
            or "layers" in entry
            or "manifests" in entry
        )
        for entry in entries
    )


def below(files: Files) -> str:
    """Return the folder at the top that holds an image; ``""`` if none does."""
    names = ("oci-layout", "index.json", "manifest.json")
    return next((top for top in files.names() for name in names if files.size(f"{top}/{name}") is not None), "")


def image(files: Files, reference: str, limits: Limits, *, platform: str = "", name: str = "") -> Image:
    """Return the image that ``files`` hold: the one for ``platform``, called ``name``. Raises ImageError."""
    if files.size("manifest.json") is not None:
        data = read(files, "manifest.json", limits)
        if data.lstrip()[:1] == b"[":
            found = _docker_archive(files, data, reference, limits, name=name, platform=platform)
        else:
            found = _dir(files, data, reference, limits, platform=platform)
    elif files.size("index.json") is not None:
        found = _oci(files, reference, limits, platform=platform, name=name)
    else:
        inner = below(files)
        hint = f"; but the folder {inner} in it holds one" if inner else ""
        raise ImageError(f"{files.name}: there is neither an index.json nor a manifest.json; it is no image{hint}")
    if not found.layers:
        raise ImageError(f"{reference}: the image has no layer: there is nothing in it")
    given = found.configuration.platform
    is_known = bool(given) or found.kind != "oci"  # an index may say what the configuration does not
    if platform and is_known and platforms.choose([given], platforms.parse(platform)) is None:
        raise _no_platform(files, platform, [given])
    return found


@dataclass(frozen=True, slots=True)
class _Found:
    """A manifest that an index names."""

    digest: str
    platform: str  # "" if the index does not say
    name: str


class _Blobs:
    """Blobs by their digest."""

    def __init__(self, files: Files, limits: Limits, pattern: str) -> None:
        self.files = files
        self.limits = limits
        self._pattern = pattern

    def path(self, digest: str) -> str:
        """Return the file that holds the blob."""
        algorithm = digest.partition(":")[0]
        return self._pattern.format(algorithm, hexadecimal(digest, self.files.name))

    def document(self, digest: object) -> bytes:
        """Return a small blob whole, its digest looked at. Raises ImageError."""
        digits = hexadecimal(digest, self.files.name)
        data = read(self.files, self.path(str(digest)), self.limits)
        if hashlib.new(str(digest).partition(":")[0], data).hexdigest() != digits:
            raise ImageError(f"{self.files.name}: {self.path(str(digest))} does not have the content its name says")
        return data

    def layers(self, manifest: Mapping[str, Any], diff_ids: tuple[str, ...]) -> Iterator[LayerSource]:
        """Yield the layers of a manifest. Raises ImageError."""
        descriptors = manifest.get("layers")
        if not isinstance(descriptors, list) or len(descriptors) > self.limits.layers:
            raise ImageError(f"{self.files.name}: the manifest has no list of at most {self.limits.layers} layers")
        if len(diff_ids) != len(descriptors):
            raise ImageError(
                f"{self.files.name}: the manifest has {len(descriptors)} layers and the configuration {len(diff_ids)}"
            )
        for index, descriptor in enumerate(descriptors):
            digest = descriptor.get("digest") if isinstance(descriptor, dict) else None
            media = str(descriptor.get("mediaType", "")) if isinstance(descriptor, dict) else ""
            label = f"{self.files.name}: layer {index + 1}"
            if media.endswith("+encrypted"):
                raise ImageError(f"{label} is encrypted; decrypt the image first, with skopeo copy --decryption-key")
            digits = hexadecimal(digest, label)
            path = self.path(str(digest))
            size = self.files.size(path)
            if size is None:
                raise ImageError(f"{label}: {path} is missing")
            yield LayerSource(name=label, size=size, open=partial(self.files.open, path), digest=digits)


def _oci(files: Files, reference: str, limits: Limits, *, platform: str, name: str) -> Image:
    blobs = _Blobs(files, limits, "blobs/{}/{}")
    index = json_object(read(files, "index.json", limits), f"{files.name}: index.json")
    found = list(_manifests(blobs, index))
    chosen = _choose(blobs, found, platform=platform, name=name)
    return _from_manifest(blobs, chosen.digest, reference, "oci")


def _manifests(blobs: _Blobs, index: Mapping[str, Any]) -> Iterator[_Found]:
    """Yield the manifests of images that an index names, also by way of other indexes."""
    seen: set[str] = set()
    stack: list[tuple[Mapping[str, Any], str]] = [(index, "")]
    while stack:
        current, inherited = stack.pop()
        descriptors = current.get("manifests")
        if not isinstance(descriptors, list):
            raise ImageError(f"{blobs.files.name}: an index has no list of manifests")
        for descriptor in descriptors:
            if not isinstance(descriptor, dict):
                raise ImageError(f"{blobs.files.name}: an index names something that is no descriptor")
            digest = descriptor.get("digest")
            hexadecimal(digest, blobs.files.name)
            annotations = descriptor.get("annotations")
            annotations = annotations if isinstance(annotations, dict) else {}
            name = next((str(annotations[key]) for key in reversed(_NAMES) if key in annotations), "") or inherited
            place = descriptor.get("platform")
            place = place if isinstance(place, dict) else {}
            parts = [str(place[key]) for key in ("os", "architecture", "variant") if place.get(key)]
            if _ATTESTATION in annotations or "unknown" in parts:
                continue
            key = f"{digest} {name}"
            if key in seen:
                continue
            seen.add(key)
            if len(seen) > blobs.limits.manifests:
                raise ImageError(f"{blobs.files.name}: has more than {blobs.limits.manifests} manifests")
            media = str(descriptor.get("mediaType", ""))
            if "index" in media or "manifest.list" in media:
                if blobs.files.size(blobs.path(str(digest))) is not None:
                    nested = json_object(blobs.document(digest), f"{blobs.files.name}: an index")
                    stack.append((nested, name))
                continue
            yield _Found(str(digest), "/".join(parts), name)


def _choose(blobs: _Blobs, found: list[_Found], *, platform: str, name: str) -> _Found:
    if name:
        named = [item for item in found if _is_name(item.name, name)]
        if not named:
            raise ImageError(f"{blobs.files.name}: has no image {name!r}{_names(item.name for item in found)}")
        found = named
    # Those that an index names, but that were not copied along, are passed over.
    there = [item for item in found if blobs.files.size(blobs.path(item.digest)) is not None]
    if found and not there:
        raise ImageError(f"{blobs.files.name}: {blobs.path(found[0].digest)} is missing")
    names = {item.name for item in there}
    if len(names) > 1:
        raise ImageError(f"{blobs.files.name}: has several images{_names(names)}; name one behind a colon")
    if not there:
        raise ImageError(f"{blobs.files.name}: has no image")
    if len(there) == 1 and not platform:
        return there[0]
    given = {item.platform or _platform_of(blobs, item.digest): item for item in reversed(there)}
    chosen = platforms.choose(given, platforms.parse(platform) if platform else platforms.here())
    if chosen is not None:
        return given[chosen]
    if platform:
        raise _no_platform(blobs.files, platform, given)
    listing = ", ".join(sorted(given))
    raise ImageError(f"{blobs.files.name}: is for several platforms; name one with --platform (there are: {listing})")


def _no_platform(files: Files, platform: str, given: Iterable[str]) -> ImageError:
    listing = ", ".join(sorted(set(given))) or "none that it says"
    return ImageError(f"{files.name}: has no image for {platform} (it has: {listing})")


def _platform_of(blobs: _Blobs, digest: str) -> str:
    manifest = json_object(blobs.document(digest), f"{blobs.files.name}: the manifest")
    config = manifest.get("config")
    return configuration(blobs.document(config.get("digest") if isinstance(config, dict) else None)).platform


def _is_name(have: str, wanted: str) -> bool:
    """Return True if ``docker.io/library/web:1`` is what ``web:1`` or ``1`` means."""
    return have == wanted or have.endswith((f"/{wanted}", f":{wanted}")) or have == f"{wanted}:latest"


def _names(names: Iterable[str]) -> str:
    known = sorted({name for name in names if name})
    return f" (there are: {', '.join(known[:20])})" if known else ""


def _from_manifest(blobs: _Blobs, digest: str, reference: str, kind: str) -> Image:
    data = blobs.document(digest)
    manifest = json_object(data, f"{blobs.files.name}: the manifest")
    return _manifest(blobs, manifest, digest, reference, kind)


def _manifest(blobs: _Blobs, manifest: Mapping[str, Any], digest: str, reference: str, kind: str) -> Image:
    if manifest.get("schemaVersion") == 1:
        raise ImageError(
            f"{blobs.files.name}: the manifest is of the old schema 1; convert it with skopeo copy --format v2s2"
        )
    descriptor = manifest.get("config")
    if not isinstance(descriptor, dict):
        raise ImageError(f"{blobs.files.name}: the manifest names no configuration; it is none of an image")
    annotations = manifest.get("annotations")
    config = configuration(
        blobs.document(descriptor.get("digest")), annotations if isinstance(annotations, dict) else None
    )
    return Image(
        reference=reference,
        kind=kind,
        digest=digest,
        configuration=config,
        layers=tuple(blobs.layers(manifest, config.diff_ids)),
    )


def _dir(files: Files, data: bytes, reference: str, limits: Limits, *, platform: str) -> Image:
    """Read what ``skopeo copy … dir:`` writes: blobs by the bare digits of their digest."""
    blobs = _Blobs(files, limits, "{1}")
    manifest = json_object(data, f"{files.name}: manifest.json")
    if "manifests" in manifest:  # copied with --all; manifests are <digits>.manifest.json there
        manifests = _Blobs(files, limits, "{1}.manifest.json")
        chosen = _choose(manifests, list(_manifests(manifests, manifest)), platform=platform, name="")
        data = manifests.document(chosen.digest)
        manifest = json_object(data, f"{files.name}: the manifest")
    return _manifest(blobs, manifest, f"sha256:{hashlib.sha256(data).hexdigest()}", reference, "dir")


def _docker_archive(files: Files, data: bytes, reference: str, limits: Limits, *, name: str, platform: str) -> Image:
    """Read what ``docker save`` and ``skopeo copy … docker-archive:`` write."""
    what = f"{files.name}: manifest.json"
    entries = json_object(b'{"all":' + data + b"}", what)["all"]
    entries = _named(files, [entry for entry in entries if isinstance(entry, dict)], name)
    if not entries:
        raise ImageError(f"{what} names no image")
    candidates = [_Saved.read(files, entry, limits) for entry in entries[: limits.manifests]]
    if platform:
        given = [item.configuration.platform for item in candidates]
        chosen = platforms.choose(given, platforms.parse(platform))
        if chosen is None:
            raise _no_platform(files, platform, given)
        candidates = [item for item in candidates if item.configuration.platform == chosen]
    if len({item.digest for item in candidates}) > 1:
        known = {tag for item in candidates for tag in item.tags}
        raise ImageError(f"{files.name}: has several images{_names(known)}; name one behind a colon")
    found = candidates[0]
    return Image(
        reference=reference,
        kind="docker",
        digest=f"sha256:{found.digest}",
        configuration=found.configuration,
        layers=tuple(_saved_layers(files, found, limits)),
    )


def _named(files: Files, entries: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    """Return the images that are called ``name``, all when that is empty. Raises ImageError."""
    if not name:
        return entries
    found = [entry for entry in entries if any(_is_name(tag, name) for tag in texts(entry.get("RepoTags")))]
    if not found:
        known = {tag for entry in entries for tag in texts(entry.get("RepoTags"))}
        raise ImageError(f"{files.name}: has no image {name!r}{_names(known)}")
    return found


@dataclass(frozen=True, slots=True)
class _Saved:
    """An image of what ``docker save`` writes."""

    configuration: Configuration
    digest: str  # of the configuration, hexadecimal
    layers: list[Any]  # names of files
    tags: Collection[str]

    @classmethod
    def read(cls, files: Files, entry: Mapping[str, Any], limits: Limits) -> _Saved:
        """Read the configuration of an entry. Raises ImageError."""
        config, layers = entry.get("Config"), entry.get("Layers")
        if not isinstance(config, str) or not isinstance(layers, list):
            raise ImageError(f"{files.name}: manifest.json names no configuration or no layers")
        data = read(files, config, limits)
        return cls(configuration(data), hashlib.sha256(data).hexdigest(), layers, tuple(texts(entry.get("RepoTags"))))


def _saved_layers(files: Files, saved: _Saved, limits: Limits) -> Iterator[LayerSource]:
    diff_ids = saved.configuration.diff_ids
    if len(saved.layers) > limits.layers or len(saved.layers) != len(diff_ids):
        raise ImageError(
            f"{files.name}: manifest.json has {len(saved.layers)} layers and the configuration {len(diff_ids)}; "
            f"they have to be as many, and at most {limits.layers}"
        )
    for index, (layer, diff_id) in enumerate(zip(saved.layers, diff_ids, strict=True)):
        label = f"{files.name}: layer {index + 1}"
        size = files.size(layer) if isinstance(layer, str) else None
        if size is None:
            raise ImageError(f"{label}: {str(layer)[:200]} is missing")
        yield LayerSource(name=label, size=size, open=partial(files.open, layer), diff_id=diff_id)
