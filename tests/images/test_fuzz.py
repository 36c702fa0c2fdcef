"""Any bytes at all for an image: it is read, or refused with one clear line, and nothing is written."""

from __future__ import annotations

import io
import json
import lzma
import tarfile
import tempfile
from dataclasses import replace
from pathlib import Path

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cleanroom.images import waste
from cleanroom.images.audit import audit
from cleanroom.images.image import DEFAULT, ImageError
from cleanroom.images.sources import open_image
from cleanroom.images.tar import members
from cleanroom.images.tree import Tree
from cleanroom.registries import library
from tests.support.images import Layout, config, docker_save, gzipped, layer, oci, zstd

LIMITS = replace(DEFAULT, unpacked=64 << 20, entries=20_000)
SLOW = settings(max_examples=settings().max_examples, suppress_health_check=list(HealthCheck))


def read(reference: str) -> None:
    before = {path: path.stat().st_mtime_ns for path in Path(reference).parent.rglob("*")}
    try:
        with open_image(reference, limits=LIMITS) as image:
            reading = audit(image, library=library(), limits=LIMITS, keep=waste.WANTED)
            also = waste.weigh(reading, LIMITS)
        found = reading.audit
    except ImageError as error:
        complaint = str(error)
    else:
        complaint = "none"
        assert found.waste <= found.bytes
        assert found.hidden <= found.bytes
        assert sum(extra.bytes for extra in also.extras) <= found.bytes - found.waste
        assert sum(item.bytes for item in also.hidden) <= found.hidden
        assert all(item.bytes >= 0 and item.stored >= 0 for item in found.leftovers)
        json.dumps([item.paths for item in found.leftovers])
    assert complaint
    assert "\n" not in complaint
    assert {path: path.stat().st_mtime_ns for path in Path(reference).parent.rglob("*")} == before


BASE = layer(
    {
        "tmp/x.tar": 5000,
        "tmp/y.tar": 5000,
        "root/.cache/pip/a": 3000,
        "b/": None,
        "b/c": "-> ../root",
        "d": "=> root/.cache/pip/a",
        "x" * 150: 9,
    }
)
SEEDS = {
    "tar": BASE,
    "tar.gz": gzipped(BASE),
    "tar.xz": lzma.compress(BASE),
}
# How to break what was whole: at a place, cut, or put other bytes.
breaks = st.lists(
    st.tuples(st.integers(0, 1 << 20), st.sampled_from(["set", "cut", "insert", "drop"]), st.binary(max_size=12)),
    min_size=1,
    max_size=6,
)


def broken(data: bytes, how: list[tuple[int, str, bytes]]) -> bytes:
    for place, kind, more in how:
        place %= len(data) or 1
        if kind == "set":
            data = data[:place] + more + data[place + len(more) :]
        elif kind == "insert":
            data = data[:place] + more + data[place:]
        elif kind == "drop":
            data = data[:place] + data[place + len(more) :]
        else:
            data = data[: max(place, 1)]
    return data


