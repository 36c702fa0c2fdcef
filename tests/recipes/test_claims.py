"""What a recipe claims is the same whether its lines tell it or the YAML parser."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cleanroom.recipes.claims import claims_in, claims_of
from cleanroom.recipes.load import RECIPES, parse_recipe
from cleanroom.recipes.model import RecipeError
from cleanroom.recipes.sources import Given

FILES = sorted(set(RECIPES.glob("*.yaml")) - {RECIPES / "bases.yaml"})
TEXTS = [file.read_text("utf-8") for file in FILES]
MISLEADING = [
    "aliases: [zap]",
    "replaces: apt",
    "programs:",
    "  - names: [zap]",
    "    modules:",
    "      - zap",
    "    files: [~/.zap]",
    'summary: "a',
    'b"',
    "summary: |",
    "  id: other",
    "id: 'x''y'",
    "---",
    "# id: zap",
    "aliases: [a,",
    "  b]",
    "aliases: [a b, 'c, d']",
    "id: &anchor zap",
    "id: *anchor",
    "",
    "\ttab",
    "  - names: zap # why",
]


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_lines_tell_what_a_recipe_goes_by(file: Path) -> None:
    text = file.read_text("utf-8")
    assert claims_in(text) == claims_of(parse_recipe(text, str(file)))


@settings(max_examples=5 * settings().max_examples)
@given(st.data())
def test_other_text_is_left_to_the_parser_or_read_alike(data: st.DataObject) -> None:
    lines = data.draw(st.sampled_from(TEXTS)).splitlines()
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, len(lines)))
        line = data.draw(st.sampled_from([*MISLEADING, *lines]))
        lines[place : place + data.draw(st.integers(0, 1))] = [line]
    text = "\n".join(lines)
    claims = claims_in(text)
    try:
        recipe = parse_recipe(text, "x.yaml")
    except RecipeError:
        return  # it is refused when it is wanted
    assert claims in (None, claims_of(recipe))


@pytest.mark.parametrize("text", ["", "# nothing yet\n", "\n\n"])
def test_a_file_that_says_nothing_is_the_parsers_to_refuse(text: str, tmp_path: Path) -> None:
    assert claims_in(text) is None
    file = tmp_path / "zap.yaml"
    file.write_text(text)
    (trouble,) = Given(tmp_path).troubles
    assert str(trouble) == f"{file}:1:1: the file says nothing"
