"""Whether records of proofs agree with themselves and with their recipes, and recipes with the engine. Pure.

Nothing is built: the verdicts follow again from the figures, and what the engine says of each line that was measured
has to be what was seen. What is wrong comes as lines of text for who writes recipes.
"""

from __future__ import annotations

from collections.abc import Iterator

from cleanroom.engine.events import Clean, Event, Remove
from cleanroom.proofs import plan, verdict
from cleanroom.proofs.prediction import LEFT, Prediction, predict, sees
from cleanroom.recipes import measurements
from cleanroom.recipes.facts import applies, home_of, remedy_text
from cleanroom.recipes.library import Library
from cleanroom.recipes.measurements import HazardProof, Measured, Proved, Record, RemedyProof
from cleanroom.recipes.model import Base, Proof, Recipe, Remedy, Use
from cleanroom.syntax.paths import covers

_TYPICAL = 0.1  # by how much of the measured size the typical one may differ
_LATE = 0.1  # of the layer, that a clean-up in a later one may add
_LATE_BYTES = 1_000_000


def problems(recipe: Recipe, record: Record, library: Library) -> Iterator[str]:
    """Yield what in a record, or in the recipe beside it, cannot be as it is written."""
    known = {measurements.proof_id(proof): proof for proof in recipe.proof}
    for item in record.proofs:
        proof = known.get(item.proof)
        if proof is None:
            yield f"{item.proof}: the recipe has no such proof"
            continue
        found = [
            *_figures(recipe, item),
            *_remedies(recipe, proof, item, library),
            *_hazards(recipe, proof, item, library),
        ]
        found += _cases(recipe, proof, item, library)
        if item.judge > 1 and item.seal != measurements.seal(item):
            found.append("its figures are not those that were written: measure it again")
        yield from (f"{item.proof}: {what}" for what in found)
    recorded = {item.proof for item in record.proofs}
    for name, proof in known.items():
        if name not in recorded and not proof.pending:
            yield f"{name}: was never measured; run it with --record, or say in `pending` what it waits for"
        if name in recorded and proof.pending:
            yield f"{name}: waits for nothing any more, since it was measured"
    if record.proofs:
        yield from _unproved(recipe, record, library)
        yield from _typical(recipe, record)


def _figures(recipe: Recipe, item: Proved) -> Iterator[str]:
    """Yield the sizes that cannot be."""
    names = {cache.id for cache in recipe.caches}
    builds: list[tuple[str, Measured]] = [("without a remedy", item.without)]
    builds += [("late", item.late)] if item.late is not None else []
    for what, measured in builds:
        yield from (f"{what}: the recipe has no cache {name!r}" for name in measured.caches if name not in names)
        held = sum(cache.bytes for cache in measured.caches.values())
        if what != "late" and held > measured.layer:
            yield f"{what}: a layer of {measured.layer:,} bytes holds no caches of {held:,}"
    for what, layer, compressed in _layers(item):
        if not 0 < compressed <= layer:
            yield f"{what}: a layer of {layer:,} bytes has no {compressed:,} compressed"
    if item.late is not None:
        more = item.late.layer - item.without.layer
        if not 0 <= more <= item.without.layer * _LATE + _LATE_BYTES:
            yield f"late: a clean-up in a later layer does not add {more:,} bytes"
        if item.late.compressed < item.without.compressed:
            yield "late: is smaller, compressed, than without a remedy"


def _layers(item: Proved) -> Iterator[tuple[str, int, int]]:
    yield "without a remedy", item.without.layer, item.without.compressed
    if item.late is not None:
        yield "late", item.late.layer, item.late.compressed
    for found in item.remedies:
        if found.layer:
            yield found.remedy, found.layer, found.compressed


def _remedies(recipe: Recipe, proof: Proof, item: Proved, library: Library) -> Iterator[str]:
    """Yield what is wrong with the remedies of a proof: which there are, what they are, how they are judged."""
    place = plan.place(recipe, proof, library, item.version)
    try:
        wanted = plan.remedies(recipe, proof, place)
    except plan.PlanError as error:
        yield str(error)
        return
    by_fingerprint = {measurements.of_remedy(recipe, proof, remedy, item.judge): remedy for remedy in wanted}
    seen = [found.fingerprint for found in item.remedies]
    home = home_of(proof.user or place.user or "root", place)
    for mark, remedy in by_fingerprint.items():
        if seen.count(mark) != 1:
            times = "more than once" if seen.count(mark) else "not"
            yield f"{plan.written(remedy)} is {times} among what was measured"
    for found in item.remedies:
        known = by_fingerprint.get(found.fingerprint)
        if known is not None:
            yield from (f"{found.remedy}: {what}" for what in _remedy(found, known, item, remedy_text(known, home)))


