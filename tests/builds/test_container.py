"""The image of cleanroom itself, built by its Dockerfile, on a stand-in for the official image of Python.

There is no registry of images where this runs: the stand-in is a Debian with Python in /usr/local, which has the wheels
that pip would fetch. What the Dockerfile adds is as it would be.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import requires
from pathlib import Path

import pytest

from cleanroom.images.audit import audit
from cleanroom.images.sources import open_image
from cleanroom.registries import library
from tests.builds.test_fix import DOCKER_CLEAN
from tests.support import ROOT, builds

pytestmark = [pytest.mark.builds, pytest.mark.xdist_group("container")]

DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")
STAND_IN = """\
FROM scratch
ADD debian.tar /
COPY docker-clean /etc/apt/apt.conf.d/
RUN apt-get update && apt-get install -y --no-install-recommends python3-venv && rm -rf /var/lib/apt/lists/* \\
    && python3 -m venv /usr/local
COPY wheels /wheels
COPY pip.conf /etc/
CMD ["python3"]
"""
PYTHON = "3.11"  # of the Debian that builds.make_debian makes


@pytest.fixture(scope="module")
def store(debian: Path) -> Iterator[builds.Buildah]:
    (name,) = set(re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE))
    (building,) = re.findall(r"^requires = \[(.*?)\]", (ROOT / "pyproject.toml").read_text("utf-8"), re.MULTILINE)
    wanted = re.findall(r'"(.*?)"', building)
    wanted += [requirement for requirement in requires("cleanroom-recipes") or () if "extra ==" not in requirement]
    with builds.buildah() as made:
        context = made.folder / "context"
        context.mkdir()
        shutil.copyfile(debian, context / "debian.tar")
        (context / "docker-clean").write_text(DOCKER_CLEAN)
        (context / "pip.conf").write_text("[global]\nno-index = true\nfind-links = /wheels\n")
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--dest", str(context / "wheels")]
        command += ["--python-version", PYTHON, "--only-binary", ":all:", *wanted]
        subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
        made.build("stand-in", STAND_IN, context)
        made.run("tag", "localhost/stand-in", f"docker.io/library/{name}")
        made.build("cleanroom", DOCKERFILE, ROOT)
        yield made


def run(store: builds.Buildah, folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a command in the image as ``docker run --rm --volume FOLDER:/code:ro`` does, without its ENTRYPOINT."""
    container = store.run("from", "--pull-never", "localhost/cleanroom").strip()
    # Buildah makes 1 of every other status, and hands on what comes by two pipes in any order.
    script = ["sh", "-c", '"$@" 2>&1; echo "status $?"', "sh", *command]
    options = ["--isolation", "chroot", "--volume", f"{folder}:/code:ro"]
    said, _, status = store.run("run", *options, container, "--", *script).rpartition("status ")
    store.run("rm", container)
    return subprocess.CompletedProcess(command, int(status), said.strip())


def test_the_image_checks_what_is_mounted(store: builds.Buildah, tmp_path: Path) -> None:
    inspected = json.loads(store.run("inspect", "--type", "image", "localhost/cleanroom"))
    configuration = inspected["OCIv1"]["config"]
    assert configuration["Entrypoint"] == ["cleanroom"]
    assert "Cmd" not in configuration
    code = tmp_path / "code"
    code.mkdir(mode=0o755)  # nobody must get in
    assert run(store, code, "id", "-u").stdout == "65534"
    found = run(store, ROOT / "examples/data-science", *configuration["Entrypoint"], "check", ".")
    assert found.returncode == 1
    assert re.search(r"^Dockerfile:\d+:\d+  warning  cleaned-late\[conda\.[\w,]+\]", found.stdout, re.MULTILINE)
    for text, status in ((DOCKERFILE, 0), ("FROM", 2)):
        (code / "Dockerfile").write_text(text)
        assert run(store, code, *configuration["Entrypoint"], "check", "Dockerfile").returncode == status
    answer = run(store, code, *configuration["Entrypoint"], "query", "apt").stdout
    assert answer == "rm -rf /var/lib/apt/lists/*"


def test_the_image_holds_no_more_than_what_is_installed(store: builds.Buildah) -> None:
    reference = store.push("cleanroom", f"oci:{store.folder}/cleanroom")
    with open_image(reference) as image:
        found = audit(image, library=library()).audit
    base = len(store.diff_ids("stand-in"))
    print("\ncleanroom's layers, in bytes:", [layer.bytes for layer in found.layers[base:]])
    assert [layer.is_base for layer in found.layers] == [number < base for number in range(len(found.layers))]
    assert not [leftover for leftover in found.leftovers if leftover.layer > base]
    assert not [layer for layer in found.layers[base:] if layer.hidden]
    (folder,) = [folder for folder in store.layers(store.diff_ids("cleanroom"))[base:] if (folder / "usr").exists()]
    assert {str(path.relative_to(folder)) for path in folder.glob("*/*")} == {"usr/local"}
    assert (folder / "usr/local/bin/cleanroom").exists()
