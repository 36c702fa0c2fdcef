"""Two images are compared wholly: what is gone, new or changed beside the caches is named."""

from __future__ import annotations

import io
import itertools
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

import pytest

from cleanroom.images.image import ImageError, LayerSource
from cleanroom.proofs import snapshot
from cleanroom.proofs.difference import LOG_GROWTH, Allowed, Plain, differences
from cleanroom.proofs.snapshot import FILE, FOLDER, LINK, Node

INODES = itertools.count(100)
ALLOWED = Allowed(caches=("/root/.cache/x", "/var/*/x.bin"))


def file(size: int, content: str = "", inode: int = 0, mode: int = 0o644) -> Node:
    return Node(FILE, mode, (0, 0), size, content or f"{size}", inode=inode or next(INODES))


def folder(mode: int = 0o755) -> Node:
    return Node(FOLDER, mode, (0, 0))


BASE = {"/": folder(), "/etc": folder(), "/etc/passwd": file(20), "/root": folder(), "/srv": folder()}
FIRST = {
    **BASE,
    "/opt": folder(),
    "/opt/hello": file(100),
    "/opt/link": Node(LINK, 0o777, (0, 0), content="hello"),
    "/root/.cache": folder(),
    "/root/.cache/x": folder(),
    "/root/.cache/x/data": file(5000),
    "/var/cache": folder(),
    "/var/cache/x.bin": file(7),
    "/var/log/x": file(50),
}
CLEAN = {path: node for path, node in FIRST.items() if "/.cache" not in path and not path.endswith(".bin")}


def found(after: snapshot.Snapshot, allowed: Allowed = ALLOWED, again: snapshot.Snapshot = FIRST) -> list[str]:
    return differences(Plain(base=BASE, first=FIRST, again=again), after, allowed)


def without(shown: snapshot.Snapshot, *paths: str) -> dict[str, Node]:
    return {path: node for path, node in shown.items() if path not in paths}


def test_a_cache_and_the_folders_that_held_it_may_go() -> None:
    assert found(CLEAN) == []
    assert found({**CLEAN, "/root/.cache": folder()}) == []
    assert found(FIRST) == []


@pytest.mark.parametrize(
    ("after", "lines"),
    [
        (without(CLEAN, "/opt", "/opt/hello", "/opt/link"), ["/opt is gone"]),
        (without(CLEAN, "/srv"), ["/srv is gone"]),
        ({**CLEAN, "/keep": folder(), "/keep/data": file(5000)}, ["/keep is new"]),
        ({**CLEAN, "/opt/hello": file(0)}, ["/opt/hello has other content, 0 bytes, not 100"]),
        ({**CLEAN, "/opt/hello": file(100, "other")}, ["/opt/hello has other content, 100 bytes, not 100"]),
        ({**CLEAN, "/opt/hello": file(100, mode=0o4755)}, ["/opt/hello has the rights 4755, not 644"]),
        ({**CLEAN, "/srv": folder(0o700)}, ["/srv has the rights 700, not 755"]),
        (
            {**CLEAN, "/opt/link": Node(LINK, 0o777, (0, 0), content="x")},
            ["/opt/link has other content, 0 bytes, not 0"],
        ),
        ({**CLEAN, "/opt/link": file(100)}, ["/opt/link is a file, not a link"]),
        ({**CLEAN, "/opt/hello": file(100)._replace(owner=(3, 4))}, ["/opt/hello belongs to 3:4, not 0:0"]),
        (
            {**CLEAN, "/opt/hello": file(100)._replace(attributes=(("SCHILY.xattr.security.capability", "x"),))},
            ["/opt/hello has other attributes"],
        ),
        ({**CLEAN, "/root/.cache": folder(), "/root/.cache/y": file(1)}, ["/root/.cache/y is new"]),
        ({**CLEAN, "/var/log/x": file(0, "none")}, ["/var/log/x has 0 bytes, not 50"]),
        ({**CLEAN, "/var/log/y": file(LOG_GROWTH + 1)}, [f"logs grow by {LOG_GROWTH + 1:,} bytes"]),
    ],
)
def test_what_differs_is_named(after: snapshot.Snapshot, lines: list[str]) -> None:
    assert found(after) == lines


def test_what_may_differ() -> None:
    code = {"/opt/__pycache__": folder(), "/opt/__pycache__/a.cpython-311.pyc": file(9)}
    assert found({**CLEAN, **code}) == ["/opt/__pycache__/a.cpython-311.pyc is new"]
    source = {"/opt/a.py": file(3)}
    plain = Plain(base=BASE, first={**FIRST, **source}, again={**FIRST, **source})
    assert differences(plain, {**CLEAN, **source, **code}, ALLOWED) == []
    code["/opt/__pycache__/a.cpython-311.pyc"] = file(1037)
    assert differences(plain, {**CLEAN, **source, **code}, ALLOWED) == ["/opt/__pycache__/a.cpython-311.pyc is new"]
    assert found({**CLEAN, "/var/log/x": file(60), "/var/log/y": file(9)}) == []
    declared = Allowed(caches=ALLOWED.caches, declared=("/opt/hello",), removed=("/opt/link",))
    assert found({**without(CLEAN, "/opt/link"), "/opt/hello": file(1)}, declared) == []
    assert found({**CLEAN, "/opt/link": file(1)}, declared) == ["/opt/link is a file, not a link"]


