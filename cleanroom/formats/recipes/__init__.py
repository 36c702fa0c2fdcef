"""Exports: what cleanroom knows, in the form that other tools run or people read. One file a format."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping

from msgspec import Struct

from cleanroom.formats import when_used
from cleanroom.recipes.library import Library


class Export(Struct, frozen=True):
    """A form of the library. ``render`` returns texts by their relative paths."""

    name: str  # as after `cleanroom export`
    summary: str
    render: Callable[[Library], Mapping[str, str]]


_SUMMARIES = {
    "json": "all recipes as data, in one document, and a small one a manager",
    "semgrep": "rules for Semgrep's Dockerfile language",
    "rego": "a policy for conftest and for Trivy's custom checks, with its data",
    "checkov": "custom checks for Checkov's Dockerfile framework",
    "markdown": "a page a manager, with an index",
    "table": "one table of all managers: what each leaves, every way to keep it out, what goes wrong",
    "proofs": "one table of what was measured: bytes before and after each remedy",
    "html": "the same as a site that works from a folder, with a search box",
}


def built_in() -> Iterator[Export]:
    """Yield what ships, in the order in which it is listed."""
    for name, summary in _SUMMARIES.items():
        yield Export(name, summary, when_used(f"{__name__}.{name}"))
