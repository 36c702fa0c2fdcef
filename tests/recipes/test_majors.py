"""A proof speaks for the major version that it measured; the newest that is not among them is named."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from cleanroom.cli import main
from cleanroom.formats.recipes import table
from cleanroom.recipes import measurements
from cleanroom.recipes.library import Library
from cleanroom.recipes.model import Recipe
from cleanroom.registries import library


def measured_with(*versions: str, newest: str, tmp_path: Path) -> Recipe:
    """Return npm's recipe as if its proofs had been with these versions."""
    recipe = msgspec.structs.replace(library().find("npm"), newest=newest)
    record = measurements.record_of(recipe)
    proofs = tuple(msgspec.structs.replace(record.proofs[0], version=version) for version in versions)
    origin = tmp_path / "npm.yaml"
    text = (
        Path(recipe.origin)
        .read_text("utf-8")
        .replace(f'newest: "{library().find("npm").newest}"', f'newest: "{newest}"')
    )
    origin.write_text(text)
    (tmp_path / "proofs").mkdir()
    record = measurements.Record(manager="npm", proofs=proofs)
    (tmp_path / "proofs" / "npm.json").write_text(measurements.document(record))
    return msgspec.structs.replace(recipe, origin=str(origin))


@pytest.mark.parametrize(
    ("versions", "newest", "majors", "unmeasured"),
    [
        (["10.9.2"], "12", ["10"], "12"),
        (["12.2.2"], "12", ["12"], ""),
        (["10.9.2", "pip 9.0 from x"], "12", ["9", "10"], "12"),
        (["unknown"], "12", [], ""),
        (["10.9.2"], "", ["10"], ""),
    ],
)
def test_majors(versions: list[str], newest: str, majors: list[str], unmeasured: str, tmp_path: Path) -> None:
    recipe = measured_with(*versions, newest=newest, tmp_path=tmp_path)
    assert measurements.majors(recipe) == majors
    assert measurements.unmeasured(recipe) == unmeasured


def test_validate_and_the_table_say_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    recipe = measured_with("10.9.2", newest="12", tmp_path=tmp_path)
    main(["recipes", "validate", recipe.origin])
    assert "note: proofs are with version 10; the newest, 12, is not measured" in capsys.readouterr().err
    assert "ways (with 10), not with 12 |" in table.render(Library([], [recipe]))["managers.md"]
