"""What a person is told of a command under the cursor: what it leaves where, and how that is kept out here."""

from __future__ import annotations

from collections.abc import Iterator

from cleanroom.engine.events import Clean, Fill, Used
from cleanroom.engine.ledger import Ledger, Outcome, Status
from cleanroom.formats.findings.text import where_to_write
from cleanroom.formats.values import size
from cleanroom.lint.rules import advice, writable
from cleanroom.recipes.model import Recipe
from cleanroom.syntax.text import Span

_STATES = {
    "left": "stays in this layer",
    "clean": "removed in this layer",
    "prevented": "not written",
    "mounted": "in a mount, not in the layer",
    "unknown": "it is not known whether it stays",
    "used": "read whenever a container starts",
    "there": "in an earlier layer already",
}


def hover(ledger: Ledger, offset: int) -> tuple[str, Span] | None:
    """Return Markdown about the manager's command at ``offset``, and where that stands; None where there is none."""
    events = [
        event
        for stage in ledger.stages
        for layer in stage.layers
        for event in layer.events
        if isinstance(event, (Fill, Clean, Used)) and event.span.start <= offset < event.span.end
    ]
    if not events:
        return None
    event = min(events, key=lambda event: event.span.end - event.span.start)
    outcomes = [
        outcome
        for outcome in ledger.outcomes
        if outcome.fill.recipe is event.recipe and outcome.fill.span == event.span
    ]
    return "\n".join(_page(ledger, event.recipe, outcomes)), event.span


def _page(ledger: Ledger, recipe: Recipe, outcomes: list[Outcome]) -> Iterator[str]:
    yield f"**[{recipe.name}]({recipe.homepage})**: {recipe.summary}"
    if outcomes:
        yield ""
        yield "This command fills"
        yield ""
    for outcome in outcomes:
        cache = outcome.fill.cache
        places = ", ".join(f"`{path}`" for path in outcome.fill.paths if "\x00" not in path)
        typical = f", about {size(cache.typical.bytes)} after {cache.typical.of}" if cache.typical else ""
        yield f"- **{cache.id}**: {cache.what}{f' in {places}' if places else ''}{typical}; {_state(outcome)}"
    written = dict.fromkeys(text for outcome in outcomes for text in _ways(ledger, outcome))
    if written:
        yield ""
        yield "Kept out of the image by one of"
        yield ""
        yield from (f"- {text}" for text in written)
    hazards = [hazard for hazard in recipe.hazards if hazard.use is None or hazard.instead]
    if hazards:
        yield ""
        yield "Beware"
        yield ""
        for hazard in hazards[:4]:
            source = f" ([source]({hazard.source}))" if hazard.source else ""
            yield f"- {hazard.what}{source}"
    yield ""
    yield f"`cleanroom show {recipe.id}` has the rest."


def _state(outcome: Outcome) -> str:
    state = _STATES.get(outcome.state.value, outcome.state.value)
    if outcome.state == Status.PREVENTED and outcome.fill.prevented:
        return f"{state}: `{outcome.fill.prevented}`"
    return state


def _ways(ledger: Ledger, outcome: Outcome) -> Iterator[str]:
    if outcome.state in (Status.LEFT, Status.UNKNOWN):
        for item in writable(advice(outcome.fill, outcome.layer), ledger.dockerfile):
            yield f"{where_to_write(item, '')}: `{item.text}`"
