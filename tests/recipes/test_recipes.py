"""The recipes that ship: each is valid and in canonical form, and they agree with each other."""

from pathlib import Path

import pytest

from cleanroom import library
from cleanroom.recipes import load
from cleanroom.recipes.format import canonical
from cleanroom.recipes.model import Recipe
from cleanroom.recipes.validate import validate_bases, validate_recipe, validate_set
from cleanroom.registries import EXPORTS
from tests.support import ROOT, assert_same_text

BASES = load.RECIPES / "bases.yaml"
FILES = sorted(set(load.RECIPES.glob("*.yaml")) - {BASES})


def read(path: Path) -> Recipe:
    return load.parse_recipe(path.read_bytes(), path.name)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_recipe_is_valid(path: Path) -> None:
    assert "\n".join(map(str, validate_recipe(path.read_bytes(), path.name))) == ""


@pytest.mark.parametrize("path", [*FILES, *([BASES] if BASES.exists() else [])], ids=lambda path: path.stem)
def test_file_is_canonical(path: Path) -> None:
    text = path.read_text("utf-8")
    assert_same_text(text, canonical(path.read_bytes(), path.name), f"run: cleanroom recipes fmt recipes/{path.name}")


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_file_is_named_for_its_recipe(path: Path) -> None:
    assert read(path).id == path.stem


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_references_hold(path: Path) -> None:
    recipe = read(path)
    named = [name for remedy in recipe.remedies for name in remedy.caches]
    named += [name for hazard in recipe.hazards for name in hazard.when_prevented]
    named += [name for cleanup in recipe.cleanups for name in cleanup.empties]
    payload = {item.id for item in recipe.payload}
    named += [name for prevention in recipe.preventions for name in prevention.caches if name not in payload]
    for name in named:
        assert recipe.cache(name)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_every_cache_worth_reporting_has_a_remedy(path: Path) -> None:
    recipe = read(path)
    remedied = {name for remedy in recipe.remedies for name in remedy.caches}
    assert {cache.id for cache in recipe.caches if not cache.minor} <= remedied


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_each_kind_of_remedy_is_there_or_said_to_be_missing(path: Path) -> None:
    recipe = read(path)
    assert {remedy.kind for remedy in recipe.remedies} ^ recipe.without.keys() == {"clean", "prevent", "mount"}


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_each_hazard_has_a_source_or_was_measured(path: Path) -> None:
    assert [hazard.id for hazard in read(path).hazards if not (hazard.source or hazard.measured)] == []


def test_the_table_of_managers_is_current() -> None:
    """As ``cleanroom export table -o docs/generated`` writes it."""
    for name, page in (("table", "managers.md"), ("proofs", "proved.md")):
        written = (ROOT / "docs" / "generated" / page).read_text("utf-8")
        hint = f"run: cleanroom export {name} -o docs/generated"
        assert_same_text(written, EXPORTS[name].render(library())[page], hint)


def test_recipes_agree() -> None:
    assert "\n".join(map(str, validate_set([read(path) for path in FILES]))) == ""


@pytest.mark.skipif(not BASES.exists(), reason="there is no bases.yaml")
def test_bases() -> None:
    assert "\n".join(map(str, validate_bases(BASES.read_bytes(), BASES.name))) == ""
    known = {path.stem for path in FILES}
    for base in load.parse_bases(BASES.read_bytes(), BASES.name):
        assert base.versions.keys() <= known, base.images
        for recipe_id, lean in base.lean.items():
            assert set(lean) <= {item.id for item in library().find(recipe_id).lean}, base.images


def test_documentation_shows_a_valid_recipe() -> None:
    page = (load.RECIPES.parent / "docs" / "extend" / "recipes.md").read_text("utf-8")
    text = page.partition("```yaml\n")[2].partition("```")[0]
    assert "\n".join(map(str, validate_recipe(text, "brewer.yaml"))) == ""
    assert canonical(text, "brewer.yaml") == text
