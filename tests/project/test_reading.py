"""One way to open: a regular file, inside the folder that was named, of a bounded size."""

import os
from pathlib import Path

import pytest

from cleanroom.project import reading
from cleanroom.project.reading import ReadError, read, root_of


def test_a_link_out_is_refused_before_anything_is_read(tmp_path: Path) -> None:
    repository = tmp_path / "repository"
    (repository / ".git").mkdir(parents=True)
    (tmp_path / "secret").write_text("password\n")
    (repository / "Dockerfile").symlink_to("../secret")
    (repository / "inner").symlink_to("..")
    root = root_of(str(repository / "Dockerfile"))
    for path in ("Dockerfile", "inner/secret"):
        with pytest.raises(ReadError, match=r"outside of .*repository; --trust reads it"):
            read(str(repository / path), root)
    assert read(str(repository / "Dockerfile")) == "password\n"


def test_a_link_within_the_repository_is_read(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "common").write_text("FROM a\n")
    (tmp_path / "a/b/Dockerfile").symlink_to("../../common")
    path = str(tmp_path / "a/b/Dockerfile")
    assert read(path, root_of(path)) == "FROM a\n"


def test_what_is_no_regular_file_does_not_hang(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "Dockerfile")
    with pytest.raises(ReadError, match="not a regular file"):
        read(str(tmp_path / "Dockerfile"), str(tmp_path))
    with pytest.raises(ReadError, match="is a directory"):
        read(str(tmp_path), str(tmp_path))


def test_what_is_too_large_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "Dockerfile").open("wb") as file:
        file.truncate(reading.LARGEST + 1)
    with pytest.raises(ReadError, match="larger than 16 MiB; --trust reads it"):
        read(str(tmp_path / "Dockerfile"), str(tmp_path))


def test_roots(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "a/b"
    folder.mkdir(parents=True)
    assert root_of(str(folder / "Dockerfile")) == str(folder)
    monkeypatch.chdir(tmp_path)
    assert root_of("a/b/Dockerfile") == root_of(str(folder)) == str(tmp_path)
    (tmp_path / "a/.git").write_text("gitdir: elsewhere\n")  # a worktree
    assert root_of("a/b/Dockerfile") == str(tmp_path / "a")
