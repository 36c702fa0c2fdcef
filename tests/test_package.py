import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from importlinter.cli import lint_imports

from cleanroom.cli import main
from tests.cli.test_startup import HEAVY
from tests.support import ROOT

RECIPES = {
    path.relative_to(ROOT / "recipes").as_posix(): path.read_bytes()
    for path in (ROOT / "recipes").rglob("*")
    if path.is_file() and path.name != "all.json"  # the build writes it
}


def test_the_sdist_holds_what_belongs_in_it_and_nothing_else(dist: Path) -> None:
    with tarfile.open(next(dist.glob("*.tar.gz"))) as archive:
        names = {name.partition("/")[2]: name for name in archive.getnames()}
        for name, data in RECIPES.items():
            member = archive.extractfile(names[f"recipes/{name}"])
            assert member is not None
            assert member.read() == data
    assert {"tests/test_package.py", "examples/data-science/Dockerfile"} <= names.keys()
    folders = {"benchmarks", "cleanroom", "docs", "examples", "plugins", "recipes", "templates", "tests", "tools"}
    files = {".dockerignore", ".gitignore", ".pre-commit-hooks.yaml", "CHANGELOG.md", "CONTRIBUTING.md", "Dockerfile"}
    files |= {"LICENSE", "PKG-INFO", "README.md", "SECURITY.md", "action.yml"}
    files |= {"hatch_build.py", "mkdocs.yml", "pyproject.toml"}
    assert {name.partition("/")[0] for name in names if name} == folders | files


@pytest.fixture(scope="module")
def installed(dist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Unpack the wheel."""
    folder = tmp_path_factory.mktemp("installed")
    with zipfile.ZipFile(next(dist.glob("*.whl"))) as archive:
        archive.extractall(folder)
    return folder


def run(installed: Path, code: str) -> list[str]:
    """Return the lines that ``code`` prints with the package in the wheel."""
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    command = [sys.executable, "-c", code]
    result = subprocess.run(command, cwd=installed, env=environment, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout.splitlines()


def test_the_wheel_carries_the_recipes_where_they_are_looked_for(dist: Path, installed: Path) -> None:
    with zipfile.ZipFile(next(dist.glob("*.whl"))) as archive:
        names = archive.namelist()
        assert {
            name.removeprefix("cleanroom/recipes/data/"): archive.read(name)
            for name in names
            if name.startswith("cleanroom/recipes/data/") and not name.endswith("/all.json")
        } == RECIPES
        assert "cleanroom/recipes/data/all.json" in names
        assert {"cleanroom/py.typed", "cleanroom/schemas/findings-1.schema.json"} <= set(names)
        assert not [name for name in names if name.startswith(("tests", "benchmarks", "recipes/"))]
    code = "import cleanroom; print(cleanroom.__file__); print(cleanroom.library().find('pip').origin)"
    package, origin = map(Path, run(installed, code))
    assert package.is_relative_to(installed)
    assert origin == installed / "cleanroom/recipes/data/pip.yaml"


def test_the_command_in_the_wheel_starts_without_what_is_slow_to_import(installed: Path) -> None:
    file = installed / "Dockerfile"
    file.write_text("FROM debian:12\nRUN apt-get update && apt-get install -y curl\n")
    code = f"""
import sys
from cleanroom import __main__
assert __main__.main(["check", {str(file)!r}]) == 1
print(sorted(set(sys.modules) & {{*{sorted(HEAVY - {"inspect"})}}}))
"""
    assert run(installed, code)[-1] == "[]"  # msgspec imports inspect, by way of typing_extensions


def test_both_licences_are_named() -> None:
    assert "Apache License" in (ROOT / "LICENSE").read_text()
    assert "CC0" in (ROOT / "recipes/LICENSE").read_text()


def test_imports_only_point_down(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(ROOT)
    assert lint_imports(no_cache=True) == 0, capsys.readouterr().out


def test_the_readme_shows_what_check_prints(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    command = "cleanroom check examples/data-science/Dockerfile\n"
    shown = (ROOT / "README.md").read_text().partition(f"$ {command}")[2].partition("\n```")[0]
    assert main(command.split()[1:]) == 1
    printed = capsys.readouterr()
    blocks = set(shown.split("\n\n")) - {"[…]"}
    assert blocks <= {*printed.out.strip().split("\n\n"), printed.err.strip()}
