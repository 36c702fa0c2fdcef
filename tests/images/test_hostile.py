"""Images that someone made to do harm, or that broke on the way: a clear error, and nothing written anywhere."""

from __future__ import annotations

import io
import json
import struct
import sys
import tarfile
import threading
import zlib
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from cleanroom.images.audit import Audit, audit
from cleanroom.images.image import DEFAULT, ImageError, Limits
from cleanroom.images.sources import open_image
from cleanroom.registries import library
from tests.support.images import Layout, config, docker_save, gzipped, layer, oci, sha, zstd


def run(reference: str, limits: Limits = DEFAULT) -> Audit:
    with open_image(reference, limits=limits) as image:
        return audit(image, library=library(), limits=limits).audit


def fails(reference: str, limits: Limits = DEFAULT) -> str:
    before = sorted(Path(reference).parent.rglob("*"))
    with pytest.raises(ImageError) as caught:
        run(reference, limits)
    assert sorted(Path(reference).parent.rglob("*")) == before
    message = str(caught.value)
    assert reference in message
    assert "\n" not in message
    return message


def one(folder: Path, *entries: dict) -> str:
    layers = [layer(item) for item in entries]
    return oci(folder / "image", layers, config(layers))


def raw(folder: Path, data: bytes, pack: object = gzipped) -> str:
    return oci(folder / "image", [data], config([data]), pack)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ({"../x": 1}, "../x leads out of the image"),
        ({"a/../../x": 1}, "a/../../x leads out of the image"),
        ({"a/..": None}, "a/../ leads out of the image"),
        ({"/../x": 1}, "/../x leads out of the image"),
        ({"x": "=> ../../etc/shadow"}, "../../etc/shadow leads out of the image"),
        ({"x": "=> /etc/shadow"}, "x is a hard link to /etc/shadow, which is not there"),
        ({"x": "=> x"}, "x is a hard link to x, which is not there"),
        ({"d": None, "x": "=> d"}, "x is a hard link to d, which is not there"),
        ({"d": "-> ..", "x": "=> d/../../../etc/passwd"}, "leads out of the image"),
        ({".wh.": 0}, ".wh. is a whiteout of nothing that can be"),
        ({".wh...": 0}, ".wh... is a whiteout of nothing that can be"),
        ({"a/" * 3000: None}, "no system can unpack it"),
    ],
)
def test_members_that_lead_elsewhere(entries: dict, message: str, tmp_path: Path) -> None:
    assert message in fails(one(tmp_path, entries))


@pytest.mark.parametrize(
    "entries",
    [
        {"/etc/passwd": "x"},  # of the image, as every tool has it
        {"d": "-> /", "d/d/d/root/.cache/pip/a": 1},
        {"l": "-> l", "l/x": 1},
        {".wh.x": 0, ".wh..wh..opq": 0, ".wh..wh.plnk": 0},
        {"\udcff\udcfe": 1},
        {"": 1, ".": None, "./": None},
        {"x\ny": 1, "\x1b[31m": 1},
    ],
)
def test_members_that_are_only_odd(entries: dict, tmp_path: Path) -> None:
    run(one(tmp_path, {"x": 1}, entries))


def test_devices_and_pipes(tmp_path: Path) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as file:
        for kind in (tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE):
            member = tarfile.TarInfo(f"var/lib/apt/lists/{kind!r}")
            member.type, member.size = kind, 1 << 30  # which has no data all the same
            file.addfile(member)
    assert run(raw(tmp_path, buffer.getvalue())).bytes == 0


