"""What of a recipe is measured, and what is not, by the records. Pure: nothing is built."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from msgspec import Struct

from cleanroom.engine.events import Clean, Event, Fill
from cleanroom.proofs import plan, verdict
from cleanroom.proofs.prediction import predict
from cleanroom.recipes import measurements
from cleanroom.recipes.library import Library
from cleanroom.recipes.measurements import Record
from cleanroom.recipes.model import Prevention, Recipe, Use

KINDS = ("remedies", "hazards", "fills", "clean-ups", "preventions", "payload", "kept")


class Fact(Struct, frozen=True):
    """Something that a recipe says, and whether a proof that still holds shows it."""

    kind: str  # one of KINDS
    text: str
    is_shown: bool


class _Line(Struct, frozen=True):
    """A command line that was measured, and what the engine says that it does, as was seen."""

    text: str
    events: Sequence[Event]
    payload: Sequence[str]


def facts(recipe: Recipe, library: Library) -> Iterator[Fact]:
    """Yield all that a recipe says and a proof can show."""
    record = measurements.current(recipe)
    lines = list(_lines(recipe, record, library))
    for remedy, found, _ in measurements.verdicts(recipe, record):
        yield Fact("remedies", plan.written(remedy), found is not None and found.verdict == verdict.PROVED)
    hazards = {item.hazard for proof in record.proofs for item in proof.hazards if item.verdict == verdict.PROVED}
    yield from (Fact("hazards", hazard.id, hazard.id in hazards) for hazard in recipe.hazards)
    yield from _fills(recipe, lines)
    yield from _cleanups(recipe, lines)
    for prevention in recipe.preventions:
        yield from _preventions(prevention, lines)
    has_payload = any(line.payload for line in lines)
    yield from (Fact("payload", item.id, has_payload) for item in recipe.payload)
    yield from (Fact("kept", keep.path, False) for keep in recipe.keep)  # that it stayed, but not what is lost with it


def counts(found: Iterable[Fact]) -> Mapping[str, tuple[int, int]]:
    """Return for each kind how many facts are shown, and how many there are."""
    known = list(found)
    return {
        kind: (sum(fact.is_shown for fact in known if fact.kind == kind), sum(fact.kind == kind for fact in known))
        for kind in KINDS
    }


def _lines(recipe: Recipe, record: Record, library: Library) -> Iterator[_Line]:
    """Yield the lines that were measured, the first judge's installs among them, and those with remedies."""
    proofs = {measurements.proof_id(proof): proof for proof in recipe.proof}
    for item in record.proofs:
        proof = proofs[item.proof]
        place = plan.place(recipe, proof, library, item.version)
        texts = [case.run for case in item.cases if case.verdict == verdict.PROVED]
        texts += [] if item.cases else [proof.install]
        for found in item.remedies:
            if found.verdict != verdict.PROVED:
                continue
            if found.kind == "clean":
                texts.append(f"{proof.install} && {found.remedy}")
            elif found.remedy.startswith("ENV "):
                texts.append(f"export {found.remedy.removeprefix('ENV ')} && {proof.install}")
            elif found.kind == "prevent":
                texts.append(f"{proof.install} {found.remedy}")
        for text in texts:
            predicted = predict(recipe, proof, library, place, f"RUN {text}")
            yield _Line(text, predicted.events, predicted.payload)


def _says(line: _Line, words: str) -> bool:
    """Return True if all words stand in a line."""
    return set(words.split()) <= set(line.text.replace("=", " ").replace('"', " ").split())


def _fills(recipe: Recipe, lines: Sequence[_Line]) -> Iterator[Fact]:
    for cache in recipe.caches:
        for verb in dict.fromkeys(verb for use in cache.filled_by for verb in use.verbs):
            first = verb.split()[:1]
            shown = any(
                isinstance(event, Fill)
                and event.cache.id == cache.id
                and not event.prevented
                and (verb == "*" or event.verb.split()[:1] == first)
                and _says(line, "" if verb == "*" else verb)
                for line in lines
                for event in line.events
            )
            yield Fact("fills", f"{verb or recipe.programs[0].names[0]} fills {cache.id}", shown)


def _cleanups(recipe: Recipe, lines: Sequence[_Line]) -> Iterator[Fact]:
    for cleanup in recipe.cleanups:
        for verb in cleanup.use.verbs:
            words = " ".join((verb, *cleanup.use.with_all_options))
            shown = any(
                isinstance(event, Clean) and set(cleanup.empties) <= set(event.paths) and _says(line, words)
                for line in lines
                for event in line.events
            )
            yield Fact("clean-ups", f"{_name(cleanup.use, verb)} empties {', '.join(cleanup.empties)}", shown)


def _name(use: Use, verb: str) -> str:
    return " ".join(word for word in (verb, *use.with_all_options, *use.with_options[:1]) if word)


def _preventions(prevention: Prevention, lines: Sequence[_Line]) -> Iterator[Fact]:
    if prevention.files:
        yield Fact("preventions", f"a line in {prevention.files[0]}", False)
        return
    name = prevention.option or prevention.variable or prevention.setting
    for value in prevention.values or ("",):
        words = f"{name} {value}".strip()
        yield Fact("preventions", words, any(_says(line, words) for line in lines))
