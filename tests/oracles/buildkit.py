"""What others read in a Dockerfile: BuildKit's own reader its instructions, bash and shfmt the scripts of its RUNs."""

from __future__ import annotations

import functools
import re
import subprocess
from collections import Counter

Row = tuple[str, str, str, str]

KEYWORDS = frozenset(
    ("ADD", "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "LABEL", "MAINTAINER")
) | frozenset(("ONBUILD", "RUN", "SHELL", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR"))

# A here-document that is the whole RUN: BuildKit gives its body to the shell.
_ALONE = re.compile(r"\s*<<(?P<tabs>-?)[\"']?\w+[\"']?\s*")


def instructions(text: str) -> list[tuple[int, Row]]:
    """Return the line of each instruction, and its keyword, sub-keyword, flags and text with its here-documents.

    Raises the error of the package ``dockerfile`` (which is BuildKit's reader) for what that does not read.
    """
    import dockerfile

    return [
        (
            command.start_line,
            (
                command.cmd.upper(),
                command.sub_cmd or "",
                " ".join(command.flags),
                "\x1f".join((*command.value, *(heredoc.content for heredoc in command.heredocs))),
            ),
        )
        for command in dockerfile.parse_string(text)
    ]


def is_run(row: Row) -> bool:
    """Return True if an instruction is a RUN, also one for an image that is built on this one."""
    return row[0] == "RUN" or (row[0] == "ONBUILD" and row[1].upper() == "RUN")


def scripts(text: str) -> Counter[str]:
    """Return the scripts of the RUNs in shell form, as a shell gets them. Raises what ``instructions`` does."""
    import dockerfile

    found: Counter[str] = Counter()
    for command in dockerfile.parse_string(text):
        if command.cmd.upper() != "RUN" or command.json:
            continue
        head = command.value[0] if command.value else ""
        bodies = [heredoc.content for heredoc in command.heredocs]
        if bodies and (match := _ALONE.fullmatch(head)):
            if not re.match(r"#!(?!.*sh\b)", bodies[0]):  # else no shell reads it
                found[re.sub(r"(?m)^\t+", "", bodies[0]) if match["tabs"] else bodies[0]] += 1
            continue
        documents = (f"{heredoc.content}{heredoc.name}\n" for heredoc in command.heredocs)
        found[head + "\n" + "".join(documents)] += 1
    return found


@functools.cache
def bash_reads(script: str) -> bool:
    """Return True if bash can read a script."""
    return subprocess.run(["bash", "-n"], input=script.encode(), capture_output=True, check=False).returncode == 0


@functools.cache
def shfmt_reads(script: str) -> bool:
    """Return True if shfmt can read a script."""
    command = ["shfmt", "-ln", "bash"]
    return subprocess.run(command, input=script.encode(), capture_output=True, check=False).returncode == 0
