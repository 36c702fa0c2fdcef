from __future__ import annotations

import tarfile
from pathlib import Path

import pytest
from hypothesis import settings

from tests.support import SHARED

pytest_plugins = ["tests.support.required"]

# The machine may be busy: no deadline. CI tries more: --hypothesis-profile=long.
settings.register_profile("short", deadline=None, max_examples=25)
settings.register_profile("long", deadline=None, max_examples=100)
settings.load_profile("short")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--whole-corpus", action="store_true", help="take every file of the corpus, not every tenth")


@pytest.fixture(scope="session")
def shared() -> Path:
    """Where the material lies that development and CI have beside the project."""
    if not SHARED.is_dir():
        pytest.skip(f"needs {SHARED}, which is not part of the project")
    return SHARED


@pytest.fixture(scope="session")
def corpus(shared: Path, pytestconfig: pytest.Config) -> list[tuple[str, str]]:
    """The name and the text of every tenth real Dockerfile, or of every one with ``--whole-corpus``."""
    step = 1 if pytestconfig.getoption("whole_corpus") else 10
    with tarfile.open(shared / "corpus" / "dockerfiles.tar.xz") as archive:
        members = sorted((member for member in archive if member.isfile()), key=lambda member: member.name)[::step]
        return [(member.name, _text(archive, member)) for member in members]


def _text(archive: tarfile.TarFile, member: tarfile.TarInfo) -> str:
    file = archive.extractfile(member)
    assert file is not None
    return file.read().decode("utf-8", "replace")
