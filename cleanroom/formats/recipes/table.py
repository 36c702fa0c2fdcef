"""All managers in one table in Markdown, ``managers.md``: each cell says something, also where there is nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from cleanroom.formats.recipes.pages import ways
from cleanroom.formats.values import cell, code, size
from cleanroom.recipes import measurements
from cleanroom.recipes.library import Library
from cleanroom.recipes.model import Recipe

_HEAD = """\
# What is known, by manager

Written by `cleanroom export table -o docs/generated`; `cleanroom show MANAGER` has the whole recipe, with its sources.

- *leaves*: the caches, with what was measured after one install or reported of it; *small* ones are not reported alone.
- *clean*, *prevent*, *mount*: every way, best first, as written on the manager's official image for its default user;
  or why there is none. Where several stand for different versions or images, `show` says which is for what.
- *goes wrong*: the hazards, by name.
- *can leave out*: what it installs that nothing at run time needs, for the rule `not-lean`, with what that saved once;
  without a size where none was measured or published. *nothing known*: all it installs is what was asked for.
- *other linters*: those with a rule for it; *none* of the fourteen that were looked at has one otherwise.
- *proof*: how many of the ways were measured with the real manager in a real build, and with which major versions where
  the newest is known; [figures](proved.md).
"""
_COLUMNS = ("manager", "leaves", "clean", "prevent", "mount", "goes wrong", "can leave out", "other linters", "proof")


def render(library: Library) -> Mapping[str, str]:
    """Return the one page by its path."""
    return {"managers.md": "\n".join(_page(library))}


def _page(library: Library) -> Iterator[str]:
    yield _HEAD
    yield f"| {' | '.join(_COLUMNS)} |"
    yield "|---" * len(_COLUMNS) + "|"
    for recipe in library.recipes():
        yield f"| {' | '.join(_row(recipe, library))} |"
    yield ""


def _row(recipe: Recipe, library: Library) -> Iterator[str]:
    yield f"[{cell(recipe.id)}]({recipe.homepage})"
    yield ", ".join(
        cache.id + (f" {size(cache.typical.bytes)}" if cache.typical else "") + (" (small)" if cache.minor else "")
        for cache in recipe.caches
    )
    found = list(ways(recipe, library))
    for kind in ("clean", "prevent", "mount"):
        texts = dict.fromkeys(way.text for way in found if way.kind == kind)
        yield "<br>".join(map(code, texts)) or f"no: {cell(recipe.without.get(kind, 'none is known'))}"
    yield ", ".join(hazard.id for hazard in recipe.hazards) or "nothing known"
    yield (
        ", ".join(lean.id + (f" {size(lean.typical.bytes)}" if lean.typical else "") for lean in recipe.lean)
        or "nothing known"
    )
    yield ", ".join(recipe.peers) or "none"
    measured = [item for item in measurements.by_remedy(recipe) if item is not None and item[0].verdict == "proved"]
    planned = ", ".join(dict.fromkeys(proof.base for proof in recipe.proof))
    missing = f"not yet measured; planned on {planned}" if planned else "no: how to measure it is not written yet"
    with_which = f" (with {', '.join(measurements.majors(recipe))})" if recipe.newest else ""
    not_with = f", not with {newest}" if (newest := measurements.unmeasured(recipe)) else ""
    yield f"{len(measured)} of {len(recipe.remedies)} ways{with_which}{not_with}" if measured else cell(missing)
