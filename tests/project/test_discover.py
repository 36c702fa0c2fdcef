import os
import subprocess
from pathlib import Path

import pytest

from cleanroom.project.discover import ReadError, Trouble, discover, is_dockerfile, read
from cleanroom.project.gitignore import Patterns

nothing = Patterns([]).match


def make(root: Path, *files: str) -> None:
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_text("FROM scratch\n")


@pytest.mark.parametrize(
    "name",
    [
        *("Dockerfile", "dockerfile", "Containerfile", "web.Dockerfile", "web.dockerfile", "Dockerfile.dev"),
        *("Containerfile.dev", "web.containerfile", "web.Containerfile", "Dockerfile.alpine3.20"),
    ],
)
def test_names_that_hold_build_steps(name: str) -> None:
    assert is_dockerfile(name)


@pytest.mark.parametrize(
    "name", ["dockerfile.py", "Dockerfile.dockerignore", ".dockerignore", "Dockerfiles", "MyDockerfile", "README.md"]
)
def test_names_that_do_not(name: str) -> None:
    assert not is_dockerfile(name)


def test_folders_are_walked_in_order_and_version_control_is_not(tmp_path: Path) -> None:
    make(tmp_path, "b/Dockerfile", "a/Dockerfile.dev", "a/Dockerfile", "Dockerfile", ".git/Dockerfile", "a/notes.txt")
    files, troubles = discover(str(tmp_path), nothing)
    assert [str(Path(file).relative_to(tmp_path)) for file in files] == [
        *("Dockerfile", "a/Dockerfile", "a/Dockerfile.dev", "b/Dockerfile"),
    ]
    assert troubles == []


def test_the_current_folder_adds_nothing_to_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, "Dockerfile", "a/Dockerfile")
    monkeypatch.chdir(tmp_path)
    assert discover(".", nothing)[0] == ["Dockerfile", "a/Dockerfile"]


def test_files_are_taken_as_they_are_given(tmp_path: Path) -> None:
    make(tmp_path, "steps.txt")
    file = str(tmp_path / "steps.txt")
    assert discover(file, Patterns(["*"], str(tmp_path)).match) == ([file], [])


def test_link_loops_end_and_dead_links_are_named_when_read(tmp_path: Path) -> None:
    make(tmp_path, "a/Dockerfile")
    (tmp_path / "a/loop").symlink_to(tmp_path)
    (tmp_path / "a/Dockerfile.dead").symlink_to("nowhere")
    os.mkfifo(tmp_path / "a/Dockerfile.pipe")
    files, _ = discover(str(tmp_path), nothing)
    assert [Path(file).name for file in files] == ["Dockerfile", "Dockerfile.dead"]
    with pytest.raises(ReadError, match="no such file"):
        read(files[1])


def test_excluded_folders_are_not_entered(tmp_path: Path) -> None:
    make(tmp_path, "Dockerfile", "vendor/x/Dockerfile", "test/Dockerfile.bad")
    patterns = Patterns(["vendor/", "*.bad"], str(tmp_path))
    files, _ = discover(str(tmp_path), patterns.match)
    assert files == [str(tmp_path / "Dockerfile")]


def test_a_folder_without_dockerfiles_is_trouble(tmp_path: Path) -> None:
    assert discover(str(tmp_path), nothing) == ([], [Trouble(str(tmp_path), "no Dockerfile in this folder")])


def test_a_folder_that_cannot_be_listed_is_trouble(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, "Dockerfile", "secret/Dockerfile")
    scandir = os.scandir

    def refuse(path: str) -> object:
        if str(path).endswith("secret"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    files, troubles = discover(str(tmp_path), nothing)
    assert files == [str(tmp_path / "Dockerfile")]
    assert troubles == [Trouble(str(tmp_path / "secret"), "permission denied")]


def test_reading(tmp_path: Path) -> None:
    file = tmp_path / "Dockerfile"
    file.write_bytes("\ufeffFROM é\r\n".encode())
    assert read(str(file)) == "FROM é\r\n"
    file.write_bytes(b"FROM x\nRUN \xff\n")
    with pytest.raises(ReadError, match=r"not UTF-8 text \(line 2\)"):
        read(str(file))
    with pytest.raises(ReadError, match="no such file or folder"):
        read(str(tmp_path / "missing"))


PATTERNS = [
    *("a", "/a", "a/", "*.x", "!b.x", "a/b", "a/**", "**/b", "a/**/c", "**", "*", "?", "[ab]", "[!a]", "[^a]", "[]a]"),
    *("\\!b.x", "#a", "\\#a", "a\\ ", "b.x  ", "[z-a]", "a*c", "a/*/c", "[a-c].x", "[[]", "/", "", "a//b", "[a"),
]
PATHS = [
    "a",
    "b",
    "c",
    "b.x",
    "!b.x",
    "#a",
    "a ",
    "]",
    "[",
    "abc",
    "d/a",
    "g/a/c",
    "e/a/b/c",
    "d/b.x",
    "a.b/c/b",
    "f/f.x",
]


@pytest.mark.parametrize("lines", [[pattern] for pattern in PATTERNS] + [["*", "!b.x"], ["*.x", "!/b.x", "d"]])
def test_patterns_mean_what_they_mean_to_git(lines: list[str], tmp_path: Path) -> None:
    make(tmp_path, *PATHS)
    (tmp_path / ".gitignore").write_text("\n".join(lines) + "\n")
    subprocess.run(["git", "init", "-q"], cwd=tmp_path, check=True)
    listing = subprocess.run(
        ["git", "-c", "core.excludesFile=/dev/null", "ls-files", "-z", "--others", "--exclude-standard"],
        cwd=tmp_path,
        check=True,
        capture_output=True,
        text=True,
    )
    kept = {path for path in listing.stdout.split("\0") if path in PATHS}
    patterns = Patterns(lines, str(tmp_path))

    def is_kept(path: Path) -> bool:
        folders = [parent for parent in path.parents if parent.is_relative_to(tmp_path) and parent != tmp_path]
        return not any(patterns.match(str(folder), True) for folder in folders) and not patterns.match(str(path), False)

    assert {path for path in PATHS if is_kept(tmp_path / path)} == kept


def test_patterns_say_nothing_about_paths_outside(tmp_path: Path) -> None:
    assert not Patterns(["*"], str(tmp_path / "in")).match(str(tmp_path / "out"), False)
