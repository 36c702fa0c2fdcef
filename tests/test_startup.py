import subprocess
import sys

import pytest

HEAVY = ("jsonschema", "tree_sitter", "tree_sitter_bash", "concurrent.futures", "importlib.metadata", "tomllib")


def loaded(code: str) -> list[str]:
    """Return the modules that are loaded when ``code`` has run."""
    script = f"{code}\nimport sys; print('\\n', *sys.modules)"
    result = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return result.stdout.splitlines()[-1].split()


def test_importing_the_package_imports_nothing() -> None:
    assert [name for name in loaded("import cleanroom") if name.startswith("cleanroom")] == ["cleanroom"]


@pytest.mark.parametrize(
    "code", ["import cleanroom.cli", "from cleanroom.cli import main; main(['query', 'pip'])"], ids=["cli", "query"]
)
def test_nothing_heavy_is_imported_before_it_is_needed(code: str) -> None:
    assert not set(HEAVY) & set(loaded(code))


def test_no_command_is_imported_for_another() -> None:
    modules = loaded("from cleanroom.cli import main; main(['query', 'pip'])")
    assert {name for name in modules if name.startswith(("cleanroom.cli.", "cleanroom.feeds"))} == {
        *("cleanroom.cli.query", "cleanroom.cli.lookup"),
    }
