"""A policy in Rego, with what it looks for as data: for conftest and for Trivy's custom checks.

https://www.conftest.dev and https://trivy.dev/latest/docs/scanner/misconfiguration/custom/: conftest gives a Dockerfile
as a list of instructions, Trivy as stages with commands; the policy reads both.
"""

from __future__ import annotations

import json
from collections.abc import Mapping

from cleanroom.formats.recipes.matching import matches
from cleanroom.recipes.library import Library


def render(library: Library) -> Mapping[str, str]:
    """Return ``cleanroom.rego`` and its ``data.json``."""
    caches = [
        {
            "id": match.id,
            "title": match.title,
            "fills": f"{match.before}{match.fills}{match.rest}",
            "prevented": match.prevented,
            "cleaned": match.cleaned,
            "variables": match.variables,
            "remedy": match.remedy,
        }
        for match in matches(library.recipes())
    ]
    data = json.dumps({"cleanroom": {"caches": caches}}, indent=1, ensure_ascii=False) + "\n"
    return {"cleanroom.rego": _POLICY, "data.json": data}


_POLICY = """# METADATA
# title: A package manager leaves its cache in the layer
# description: Made by `cleanroom export rego`. CC0-1.0.
# custom:
#   id: CLEANROOM
#   avd_id: CLEANROOM
#   severity: LOW
#   input:
#     selector:
#       - type: dockerfile
package user.cleanroom

import rego.v1

# conftest: [{"Cmd": "run", "Value": ["…"], "Flags": […], "Stage": 0}, …]
instructions contains instruction if {
	is_array(input)
	some index, item in input
	instruction := {
		"index": index,
		"stage": object.get(item, "Stage", 0),
		"command": lower(item.Cmd),
		"flags": concat(" ", object.get(item, "Flags", [])),
		"text": concat(" ", item.Value),
		"line": 0,
	}
}

# Trivy: {"Stages": [{"Commands": [{"Cmd": "run", "Value": ["…"], "Flags": […], "StartLine": 2}, …]}, …]}
instructions contains instruction if {
	is_object(input)
	some stage, part in input.Stages
	some index, item in part.Commands
	instruction := {
		"index": index,
		"stage": stage,
		"command": lower(item.Cmd),
		"flags": concat(" ", object.get(item, "Flags", [])),
		"text": concat(" ", item.Value),
		"line": object.get(item, "StartLine", 0),
	}
}

matches(pattern, text) if {
	pattern != ""
	regex.match(pattern, text)
}

# A variable that keeps the cache out was set before, in the same stage.
prevented_by_variable(cache, run) if {
	some other in instructions
	other.command in {"env", "arg"}
	other.stage == run.stage
	other.index < run.index
	matches(cache.variables, other.text)
}

left contains found if {
	some run in instructions
	run.command == "run"
	some cache in data.cleanroom.caches
	some command in regex.find_n(cache.fills, run.text, -1)
	not matches(cache.prevented, command)
	not matches(cache.cleaned, run.text)
	not matches(cache.cleaned, run.flags)
	not prevented_by_variable(cache, run)
	found := {"cache": cache, "run": run}
}

deny contains problem if {
	some found in left
	problem := {
		"msg": sprintf("%s; to keep it out: %s [%s]", [found.cache.title, found.cache.remedy, found.cache.id]),
		"startline": found.run.line,
		"endline": found.run.line,
		"cache": found.cache.id,
		"index": found.run.index,
		"stage": found.run.stage,
	}
}
"""
