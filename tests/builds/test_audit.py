"""Images that were built for real. What is true of them comes from walking their layers as the engine unpacked them."""

from __future__ import annotations

import shutil
import stat
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from cleanroom.images.audit import Audit, audit
from cleanroom.images.image import ImageError
from cleanroom.images.sources import open_image
from cleanroom.registries import library
from tests.support import builds, program

pytestmark = [pytest.mark.builds, pytest.mark.xdist_group("audit")]
DOCKERFILE = (Path(__file__).parent / "Dockerfile").read_text()


@dataclass(frozen=True)
class Built:
    oci: str
    archive: str
    folders: list[Path]  # of the layers
    audit: Audit


@pytest.fixture(scope="module")
def built(debian: Path) -> Iterator[Built]:
    with builds.buildah() as store:
        context = store.folder / "context"
        context.mkdir()
        shutil.copyfile(debian, context / "debian.tar")
        store.build("debian", 'FROM scratch\nADD debian.tar /\nCMD ["bash"]\n', context)
        builds.node(context / "node")
        for name in ("one", "two", "three", "four", "five"):
            builds.package(context / "packages", name)
        store.build("web", DOCKERFILE, context)
        oci = store.push("web", f"oci:{store.folder}/web")
        archive = store.push("web", f"docker-archive:{store.folder}/web.tar")
        with open_image(oci) as image:
            found = audit(image, library=library()).audit
            yield Built(oci, archive, store.layers(list(image.configuration.diff_ids)), found)


def test_equal_to_the_byte(built: Built) -> None:
    truth = {}
    for number, folder in enumerate(built.folders, 1):
        for cache, patterns in builds.CACHES.items():
            files, size = builds.weigh(folder, *patterns)
            if size:
                truth[number, cache] = files, size
    found: dict[tuple[int, str], tuple[int, int]] = {}
    for item in built.audit.leftovers:
        key = item.layer, f"{item.manager}.{item.cache}"
        files, size = found.get(key, (0, 0))
        found[key] = files + item.files, size + item.bytes
        if key[1] not in builds.CACHES:  # of a manager that came along, such as what Node.js compiled
            paths = [path.lstrip("/") for path in item.paths]
            truth[key] = builds.weigh(built.folders[item.layer - 1], *paths)
    assert found == truth
    # It is not nothing that was compared.
    assert {cache for _, cache in truth} >= set(builds.CACHES)


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
            if cache in builds.CACHES
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


def test_through_skopeo(built: Built, tmp_path: Path) -> None:
    zstd = f"dir:{tmp_path}/zstd"
    command = [program("skopeo"), "copy", "--quiet", "--dest-compress-format", "zstd", built.oci, zstd]
    subprocess.run(command, check=True, timeout=600)
    with open_image(zstd) as image:
        assert leftovers(audit(image, library=library()).audit) == leftovers(built.audit)


@pytest.mark.parametrize("reference", ["localhost/web", "containers-storage:localhost/web"])
def test_in_the_store_of_podman(built: Built, reference: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program("podman")
    store = Path(built.archive.partition(":")[2]).parent
    settings = f'[storage]\ndriver = "overlay"\ngraphroot = "{store}/root"\nrunroot = "{store}/run"\n'
    (tmp_path / "storage.conf").write_text(settings)
    monkeypatch.setenv("CONTAINERS_STORAGE_CONF", str(tmp_path / "storage.conf"))
    with open_image(reference) as image:
        assert leftovers(audit(image, library=library()).audit) == leftovers(built.audit)
    with pytest.raises(ImageError, match="localhost/none"), open_image(reference.replace("web", "none")):
        pass


def leftovers(found: Audit) -> list[tuple[object, ...]]:
    return [(item.layer, item.cache, item.bytes, item.files, item.removed_in) for item in found.leftovers]


def test_formats_agree(built: Built) -> None:
    with open_image(built.archive) as image:
        other = audit(image, library=library()).audit
    assert leftovers(other) == leftovers(built.audit)
    # What is pulled of a layer that is not compressed is the files and their headers.
    for item in other.leftovers:
        assert item.bytes <= item.stored or item.linked