def _remedy(found: RemedyProof, remedy: Remedy, item: Proved, text: str) -> Iterator[str]:
    if (found.kind, found.remedy) != (remedy.kind, text):
        yield f"is written {text!r} in the recipe"
    if bool(found.reason) != (found.verdict != verdict.PROVED):
        yield f"is {found.verdict} {'without' if not found.reason else 'for'} a reason"
    if found.verdict == verdict.FAILED and not found.layer:
        return  # its build failed
    if set(found.left) != set(remedy.caches):
        yield "does not say what is left of each of its caches"
    if sum(found.left.values()) > found.layer and not any(held.linked for held in item.without.caches.values()):
        yield f"a layer of {found.layer:,} bytes holds no caches of {sum(found.left.values()):,}"
    saved = item.without.layer - found.layer
    judged, reason = verdict.of_remedy(remedy, item.without.caches, found.left, saved, ())
    may_be = judged == verdict.PROVED and found.verdict == verdict.FAILED  # by what differs, or no longer works
    if judged != found.verdict and not may_be and not (item.judge == 1 and "smaller" in reason):
        yield f"is {judged} by its figures, not {found.verdict}{f': {reason}' if reason else ''}"


def _hazards(recipe: Recipe, proof: Proof, item: Proved, library: Library) -> Iterator[str]:
    place = plan.place(recipe, proof, library, item.version)
    effects = {hazard.id: hazard for hazard in recipe.hazards}
    by_mark = {
        measurements.of_trial(recipe, proof, trial, effects[trial.hazard]): trial
        for trial in proof.trials
        if trial.hazard in effects
    }
    recorded = [found.fingerprint for found in item.hazards]
    for mark, trial in by_mark.items():
        if recorded.count(mark) != 1:
            yield f"the hazard {trial.hazard} is not among what was measured"
        if not sees(effects[trial.hazard], recipe, proof, library, place, trial):
            yield f"the hazard {trial.hazard}: cleanroom does not see it in the command of its trial"
    for found in item.hazards:
        known = by_mark.get(found.fingerprint)
        if known is None:
            continue
        if found.hazard != known.hazard:
            yield f"the hazard {found.hazard} is {known.hazard} in the recipe"
        if bool(found.reason) != (found.verdict != verdict.PROVED):
            yield f"the hazard {found.hazard} is {found.verdict} {'without' if not found.reason else 'for'} a reason"
        if (
            item.judge > 1
            and found.verdict == verdict.PROVED
            and not _ends_as_said(found, effects[known.hazard].effect, known.exit)
        ):
            yield f"the hazard {found.hazard} is not proved by a command that exits {found.exit}"


def _ends_as_said(found: HazardProof, effect: str, code: int) -> bool:
    return effect == "asks" or found.exit == (code if effect == "fails" else 0)


def _cases(recipe: Recipe, proof: Proof, item: Proved, library: Library) -> Iterator[str]:
    """Yield the lines of which the engine now says something else than what was seen."""
    place = plan.place(recipe, proof, library, item.version)
    names = {cache.id for cache in recipe.caches}
    minor = [cache.id for cache in recipe.caches if cache.minor]
    without = {name: verdict.held_in(item.without.caches, name) for name in item.without.caches}
    recorded = {found.run for found in item.cases}
    if item.judge > 1:
        yield from (f"{line} was not measured" for line in (proof.install, *proof.cases) if line not in recorded)
    for found in item.cases:
        yield from (f"{found.run}: the recipe has no cache {name!r}" for name in found.held if name not in names)
        if found.verdict == verdict.VOID:
            continue
        states = predict(recipe, proof, library, place, f"RUN {found.run}").states
        judged, reason = verdict.of_case(states, without, found.held, minor)
        if judged != found.verdict:
            yield f"{found.run} is {judged}, not {found.verdict}{f': {reason}' if reason else ''}"


