"""A shell script that runs while an image is built, as one RUN whose base image is not known."""

from __future__ import annotations

import re

from cleanroom.syntax.dockerfile import Comment, Dockerfile, DockerfileError, Heredoc, Instruction, Stage
from cleanroom.syntax.text import MappedText, Source, Span

_SHEBANG = re.compile(r"#!\s*(?:/usr/bin/env\s+(?:-S\s+)?)?(?P<command>\S+(?:[ \t]+-\w+)*)")
_COMMENT = re.compile(r"^[ \t]*(#)(?!!)([^\r\n]*)", re.MULTILINE)
_CODE = re.compile(r"^[ \t]*[^\s#]", re.MULTILINE)


def parse(text: str) -> Dockerfile:
    """Read a script. Raises DockerfileError for one that no shell reads."""
    shebang = _SHEBANG.match(text)
    command = shebang["command"] if shebang else "/bin/sh"
    if command.split()[0].rpartition("/")[2] not in ("sh", "ash", "bash", "dash", "ksh", "zsh"):
        raise DockerfileError(f"{command} is no shell", 1)
    source = Source(text)
    code = _CODE.search(text)
    start = code.start() if code else len(text)
    end = max(start, len(text.rstrip()))
    comments = tuple(
        Comment(match[2], source.position(match.start(1))[0], Span(match.start(1), match.end()))
        for match in _COMMENT.finditer(text)
    )
    # What stands before the script's first command is none of it: there comments for all of it stand.
    body = MappedText([(text[start:], start)])
    document = Heredoc("script", quoted=True, strip_tabs=False, body=body, marker=Span(start, start))
    run = Instruction(
        "RUN",
        False,
        Span(start, end),
        source.position(start)[0],
        source.position(end)[0],
        (),
        None,
        MappedText([(f"<<script {command}", start)]),
        (document,),
    )
    return Dockerfile(text, "\\", (), comments, (run,), (), (Stage(0, None, "", run, (run,)),), run="script")
