"""Which lines show that the engine reads a recipe's clean-ups and preventions as the manager means them. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from cleanroom.engine.events import Clean, Fill
from cleanroom.lint.fixes.place import DeclinedError
from cleanroom.proofs import plan
from cleanroom.proofs.prediction import predict
from cleanroom.recipes.library import Library
from cleanroom.recipes.model import Base, Cleanup, Prevention, Proof, Recipe, Remedy

_ANY_VALUE = "1"  # of a variable or setting that prevents whatever it is


def lines(recipe: Recipe, proof: Proof, library: Library, place: Base) -> Iterator[str]:
    """Yield the lines that the proof names, and those that follow from the recipe and tell something here."""
    yield from proof.cases
    if not proof.remedies:  # a proof that names some shows only those
        seen = {*proof.cases, proof.install}
        for line, event in _derived(recipe, proof, library):
            events = predict(recipe, proof, library, place, f"RUN {line}").events
            if line not in seen and any(_is_shown(item, event) for item in events):
                seen.add(line)
                yield line


def _derived(recipe: Recipe, proof: Proof, library: Library) -> Iterator[tuple[str, type[Clean | Fill]]]:
    """Yield lines with each clean-up and prevention of a recipe, and the kind of event that tells that it holds."""
    for cleanup in recipe.cleanups:
        yield from ((f"{proof.install} && {command}", Clean) for command in _commands(recipe, cleanup))
    for prevention in recipe.preventions:
        yield from ((line, Fill) for line in _prevented(recipe, proof, prevention, library))


def _is_shown(event: object, kind: type[Clean | Fill]) -> bool:
    if isinstance(event, Clean):
        return kind is Clean and not event.hazards
    return kind is Fill and isinstance(event, Fill) and bool(event.prevented)


def _commands(recipe: Recipe, cleanup: Cleanup) -> Iterator[str]:
    use = cleanup.use
    options = [*use.with_all_options, *use.with_options[:1]]
    for program in use.programs or recipe.programs[0].names[:1]:
        for verb in use.verbs:
            yield " ".join(word for word in (program, verb, *options) if word)


def _prevented(recipe: Recipe, proof: Proof, prevention: Prevention, library: Library) -> Iterator[str]:
    values = prevention.values or (_ANY_VALUE,)
    if prevention.variable:
        yield from (f"export {prevention.variable}={shlex.quote(value)} && {proof.install}" for value in values)
    elif prevention.setting:
        program = recipe.programs[0].names[0]
        yield from (f"{program} {prevention.setting} {shlex.quote(value)} && {proof.install}" for value in values)
    elif prevention.option:
        verbs = prevention.use.verbs if prevention.use else ()
        remedy = Remedy(kind="prevent", caches=prevention.caches, option=prevention.option, verbs=verbs)
        try:
            yield plan.with_option(recipe, proof, remedy, library)
        except DeclinedError:
            return
