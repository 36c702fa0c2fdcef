"""Random images against umoci, which unpacks them: what is seen, and what caches weigh, is the same to the byte."""

from __future__ import annotations

import os
import stat
import subprocess
from pathlib import Path
from random import Random

import pytest

from cleanroom.images.audit import Reading, audit
from cleanroom.images.sources import open_image
from cleanroom.registries import library
from tests.support import program
from tests.support.images import Layout, config, layer

pytestmark = pytest.mark.builds
COUNT = int(os.environ.get("CLEANROOM_RANDOM_IMAGES", "25"))
CACHES = ("root/.cache/pip", "var/lib/apt/lists", "home/jane/.npm/_cacache", "opt/conda/pkgs")
NAMES = ("a", "b", "c", "d/x", "d/y", "d/e/z")


def random_layers(chance: Random) -> list[bytes]:
    """Return layers with files in and beside caches, hard links, links, whiteouts and opaque folders."""
    layers = []
    for number in range(chance.randrange(1, 5)):
        folders = [*CACHES, "usr/lib", "opt/conda/lib", "etc"]
        paths = [f"{chance.choice(folders)}/{chance.choice(NAMES)}" for _ in range(chance.randrange(1, 14))]
        entries: dict[str, int | str | None] = {}
        for path in dict.fromkeys(paths):
            if any(path.startswith(f"{other}/") or other.startswith(f"{path}/") for other in entries):
                continue
            files = [name for name, what in entries.items() if isinstance(what, int)]
            if files and chance.random() < 0.25:
                entries[path] = f"=> {chance.choice(files)}"
            elif chance.random() < 0.1:
                entries[path] = "-> /etc/a"
            else:
                entries[path] = chance.randrange(1, 60_000)
        gone: dict[str, int | str | None] = {}
        for path in CACHES if number else ():
            head, _, last = path.rpartition("/")
            if chance.random() < 0.15 and not any(name.startswith(f"{path}/") for name in entries):
                gone[f"{head}/.wh.{last}"] = 0
            elif chance.random() < 0.1:
                gone[f"{path}/.wh..wh..opq"] = 0
        # Folders stand before what is in them, and whiteouts before what is new, as builders write them.
        parents = {parent: None for name in (*gone, *entries) for parent in _parents(name)}
        layers.append(layer({**{f"{name}/": None for name in sorted(parents)}, **gone, **entries}))
    return layers


def _parents(path: str) -> list[str]:
    parts = path.split("/")[:-1]
    return ["/".join(parts[:count]) for count in range(1, len(parts) + 1)]


def unpacked(layout: str, target: Path) -> dict[str, tuple[int, int]]:
    """Return the files that umoci unpacks: by path the size and the inode."""
    command = [program("umoci"), "unpack", "--image", f"{layout}:1", str(target)]
    subprocess.run(command, check=True, capture_output=True, timeout=600)
    found = {}
    for path in (target / "rootfs").rglob("*"):
        status = path.lstat()
        if stat.S_ISREG(status.st_mode):
            found[str(path.relative_to(target / "rootfs"))] = status.st_size, status.st_ino
    return found


def seen(reading: Reading) -> dict[str, tuple[int, int]]:
    tree = reading.contents.tree
    found = {}
    stack = [("", tree.root)]
    while stack:
        folder, entries = stack.pop()
        for name, entry in entries.items():
            path = f"{folder}/{name.decode()}" if folder else name.decode()
            if isinstance(entry, dict):
                stack.append((path, entry))
            elif entry not in tree.targets:
                found[path] = tree.sizes[entry], entry
    return found


@pytest.mark.parametrize("seed", range(COUNT))
def test_the_same_as_umoci(seed: int, tmp_path: Path) -> None:
    layers = random_layers(Random(seed))
    layout = Layout(tmp_path / "image")
    name = {"org.opencontainers.image.ref.name": "1"}
    reference = layout.index(layout.manifest(layers, config(layers), bytes, annotations=name))
    with open_image(reference) as image:
        reading = audit(image, library=library())
    truth = unpacked(reference, tmp_path / "bundle")
    mine = seen(reading)
    assert {path: size for path, (size, _) in mine.items()} == {path: size for path, (size, _) in truth.items()}
    names: dict[int, list[str]] = {}
    for path, (_, inode) in truth.items():
        names.setdefault(inode, []).append(path)
    sizes = {inode: size for size, inode in truth.values()}
    links = reading.contents.tree.links
    if any(len(paths) != links[mine[paths[0]][1]] for paths in names.values()):
        return  # of a file that had more names once, umoci does not tell where those were
    weights = sum(
        sizes[inode]
        for inode, paths in names.items()
        if all(path.startswith(tuple(f"{cache}/" for cache in CACHES)) for path in paths)
    )
    assert weights == sum(item.bytes for item in reading.audit.leftovers if item.removed_in is None)