def test_layers_that_broke(tmp_path: Path) -> None:
    whole = layer({"x": 5000, "y": 10})
    for index, (data, pack, message) in enumerate(
        [
            (whole[:3000], gzipped, "the archive is cut off"),
            (whole[:700], gzipped, "the archive is cut off"),
            (whole[:100], gzipped, "the archive is cut off"),
            (b"\0" * 100 + whole, gzipped, "this is no tar archive, or a broken one (at byte 0)"),
            (whole, lambda data: gzipped(data)[:-400], "the compressed data is cut off"),
            (whole, lambda data: gzipped(data)[:-4] + b"abcd", "the compressed data is broken"),
            (whole, lambda data: gzipped(data) + b"more", "the compressed data is broken"),
            (whole, lambda data: gzipped(data) + bytes(9) + b"\x1f", "the compressed data is cut off"),
            (b"<html>no such layer</html>" * 40, lambda data: data, "this is no tar archive"),
        ]
    ):
        folder = tmp_path / str(index)
        folder.mkdir()
        assert message in fails(raw(folder, data, pack)), message


def test_wrong_digests(tmp_path: Path) -> None:
    reference = one(tmp_path, {"x": 5000})
    for path in (Path(reference) / "blobs/sha256").iterdir():
        data = path.read_bytes()
        if data.startswith(b"\x1f\x8b"):
            path.write_bytes(gzipped(layer({"x": 5001})))
            assert f"does not have the digest {path.name}" in fails(reference)
        else:
            path.write_bytes(data + b" ")
            assert "does not have the content its name says" in fails(reference)
        path.write_bytes(data)
    run(reference)
    layers = [layer({"x": 1})]
    wrong = docker_save(tmp_path / "image.tar", [layer({"x": 2})], config(layers))
    assert f"the unpacked content does not have the digest {sha(layers[0])}" in fails(wrong)


def bomb(size: int) -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    header = tarfile.TarInfo("x")
    header.size = size
    piece = bytes(1 << 20)
    return b"".join(
        [packer.compress(header.tobuf()), *(packer.compress(piece) for _ in range(size >> 20)), packer.flush()]
    )


def test_bombs(tmp_path: Path) -> None:
    limits = replace(DEFAULT, expansion_from=32 << 20)
    data = bomb(64 << 20)
    message = fails(oci(tmp_path / "gzip", [data], config([data]), lambda data: data), limits)
    assert "unpacks to more than 300 times its size" in message
    assert "--trust" in message
    small = replace(DEFAULT, unpacked=32 << 20)
    assert "the layers unpack to more than" in fails(str(tmp_path / "gzip"), small)
    pytest.importorskip("compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd")
    plain = zlib.decompress(data, 31)
    assert "300 times" in fails(oci(tmp_path / "zstd", [plain], config([plain]), zstd), limits)
    # A frame that asks for a window of 2 GiB.
    frame = b"\x28\xb5\x2f\xfd\x00" + bytes([(31 - 10) << 3]) + b"\x01\x00\x00"
    assert "the compressed data is broken" in fails(raw(tmp_path, layer({"x": 1}), lambda _: frame + bytes(3)))


def test_too_many_members(tmp_path: Path) -> None:
    reference = one(tmp_path, {f"{index}/{index}": 0 for index in range(60)})
    assert run(reference, replace(DEFAULT, entries=120)).layers[0].files == 0
    assert "more than 119 files and folders" in fails(reference, replace(DEFAULT, entries=119))
    assert "names of more than 100 bytes" in fails(reference, replace(DEFAULT, name_bytes=100))
    deep = tmp_path / "deep"
    deep.mkdir()
    many = one(deep, {f"{index}/{'a/' * 1900}": None for index in range(20)})
    assert "more than 20,000 files and folders" in fails(many, replace(DEFAULT, entries=20_000))


def test_whiteouts_in_whiteouts_take_no_longer(tmp_path: Path) -> None:
    path = "a/" * 500
    files = {f"{path}{index}": 0 for index in range(200)}
    opaque = {f"{'a/' * depth}.wh..wh..opq": 0 for depth in range(500)}
    again = {f"{'a/' * depth}.wh.a": 0 for depth in range(500)}
    found = run(one(tmp_path, files, {**files, **opaque, **again}, {".wh.a": 0}))
    assert [item.files for item in found.layers] == [0, 0, 0]


