"""What was measured, in one table in Markdown, ``proved.md``: manager, remedy, bytes before and after, what is left."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from cleanroom.formats.values import cell, code
from cleanroom.recipes import measurements
from cleanroom.recipes.library import Library
from cleanroom.recipes.measurements import CaseProof, Measured, Proved
from cleanroom.recipes.model import Recipe

_HEAD = """\
# What was measured

Written by `cleanroom export proofs -o docs/generated` from what `cleanroom prove --record` measured
([Proofs](../use/proofs.md)). All sizes are in bytes.

- *caches*: the caches that the remedy is about, in the image without it; *left*: what stays of them with it.
- *layer*: what the install adds to the image without and with the remedy, as tar archives; *compressed*: the same, as
  it is pulled.
- *late*: the first clean-up, in a RUN of its own.
- *judge 2* compares both images file by file, and requires that the layer shrinks by what is gone from the caches;
  *judge 1* only required that no file outside the caches is missing.
"""
_COLUMNS = (
    "remedy",
    "verdict",
    "caches",
    "left",
    "layer without",
    "layer with",
    "compressed without",
    "compressed with",
)


def render(library: Library) -> Mapping[str, str]:
    """Return the one page by its path."""
    return {"proved.md": "\n".join(_page(library))}


def _page(library: Library) -> Iterator[str]:
    yield _HEAD
    missing = []
    count = 0
    body: list[str] = []
    for recipe in library.recipes():
        record = measurements.current(recipe)
        if not record.proofs:
            missing.append(recipe)
        else:
            count += 1
        for item in record.proofs:
            body += _proof(recipe, item)
    yield f"Measured: {count} of {len(library.recipes())} managers.\n"
    yield from body
    yield "## Not yet\n"
    yield "Proofs that wait for something:\n"
    for recipe in library.recipes():
        for proof in recipe.proof:
            if proof.pending:
                yield f"- {recipe.id} on {proof.base}: {cell(proof.pending)}"
    others = [recipe.id for recipe in missing if not recipe.proof]
    yield f"\nNo proof is written yet: {', '.join(others) or 'none'}."
    yield ""


def _proof(recipe: Recipe, item: Proved) -> Iterator[str]:
    proof = next(proof for proof in recipe.proof if measurements.proof_id(proof) == item.proof)
    name = f" ({item.proof})" if proof.id else ""
    yield f"## {recipe.name}{name}\n"
    version = f"{cell(item.version)}, " if item.version else ""
    install = code(proof.install).replace("\\|", "|")  # no cell
    yield f"{install} on {item.base}: {version}{item.engine}, {item.date}, judge {item.judge}.\n"
    yield f"| {' | '.join(_COLUMNS)} |"
    yield "|---|---|" + "---:|" * (len(_COLUMNS) - 2)
    without = item.without
    if item.late is not None:
        held = sum(cache.bytes + cache.linked for cache in without.caches.values())
        yield _row("late", "", held, held, without, item.late)
    for found in item.remedies:
        verdict = found.verdict if not found.reason else f"{found.verdict}: {cell(found.reason)}"
        measured = Measured(layer=found.layer, compressed=found.compressed)
        yield _row(
            code(found.remedy), verdict, measurements.before(found, item), sum(found.left.values()), without, measured
        )
    yield ""
    if proof.may_differ:
        differs = (f"{code(item.path)} ({item.why})" for item in proof.may_differ)
        yield f"May differ: {'; '.join(differs)}.\n"
    if item.cases:
        yield "Left in the caches, as the engine says too:\n"
        yield from (f"- {_case(found)}" for found in item.cases)
        yield ""
    if item.hazards:
        hazards = (f"{hazard.hazard} ({hazard.verdict})" for hazard in item.hazards)
        yield f"Hazards: {', '.join(hazards)}.\n"


def _case(found: CaseProof) -> str:
    held = ", ".join(f"{size:,} in {cache}" for cache, size in found.held.items()) or "nothing"
    told = held if found.verdict == "proved" else f"**{found.verdict}**: {found.reason}"
    return f"{code(found.run)}: {told}".replace("\\|", "|")  # no cell


def _row(name: str, verdict: str, held: int, left: int, without: Measured, measured: Measured) -> str:
    sizes = (held, left, without.layer, measured.layer, without.compressed, measured.compressed)
    return f"| {name} | {verdict} | {' | '.join(f'{size:,}' for size in sizes)} |"
