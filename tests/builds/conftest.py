"""Tests that build images, as root, with Buildah and mmdebstrap. What takes long to make is made once a session."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support import Once, builds


@pytest.fixture(scope="session", autouse=True)
def is_possible() -> None:
    if not builds.is_here():
        pytest.skip("to build images, buildah and mmdebstrap have to be installed, and this has to be root")


@pytest.fixture(scope="session")
def debian(once: Once) -> Path:
    """A small Debian 12 with apt: a root file system archive."""
    return once("debian.tar", builds.make_debian)