def test_extended_headers(tmp_path: Path) -> None:
    def pax(body: bytes, size: int | None = None) -> bytes:
        header = tarfile.TarInfo("x")
        header.type, header.size = b"x", len(body) if size is None else size
        return header.tobuf(tarfile.USTAR_FORMAT) + body + bytes(-len(body) % 512)

    end = tarfile.TarInfo("y").tobuf() + bytes(1024)
    for index, (data, message) in enumerate(
        [
            (pax(b"", 1 << 32) + end, "extended header has 4,294,967,296 bytes"),
            (pax(b"99 path=x\n") + end, "extended header is broken"),
            (pax(b"0 path=x\n") + end, "extended header is broken"),
            (pax(b"-1 path=x\n") + end, "extended header is broken"),
            (pax(b"path=x\n") + end, "extended header is broken"),
            (pax(b"9 pathxx\n") + end, "extended header is broken"),
            (pax(b"12 size=-50\n") + end, "no valid size"),
            (pax(b"29 size=99999999999999999999\n") + end, "no valid size"),
            (pax(b"10 path=x\n") + bytes(1024), "ends within a member"),
            (pax(b"10 path=x\n"), "cut off"),
        ]
    ):
        folder = tmp_path / str(index)
        folder.mkdir()
        assert message in fails(raw(folder, data)), message


def test_sizes_that_are_none(tmp_path: Path) -> None:
    for index, field in enumerate([b"\xff" * 12, b"\x80" + b"\xff" * 11, b"notanumber!!", b"-0000000001\0"]):
        header = bytearray(tarfile.TarInfo("x").tobuf(tarfile.USTAR_FORMAT))
        header[124:136] = field
        header[148:156] = b" " * 8
        header[148:156] = b"%06o\0 " % sum(header)
        folder = tmp_path / str(index)
        folder.mkdir()
        assert "no valid size" in fails(raw(folder, bytes(header) + bytes(1024)))


def test_layouts_that_refer_to_themselves(tmp_path: Path) -> None:
    # A digest of oneself cannot be had; an index that is not looked at by its digest is the one at the top.
    layout = Layout(tmp_path / "image")
    nested = layout.nested([])
    for _ in range(50):
        nested = layout.nested([nested, nested, nested])
    assert "has no image" in fails(layout.index(nested))
    many = Layout(tmp_path / "many")
    manifests = [many.nested([], annotations={"x": str(index)}) for index in range(2)]
    wide = many.nested([{**manifests[0], "digest": f"sha256:{index:064x}"} for index in range(1100)])
    assert "more than 1000 manifests" in fails(many.index(wide))
    archive = tmp_path / "loop.tar"
    with tarfile.open(archive, "w") as file:
        for name, target in (("manifest.json", "oci-layout"), ("oci-layout", "manifest.json")):
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.SYMTYPE, target
            file.addfile(member)
    assert "is no image, and no root file system" in fails(str(archive))


@pytest.mark.parametrize(
    "index",
    [
        *("", "[]", "null", "{", '{"manifests": 5}', '{"manifests": [5]}', '{"manifests": [{"digest": 5}]}', "{}"),
        '{"manifests": [{"digest": "sha256:../../../../etc/passwd"}]}',
        '{"manifests": [{"digest": "sha256:' + "0" * 64 + '"}]}',
        '{"manifests": []}',
        "[" * 100_000,
        '{"manifests": [{"digest": "sha256:' + "0" * 64 + '", "platform": 3, "annotations": 4}]}',
    ],
)
def test_indexes_that_are_none(index: str, tmp_path: Path) -> None:
    folder = tmp_path / "image"
    Layout(folder)
    (folder / "index.json").write_text(index)
    fails(str(folder))


