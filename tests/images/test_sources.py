"""What is an image and what is none, and which of several is meant."""

from __future__ import annotations

import bz2
import json
import shutil
from pathlib import Path

import pytest

from cleanroom.cli import main
from cleanroom.images.audit import Audit, audit
from cleanroom.images.image import ImageError
from cleanroom.images.platform import choose, parse
from cleanroom.images.sources import open_image
from cleanroom.registries import library
from tests.support.images import Layout, archive, config, dir_transport, docker_save, layer, oci

LAYERS = [layer({"root/.cache/pip/a": 5, "etc/x": 1})]
CONFIG = config(LAYERS)


def run(reference: str, platform: str = "") -> Audit:
    with open_image(reference, platform=platform) as image:
        return audit(image, library=library()).audit


def complaint(reference: str, platform: str = "") -> str:
    with pytest.raises(ImageError) as caught:
        run(reference, platform)
    return str(caught.value)


@pytest.mark.parametrize("name", ["", " ", "oci:", "dir:", "docker-archive:", "rootfs:"])
def test_an_empty_name(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    oci(tmp_path / "etc", LAYERS, CONFIG)
    monkeypatch.chdir(tmp_path)
    assert main(["audit", name, "--max-waste", "0"]) == 2
    assert "empty" in complaint(name) or "there is no such file" in complaint(name)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ([], "is empty"),
        (
            ["README.md", "src/x.py"],
            "there is no /bin, /etc, /usr or the like, but README.md, src",
        ),
        (["image/oci-layout", "image/index.json", "image/blobs/x"], "the folder image in it looks like one"),
        (["a/x", "saved/manifest.json"], "the folder saved in it looks like one"),
    ],
)
def test_what_is_no_image(files: list[str], message: str, tmp_path: Path) -> None:
    root = tmp_path / "root"
    root.mkdir()
    for name in files:
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text("{}")
    assert message in complaint(str(root))
    if files:
        packed = archive(str(root), tmp_path / "root.tar")
        assert message in complaint(packed)
        assert message in complaint(archive(str(root), tmp_path / "root.tar.gz", "w:gz"))
        assert run(f"rootfs:{root}").bytes == run(f"rootfs:{packed}").bytes == 2 * len(files)


def test_a_layout_one_level_down(tmp_path: Path) -> None:
    oci(tmp_path / "image", LAYERS, CONFIG)
    for transport in ("", "oci:", "dir:"):
        assert "the folder image in it" in complaint(f"{transport}{tmp_path}")


def test_an_image_without_layers(tmp_path: Path) -> None:
    message = "the image has no layer"
    assert message in complaint(oci(tmp_path / "oci", [], config([])))
    assert message in complaint(docker_save(tmp_path / "x.tar", [], config([])))
    assert message in complaint(dir_transport(tmp_path / "dir", [], config([])))


@pytest.mark.parametrize("name", ["manifest.json", "index.json", "oci-layout"])
@pytest.mark.parametrize("text", ["{}", "[]", "not JSON", '[{"name": "app", "Layers": []}]', '{"name": "a web app"}'])
def test_a_file_system_with_names_of_an_image(name: str, text: str, tmp_path: Path) -> None:
    root = tmp_path / "root"
    for path, content in {name: text, "usr/x": "1", "root/.cache/pip/a": "12345"}.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(content)
    for reference in (str(root), archive(str(root), tmp_path / "root.tar"), f"rootfs:{root}"):
        found = run(reference)
        assert (found.kind, found.waste) == ("rootfs", 5)
    # The names of an image stand first in the archive, as in one that docker export wrote in the order of the alphabet.
    shutil.move(root / "usr", root / "zzz")
    assert run(archive(str(root), tmp_path / "other.tar")).kind == "rootfs"


def test_bzip2(tmp_path: Path) -> None:
    assert run(oci(tmp_path / "image", LAYERS, CONFIG, bz2.compress)).waste == 5
    plain = docker_save(tmp_path / "image.tar", LAYERS, CONFIG)
    (tmp_path / "image.tar.bz2").write_bytes(bz2.compress(Path(plain).read_bytes()))
    assert run(str(tmp_path / "image.tar.bz2")).waste == 5
    (tmp_path / "cut.tar.bz2").write_bytes(bz2.compress(Path(plain).read_bytes())[:-20])
    assert "cut off" in complaint(str(tmp_path / "cut.tar.bz2"))
    broken = bytearray(bz2.compress(Path(plain).read_bytes()))
    broken[60] ^= 255
    (tmp_path / "broken.tar.bz2").write_bytes(broken)
    assert "broken" in complaint(str(tmp_path / "broken.tar.bz2"))


