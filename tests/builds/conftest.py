"""Tests that build images, as root, with Buildah and mmdebstrap. What takes long to make is made once a session."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import builds

Once = Callable[[str, Callable[[Path], object]], Path]


@pytest.fixture(scope="session", autouse=True)
def is_possible() -> None:
    if not builds.is_here():
        pytest.skip("to build images, buildah and mmdebstrap have to be installed, and this has to be root")


@pytest.fixture(scope="session")
def once(tmp_path_factory: pytest.TempPathFactory) -> Once:
    """Return a function that makes a file or folder once, also where several processes run tests."""
    base = tmp_path_factory.getbasetemp()
    folder = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base

    def made(name: str, make: Callable[[Path], object]) -> Path:
        with (folder / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not (folder / name).exists():
                make(folder / f"unfinished-{name}")
                (folder / f"unfinished-{name}").rename(folder / name)
        return folder / name

    return made


@pytest.fixture(scope="session")
def debian(once: Once) -> Path:
    """A small Debian 12 with apt: a root file system archive."""
    return once("debian.tar", builds.make_debian)
