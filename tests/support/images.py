"""Images made by hand, in each format that a reader knows."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import sys
import tarfile
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

Entries = Mapping[str, Any]


def layer(entries: Entries, form: int = tarfile.PAX_FORMAT) -> bytes:
    """Return a tar archive of entries by name.

    A number is a file of so many bytes, a text one with that content, ``-> x`` a symbolic and ``=> x`` a hard link,
    None a folder.
    """
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form, errors="surrogateescape") as archive:
        for name, what in entries.items():
            member = tarfile.TarInfo(name)
            content = b""
            if what is None:
                member.type = tarfile.DIRTYPE
            elif isinstance(what, int):
                content = bytes(index % 251 for index in range(what)) if what < 10_000 else bytes(what)
            elif what.startswith("-> "):
                member.type, member.linkname = tarfile.SYMTYPE, what[3:]
            elif what.startswith("=> "):
                member.type, member.linkname = tarfile.LNKTYPE, what[3:]
            else:
                content = what.encode()
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def gzipped(data: bytes) -> bytes:
    return gzip.compress(data, 6, mtime=0)


def zstd(data: bytes) -> bytes:
    module = pytest.importorskip("compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd")
    # A frame to skip stands in front, as in the layers that some registries' tools write.
    packed: bytes = b"\x50\x2a\x4d\x18\x03\0\0\0abc" + module.compress(data)
    return packed


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def config(
    layers: Iterable[bytes],
    history: Iterable[Mapping[str, Any]] | None = None,
    platform: str = "linux/amd64",
    **settings: Any,
) -> bytes:
    system, architecture, *variant = platform.split("/")
    document = {
        "os": system,
        "architecture": architecture,
        **({"variant": variant[0]} if variant else {}),
        "config": settings,
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{sha(data)}" for data in layers]},
        "history": list(history or ()),
    }
    return json.dumps(document).encode()


class Layout:
    """An OCI layout in the making."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "blobs/sha256").mkdir(parents=True)
        (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')

    def blob(self, data: bytes, media: str, **more: Any) -> dict[str, Any]:
        (self.folder / "blobs/sha256" / sha(data)).write_bytes(data)
        return {"mediaType": media, "digest": f"sha256:{sha(data)}", "size": len(data), **more}

    def manifest(
        self, layers: list[bytes], configuration: bytes, pack: Callable[[bytes], bytes] = gzipped, **more: Any
    ) -> dict[str, Any]:
        document = {
            "schemaVersion": 2,
            "config": self.blob(configuration, "application/vnd.oci.image.config.v1+json"),
            "layers": [self.blob(pack(data), "application/vnd.oci.image.layer.v1.tar") for data in layers],
        }
        return self.blob(json.dumps(document).encode(), "application/vnd.oci.image.manifest.v1+json", **more)

    def nested(self, manifests: list[dict[str, Any]], **more: Any) -> dict[str, Any]:
        document = {"schemaVersion": 2, "manifests": manifests}
        return self.blob(json.dumps(document).encode(), "application/vnd.oci.image.index.v1+json", **more)

    def index(self, *manifests: dict[str, Any]) -> str:
        (self.folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": manifests}))
        return str(self.folder)


def oci(folder: Path, layers: list[bytes], configuration: bytes, pack: Callable[[bytes], bytes] = gzipped) -> str:
    layout = Layout(folder)
    return layout.index(layout.manifest(layers, configuration, pack))


def archive(folder: str, target: Path, mode: str = "w") -> str:
    """Put a folder into a tar archive."""
    with tarfile.open(target, mode) as file:  # type: ignore[call-overload]
        for path in sorted(Path(folder).rglob("*")):
            file.add(path, path.relative_to(folder), recursive=False)
    return str(target)


def docker_save(target: Path, layers: list[bytes], configuration: bytes, mode: str = "w", old: bool = True) -> str:
    """Write what ``docker save`` does: before version 25 with a folder for each layer, and links between equal ones."""
    names: dict[str, str] = {}
    paths = []
    with tarfile.open(target, mode) as file:  # type: ignore[call-overload]

        def add(name: str, data: bytes) -> None:
            member = tarfile.TarInfo(name)
            member.size = len(data)
            file.addfile(member, io.BytesIO(data))

        for index, data in enumerate(layers):
            if not old:
                path = f"blobs/sha256/{sha(data)}"
                if path not in names.values():
                    add(path, data)
                    names[sha(data)] = path
            else:
                path = f"{sha(f'{index}'.encode())}/layer.tar"
                if sha(data) in names:
                    member = tarfile.TarInfo(path)
                    member.type, member.linkname = tarfile.SYMTYPE, f"../{names[sha(data)]}"
                    file.addfile(member)
                else:
                    add(path, data)
                    names[sha(data)] = path
            paths.append(path)
        name = f"blobs/sha256/{sha(configuration)}" if not old else f"{sha(configuration)}.json"
        add(name, configuration)
        add("manifest.json", json.dumps([{"Config": name, "RepoTags": ["web:1"], "Layers": paths}]).encode())
    return str(target)


def dir_transport(folder: Path, layers: list[bytes], configuration: bytes) -> str:
    """Write what ``skopeo copy … dir:`` does."""
    folder.mkdir()
    (folder / "version").write_text("Directory Transport Version: 1.1\n")
    packed = [gzipped(data) for data in layers]
    for data in (*packed, configuration):
        (folder / sha(data)).write_bytes(data)
    document = {
        "schemaVersion": 2,
        "config": {"digest": f"sha256:{sha(configuration)}"},
        "layers": [{"digest": f"sha256:{sha(data)}"} for data in packed],
    }
    (folder / "manifest.json").write_text(json.dumps(document))
    return str(folder)
