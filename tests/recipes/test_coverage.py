"""Each recipe that ships has the cases that a recipe needs; what one lacks is named.

``cases/recipes/ID.yaml`` are its cases. Their names begin with what they are about: unclean; cleaned, prevented,
mounted; trap; near miss. A case for another user has a USER or sudo; one for a cache that lies elsewhere
says moved in its name.
"""

from __future__ import annotations

import pytest

from cleanroom.recipes.model import Recipe
from cleanroom.registries import library
from tests.support import CASE_FILES, parse_yaml

CASES = CASE_FILES / "recipes"
WORDS = {"clean": "cleaned", "prevent": "prevented", "mount": "mounted"}
LEAST = 6
# What a recipe has no case of, and why.
EXCUSED = {
    ("ansible-galaxy", "unclean"): "all it leaves is small",
    ("corepack", "unclean"): "all it leaves is small",
    ("corepack", "cleaned"): "all it leaves is small",
    ("huggingface", "unclean"): "all it leaves is small",
    ("sdkmanager", "unclean"): "all it leaves is small",
    ("rustup", "unclean"): "all it leaves is small",
    ("rustup", "cleaned"): "all it leaves is small",
    ("rustup", "mounted"): "all it leaves is small",
    ("docker-php-source", "another user"): "only root can write to /usr/src",
}


def lacks(recipe: Recipe) -> list[str]:
    """Return what a recipe has no case of."""
    file = CASES / f"{recipe.id}.yaml"
    cases = parse_yaml(file.read_text("utf-8")) if file.exists() else []
    names = [case["name"] for case in cases]
    wanted = {f"{LEAST} cases": len(cases) >= LEAST}
    if recipe.shell:  # the engine does not read it: that nothing is said is all there is to try
        return [name for name, is_there in wanted.items() if not is_there] if not cases else []
    wanted["unclean"] = not recipe.caches or any(
        found.startswith(f"left-behind[{recipe.id}.") for case in cases for found in case["expect"]
    )
    for kind in {remedy.kind for remedy in recipe.remedies}:
        wanted[WORDS[kind]] = any(name.startswith(WORDS[kind]) or f", {WORDS[kind]}" in name for name in names)
    wanted["trap"] = any("trap" in name for name in names)
    wanted["near miss"] = any(name.startswith("near miss") for name in names)
    wanted["another user"] = any("\nUSER " in case["dockerfile"] or "sudo " in case["dockerfile"] for case in cases)
    paths = [path.path for cache in recipe.caches for path in cache.paths]
    if any("$" in path or "<" in path for path in paths):
        wanted["moved"] = any("moved" in name or "elsewhere" in name or "another root" in name for name in names)
    return [name for name, is_there in wanted.items() if not is_there and (recipe.id, name) not in EXCUSED]


@pytest.mark.parametrize("recipe", library().recipes(), ids=lambda recipe: recipe.id)
def test_a_recipe_has_its_cases(recipe: Recipe) -> None:
    missing = lacks(recipe)
    assert not missing, f"tests/cases/recipes/{recipe.id}.yaml has no case of: {', '.join(missing)}"


def test_cases_are_of_recipes() -> None:
    strays = {file.stem for file in CASES.glob("*.yaml")} - {recipe.id for recipe in library().recipes()}
    assert not strays, f"tests/cases/recipes has cases of no recipe: {', '.join(sorted(strays))}"


def test_excuses_are_needed() -> None:
    known = {recipe.id: recipe for recipe in library().recipes()}
    excuses = dict(EXCUSED)
    for (name, what), why in excuses.items():
        del EXCUSED[name, what]
        assert what in lacks(known[name]), f"{name} has a case of {what}"
        EXCUSED[name, what] = why