@SLOW
@given(st.sampled_from(sorted(SEEDS)), breaks)
def test_broken_archives(form: str, how: list[tuple[int, str, bytes]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "image.tar"
        path.write_bytes(broken(SEEDS[form], how))
        read(str(path))


@SLOW
@given(st.binary(max_size=3000))
def test_any_bytes(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "image.tar"
        path.write_bytes(data)
        read(str(path))


@SLOW
@given(st.integers(0, 2), st.booleans(), breaks)
def test_broken_images(form: int, in_layer: bool, how: list[tuple[int, str, bytes]]) -> None:
    data = broken(BASE, how) if in_layer else BASE
    with tempfile.TemporaryDirectory() as folder:
        if form == 2:
            reference = docker_save(Path(folder) / "image.tar", [data, BASE], config([data, BASE]))
        else:
            reference = oci(Path(folder) / "image", [data, BASE], config([data, BASE]), (gzipped, zstd)[form])
        if not in_layer:
            paths = sorted(path for path in [Path(reference), *Path(reference).rglob("*")] if path.is_file())
            path = paths[how[0][0] % len(paths)]
            path.write_bytes(broken(path.read_bytes(), how))
        read(reference)


parts = st.sampled_from(["a", "b", "c", "..", ".", "", ".wh.a", ".wh.b", ".wh..wh..opq", ".wh.", ".wh...", "root"])
names = st.lists(parts, min_size=1, max_size=4).map("/".join)
entries = st.dictionaries(
    names,
    st.one_of(
        st.integers(0, 2000),
        st.none(),
        names.map("-> {}".format),
        names.map("=> {}".format),
    ),
    max_size=8,
)
honest = st.dictionaries(
    st.lists(st.sampled_from("abc"), min_size=1, max_size=3).map("/".join), st.integers(0, 2000), max_size=6
)


@SLOW
@given(st.lists(entries, max_size=4))
def test_any_members(layers: list[dict]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        packed = [layer(item) for item in layers]
        read(oci(Path(folder) / "image", packed, config(packed)))


@SLOW
@given(st.lists(st.tuples(honest, st.sets(st.sampled_from(["a", "b", "a/b", "c/a", "b/c/a"]))), max_size=5))
def test_files_and_whiteouts_are_as_a_model_says(layers: list[tuple[dict, set]]) -> None:
    """Lay layers over each other in the plainest way there is, and compare what is seen and what is hidden."""
    tree = Tree()
    seen: dict[str, tuple[int, int]] = {}  # path -> layer, size
    hidden = 0
    for number, (files, whiteouts) in enumerate(layers):
        chosen: dict[str, int] = {}
        for name, size in files.items():  # a name is a file or a folder, not both in one layer
            if not any(
                other != name and (other.startswith(f"{name}/") or name.startswith(f"{other}/")) for other in chosen
            ):
                chosen[name] = size
        hides = {
            path.rpartition("/")[::2]
            for path in whiteouts
            if not any(path == name or name.startswith(f"{path}/") or path.startswith(f"{name}/") for name in chosen)
        }
        for parent, base in hides:
            place = f"{parent}/{base}".strip("/")
            # A whiteout needs its folder, which takes the place of a file.
            ancestors = {"/".join(place.split("/")[:count]) for count in range(1, place.count("/") + 1)}
            for path in [path for path in seen if path == place or path.startswith(f"{place}/") or path in ancestors]:
                hidden += seen.pop(path)[1]
        for name in chosen:
            ancestors = {"/".join(name.split("/")[:count]) for count in range(1, name.count("/") + 1)}
            for path in [path for path in seen if path == name or path.startswith(f"{name}/") or path in ancestors]:
                hidden += seen.pop(path)[1]
        seen.update({name: (number, size) for name, size in chosen.items()})
        tree.begin("layer")
        whole = layer({**chosen, **{f"{parent}/.wh.{base}".lstrip("/"): 0 for parent, base in hides}})
        for member in members([whole], "layer"):
            tree.add(member)
        tree.finish()
    live: dict[str, tuple[int, int]] = {}
    stack = [("", tree.root)]
    while stack:
        path, folder = stack.pop()
        for name, entry in folder.items():
            place = f"{path}/{name.decode()}".lstrip("/")
            if isinstance(entry, dict):
                stack.append((place, entry))
            else:
                live[place] = tree.layers[entry], tree.sizes[entry]
    assert live == seen
    assert sum(tree.sizes[number] for root in tree.hidden.values() for number in tree.inodes(root)) == hidden


@SLOW
@given(
    st.recursive(
        st.none() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "manifests",
                        "config",
                        "layers",
                        "digest",
                        "Config",
                        "Layers",
                        "RepoTags",
                        "mediaType",
                        "history",
                        "rootfs",
                        "diff_ids",
                        "platform",
                        "annotations",
                        "Env",
                        "Labels",
                        "os",
                    ]
                ),
                inner,
                max_size=4,
            )
        ),
        max_leaves=12,
    ),
    st.sampled_from(["index.json", "manifest.json"]),
)
def test_any_documents(document: object, name: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        layout = Layout(Path(folder) / "image")
        (layout.folder / name).write_text(json.dumps(document))
        read(str(layout.folder))
        if name == "index.json":
            blob = layout.blob(json.dumps(document).encode(), "application/vnd.oci.image.manifest.v1+json")
            layout.index(blob)
            read(str(layout.folder))
            layers = [layer({"x": 1})]
            broken_config = {"config": document, "rootfs": {"diff_ids": document}, "history": document}
            layout.index(layout.manifest(layers, json.dumps(broken_config).encode()))
            read(str(layout.folder))


def test_members_read_as_tarfile_does() -> None:
    """Read an archive with everything in it as the standard library reads it."""
    for form in (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        entries = {f"{'d' * 60}/{'e' * 60}/{index}": index * 300 for index in range(40)}
        if form != tarfile.USTAR_FORMAT:
            entries |= {f"{'n' * 300}/ü": 5, "s": "-> " + "t" * 300, "big": 10_000_000}
        data = layer(entries, form)
        with tarfile.open(fileobj=io.BytesIO(data)) as file:
            wanted = [(item.name.encode(), item.size, item.linkname.encode()) for item in file]
        for piece in (1, 511, 513, 1 << 20):
            pieces = [data[i : i + piece] for i in range(0, len(data), piece)] if piece > 1 else [data]
            assert [(item.name, item.size, item.target) for item in members(pieces, "x")] == wanted
