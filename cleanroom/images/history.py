"""Read an image's history: which instruction made which layer, and what the engine says about those commands.

Docker's classic builder, BuildKit, Buildah and kaniko each write an instruction in a way of their own.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from cleanroom.engine.build import build
from cleanroom.engine.ledger import Ledger, Outcome
from cleanroom.images.image import Configuration, Step
from cleanroom.recipes.library import Library
from cleanroom.syntax import dockerfile as reader
from cleanroom.syntax.dockerfile import DockerfileError

_SHELL = re.compile(
    r"(?P<shell>(?:/\S*/)?(?:ba|da|a|z|k)?sh)(?:\s+-[-\w]+(?:\s+pipefail)?)*?\s+-\w*c\s+(?P<script>.*)", re.DOTALL
)
_ARGUMENTS = re.compile(r"\|(\d+)\s+(.*)", re.DOTALL)
_KEYWORD = re.compile(rf"({'|'.join(reader.KEYWORDS)})\b\s*(.*)", re.DOTALL)
_NOP = "#(nop)"
_LONGEST = 1 << 17  # characters of a command; a kernel takes no more


@dataclass(frozen=True, slots=True)
class Command:
    """One instruction out of the history. ``text`` is its arguments, of a RUN the script."""

    keyword: str  # "" if it cannot be told
    text: str
    shell: str = "sh"
    arguments: tuple[tuple[str, str], ...] = ()  # ARGs that were set for a RUN

    @property
    def shown(self) -> str:
        """The instruction on one line, as in a Dockerfile."""
        return " ".join(f"{self.keyword} {self.text}".split())


def command(created_by: str) -> Command:
    """Return the instruction that a ``created_by`` describes.

    >>> command("RUN /bin/sh -c apt-get update # buildkit")
    Command(keyword='RUN', text='apt-get update', shell='sh', arguments=())
    >>> command("/bin/sh -c #(nop)  ENV A=b")
    Command(keyword='ENV', text='A=b', shell='sh', arguments=())
    """
    text = created_by.strip()
    text = text.removesuffix("# buildkit").rstrip()
    is_run = False
    if match := re.match(r"RUN\s+((?:--\S+\s+)*)", text):
        text, is_run = text[match.end() :], True
    arguments: list[tuple[str, str]] = []
    if match := _ARGUMENTS.fullmatch(text):
        text, is_run = _skip_arguments(match[2], int(match[1]), arguments), True
    if match := _SHELL.fullmatch(text):
        script = match["script"]
        if script.lstrip().startswith(_NOP):
            text = script.lstrip().removeprefix(_NOP).strip()
        else:
            return Command("RUN", script, match["shell"].rpartition("/")[2], tuple(arguments))
    if is_run:
        return Command("RUN", text, arguments=tuple(arguments))
    if match := _KEYWORD.fullmatch(text):
        return Command(match[1], match[2].strip())
    return Command("", text)


def _skip_arguments(text: str, count: int, found: list[tuple[str, str]]) -> str:
    """Take ``count`` times ``NAME=value`` off the front; values may hold blanks, the shell ends the last one."""
    match = re.search(r"(?:^|\s)((?:/\S*/)(?:ba|da|a|z|k)?sh\s+-.*)", text, re.DOTALL)
    if match is None:
        return text
    pieces = re.split(r"\s+(?=[A-Za-z_]\w*=)", text[: match.start()].strip())
    for piece in pieces if len(pieces) == count else ():
        name, _, value = piece.partition("=")
        found.append((name, value))
    return match[1]


def layer_steps(configuration: Configuration, layers: int) -> tuple[int | None, ...]:
    """Return for each layer the step that made it; None throughout where history and layers do not fit."""
    making = [index for index, step in enumerate(configuration.history) if step.makes_layer]
    return tuple(making) if len(making) == layers else (None,) * layers


@dataclass(frozen=True, slots=True)
class Told:
    """What the engine makes of the history: the outcomes of each step."""

    ledger: Ledger | None
    outcomes: Mapping[int, tuple[Outcome, ...]]  # by step


def tell(steps: Sequence[Step], base: str, missing: Iterable[str], library: Library) -> Told:
    """Walk the commands of the history as a Dockerfile that begins from ``base``.

    ``missing`` are files that such a base usually has, and this one has not. Of a history that is longer than a
    Dockerfile may be, the rest is not walked.
    """
    lines = [f"FROM {base}" if re.fullmatch(r"[\w][\w./:@-]*", base) else "FROM scratch"]
    _append(lines, [f"RUN {json.dumps(['rm', '-f', path])}" for path in missing])
    places: dict[int, int] = {}
    length = sum(len(line) + 1 for line in lines)
    for index, step in enumerate(steps):
        if len(step.created_by) > _LONGEST:
            continue
        first = len(lines)
        more = list(_instructions(command(step.created_by)))
        length += sum(len(line) + 1 for line in more)
        if length > reader.MAX_LENGTH:
            break
        if _append(lines, more):
            places.update(dict.fromkeys(range(first + 1, len(lines) + 1), index))
    ledger = build(reader.parse("\n".join(lines) + "\n"), library)
    outcomes: dict[int, list[Outcome]] = {}
    for outcome in ledger.outcomes:
        step_index = places.get(outcome.layer.instruction.line)
        if step_index is not None:
            outcomes.setdefault(step_index, []).append(outcome)
    return Told(ledger, {index: tuple(found) for index, found in outcomes.items()})


def _append(lines: list[str], more: list[str]) -> bool:
    """Add lines that a Dockerfile may hold; return True if they were added."""
    if any("\n" in line or "\r" in line for line in more):
        return False
    try:
        reader.parse("\n".join(["FROM scratch", *more]) + "\n")
    except DockerfileError:
        return False
    lines += more
    return True


def _instructions(item: Command) -> Iterable[str]:
    if item.keyword == "RUN":
        for name, value in item.arguments:
            yield f"ARG {name}={_quoted(value)}"
        shell = "/bin/bash" if item.shell == "bash" else "/bin/sh"
        yield f"RUN {json.dumps([shell, '-c', item.text])}"
    elif item.keyword == "ENV":
        name, equals, value = item.text.partition("=")
        if equals and re.fullmatch(r"[\w.-]+", name):
            yield f"ENV {name}={_quoted(value)}"
    elif item.keyword in ("USER", "WORKDIR"):
        yield f"{item.keyword} {item.text}"


def _quoted(value: str) -> str:
    """Return a value in quotes, so that a Dockerfile means just itself by it."""
    if len(value) > 1 and value[0] == value[-1] == '"':  # as Buildah writes it
        return value
    return '"' + re.sub(r'([\\"$])', r"\\\1", value) + '"'
