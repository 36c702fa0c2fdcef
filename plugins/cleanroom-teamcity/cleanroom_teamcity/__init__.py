"""Findings as TeamCity's service messages, which it shows on the Code Inspection tab.

https://www.jetbrains.com/help/teamcity/service-messages.html
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from cleanroom import hookimpl
from cleanroom.formats.findings import Format
from cleanroom.formats.findings.fingerprints import advice
from cleanroom.lint.findings import Checked
from cleanroom.lint.rules import Rule

_SEVERITIES = {"info": "INFO", "warning": "WARNING", "error": "ERROR"}
_ESCAPES = {"'": "|'", "|": "||", "\n": "|n", "\r": "|r", "[": "|[", "]": "|]"}
_UNREADABLE = "cannot-be-read"


@hookimpl
def cleanroom_reports() -> Iterator[Format]:
    """Yield the format ``teamcity``."""
    yield Format("teamcity", "service messages, which TeamCity shows as inspections", render, wants_rules=True)


def render(files: Iterable[Checked], rules: Mapping[str, Rule]) -> Iterator[str]:
    """Yield a message for each finding and each error; each kind of them is announced before its first."""
    announced: set[str] = set()
    for checked in files:
        found = [(item.rule, item.line, advice(item), _SEVERITIES[item.severity]) for item in checked.report.findings]
        found += [(_UNREADABLE, item.line, item.message, "ERROR") for item in checked.report.errors]
        for kind, line, text, severity in found:
            if kind not in announced:
                announced.add(kind)
                summary = rules[kind].summary if kind in rules else "the file cannot be read"
                yield _message("inspectionType", id=kind, name=kind, category="cleanroom", description=summary)
            yield _message(
                "inspection", typeId=kind, file=checked.path, line=str(line), message=text, SEVERITY=severity
            )


def _message(name: str, /, **values: str) -> str:
    attributes = "".join(f" {key}='{_escaped(value)}'" for key, value in values.items())
    return f"##teamcity[{name}{attributes}]\n"


def _escaped(text: str) -> str:
    """Return a value as it stands between the quotes; ASCII alone, so that no agent's encoding matters."""
    units = text.encode("utf-16-be", "surrogatepass")
    return "".join(
        _ESCAPES.get(character) or (character if " " <= character <= "~" else f"|0x{ord(character):04X}")
        for character in (chr(high << 8 | low) for high, low in zip(units[::2], units[1::2], strict=True))
    )
