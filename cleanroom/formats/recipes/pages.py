"""What a page about a manager says, before it is Markdown or HTML."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from cleanroom.formats.values import size
from cleanroom.recipes import measurements
from cleanroom.recipes.facts import home_of, remedy_text
from cleanroom.recipes.library import Library
from cleanroom.recipes.measurements import Proved, RemedyProof
from cleanroom.recipes.model import Recipe
from cleanroom.recipes.query import answers, ranked

KINDS = {
    "clean": "Clean up, in the same RUN",
    "prevent": "Keep it from being written",
    "mount": "Mount a cache, which stays out of the layer",
}


class Way(Struct, frozen=True):
    """One remedy: what to write, for which caches, and what to know."""

    kind: str
    text: str
    caches: tuple[str, ...]
    notes: tuple[str, ...]
    proof: str = ""  # what was measured of it, in words; empty: nothing


def by_name(library: Library) -> list[Recipe]:
    """Return the recipes in the order of their names, as a reader looks them up."""
    return sorted(library.recipes(), key=lambda recipe: recipe.name.lower().lstrip("."))


def ways(recipe: Recipe, library: Library) -> Iterator[Way]:
    """Yield the remedies of a recipe as they are written on its official image, of each kind the answer first."""
    base = library.base(recipe.official_image)
    home = home_of(base.user or "root", base)
    measured = dict(zip(map(id, recipe.remedies), measurements.by_remedy(recipe), strict=True))
    said = answers(recipe, library)
    for kind in KINDS:
        answer = said.get(kind)
        for remedy in ranked(recipe, answer, kind):
            notes = []
            if remedy.option and remedy.verbs:
                notes.append(f"on {', '.join(remedy.verbs)}")
            if remedy.versions:
                notes.append(f"version {remedy.versions}")
            if remedy.bases:
                notes.append(f"on {', '.join(remedy.bases)}")
            if remedy.root_only:
                notes.append("as root")
            if remedy.before:
                notes.append(f"after: {remedy.before}")
            notes += [f"with ENV {name}={value}" for name, value in remedy.environment.items()]
            if remedy.leaves:
                notes.append(f"leaves {remedy.leaves}")
            if remedy.note:
                notes.append(remedy.note)
            found = measured[id(remedy)]
            proof = "" if found is None else in_words(*found)
            text = answer.text if answer is not None and remedy is answer.remedy else remedy_text(remedy, home)
            yield Way(kind, text, remedy.caches, tuple(notes), proof)


def in_words(measured: RemedyProof, item: Proved) -> str:
    """Return what was measured of a remedy, in a sentence."""
    where = f"on {item.base}, {item.version}, {item.date}" if item.version else f"on {item.base}, {item.date}"
    if measured.verdict == "proved":
        left = sum(measured.left.values())
        held = size(measurements.before(measured, item))
        return f"measured: {held} without it, {size(left) if left else 'none'} with it ({where})"
    return f"not proved: {measured.reason} ({where})"


def executables(recipe: Recipe) -> list[str]:
    """Return the names a manager runs as."""
    names = [name for program in recipe.programs for name in program.names]
    return names + [
        f"python {module}" if module.endswith(".py") else f"python -m {module}"
        for program in recipe.programs
        for module in program.modules
    ]
