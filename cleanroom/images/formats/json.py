"""The audit of an image for other tools: the document that ``schemas/audit-1.schema.json`` describes."""

from __future__ import annotations

import json
from collections.abc import Iterable

from cleanroom.images.audit import Audit, Layer, Leftover, waste_by_manager
from cleanroom.images.causes import Tied
from cleanroom.images.outlook import Outlook, Saving
from cleanroom.images.waste import Waste
from cleanroom.lint.findings import Finding
from cleanroom.version import __version__

SCHEMA = "cleanroom/audit/1"
_MOST = 1000  # files of one list


def document(
    audit: Audit,
    tied: Tied | None = None,
    other: Audit | None = None,
    rest: tuple[Waste, Outlook] | None = None,
) -> str:
    """Return the document of one image, beside a Dockerfile or another image where these are given.

    ``rest`` is what else it carries, and what it could weigh.
    """
    whole: dict[str, object] = {"schema": SCHEMA, "version": __version__, "image": _image(audit)}
    if tied is not None:
        whole["dockerfile"] = _dockerfile(audit, tied)
    if other is not None:
        whole["other"] = _image(other)
    if rest is not None:
        whole["also"] = _waste(rest[0])
        whole["could_be"] = _outlook(rest[1])
    return json.dumps(whole, indent=1, ensure_ascii=True) + "\n"


def _waste(waste: Waste) -> dict[str, object]:
    return {
        "kinds": [
            {
                "kind": extra.kind.id,
                "what": extra.kind.what,
                "bytes": extra.bytes,
                "own": extra.own,
                "files": extra.files,
                "paths": [{"path": path, "bytes": count} for path, count in extra.paths],
                "safe": extra.kind.safe,
                "why": extra.kind.why,
                "how": extra.kind.how,
                "sources": list(extra.kind.sources),
            }
            for extra in waste.extras
        ],
        "hidden": [
            {"path": item.path, "bytes": item.bytes, "layer": item.layer, "removed_in": item.removed_in}
            for item in waste.hidden[:_MOST]
        ],
        "copies": [
            {
                "bytes": item.bytes,
                "waste": item.waste,
                "places": [{"layer": layer, "path": path} for layer, path in item.places[:_MOST]],
            }
            for item in waste.copies[:_MOST]
        ],
    }


def _outlook(outlook: Outlook) -> dict[str, object]:
    def savings(found: Iterable[Saving]) -> list[dict[str, object]]:
        return [{"what": item.what, "bytes": item.bytes, "line": item.line} for item in found]

    return {
        "bytes": outlook.bytes,
        "fixed": outlook.fixed,
        "least": outlook.least,
        "fixes": savings(outlook.fixes),
        "lean": savings(outlook.lean),
    }


def _image(audit: Audit) -> dict[str, object]:
    return {
        "reference": audit.reference,
        "kind": audit.kind,
        "digest": audit.digest,
        "platform": audit.platform,
        "system": audit.system,
        "base": {
            "layers": sum(layer.is_base for layer in audit.layers),
            "name": audit.base_name,
            "from": audit.base_from,
        },
        "bytes": audit.bytes,
        "stored": audit.stored,
        "waste": {
            "bytes": audit.waste,
            "stored": audit.waste_stored,
            "own": audit.own_waste,
            "hidden": audit.hidden,
        },
        "managers": [
            {"manager": manager, "bytes": weight, "stored": stored, "caches": caches}
            for manager, weight, stored, caches in waste_by_manager(audit)
        ],
        "layers": [_layer(layer) for layer in audit.layers],
        "leftovers": [_leftover(item) for item in audit.leftovers],
        "problems": list(audit.problems),
    }


def _dockerfile(audit: Audit, tied: Tied) -> dict[str, object]:
    numbers = {id(item): index for index, item in enumerate(audit.leftovers)}
    return {
        "file": tied.file,
        "layers": [{"layer": number, "line": line} for number, line in tied.layers],
        "causes": [
            {
                "leftover": numbers[id(cause.leftover)],
                "line": cause.line,
                "finding": None if cause.finding is None else _finding(cause.finding),
                "reason": cause.reason,
            }
            for cause in tied.causes
        ],
        "unborne": [{"finding": _finding(item.finding), "reason": item.reason} for item in tied.unborne],
    }


def _finding(finding: Finding) -> dict[str, object]:
    return {
        "line": finding.line,
        "column": finding.column,
        "rule": finding.rule,
        "manager": finding.manager,
        "cache": finding.cache,
    }


def _layer(layer: Layer) -> dict[str, object]:
    return {
        "number": layer.number,
        "diff_id": f"sha256:{layer.digest}" if layer.digest else "",
        "instruction": layer.instruction,
        "created": layer.created,
        "files": layer.files,
        "bytes": layer.bytes,
        "unpacked": layer.unpacked,
        "stored": layer.stored,
        "compression": layer.compression,
        "base": layer.is_base,
        "hidden": layer.hidden,
    }


def _leftover(item: Leftover) -> dict[str, object]:
    return {
        "layer": item.layer,
        "manager": item.manager,
        "cache": item.cache,
        "what": item.what,
        "paths": list(item.paths),
        "files": item.files,
        "bytes": item.bytes,
        "stored": item.stored,
        "stored_between": list(item.stored_between),
        "linked": item.linked,
        "removed_in": item.removed_in,
        "base": item.is_base,
        "expected": item.expected,
        "remedies": [{"kind": advice.kind, "text": advice.text} for advice in item.remedies],
    }
