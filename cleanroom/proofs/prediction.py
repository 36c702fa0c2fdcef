"""What the engine says that a build leaves in the caches, to hold beside what it left. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

from msgspec import Struct

from cleanroom.engine.build import build
from cleanroom.engine.events import Clean, Event, Fill, Installed, Remove
from cleanroom.recipes.library import Library
from cleanroom.recipes.model import Base, Hazard, Proof, Recipe, Trial
from cleanroom.syntax import dockerfile

LEFT, UNKNOWN, EMPTY = "left", "unknown", "empty"


class Prediction(Struct, frozen=True, kw_only=True):
    """What becomes of each cache that the build fills or empties, what the build does, and where payload lies."""

    states: Mapping[str, str]  # by cache: left, empty, or unknown
    events: tuple[Event, ...]  # its fills and clean-ups, and what is removed
    payload: tuple[str, ...]


class _Placed:
    """A library that knows more of one base image: the version of the manager that was found there."""

    def __init__(self, library: Library, name: str, base: Base) -> None:
        self._library, self._name, self._base = library, name, base

    def __getattr__(self, name: str) -> object:
        return getattr(self._library, name)

    def base(self, image: str) -> Base:
        """Return what is known of an image."""
        return self._base if image == self._name else self._library.base(image)


def predict(recipe: Recipe, proof: Proof, library: Library, place: Base, instructions: str) -> Prediction:
    """Return what the engine says of ``instructions`` (ENV, RUN), which follow what the proof sets up on ``place``."""
    lines = [f"FROM {proof.base}", *(f"ENV {name}={value}" for name, value in proof.environment.items())]
    lines += [f"RUN {line}" for line in proof.setup]
    if proof.user:
        lines.append(f"USER {proof.user}")
    text = "\n".join([*lines, instructions])
    placed = cast("Library", _Placed(library, proof.base, place))
    ledger = build(dockerfile.parse(text), placed)
    layer = ledger.stages[0].layers[-1]
    states: dict[str, str] = {}
    for outcome in ledger.outcomes_in(layer):
        if outcome.fill.recipe.id == recipe.id:
            states[outcome.fill.cache.id] = _worse(states.get(outcome.fill.cache.id, EMPTY), outcome.state.value)
    events = tuple(
        event
        for event in layer.events
        if isinstance(event, Remove) or (isinstance(event, Clean | Fill) and event.recipe.id == recipe.id)
    )
    payload = [path for event in layer.events if isinstance(event, Installed) for path in event.paths]
    return Prediction(states=states, events=events, payload=tuple(payload))


def sees(hazard: Hazard, recipe: Recipe, proof: Proof, library: Library, place: Base, trial: Trial) -> bool:
    """Return True if the engine finds the hazard in a trial's command, where the recipe says how commands have it."""
    if hazard.use is None:
        return True
    line = f"{trial.install or proof.install}{f' && ( {trial.run} )' if trial.run else ''}"
    events = predict(recipe, proof, library, place, f"RUN {line}").events
    return any(isinstance(event, Clean) and hazard in event.hazards for event in events)


def removed_by(line: str, library: Library) -> tuple[str, ...]:
    """Return the paths that a line of shell removes."""
    if not line:
        return ()
    (stage,) = build(dockerfile.parse(f"FROM scratch\nRUN {line}\n"), library).stages
    events = [event for layer in stage.layers for event in layer.events]
    return tuple(path for event in events if isinstance(event, Remove) for path in event.patterns)


def _worse(one: str, state: str) -> str:
    """Return what is to be expected of a cache that two commands fill."""
    if LEFT in (one, state) or state in ("used", "there"):
        return LEFT
    return UNKNOWN if UNKNOWN in (one, state) else EMPTY
