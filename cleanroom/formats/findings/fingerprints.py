"""Names for findings that stay when lines move: by file, rule, cache and command, not by line."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator

from cleanroom.lint.findings import Checked, Finding


def fingerprinted(checked: Checked, findings: Iterable[Finding] | None = None) -> Iterator[tuple[Finding, str]]:
    """Yield each finding with its fingerprint, 32 hexadecimal digits.

    Lines above it do not change it, nor does white space within the command; another command does. Equal commands in
    one file are told apart by their number. ``findings`` are the file's own where they are not given.
    """
    seen: Counter[tuple[str, ...]] = Counter()
    for finding in checked.report.findings if findings is None else findings:
        command = " ".join(checked.text[finding.span.start : finding.span.end].replace("\\\n", " ").split())
        key = (checked.path, finding.rule, finding.manager, finding.cache, command)
        seen[key] += 1
        whole = "\0".join((*key, str(seen[key])))
        yield finding, hashlib.sha256(whole.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def advice(finding: Finding) -> str:
    """Return the message and its remedy in one paragraph, for formats that have no field for remedies."""
    message = finding.message
    if finding.remedies:
        remedy = finding.remedies[0]
        how = {"clean": f"add at the end of this {remedy.run}", "mount": "add to this RUN"}.get(remedy.kind)
        if how is None:
            how = "add to this command" if remedy.text.startswith("-") else "add"
        message += f" ({how}: {remedy.text})"
    return message
