"""Proofs for people: what each build showed, line by line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from cleanroom.formats.values import size
from cleanroom.proofs.coverage import Fact, counts
from cleanroom.proofs.fills import Landed
from cleanroom.recipes.measurements import Held, Proved


def lines(manager: str, found: Proved) -> Iterator[str]:
    """Yield what a proof shows."""
    yield f"{manager} on {found.base}: {found.version} ({found.engine}, {found.platform})"
    held = ", ".join(f"{_held(item)} in {cache}" for cache, item in found.without.caches.items())
    yield f"  {'without':8} {held or 'nothing in its caches'}; {_layer(found.without.layer, found.without.compressed)}"
    if found.late is not None:
        more = found.late.layer - found.without.layer
        yield f"  {'late':8} cleaned in a later layer: {more:+,} bytes"
    for item in found.remedies:
        what = item.reason
        if item.verdict == "proved":
            left = sum(item.left.values())
            what = (
                f"{size(left)} left; {_layer(item.layer, item.compressed)}"
                if left
                else _layer(item.layer, item.compressed)
            )
        yield f"  {item.verdict:8} {item.remedy}: {what}"
    for hazard in found.hazards:
        reason = f": {hazard.reason}" if hazard.reason else ""
        yield f"  {hazard.verdict:8} hazard {hazard.hazard}{reason}"
    for case in found.cases:
        yield f"  {case.verdict:8} {case.run}: {case.reason or _caches(case.held)}"


def _held(held: Held) -> str:
    linked = f" (and {size(held.linked)} linked)" if held.linked else ""
    return f"{size(held.bytes)}{linked}"


def _layer(unpacked: int, compressed: int) -> str:
    pulled = f", {size(compressed)} compressed" if compressed != unpacked else ""
    return f"layer {size(unpacked)}{pulled}"


def _caches(held: Mapping[str, int]) -> str:
    return ", ".join(f"{size(count)} in {cache}" for cache, count in held.items()) or "nothing in the caches"


def landed(found: Landed) -> Iterator[str]:
    """Yield where the files of a line landed."""
    yield f"  {found.line}"
    for name, count in found.held.items():
        doubt = ", which cleanroom does not expect" if name in found.unexpected else ""
        yield f"    {size(count)} in the cache {name}{doubt}"
    for path, count in found.elsewhere.items():
        yield f"    {size(count)} in {path}{' (may be a cache)' if path in found.suspects else ''}"


def coverage(manager: str, found: Iterable[Fact]) -> Iterator[str]:
    """Yield how much of a recipe is measured, and what is not."""
    known = list(found)
    parts = [f"{shown} of {total} {kind}" for kind, (shown, total) in counts(known).items() if total]
    yield f"{manager}: {', '.join(parts) or 'nothing to measure'}"
    yield from (f"  not measured: {fact.kind} {fact.text}" for fact in known if not fact.is_shown)
