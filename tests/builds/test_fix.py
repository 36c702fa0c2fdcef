"""Images that are built before and after a fix: the build passes, the program runs, the caches are gone."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cleanroom.api import fix
from tests.support import builds, case_file

pytestmark = [pytest.mark.builds, pytest.mark.xdist_group("fix")]

CASES: list[dict[str, Any]] = case_file("builds/fixes.yaml")

# apt as the official images set it up: its own indexes and archives never stay.
DOCKER_CLEAN = r"""
DPkg::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb /var/cache/apt/*.bin || true"; };
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
"""
BASE = """\
FROM scratch
ADD debian.tar /
COPY docker-clean /etc/apt/apt.conf.d/
RUN apt-get update && apt-get install -y --no-install-recommends python3-pip python3-setuptools python3-wheel \\
    && rm -rf /var/lib/apt/lists/*
COPY node /opt/node
COPY packages /packages
ENV PATH=/opt/node/bin:$PATH PIP_BREAK_SYSTEM_PACKAGES=1 NPM_CONFIG_UPDATE_NOTIFIER=false
CMD ["bash"]
"""
# In bytes. What a manager notes of its own runs, and what Python compiles, differ a little from build to build.
MARGIN = 64 * 1024


@pytest.fixture(scope="module")
def store(debian: Path) -> Iterator[builds.Buildah]:
    with builds.buildah() as made:
        context = made.folder / "context"
        context.mkdir()
        shutil.copyfile(debian, context / "debian.tar")
        (context / "docker-clean").write_text(DOCKER_CLEAN)
        builds.node(context / "node")
        for name in ("one", "two"):
            builds.package(context / "packages", name)
        made.build("base", BASE, context)
        made.run("tag", "localhost/base", "docker.io/library/debian:bookworm")  # a name that says what it is
        yield made


def layers(store: builds.Buildah, name: str) -> list[Path]:
    """Return the folders of an image's layers above those of the base."""
    base, own = store.diff_ids("base"), store.diff_ids(name)
    assert own[: len(base)] == base
    return store.layers(own)[len(base) :]


def left(folders: list[Path]) -> dict[str, int]:
    """Return what ships of each cache, in bytes."""
    sizes = {
        cache: sum(builds.weigh(folder, *patterns)[1] for folder in folders)
        for cache, patterns in builds.CACHES.items()
        if cache != "npm.logs"  # how long they are differs with every run
    }
    return {cache: size for cache, size in sizes.items() if size}


PLAIN = [case for case in CASES if "<<" not in case["dockerfile"]]


@pytest.mark.parametrize("case", PLAIN, ids=[case["name"] for case in PLAIN])
def test_build(store: builds.Buildah, case: dict[str, Any]) -> None:
    build(store, case)


def test_here_documents(store: builds.Buildah) -> None:
    """By the Buildah of a newer Debian: one test, so that one process makes that.

    Here-documents that begin with #! or are the input of a command need mounts that this way of building lacks.
    """
    with builds.newer_buildah() as newer:
        newer.load("base", store.push("base", f"oci:{newer.folder}/base"))
        for case in CASES:
            if case not in PLAIN:
                build(newer, case)


def build(store: builds.Buildah, case: dict[str, Any]) -> None:
    """Build a case before and after the fix, and look at what is in the layers."""
    assert not case.keys() - {"name", "dockerfile", "left", "runs", "prefer"}
    fixed = fix(case["dockerfile"], prefer=case.get("prefer", ""))
    assert fixed.fixed
    assert not fixed.errors
    name = f"case-{CASES.index(case)}"
    caches, sizes = {}, {}
    for when, text in (("before", case["dockerfile"]), ("after", fixed.text)):
        store.build(f"{name}-{when}", text)
        store.build(f"{name}-{when}-runs", f"FROM localhost/{name}-{when}\nRUN {case['runs']}\n")
        folders = layers(store, f"{name}-{when}")
        caches[when] = left(folders)
        sizes[when] = sum(builds.weigh(folder, "*")[1] for folder in folders)
    assert sorted(caches["before"]) == case["left"]
    assert not caches["after"], fixed.text
    saved = sizes["before"] - sizes["after"]
    print(f"\n{case['name']}: {sizes['before']:,} -> {sizes['after']:,} bytes")
    assert saved > 0
    assert saved == pytest.approx(sum(caches["before"].values()), abs=MARGIN)
