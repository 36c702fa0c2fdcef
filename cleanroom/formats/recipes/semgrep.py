"""Rules for Semgrep (https://semgrep.dev/docs/writing-rules/rule-syntax), which reads Dockerfiles.

Each is one regular expression over a RUN instruction, with its lines as they stand in the file.
"""

from __future__ import annotations

from collections.abc import Mapping

import yaml

from cleanroom.formats.recipes.matching import Match, matches
from cleanroom.recipes.library import Library
from cleanroom.recipes.rule_ids import semgrep_id

_RUN = r"(?m)^[ \t]*(?=[Rr][Uu][Nn]\b)"
# The rest of an instruction: lines that go on, with comments and blank lines between them.
_BODY = r"(?:[^\\\n]|\\(?:[ \t]*\r?\n(?:[ \t]*(?:#[^\n]*)?\r?\n)*|[^\n]))*?"


def render(library: Library) -> Mapping[str, str]:
    """Return ``cleanroom.yaml``."""
    rules = [_rule(match) for match in matches(library.recipes())]
    text = yaml.safe_dump({"rules": rules}, sort_keys=False, allow_unicode=True, width=100_000)
    return {"cleanroom.yaml": f"# Made by `cleanroom export semgrep`. CC0-1.0.\n{text}"}


def _rule(match: Match) -> dict[str, object]:
    not_cleaned = rf"(?!{_BODY}{match.cleaned})" if match.cleaned else ""
    not_prevented = rf"(?!{match.rest}{match.prevented})" if match.prevented else ""
    rule: dict[str, object] = {
        "id": semgrep_id(match.manager, match.cache),
        "languages": ["dockerfile"],
        "severity": "WARNING",
        "message": f"{match.title}. {_advice(match)}",
        # One group, the first, that the fix puts the option behind: the match ends with the verb.
        "pattern-regex": rf"({_RUN}{not_cleaned}{_BODY}{match.before}{match.fills}){not_prevented}",
        "metadata": {
            "category": "best-practice",
            "technology": ["docker", match.manager],
            "cleanroom": f"left-behind[{match.id}]",
            "also": list(match.peers),
        },
    }
    if match.option:
        rule["fix"] = f"$1 {match.option}"
    return rule


def _advice(match: Match) -> str:
    if match.option:
        return f"Add {match.option} to the command."
    if match.remedy.startswith("ENV "):
        return f"Set {match.remedy} before it."
    return f"Add to the end of the same RUN: {match.remedy}"
