"""Judge what was measured: a remedy is proved, failed, or void; a hazard happens as written, or not. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from cleanroom.proofs.prediction import EMPTY, LEFT
from cleanroom.recipes.measurements import Held
from cleanroom.recipes.model import Hazard, Remedy, Trial

PROVED, FAILED, VOID = "proved", "failed", "void"
REST = 0.1  # of a cache that may stay where the recipe says that something does
SHRINKS = 0.9  # of what is no longer in the caches, by which the layer must be smaller at least
SAME = 0.98  # of a cache, when it is said to stay: what is in it differs a little from build to build
_NO_COMMAND = (126, 127)  # https://pubs.opengroup.org/onlinepubs/9799919799/utilities/V3_chap02.html (2.8.2)
_MOST_SHOWN = 3


def held_in(caches: Mapping[str, Held], cache: str) -> int:
    """Return all bytes under a cache's paths, also those that are files of something else too."""
    held = caches.get(cache)
    return held.bytes + held.linked if held is not None else 0


def of_remedy(
    remedy: Remedy, without: Mapping[str, Held], left: Mapping[str, int], saved: int, differences: Collection[str]
) -> tuple[str, str]:
    """Return the verdict on a remedy whose build passed, and the reason where it is not proved.

    ``saved`` are the bytes by which the layer is smaller; ``differences`` is what else the image has otherwise.
    """
    before = {cache: held_in(without, cache) for cache in remedy.caches}
    if not any(before.values()):
        return VOID, f"without it there is nothing in {' and '.join(remedy.caches)} either"
    for cache, size in before.items():
        rest = left.get(cache, 0)
        if rest > (size * REST if remedy.leaves else 0):
            return FAILED, f"{rest:,} of {size:,} bytes stay in {cache}"
    if differences:
        return FAILED, f"changes what is no cache: {_some(differences)}"
    freed = sum(max(0, without[cache].bytes - left.get(cache, 0)) for cache in remedy.caches if cache in without)
    if saved < freed * SHRINKS:
        return FAILED, f"the layer is {saved:,} bytes smaller, though {freed:,} are gone from the caches"
    return PROVED, ""


def of_hazard(
    hazard: Hazard, trial: Trial, without: Mapping[str, Held], left: Mapping[str, Held], exit_code: int, said: str
) -> tuple[str, str]:
    """Return the verdict on a hazard whose command ended with ``exit_code`` and printed ``said``."""
    last = next((line.strip() for line in reversed(said.splitlines()) if line.strip()), "")[:200]
    if exit_code in _NO_COMMAND:
        return VOID, f"the command cannot be run: {last or f'it exits {exit_code}'}"
    if hazard.effect == "fails":
        if not exit_code:
            return FAILED, "the command exits 0"
        if exit_code != trial.exit:
            return FAILED, f"the command exits {exit_code}, not {trial.exit}: {last}"
        return PROVED, ""
    if exit_code and hazard.effect != "asks":
        return FAILED, f"the command exits {exit_code}: {last}"
    if hazard.effect == "asks" and (not trial.prompt or trial.prompt not in said):
        return FAILED, f"the command does not ask {trial.prompt!r}"
    return _of_caches(hazard, trial.caches or [cache for cache in without if held_in(without, cache)], without, left)


def _of_caches(
    hazard: Hazard, caches: Collection[str], without: Mapping[str, Held], left: Mapping[str, Held]
) -> tuple[str, str]:
    if not caches:
        return VOID, "there is nothing in the caches without it either"
    for cache in caches:
        before, after = held_in(without, cache), held_in(left, cache)
        if hazard.effect == "refills" and not after:
            return FAILED, f"{cache} is not filled again"
        if hazard.effect != "refills" and (not after or after < before * SAME):
            return FAILED, f"{cache} holds {after:,} bytes after it, {before:,} without it"
    return PROVED, ""


def of_case(
    states: Mapping[str, str], without: Mapping[str, int], held: Mapping[str, int], minor: Collection[str] = ()
) -> tuple[str, str]:
    """Return the verdict on what the engine says of a line (``states`` by cache), beside what the caches hold after it.

    Up to a tenth of what a cache holds ``without`` may stay in one that is said to be empty. Of a ``minor`` cache, the
    engine may say nothing, and it may hold nothing.
    """
    for cache in sorted({*states, *held}):
        state, size = states.get(cache, EMPTY), held.get(cache, 0)
        if state == LEFT and not size and cache not in minor:
            return FAILED, f"cleanroom says that {cache} is filled, and it is empty"
        if state == EMPTY and size > without.get(cache, 0) * REST and not (cache in minor and cache not in states):
            return FAILED, f"cleanroom says that {cache} is empty, and it holds {size:,} bytes"
    return PROVED, ""


def _some(lines: Collection[str]) -> str:
    shown = list(lines)[:_MOST_SHOWN]
    more = f" and {len(lines) - len(shown)} more" if len(lines) > len(shown) else ""
    return "; ".join(shown) + more
