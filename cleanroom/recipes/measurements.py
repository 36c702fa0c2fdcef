"""What was measured of a recipe in real builds (``recipes/proofs/<id>.json``), and whether it still says the same.

A recorded figure counts as long as what it was measured of stays as it was: the paths of the caches, the proof and, for
each remedy and hazard, what it says. Their fingerprints are recorded along with the figures.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from types import MappingProxyType

from msgspec import Struct, field
from msgspec.structs import replace

from cleanroom.recipes.model import Hazard, Proof, Recipe, Remedy, Trial, Typical

SCHEMA = "cleanroom/proof/1"
JUDGE = 2  # the present rules of what is proved; 1 compared names of files only, and asked for no exit codes
NONE: Mapping[str, int] = MappingProxyType({})


class Held(Struct, frozen=True, kw_only=True):
    """What a cache holds in a layer."""

    bytes: int = 0  # that the image would not have without it
    linked: int = 0  # bytes under its paths that are files of something else too
    files: int = 0


class Measured(Struct, frozen=True, kw_only=True):
    """One build: without a remedy, or with it in a later layer."""

    layer: int = 0  # bytes of what the install adds to the image, as archives
    compressed: int = 0  # the same as they are pulled
    caches: Mapping[str, Held] = field(default_factory=lambda: MappingProxyType({}))


class RemedyProof(Struct, frozen=True, kw_only=True):
    """What a remedy did. ``verdict``: ``proved``, ``failed``, or ``void`` where the caches held nothing without it."""

    kind: str
    remedy: str  # as a person writes it
    verdict: str
    reason: str = ""  # why it is not proved
    layer: int = 0
    compressed: int = 0
    left: Mapping[str, int] = field(default_factory=lambda: NONE)  # bytes by cache
    fingerprint: str


class HazardProof(Struct, frozen=True, kw_only=True):
    """Whether a hazard happens as written. ``verdict``: ``proved``, ``failed``, or ``void`` where nothing was seen."""

    hazard: str
    verdict: str
    reason: str = ""
    exit: int = 0  # the exit code of its command
    fingerprint: str


class CaseProof(Struct, frozen=True, kw_only=True):
    """What a line leaves in the caches. ``verdict``: ``proved`` where it is as the engine says, else ``failed``."""

    run: str
    verdict: str
    reason: str = ""
    held: Mapping[str, int] = field(default_factory=lambda: NONE)  # bytes by cache


class Proved(Struct, frozen=True, kw_only=True):
    """One proof, run on one base."""

    proof: str  # its id
    judge: int = 1  # the rules by which it was judged
    fingerprint: str
    date: str
    base: str
    digest: str  # of the base that was there
    engine: str
    platform: str
    version: str = ""  # of the manager, as it says itself
    without: Measured
    late: Measured | None = None  # cleaned up in a later layer
    remedies: tuple[RemedyProof, ...] = ()
    hazards: tuple[HazardProof, ...] = ()
    cases: tuple[CaseProof, ...] = ()
    seal: str = ""  # of all the rest, against slips of the pen; the first judge had none


class Record(Struct, frozen=True, kw_only=True):
    """All that was measured of one recipe."""

    manager: str
    proofs: tuple[Proved, ...] = ()


# -- fingerprints ------------------------------------------------------------------------------------------------------


def fingerprint(*parts: object) -> str:
    """Return twelve digits that are others when what ``parts`` say is."""
    from hashlib import sha256

    from cleanroom.recipes.plain import plain

    return sha256(repr([plain(part) for part in parts]).encode()).hexdigest()[:12]


def proof_id(proof: Proof) -> str:
    """Return the name of a proof."""
    return proof.id or proof.base


def of_proof(recipe: Recipe, proof: Proof) -> str:
    """Return the fingerprint of a proof, and of the caches that it measures."""
    where = tuple((cache.id, cache.paths) for cache in recipe.caches)
    said = replace(proof, id="", of="", sample=False, pending="", remedies=(), cases=(), trials=())
    return fingerprint(where, said)


def of_remedy(recipe: Recipe, proof: Proof, remedy: Remedy, judge: int = JUDGE) -> str:
    """Return the fingerprint of a remedy under a proof; the first judge did not ask where the remedy holds."""
    said = replace(remedy, note="", unproved="", leaves="yes" if remedy.leaves else "")
    if judge == 1:
        said = replace(said, versions="", bases=(), root_only=False)
    return fingerprint(of_proof(recipe, proof), said)


def of_trial(recipe: Recipe, proof: Proof, trial: Trial, hazard: Hazard) -> str:
    """Return the fingerprint of a hazard under a proof."""
    return fingerprint(of_proof(recipe, proof), replace(trial, exit=0, prompt=""), hazard.effect)


def seal(item: Proved) -> str:
    """Return the fingerprint of all that a proof has measured."""
    return fingerprint(replace(item, seal=""))


def sealed(record: Record) -> Record:
    """Return the record with a seal on each proof that has none; those of the first judge never have one."""
    proofs = [item if item.seal or item.judge == 1 else replace(item, seal=seal(item)) for item in record.proofs]
    return replace(record, proofs=tuple(proofs))


# -- the record and the recipe -----------------------------------------------------------------------------------------


def path_of(recipe: Recipe) -> str:
    """Return where the record of a recipe is, or would be: ``proofs/<id>.json`` beside it; ``""`` without a file."""
    return os.path.join(os.path.dirname(recipe.origin), "proofs", f"{recipe.id}.json") if recipe.origin else ""


def record_of(recipe: Recipe) -> Record:
    """Return what was measured of a recipe, all of it, also what is out of date. Raises ValueError for a bad file."""
    try:
        with open(path_of(recipe), encoding="utf-8") as file:
            text = file.read()
    except OSError:
        return Record(manager=recipe.id)
    return parse(text)


def current(recipe: Recipe, record: Record | None = None) -> Record:
    """Return what was measured and still holds: the recipe says the same as it did then."""
    record = record_of(recipe) if record is None else record
    proofs = {proof_id(proof): proof for proof in recipe.proof}
    hazards = {hazard.id: hazard for hazard in recipe.hazards}
    kept = []
    for item in record.proofs:
        proof = proofs.get(item.proof)
        if proof is None or item.fingerprint != of_proof(recipe, proof):
            continue
        remedies = {of_remedy(recipe, proof, remedy, item.judge) for remedy in recipe.remedies}
        trials = {
            of_trial(recipe, proof, trial, hazards[trial.hazard]) for trial in proof.trials if trial.hazard in hazards
        }
        kept.append(
            replace(
                item,
                remedies=tuple(found for found in item.remedies if found.fingerprint in remedies),
                hazards=tuple(found for found in item.hazards if found.fingerprint in trials),
            )
        )
    return Record(manager=record.manager, proofs=tuple(kept))


def verdicts(recipe: Recipe, record: Record) -> Iterator[tuple[Remedy, RemedyProof | None, Proved | None]]:
    """Yield each remedy with the measurement that says most about it: one that failed, one that proves it, a void one.

    ``record`` is what is ``current``.
    """
    proofs = {proof_id(proof): proof for proof in recipe.proof}
    for remedy in recipe.remedies:
        found = [
            (measured, item)
            for item in record.proofs
            for measured in item.remedies
            if measured.fingerprint == of_remedy(recipe, proofs[item.proof], remedy, item.judge)
        ]
        found.sort(key=lambda pair: ("failed", "proved", "void").index(pair[0].verdict))
        yield (remedy, *found[0]) if found else (remedy, None, None)


def by_remedy(recipe: Recipe) -> list[tuple[RemedyProof, Proved] | None]:
    """Return for each remedy of a recipe, in their order, what was measured of it and still holds."""
    found = []
    for _, measured, item in verdicts(recipe, current(recipe)):
        found.append(None if measured is None or item is None else (measured, item))
    return found


def majors(recipe: Recipe) -> list[str]:
    """Return the major versions of the manager that what was measured of it speaks for."""
    import re

    found = (re.search(r"\d+", item.version) for item in current(recipe).proofs)
    return sorted({match[0] for match in found if match}, key=int)


def unmeasured(recipe: Recipe) -> str:
    """Return the newest major version where something was measured, but nothing with it; else nothing."""
    measured = majors(recipe)
    return recipe.newest if measured and recipe.newest and recipe.newest not in measured else ""


def before(measured: RemedyProof, item: Proved) -> int:
    """Return the bytes that the caches of a remedy hold without it."""
    caches = item.without.caches
    return sum(caches[name].bytes + caches[name].linked for name in measured.left if name in caches)


def stale(recipe: Recipe, record: Record) -> Iterator[str]:
    """Yield what was measured of the recipe and is said otherwise by now, in words."""
    now = current(recipe, record)
    for item in record.proofs:
        kept = next((proved for proved in now.proofs if proved.proof == item.proof), None)
        if kept is None:
            yield f"the proof on {item.proof}"
            continue
        yield from (f"{found.remedy} on {item.proof}" for found in item.remedies if found not in kept.remedies)
        yield from (f"the hazard {found.hazard} on {item.proof}" for found in item.hazards if found not in kept.hazards)


def with_sizes(recipe: Recipe, record: Record) -> Recipe:
    """Return the recipe with the measured sizes as the typical ones, where what was installed is no sample.

    Of several proofs, the first in the recipe counts.
    """
    measured = {item.proof: item for item in current(recipe, record).proofs}
    sizes: dict[str, Typical] = {}
    for proof in recipe.proof:
        item = measured.get(proof_id(proof))
        if proof.sample or item is None:
            continue
        for name, held in item.without.caches.items():
            if held.bytes and name not in sizes:
                sizes[name] = Typical(bytes=held.bytes, of=proof.of or f"{proof.install} on {proof.base}")
    if not sizes:
        return recipe
    caches = []
    for cache in recipe.caches:
        size = sizes.get(cache.id)
        if size is not None and cache.typical is not None:
            size = replace(size, bases=cache.typical.bases)
        caches.append(cache if size is None else replace(cache, typical=size))
    return replace(recipe, caches=tuple(caches))


# -- JSON --------------------------------------------------------------------------------------------------------------


def parse(text: str) -> Record:
    """Return the record that the JSON ``text`` is. Raises ValueError."""
    import json

    try:
        data = json.loads(text)
        if data["schema"] != SCHEMA:
            raise ValueError(f"the schema is not {SCHEMA}")
        return Record(
            manager=data["manager"],
            proofs=tuple(
                Proved(
                    **{
                        **item,
                        "without": _measured(item["without"]),
                        "late": _measured(item["late"]) if "late" in item else None,
                        "remedies": tuple(RemedyProof(**found) for found in item.get("remedies", ())),
                        "hazards": tuple(HazardProof(**found) for found in item.get("hazards", ())),
                        "cases": tuple(CaseProof(**found) for found in item.get("cases", ())),
                    }
                )
                for item in data["proofs"]
            ),
        )
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError(f"no record of proofs: {type(error).__name__}: {error}") from None


def _measured(data: Mapping[str, object]) -> Measured:
    values: dict[str, object] = {**data}
    caches = values.pop("caches", {})
    assert isinstance(caches, dict)
    held = MappingProxyType({name: Held(**item) for name, item in caches.items()})
    return Measured(caches=held, **values)  # type: ignore[arg-type]


def document(record: Record) -> str:
    """Return the record as JSON: sorted, a line each value, so that a change is easy to review."""
    import json

    from cleanroom.recipes.plain import plain

    proofs = sorted(sealed(record).proofs, key=lambda item: item.proof)
    data = plain(replace(record, proofs=tuple(proofs)))
    assert isinstance(data, dict)
    return json.dumps({"schema": SCHEMA, "proofs": [], **data}, indent=1, sort_keys=True, ensure_ascii=False) + "\n"