def test_names_that_mean_something_else(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert "write docker://HOST/NAME" in complaint("https://registry.example/web:1")
    (tmp_path / "docker").write_text("#!/bin/sh\necho no such image >&2; exit 1\n")
    (tmp_path / "docker").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert "docker says: no such image; for an image in a registry, write docker://web:1" in complaint("docker:web:1")


@pytest.mark.parametrize(
    ("wanted", "given", "chosen"),
    [
        ("linux/arm64", ["linux/amd64", "linux/arm64/v8"], "linux/arm64/v8"),
        ("linux/arm64/v8", ["linux/amd64", "linux/arm64"], "linux/arm64"),
        ("aarch64", ["linux/amd64", "linux/arm64/v8"], "linux/arm64/v8"),
        ("x86_64", ["linux/arm64", "linux/amd64"], "linux/amd64"),
        ("linux/x86_64", ["linux/amd64"], "linux/amd64"),
        ("arm", ["linux/arm/v5", "linux/arm/v7", "linux/arm/v6"], "linux/arm/v7"),
        ("linux/arm", ["linux/arm/v6", "linux/arm64/v8"], "linux/arm/v6"),
        ("armhf", ["linux/arm/v6", "linux/arm/v7"], "linux/arm/v7"),
        ("arm/v6", ["linux/arm/v7", "linux/arm/v6"], "linux/arm/v6"),
        ("arm/v6", ["linux/arm/v7"], None),
        ("linux/amd64", ["linux/amd64/v3", "linux/amd64"], "linux/amd64"),
        ("linux/amd64", ["windows/amd64"], None),
        ("i386", ["linux/amd64", "linux/386"], "linux/386"),
        ("LINUX/AMD64", ["linux/amd64"], "linux/amd64"),
        ("linux/s390x", ["linux/amd64"], None),
    ],
)
def test_platforms(wanted: str, given: list[str], chosen: str | None) -> None:
    assert choose(given, parse(wanted)) == chosen


@pytest.mark.parametrize("form", ["oci", "docker save", "dir"])
def test_the_platform_of_a_single_image_is_looked_at(form: str, tmp_path: Path) -> None:
    document = config(LAYERS, platform="linux/arm64/v8")
    if form == "oci":
        reference = oci(tmp_path / "image", LAYERS, document)
    elif form == "dir":
        reference = dir_transport(tmp_path / "image", LAYERS, document)
    else:
        reference = docker_save(tmp_path / "image.tar", LAYERS, document)
    for platform in ("linux/arm64", "aarch64", "linux/arm64/v8"):
        assert run(reference, platform).platform == "linux/arm64/v8"
    for platform in ("linux/amd64", "arm", "windows/arm64"):
        assert f"has no image for {platform} (it has: linux/arm64/v8)" in complaint(reference, platform)


def test_an_index_of_dir_with_several_platforms(tmp_path: Path) -> None:
    layout = Layout(tmp_path / "oci")
    folder = tmp_path / "dir"
    folder.mkdir()
    manifests = []
    for platform in ("linux/amd64", "linux/arm/v6", "linux/arm/v7"):
        system, architecture, *variant = platform.split("/")
        place = {"os": system, "architecture": architecture, **({"variant": variant[0]} if variant else {})}
        manifests.append(layout.manifest(LAYERS, config(LAYERS, platform=platform), platform=place))
    for path in (tmp_path / "oci/blobs/sha256").iterdir():
        is_manifest = any(path.name in item["digest"] for item in manifests)
        shutil.copy(path, folder / (f"{path.name}.manifest.json" if is_manifest else path.name))
    (folder / "manifest.json").write_text(json.dumps({"schemaVersion": 2, "manifests": manifests}))
    assert run(f"dir:{folder}", "linux/arm").platform == "linux/arm/v7"
    assert "(it has: linux/amd64, linux/arm/v6, linux/arm/v7)" in complaint(f"dir:{folder}", "s390x")


def test_what_skopeo_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """skopeo copies an image of one platform whatever is asked for: what came is looked at."""
    dir_transport(tmp_path / "came", LAYERS, config(LAYERS, platform="linux/amd64"))
    (tmp_path / "skopeo").write_text(
        f'#!/bin/sh\necho "$@" >{tmp_path}/asked\nfor last; do :; done\ncp -r {tmp_path}/came "${{last#dir:}}"\n'
    )
    (tmp_path / "skopeo").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    assert run("docker://web", "x86_64").waste == 5
    assert "--override-os=linux --override-arch=amd64 copy" in (tmp_path / "asked").read_text()
    assert "has no image for armhf (it has: linux/amd64)" in complaint("docker://web", "armhf")
    assert "--override-arch=arm --override-variant=v7" in (tmp_path / "asked").read_text()


def test_a_root_file_system_has_no_platform(tmp_path: Path) -> None:
    (tmp_path / "root/etc").mkdir(parents=True)
    assert "does not say for which platform" in complaint(str(tmp_path / "root"), "linux/amd64")
