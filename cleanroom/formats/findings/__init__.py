"""Feeds: findings in the formats that people, tools and code hosts read. One file a format."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from msgspec import Struct
from msgspec.structs import replace

from cleanroom.lint.findings import Checked
from cleanroom.plugins.manager import FAULTS, Plugin, PluginFailed, Registry, blame_error, when_used


class Feed(Struct, frozen=True):
    """A format for findings. ``render`` yields the document in pieces; it may hold the files until the last."""

    name: str  # as after --format
    summary: str
    render: Callable[[Iterable[Checked]], Iterator[str]]


_SUMMARIES = {
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


def _guarded(plugin: Plugin, feed: Feed) -> Feed:
    """Return a feed of a plugin that says so where it fails."""

    def render(files: Iterable[Checked]) -> Iterator[str]:
        try:
            for piece in feed.render(files):
                if not isinstance(piece, str):
                    raise TypeError(f"it yields {type(piece).__name__}, not str")
                yield piece
        except FAULTS:
            blame_error(plugin, f"the format {feed.name} raises")
            raise PluginFailed(f"the format {feed.name} of {plugin.title} failed") from None

    return replace(feed, render=render)


# "text" is what people read, on a terminal in colour; it is no document.
FEEDS: Registry[Feed] = Registry("cleanroom_reports", Feed, reserved=("text",), guard=_guarded)


def built_in() -> Iterator[Feed]:
    """Yield what ships, in the order in which it is listed."""
    for name, summary in _SUMMARIES.items():
        yield Feed(name, summary, when_used(f"cleanroom.formats.findings.{name}"))
