"""Findings in the formats that people, tools and code hosts read. One file a format."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from msgspec import Struct

from cleanroom.formats import when_used


class Format(Struct, frozen=True):
    """A format for findings. ``render`` takes an ``Iterable[Checked]`` and yields the document in pieces.

    With ``wants_rules`` it is also given ``rules``: a ``Mapping[str, Rule]`` of all that there are, by name.
    """

    name: str  # as after --format
    summary: str
    render: Callable[..., Iterator[str]]
    wants_rules: bool = False


_SUMMARIES = {
    "concise": "a line a finding",
    "json": "all there is, by the schema cleanroom/findings/1",
    "sarif": "SARIF 2.1.0, for code scanning and editors, with fixes",
    "github": "workflow commands, which GitHub shows at the lines of a pull request",
    "gitlab": "GitLab's Code Quality report",
    "checkstyle": "Checkstyle's XML",
    "junit": "JUnit's XML: a test a finding",
    "rdjson": "reviewdog's format, with suggestions",
    "hadolint": "hadolint's JSON, with its codes where it has a rule for the same",
    "markdown": "a comment for a pull request",
}


def built_in() -> Iterator[Format]:
    """Yield what ships, in the order in which it is listed."""
    for name, summary in _SUMMARIES.items():
        yield Format(name, summary, when_used(f"{__name__}.{name}"), wants_rules=name == "sarif")
