"""Custom checks for Checkov's Dockerfile framework: ``checkov --external-checks-dir DIR``.

https://www.checkov.io/3.Custom%20Policies/Python%20Custom%20Policies.html
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from cleanroom.formats.recipes.matching import matches
from cleanroom.recipes.library import Library
from cleanroom.recipes.rule_ids import checkov_id


def render(library: Library) -> Mapping[str, str]:
    """Return a package of checks: a small program, and what it looks for as data."""
    caches = [
        {
            "id": checkov_id(match.manager, match.cache),
            "title": f"{match.title}; to keep it out: {match.remedy}",
            "fills": f"{match.before}{match.fills}{match.rest}",
            "prevented": match.prevented,
            "cleaned": match.cleaned,
            "variables": match.variables,
        }
        for match in matches(library.recipes())
    ]
    data = json.dumps({"caches": caches}, indent=1, ensure_ascii=False) + "\n"
    # A file called .json would be taken for a policy of its own.
    return {"__init__.py": _INIT, "cleanroom_checks.py": _CHECKS, "cleanroom_checks.data": data}


_INIT = """from os.path import basename, dirname, join
from glob import glob

__all__ = [basename(file)[:-3] for file in glob(join(dirname(__file__), "*.py")) if not file.endswith("__init__.py")]
"""

_CHECKS = '''"""Package managers that leave their caches in the layer. Made by `cleanroom export checkov`. CC0-1.0."""

import json
import re
from pathlib import Path

from checkov.common.models.enums import CheckCategories, CheckResult
from checkov.dockerfile.base_dockerfile_check import BaseDockerfileCheck


class LeavesCache(BaseDockerfileCheck):
    """One cache of one manager; the first RUN that leaves it is reported."""

    def __init__(self, cache):
        super().__init__(
            name=cache["title"],
            id=cache["id"],
            categories=(CheckCategories.CONVENTION,),
            supported_instructions=("*",),  # the whole file, to see what was set before
        )
        self.fills = re.compile(cache["fills"], re.MULTILINE)
        self.prevented = re.compile(cache["prevented"] or r"(?!)", re.MULTILINE)
        self.cleaned = re.compile(cache["cleaned"] or r"(?!)", re.MULTILINE)
        self.variables = re.compile(cache["variables"] or r"(?!)")

    def scan_resource_conf(self, conf):
        kept_out = False
        instructions = (each for kind in ("FROM", "ENV", "RUN") for each in conf.get(kind, ()))
        for instruction in sorted(instructions, key=lambda each: each["startline"]):
            text = instruction["value"]
            if instruction["instruction"] == "FROM":
                kept_out = False
            elif instruction["instruction"] == "ENV":
                kept_out = kept_out or self.variables.search(text) is not None
            elif not kept_out and not self.cleaned.search(text):
                commands = (match[0] for match in self.fills.finditer(text))
                if any(not self.prevented.search(command) for command in commands):
                    return CheckResult.FAILED, [instruction]
        return CheckResult.PASSED, None


checks = [
    LeavesCache(cache)
    for cache in json.loads(Path(__file__).with_suffix(".data").read_text(encoding="utf-8"))["caches"]
]
'''