def _unproved(recipe: Recipe, record: Record, library: Library) -> Iterator[str]:
    """Yield the remedies that hold where something was measured, and were not themselves."""
    proofs = {measurements.proof_id(proof): proof for proof in recipe.proof}
    places = [
        plan.place(recipe, proofs[item.proof], library, item.version) for item in record.proofs if item.proof in proofs
    ]
    for remedy, found, _ in measurements.verdicts(recipe, measurements.current(recipe, record)):
        holds = any(applies(remedy.versions, remedy.bases, place, recipe.id) for place in places)
        if found is None and holds and not remedy.unproved:
            yield f"{plan.written(remedy)} was never measured; prove it, or say in `unproved` why that cannot be"
        elif found is not None and remedy.unproved:
            yield f"{plan.written(remedy)} is said to be unproved, and was measured"


def _typical(recipe: Recipe, record: Record) -> Iterator[str]:
    """Yield the typical sizes that are not what was measured of the same thing."""
    for cache, sized in zip(recipe.caches, measurements.with_sizes(recipe, record).caches, strict=True):
        said, measured = cache.typical, sized.typical
        if said is None or measured is None or said.of != measured.of:
            continue
        if abs(said.bytes - measured.bytes) > measured.bytes * _TYPICAL:
            yield f"the typical size of {cache.id} is not {said.bytes:,} bytes: {measured.bytes:,} were measured"


# -- the recipe and the engine -----------------------------------------------------------------------------------------


def unread(recipe: Recipe, library: Library) -> Iterator[str]:
    """Yield the clean-ups that the engine does not take for what the recipe says, so that no fix could write them."""
    if recipe.shell:
        return
    cleanups = [remedy for remedy in recipe.remedies if remedy.kind == "clean"]
    for remedy in cleanups:
        yield from (f"the remedy {remedy.run}: {what}" for what in _unread(recipe, remedy, cleanups[0], library))


def _unread(recipe: Recipe, remedy: Remedy, first: Remedy, library: Library) -> Iterator[str]:
    for proof, place in _installs(recipe, remedy, library):
        before = predict(recipe, proof, library, place, f"RUN {proof.install}").states
        after = predict(recipe, proof, library, place, f"RUN {proof.install} && {remedy.run}")
        hazards = [hazard for event in after.events if isinstance(event, Clean) for hazard in event.hazards]
        for hazard in hazards:
            if hazard.effect in ("fails", "asks") or (hazard.effect == "nothing" and remedy == first):
                yield f"the hazard {hazard.id} says of it: {hazard.what}"
                return
        if taken := _taken(after):
            yield f"it takes what {proof.install} installs: {', '.join(taken)}"
            return
        for name in remedy.caches:
            if before.get(name) == LEFT == after.states.get(name):
                yield f"cleanroom does not see that it empties {name} after {proof.install}"
                return


def _taken(after: Prediction) -> list[str]:
    """Return the places of what was installed that are removed."""
    removed = [pattern for event in after.events for pattern in _removed(event)]
    return [path for path in after.payload if any(covers(pattern, path) for pattern in removed)]


def _removed(event: Event) -> Iterator[str]:
    """Yield the patterns by which an event removes something."""
    if isinstance(event, Clean):
        for paths in event.paths.values():
            yield from paths
    elif isinstance(event, Remove):
        yield from event.patterns


def _installs(recipe: Recipe, remedy: Remedy, library: Library) -> Iterator[tuple[Proof, Base]]:
    """Yield installs that the remedy is for: those of the proofs, else command lines that fill its caches."""
    shown = False
    for proof in recipe.proof:
        place = library.base(proof.base)
        try:
            if remedy in plan.remedies(recipe, proof, place):
                shown = True
                yield proof, place
        except plan.PlanError:
            continue
    if shown:
        return
    names = [name for name in remedy.bases if not name.startswith("family:") and "*" not in name]
    place = library.base(next(iter(names), recipe.official_image or "debian"))
    if applies(remedy.versions, remedy.bases, place, recipe.id):
        uses = [use for name in remedy.caches for use in recipe.cache(name).filled_by]
        lines = filter(None, (_fill(recipe, use, place) for use in uses))
        yield from ((Proof(base=place.images[0], install=line, works="true"), place) for line in dict.fromkeys(lines))


def _fill(recipe: Recipe, use: Use, place: Base) -> str:
    """Return a command line of this use, as far as the recipe tells how to write one."""
    if use.code or use.with_settings or applies(use.versions, use.bases, place, recipe.id) is not True:
        return ""
    program = (use.programs or recipe.programs[0].names)[0]
    if any(character in program for character in "*?["):
        return ""
    verb = use.verbs[0] if use.verbs[0] != "*" else ""
    words = [program, verb, *use.with_all_options, *use.with_options[:1], "" if use.operands == "none" else "x"]
    return " ".join(word for word in words if word)