@pytest.mark.parametrize(
    "manifest",
    [
        *("", "[]", "[5]", "[{}]", '[{"Config": 1, "Layers": []}]', '[{"Config": "../../etc/passwd", "Layers": []}]'),
        '[{"Config": "c", "Layers": ["../../../etc/passwd"], "RepoTags": 5}]',
        '[{"Config": "c", "Layers": [5]}]',
        '[{"Config": "c", "Layers": []}]',
        "{}",
        '{"schemaVersion": 1}',
        '{"config": {"digest": "sha256:' + "0" * 64 + '"}, "layers": 4}',
    ],
)
@pytest.mark.parametrize("is_archive", [True, False])
def test_manifests_that_are_none(manifest: str, is_archive: bool, tmp_path: Path) -> None:
    files = {"manifest.json": manifest, "c": config([layer({})]).decode()}
    if is_archive:
        (tmp_path / "image.tar").write_bytes(layer(files))
        fails(str(tmp_path / "image.tar"))
        return
    (tmp_path / "image").mkdir()
    for name, text in files.items():
        (tmp_path / "image" / name).write_text(text)
    fails(str(tmp_path / "image"))


def test_documents_that_are_too_large(tmp_path: Path) -> None:
    folder = tmp_path / "image"
    Layout(folder)
    (folder / "index.json").write_text(json.dumps({"manifests": [], "x": "x" * (5 << 20)}))
    assert "no honest manifest" in fails(str(folder))


def test_a_pipe_for_a_blob_is_not_waited_for(tmp_path: Path) -> None:
    import os

    reference = one(tmp_path, {"x": 1})
    for path in (Path(reference) / "blobs/sha256").iterdir():
        if path.read_bytes().startswith(b"\x1f\x8b"):
            path.unlink()
            os.mkfifo(path)
    assert "is missing" in fails(reference)


@pytest.mark.parametrize(
    "passwd",
    [
        "a:b:c:d:e:../../..:\n",
        "a:b:c:d:e:/../../..:\n",
        "::::::\n" * 10,
        "".join(f"u{index}:x:1:1::/h/{index}:/\n" for index in range(30_000)),
        "\udcff:x:1:1::/\udcff:/\n",
        "a:x:1:1::/root/\x00:/\n",
    ],
)
def test_users_that_are_none(passwd: str, tmp_path: Path) -> None:
    member = tarfile.TarInfo("etc/passwd")
    content = passwd.encode("utf-8", "surrogateescape")
    member.size = len(content)
    data = member.tobuf() + content + bytes(-len(content) % 512) + layer({"root/.cache/pip/a": 5})
    assert run(raw(tmp_path, data)).waste == 5


def test_histories_that_are_none(tmp_path: Path) -> None:
    layers = [layer({"root/.cache/pip/a": 5})]
    for index, history in enumerate(
        [
            [{"created_by": 5}],
            [{"created_by": "RUN |9999999999 a"}],
            [{"created_by": "/bin/sh -c " + "((((" * 5000}],
            [{"created_by": "RUN /bin/sh -c cat <<EOF\n\\\n# escape=`\nEOF\nFROM x"}],
            [{"created_by": "|3 A=b=c \x00 'x /bin/sh -c pip install \\x"}],
            [{"created_by": "SHELL [" + "[" * 5000}],
            [{"created_by": "x" * 1_000_000}],
            [{"created_by": "ENV A=$A$B\\"}, {"created_by": "USER $\n$"}],
        ]
    ):
        reference = oci(tmp_path / str(index), layers, config(layers, history))
        assert run(reference).waste == 5


def test_no_thread_is_left_behind(tmp_path: Path) -> None:
    before = threading.active_count()
    noise = Random(1).randbytes(20_000_000)
    data = layer({"../x": 1}) + noise
    assert "leads out" in fails(raw(tmp_path, data, lambda data: data))
    assert threading.active_count() == before


def test_checksums_as_old_systems_counted_them(tmp_path: Path) -> None:
    header = bytearray(tarfile.TarInfo("\udce9").tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape"))
    header[148:156] = b" " * 8
    signed = sum(struct.unpack("512b", header))
    header[148:156] = b"%06o\0 " % signed
    assert run(raw(tmp_path, bytes(header) + bytes(1024))).bytes == 0
