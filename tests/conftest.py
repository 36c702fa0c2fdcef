from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings

from tests.support import ROOT, SHARED, Once

pytest_plugins = ["tests.support.required"]

# The machine may be busy: no deadline. CI tries more: --hypothesis-profile=long.
settings.register_profile("short", deadline=None, max_examples=25)
settings.register_profile("long", deadline=None, max_examples=100)
settings.load_profile("short")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--whole-corpus", action="store_true", help="take every file of the corpus, not every tenth")


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
def dist(once: Once) -> Path:
    """A folder with the sdist, and the wheel that is built from it."""
    return once("dist", _build)


def _build(folder: Path) -> None:
    """Build from a copy of the checkout in which someone made environments with names of their own."""
    checkout = folder.with_name("checkout")
    shutil.copytree(ROOT, checkout, symlinks=True, ignore=_is_kept_by_tools)
    for name in (".venv2", "environment"):
        (checkout / name / "bin").mkdir(parents=True)
        (checkout / name / "bin/python").symlink_to(sys.executable)
        (checkout / name / "module.py").touch()
    command = [sys.executable, "-m", "build", "--no-isolation", "--outdir", str(folder), str(checkout)]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    assert done.returncode == 0, done.stdout


def _is_kept_by_tools(_folder: str, names: list[str]) -> set[str]:
    files = {".dockerignore", ".gitignore", ".pre-commit-hooks.yaml"}
    return {name for name in names if name.startswith(".") and name not in files} | {"__pycache__", "node_modules"}


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
