"""What a check returns: findings, what could not be resolved, errors. Plain frozen data."""

from __future__ import annotations

from msgspec import Struct

from cleanroom.engine.events import Unresolved
from cleanroom.syntax.text import Edit, Span

SEVERITIES = ("info", "warning", "error")  # rising
SIZE_RULES = ("left-behind", "cleaned-late", "cleaned-early", "cleanup-fails")  # about a cache that ships


class Advice(Struct, frozen=True):
    """A remedy made concrete for the place of a finding: ``text`` is what to write."""

    kind: str  # clean, prevent, mount, lean
    text: str
    run: str = "RUN"  # what the file calls what holds the script


class Fix(Struct, frozen=True):
    """Edits that fix a finding; ``safe`` if they cannot break a build, else ``why`` says how they could."""

    safe: bool
    title: str
    edits: tuple[Edit, ...]
    why: str = ""


class Finding(Struct, frozen=True):
    """A place where bytes ship needlessly, or a clean-up that does not do what it says.

    Lines and columns are 1-based, columns count characters, the end is exclusive.
    """

    rule: str
    manager: str
    cache: str  # "" when the finding is about no cache
    severity: str
    message: str
    span: Span  # of the command
    line: int
    column: int
    end_line: int
    end_column: int
    instruction_line: int
    stage: str  # its name, else its number
    ships: bool
    paths: tuple[str, ...] = ()
    typical_bytes: int | None = None
    typical_of: str = ""
    remedies: tuple[Advice, ...] = ()
    fix: Fix | None = None
    no_fix: str = ""  # why there is none
    aliases: tuple[tuple[str, tuple[str, ...]], ...] = ()  # (("hadolint", ("DL3009",)),)
    related: tuple[tuple[int, str], ...] = ()  # (line, what is there)

    @property
    def label(self) -> str:
        """How the finding is named, as ``--ignore`` takes it: ``left-behind[apt.lists]``."""
        about = ".".join(part for part in (self.manager, self.cache) if part)
        return f"{self.rule}[{about}]" if about else self.rule


class Declined(Struct, frozen=True):
    """A finding that was not fixed, and why, in words for the author of the file."""

    finding: Finding
    reason: str


class Fixed(Struct, frozen=True):
    """What a fix of one text did. ``text`` is the text after it, the same as before where nothing was fixed.

    The findings are those of the text before, in the order of their place; each of ``fixed`` has its ``fix``.
    """

    text: str
    fixed: tuple[Finding, ...] = ()
    declined: tuple[Declined, ...] = ()
    problems: tuple[Problem, ...] = ()  # faults of ours: edits that were dropped since they did not do what they should
    errors: tuple[Problem, ...] = ()  # why the text could not be read


class Problem(Struct, frozen=True):
    """Why a file could not be read, or a part of it."""

    line: int
    column: int
    message: str


class Suppressed(Struct, frozen=True):
    """A finding that a comment in the file hides, and the reason that stands there, "" where none does."""

    finding: Finding
    reason: str


class Report(Struct, frozen=True):
    """All that a check of one text says. Findings are in the order of their place."""

    findings: tuple[Finding, ...] = ()
    unresolved: tuple[Unresolved, ...] = ()
    errors: tuple[Problem, ...] = ()
    suppressed: tuple[Suppressed, ...] = ()


class Checked(Struct, frozen=True):
    """One file that was checked: its path as it was given, with ``/``, its text, and what was found."""

    path: str
    text: str
    report: Report
