"""``unused-ignore``: an ignore comment that ignored nothing. The check finds them, once it knows all findings."""

from __future__ import annotations

from collections.abc import Iterator

from cleanroom.engine.ledger import Ledger
from cleanroom.lint.findings import Finding
from cleanroom.lint.rules import Rule


def _none(_: Ledger) -> Iterator[Finding]:
    return iter(())


RULE = Rule(
    "unused-ignore",
    "an ignore comment that ignored nothing, or that cannot be read",
    "info",
    """A comment that asks to ignore a finding that is not there hides the next one that will be.

Bad:
    # cleanroom: ignore=left-behind[apt]
    RUN echo hello

Good:
    RUN echo hello
""",
    _none,
)
