"""Patterns as git reads them, in time that does not explode."""

import random
import subprocess
import time
from pathlib import Path

import pytest

from cleanroom.project.discover import discover
from cleanroom.project.gitignore import Patterns
from tests.project.test_discover import make, nothing


def test_as_git_does(tmp_path: Path) -> None:
    chance = random.Random(7)
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    atoms = ["a", "b", "*", "**", "?", "/", "[ab]", "[!a]", "[a-c]", "\\*", "ab", "!", "]", "x", " ", "#", "\\ "]
    names = ["a", "b", "ab", "c", "x", "aa", "*", "a b", "ba"]
    for _ in range(60):
        patterns = ["".join(chance.choices(atoms, k=chance.randint(1, 6))) for _ in range(chance.randint(1, 3))]
        (tmp_path / ".gitignore").write_text("\n".join(patterns) + "\n")
        paths = ["/".join(chance.choices(names, k=chance.randint(1, 4))) for _ in range(30)]
        command = ["git", "-C", str(tmp_path), "check-ignore", "--no-index", "--stdin", "-z", "-v", "-n"]
        said = subprocess.run(command, input="\0".join(paths), capture_output=True, text=True, check=False).stdout
        fields = said.split("\0")
        ours = Patterns(patterns, str(tmp_path))
        for start in range(0, len(fields) - 1, 4):
            source, _, pattern, path = fields[start : start + 4]
            expected = bool(source) and not pattern.startswith("!")
            assert ours.match_below(str(tmp_path / path)) == expected, (patterns, path)


@pytest.mark.parametrize(
    ("pattern", "path"),
    [("*a" * 60 + "b", "a" * 250), ("**/" * 300 + "x", "a/" * 120 + "y"), ("[!b]*" * 60, "b" * 250)],
)
def test_hostile_patterns_take_no_time(pattern: str, path: str) -> None:
    start = time.process_time()
    assert not Patterns([pattern]).match(path, False)
    assert time.process_time() - start < 1


def test_gitignore_files_are_heeded(tmp_path: Path) -> None:
    make(
        tmp_path,
        "Dockerfile",
        "build/Dockerfile",
        "a/Dockerfile",
        "a/b/Dockerfile.gen",
        "a/b/Dockerfile.kept",
        "c/Dockerfile",
    )
    (tmp_path / ".git/info").mkdir(parents=True)
    (tmp_path / ".git/info/exclude").write_text("c/\n")
    (tmp_path / ".gitignore").write_text("build/\n*.gen\n*.kept\n")
    (tmp_path / "a/b/.gitignore").write_text("!*.kept\n")
    root = str(tmp_path)
    files, _ = discover(root, nothing, root)
    assert [str(Path(file).relative_to(tmp_path)) for file in files] == [
        "Dockerfile",
        "a/Dockerfile",
        "a/b/Dockerfile.kept",
    ]
    below, _ = discover(str(tmp_path / "a"), nothing, root)
    assert [Path(file).name for file in below] == ["Dockerfile", "Dockerfile.kept"]
    assert len(discover(root, nothing)[0]) == 6