def test_what_must_stay_below_a_cache() -> None:
    kept = Allowed(caches=("/root/.cache/x",), kept=("/root/.cache/x/data",))
    assert "/root/.cache/x/data is gone" in found({**CLEAN, "/var/cache/x.bin": file(7)}, kept)
    folders = Allowed(caches=ALLOWED.caches, folders=("/root/.cache/x",))
    assert found(CLEAN, folders) == ["/root/.cache/x is gone"]


def test_what_a_mount_takes_along() -> None:
    mount = Allowed(caches=ALLOWED.caches, targets=("/root",))
    assert found(without(CLEAN, "/root"), mount) == []
    mount = Allowed(caches=ALLOWED.caches, targets=("/opt",))
    assert found(without(CLEAN, "/opt", "/opt/hello", "/opt/link"), mount) == [
        "/opt/hello is gone",
        "/opt/link is gone",
    ]


def test_what_varies_from_build_to_build() -> None:
    again = {**without(FIRST, "/opt/hello"), "/opt/hello": file(104, "later")}
    assert found({**CLEAN, "/opt/hello": file(98, "third")}, again=again) == []
    assert found({**CLEAN, "/opt/hello": file(0, "none")}, again=again) == ["/opt/hello has 0 bytes, not 100"]
    assert found({**CLEAN, "/opt/hello": file(9000, "much")}, again=again) == ["/opt/hello has 9,000 bytes, not 100"]
    assert found({**CLEAN, "/opt/hello": file(98, "third", mode=0o600)}, again=again) == [
        "/opt/hello has the rights 600, not 644"
    ]
    names = [{f"/opt/log-{name}": file(size)} for name, size in (("a", 50), ("b", 51), ("c", 50), ("d", 9000))]
    plain = Plain(base=BASE, first={**FIRST, **names[0]}, again={**FIRST, **names[1]})
    assert differences(plain, {**CLEAN, **names[2]}, ALLOWED) == []
    assert differences(plain, {**CLEAN, **names[3]}, ALLOWED) == ["/opt/log-a is gone", "/opt/log-d is new"]
    assert differences(plain, {**CLEAN, **names[2], **names[3]}, ALLOWED)


def test_links_between_files() -> None:
    shared = {"/opt/one": file(5, inode=9), "/opt/two": file(5, inode=9)}
    plain = Plain(base=BASE, first={**FIRST, **shared}, again={**FIRST, **shared})
    assert differences(plain, {**CLEAN, **shared}, ALLOWED) == []
    apart = {"/opt/one": file(5, inode=9), "/opt/two": file(5, inode=8)}
    assert differences(plain, {**CLEAN, **apart}, ALLOWED) == [
        "/opt/one shares its file with other names",
        "/opt/two shares its file with other names",
    ]
    cached = {"/opt/one": file(5, inode=9), "/root/.cache/x/one": file(5, inode=9)}
    plain = Plain(base=BASE, first={**FIRST, **cached}, again={**FIRST, **cached})
    assert differences(plain, {**CLEAN, "/opt/one": file(5, inode=9)}, ALLOWED) == []


def layer(*members: tuple[str, bytes, str]) -> LayerSource:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as archive:
        for name, kind, text in members:
            member = tarfile.TarInfo(name)
            member.type = kind
            member.size = len(text) if kind == tarfile.REGTYPE else 0
            member.linkname = "" if kind == tarfile.REGTYPE else text
            archive.addfile(member, io.BytesIO(text.encode()))
    data = packed.getvalue()

    @contextmanager
    def opened() -> Iterator[BinaryIO]:
        yield io.BytesIO(data)

    return LayerSource(name="layer", size=len(data), open=opened)


FILES, FOLDERS, LINKS, HARD = tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE


def test_layers_are_laid_over_each_other() -> None:
    below = layer(
        ("a/", FOLDERS, ""), ("a/one", FILES, "1"), ("a/two", FILES, "2"), ("b/", FOLDERS, ""), ("b/x", FILES, "x")
    )
    above = layer(("a/.wh.one", FILES, ""), ("b/.wh..wh..opq", FILES, ""), ("b/y", FILES, "y"), ("./c", HARD, "b/y"))
    shown = snapshot.read([below, above])
    assert sorted(shown) == ["/a", "/a/two", "/b", "/b/y", "/c"]
    assert shown["/c"].inode == shown["/b/y"].inode != shown["/a/two"].inode
    assert shown["/b/y"].content != shown["/a/two"].content
    replaced = snapshot.read([layer(("a", LINKS, "b"))], shown)
    assert sorted(replaced) == ["/a", "/b", "/b/y", "/c"]
    assert replaced["/a"].content == "b"


def test_texts_are_those_last_written() -> None:
    layers = [layer(("tmp/x", FILES, "first")), layer(("tmp/x", FILES, "second"))]
    assert snapshot.texts(layers, ("/tmp/x",), 3) == {"/tmp/x": "sec"}


def test_a_broken_layer_is_named() -> None:
    @contextmanager
    def opened() -> Iterator[BinaryIO]:
        yield io.BytesIO(b"no archive" * 100)

    with pytest.raises(ImageError, match="layer"):
        snapshot.read([LayerSource(name="layer", size=1000, open=opened)])
