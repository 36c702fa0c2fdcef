import subprocess
import sys
from pathlib import Path

import pytest

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


def test_check_of_one_file_imports_nothing_heavy(tmp_path: Path) -> None:
    file = tmp_path / "Dockerfile"
    file.write_text('FROM debian:12\nRUN apt-get update && apt-get install -y curl\nCMD ["curl"]\n')
    modules = set(loaded(PLAIN.format(arguments=["check", str(file)])))
    assert not modules & (HEAVY - YAML)
    assert "cleanroom.cli" not in modules


@pytest.mark.parametrize("command", ["--help", "list", "check --help", "query --help"])
def test_click_imports_nothing_heavy_either(command: str) -> None:
    code = f"from cleanroom.cli import main; main({command.split()})"
    assert not set(loaded(code)) & {"jsonschema", "tree_sitter", "concurrent.futures", "importlib.metadata", "tomllib"}


def test_no_command_is_imported_for_another() -> None:
    modules = loaded("from cleanroom.cli import main; main(['query', 'pip', '--cache', 'cache'])")
    assert {name for name in modules if name.startswith(("cleanroom.cli.", "cleanroom.formats.findings"))} == {
        *("cleanroom.cli.query", "cleanroom.cli.lookup"),
    }
