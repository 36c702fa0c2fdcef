import subprocess
import sys
from pathlib import Path

import pytest

from cleanroom.cli import scaffold

# Each takes a millisecond at least, all together more than a check.
HEAVY = {
    *("click", "concurrent.futures", "dataclasses", "difflib", "email", "importlib.metadata", "importlib.resources"),
    *("inspect", "json", "jsonschema", "pathlib", "pluggy", "shutil", "tempfile", "tomllib", "traceback", "yaml"),
}
YAML = {"yaml", "dataclasses", "difflib", "inspect", "json", "pathlib"}  # a checkout reads recipes from YAML
PLAIN = "import sys; from cleanroom import __main__; assert __main__.main({arguments!r}) in (0, 1)"


def loaded(code: str) -> list[str]:
    """Return the modules that are loaded when ``code`` has run."""
    script = f"{code}\nimport sys; print('\\n', *sys.modules)"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return result.stdout.splitlines()[-1].split()


def test_importing_the_package_imports_nothing() -> None:
    assert [name for name in loaded("import cleanroom") if name.startswith("cleanroom")] == ["cleanroom"]


def test_query_imports_nothing_heavy() -> None:
    modules = set(loaded(PLAIN.format(arguments=["query", "pip"])))
    assert not modules & (HEAVY - YAML)
    assert not [
        name for name in modules if name.startswith(("cleanroom.cli", "cleanroom.formats.findings", "tree_sitter"))
    ]


def test_check_of_one_file_imports_nothing_heavy(tmp_path: Path) -> None:
    file = tmp_path / "Dockerfile"
    file.write_text('FROM debian:12\nRUN apt-get update && apt-get install -y curl\nCMD ["curl"]\n')
    modules = set(loaded(PLAIN.format(arguments=["check", str(file)])))
    assert not modules & (HEAVY - YAML)
    assert "cleanroom.cli" not in modules


def test_a_plugin_as_we_write_it_imports_nothing_heavy_either(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for path, text in scaffold.plugin("zap").items():
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    info = tmp_path / "cleanroom_zap-0.1.0.dist-info"
    info.mkdir()
    (info / "entry_points.txt").write_text("[cleanroom]\nzap = cleanroom_zap\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    modules = set(loaded(PLAIN.format(arguments=["query", "pip"])))
    assert "cleanroom_zap" in modules
    assert not modules & (HEAVY - YAML)


@pytest.mark.parametrize("command", ["--help", "list", "check --help", "query --help"])
def test_click_imports_nothing_heavy_either(command: str) -> None:
    code = f"from cleanroom.cli import main; main({command.split()})"
    assert not set(loaded(code)) & {"jsonschema", "tree_sitter", "concurrent.futures", "importlib.metadata", "tomllib"}


def test_no_command_is_imported_for_another() -> None:
    modules = loaded("from cleanroom.cli import main; main(['query', 'pip', '--cache', 'cache'])")
    assert {name for name in modules if name.startswith(("cleanroom.cli.", "cleanroom.formats.findings"))} == {
        *("cleanroom.cli.query", "cleanroom.cli.lookup"),
    }
