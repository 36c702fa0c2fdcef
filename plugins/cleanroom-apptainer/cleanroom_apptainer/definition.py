"""Read a definition file as Apptainer does, and say it in the instructions of a Dockerfile.

The format: https://apptainer.org/docs/user/latest/definition_files.html. Where that is silent, the rules are those of
Apptainer's own reader (pkg/build/types/parser/deffile.go in https://github.com/apptainer/apptainer).

A stage is one ``RUN``: whatever ``%post`` and ``%appinstall`` do ends up in one image file, so that nothing they clean
up is too late. ``%files`` are ``COPY`` before it, ``%runscript`` and the like are what a container starts with.
``%setup`` and ``%pre`` run on the host and leave nothing in the image by a manager; ``%environment`` holds at run time
only, so it prevents nothing.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from itertools import pairwise

from msgspec import Struct, field

from cleanroom.suggest import did_you_mean
from cleanroom.syntax.dockerfile import (
    MAX_STAGES,
    Argument,
    Comment,
    Dockerfile,
    DockerfileError,
    Flag,
    Heredoc,
    Instruction,
    Stage,
)
from cleanroom.syntax.text import MappedText, Source, Span

HEADERS = frozenset(
    (
        *("bootstrap", "confurl", "fingerprints", "from", "include", "includecmd", "library", "mirrorurl", "modules"),
        *("namespace", "osversion", "product", "productpgp", "regcode", "registerurl", "registry", "setopt", "stage"),
        *("updateurl", "user"),
    )
)
SECTIONS = frozenset(
    (
        *("arguments", "environment", "files", "help", "labels", "post", "pre", "runscript", "setup", "startscript"),
        "test",
    )
)
APP_SECTIONS = frozenset(("appenv", "appfiles", "apphelp", "appinstall", "applabels", "apprun", "appstart", "apptest"))
_STARTS = ("runscript", "startscript", "apprun", "appstart")
_DISTRIBUTIONS = {"yum": "centos", "dnf": "centos", "zypper": "opensuse/leap", "arch": "archlinux"}

_BEGIN = re.compile(r"^bootstrap:", re.IGNORECASE | re.MULTILINE)
_SECTION = re.compile(r"[ \t]*%(?P<name>\S*)[ \t]*(?P<arguments>[^\n]*)")
_PLACEHOLDER = re.compile(r"\{\{\s*(\w+)\s*\}\}")
# A path, quotes around it or {{ placeholders }} in it.
_PATH = re.compile(r"""(?:[^\s"']*\{\{\s*\w+\s*\}\}[^\s{}"']*)+|"[^"]*"|'[^']*'|[^\s"']+""")


def is_definition(text: str) -> bool:
    """Return True if a text is a definition file, and not another kind of file of that name."""
    return (
        re.search(r"^[ \t]*(?:bootstrap[ \t]*:|%(?:post|files|runscript|environment|appinstall)\b)", text, re.I | re.M)
        is not None
    )


class _Section(Struct, frozen=True):
    """One ``%section``: its name in lower case, the words behind it, and its text."""

    name: str
    arguments: str
    header: Span  # of the line, without its end
    start: int  # of the body
    end: int


class _Stage(Struct):
    """What lies between one ``Bootstrap:`` and the next."""

    start: int
    header: dict[str, str] = field(default_factory=dict)
    span: Span = Span(0, 0)  # of the header, from its first to its last key
    sections: list[_Section] = field(default_factory=list)
    defaults: dict[str, str] = field(default_factory=dict)  # of what stands in {{ }}, from %arguments

    def named(self, *names: str) -> list[_Section]:
        """Return the sections of these names, in the order of the file."""
        return [section for section in self.sections if section.name in names]


def parse(text: str) -> Dockerfile:
    """Read the text of a definition file. Raises DockerfileError where Apptainer would stop."""
    return _File(text).read()


class _File:
    """The text of a definition file, and what was found in it so far."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.source = Source(text)
        self.comments: list[Comment] = []

    def read(self) -> Dockerfile:
        begins = [match.start() for match in _BEGIN.finditer(self.text)]
        if len(begins) > MAX_STAGES:  # no more than of a Dockerfile
            raise self.error(begins[MAX_STAGES], f"more than {MAX_STAGES} stages")
        bounds = [*([0] if not begins or begins[0] else []), *begins, len(self.text)]
        stages = [self.stage(start, end) for start, end in pairwise(bounds)]
        stages = [stage for stage in stages if stage.header or stage.sections]
        if not stages:
            raise DockerfileError("the file defines nothing; begin it with Bootstrap: and From:", 1)
        found: list[Stage] = []
        for stage in stages:
            instructions = self.instructions(stage)
            name = stage.header.get("stage", "").lower() or None
            if stage.header:
                begin = self.instruction("FROM", stage.span, _base(stage, [other.name for other in found]))
                found.append(Stage(len(found), name, begin.arguments.text, begin, tuple(instructions)))
            elif instructions:
                found.append(Stage(len(found), name, "", instructions[0], tuple(instructions)))
        instructions = []
        for item in found:
            instructions += [item.instruction] if item.base else []
            instructions += item.instructions
        self.comments.sort(key=lambda comment: comment.line)
        return Dockerfile(self.text, "\\", (), tuple(self.comments), tuple(instructions), (), tuple(found), run="%post")

    def error(self, offset: int, message: str) -> DockerfileError:
        """Return the error ``message`` at an offset of the text."""
        return DockerfileError(message, *self.source.position(offset))

    def lines(self, start: int, end: int) -> Iterator[tuple[int, str]]:
        """Yield the lines from ``start`` to ``end``, each with its offset and without its line end."""
        while start < end:
            stop = self.text.find("\n", start, end)
            stop = end if stop == -1 else stop
            yield start, self.text[start:stop].rstrip("\r")
            start = stop + 1

    # -- header and sections ----------------------------------------------------------------------------------------

    def stage(self, start: int, end: int) -> _Stage:
        """Read the header and the sections between two offsets. Raises DockerfileError."""
        stage = _Stage(start)
        head: list[tuple[int, str]] = []
        opened: list[tuple[int, re.Match[str]]] = []
        for offset, line in self.lines(start, end):
            match = _SECTION.match(line)
            if match is not None:
                opened.append((offset, match))
            elif not opened:
                head.append((offset, line))
        self.head(stage, head)
        for number, (offset, match) in enumerate(opened):
            stop = opened[number + 1][0] if number + 1 < len(opened) else end
            stage.sections.append(self.section(offset, match, stop))
        for section in stage.named("arguments"):
            for _, line in self.lines(section.start, section.end):
                name, equals, value = line.strip().partition("=")
                if equals and not name.startswith("#"):
                    stage.defaults[name.strip()] = value.strip()
        return stage

    def head(self, stage: _Stage, lines: Iterable[tuple[int, str]]) -> None:
        """Read ``Key: value`` lines, of which a backslash at the end continues one. Raises DockerfileError."""
        key = ""
        for offset, line in lines:
            bare = line.strip(" \t\r\f\v\ufeff")
            if not bare or bare.startswith("#"):
                key = ""
                if bare:
                    self.comment(offset, line)
                continue
            bare = bare.partition("#")[0].strip()
            place = offset + len(line) - len(line.lstrip())
            if key:
                value = bare
            else:
                key, colon, value = (part.strip() for part in bare.partition(":"))
                if not colon:
                    raise self.error(place, f"{bare[:40]!r} is no header: write Key: value, or %section before it")
                key = key.lower()
                if key not in HEADERS and not re.fullmatch(r"otherurl\d+", key):
                    raise self.error(place, f"unknown header {key[:40]!r}{did_you_mean(key, HEADERS)}")
                stage.header[key] = ""
            stage.span = Span(place if stage.span.end == 0 else stage.span.start, offset + len(line))
            stage.header[key] += value.removesuffix("\\")
            if not value.endswith("\\"):
                key = ""

    def section(self, offset: int, match: re.Match[str], end: int) -> _Section:
        """Read a section that begins at ``offset``. Raises DockerfileError for one that there is not."""
        name = match["name"].lstrip("%").lower()
        place = offset + match.start("name") - 1
        if name not in SECTIONS | APP_SECTIONS:
            raise self.error(place, f"unknown section %{name[:40]}{did_you_mean(name, SECTIONS | APP_SECTIONS)}")
        arguments = match["arguments"].strip()
        if name in APP_SECTIONS and not arguments:
            raise self.error(place, f"%{name} needs the name of the app behind it")
        body = self.text.find("\n", offset, end)
        body = end if body == -1 else body + 1
        if name in ("post", "appinstall", "files"):
            for start, line in self.lines(body, end):
                if line.lstrip().startswith("#"):
                    self.comment(start, line)
        return _Section(name, arguments, Span(place, offset + match.end()), body, end)

    def comment(self, offset: int, line: str) -> None:
        """Note a line that is a comment."""
        start = offset + line.index("#")
        self.comments.append(
            Comment(
                self.text[start + 1 : offset + len(line)],
                self.source.position(start)[0],
                Span(start, offset + len(line)),
            )
        )

    # -- instructions -----------------------------------------------------------------------------------------------

    def instructions(self, stage: _Stage) -> list[Instruction]:
        """Return what a stage does, in the order in which Apptainer does it. Raises DockerfileError."""
        found = [copy for section in stage.named("files") for copy in self.copies(section)]
        installs = [*stage.named("post"), *stage.named("appinstall")]
        if installs:
            interpreter = self.interpreter(stage.named("post"))
            if interpreter[:1] and interpreter[0].rpartition("/")[2] == "bash":
                words = tuple(Argument(word, installs[0].header) for word in (interpreter[0], "-c"))
                found.append(self.instruction("SHELL", installs[0].header, "", exec_form=words))
            found.append(self.run(installs, interpreter))
        starts = [section for section in stage.named(*_STARTS) if self.text[section.start : section.end].strip()]
        if starts:
            pieces = MappedText((self.text[section.start : section.end], section.start) for section in starts)
            span = Span(starts[0].header.start, starts[-1].end)
            found.append(self.instruction("ENTRYPOINT", span, pieces))
        return found

    def interpreter(self, posts: Iterable[_Section]) -> list[str]:
        """Return the command line that reads ``%post``: what stands behind its ``-c``, else a shell."""
        for section in posts:
            words = section.arguments.partition("#")[0].split()
            if "-c" in words:
                given = words[words.index("-c") + 1 :]
                if not given:
                    raise self.error(section.header.start, "%post -c needs a shell behind it, such as /bin/bash")
                return given
        return ["/bin/sh", "-ex"]

    def copies(self, section: _Section) -> Iterator[Instruction]:
        """Yield a COPY for each line of ``%files``."""
        flags: tuple[Flag, ...] = ()
        words = section.arguments.partition("#")[0].split()
        if words[:1] == ["from"] and len(words) > 1:
            flags = (Flag("from", words[1].lower(), section.header),)
        for offset, line in self.lines(section.start, section.end):
            if not line.strip() or line.lstrip().startswith("#"):
                continue
            paths = [
                Argument(match[0].strip("\"'"), Span(offset + match.start(), offset + match.end()))
                for match in _PATH.finditer(line)
            ][:2]
            if not paths:  # quotes and nothing else
                continue
            if any(_PLACEHOLDER.search(path.text) for path in paths):
                continue
            span = Span(paths[0].span.start, paths[-1].span.end)
            yield self.instruction("COPY", span, "", exec_form=(paths[0], paths[-1]), flags=flags)

    def run(self, sections: list[_Section], interpreter: list[str]) -> Instruction:
        """Return the RUN of a stage: the text of its sections is one here-document."""
        pieces: list[tuple[str, int]] = []
        for section in sections:
            if section.name == "appinstall":  # it runs in the app's folder; this stands where its header does
                pieces.append((f"\ncd /scif/apps/{_plain(section.arguments)}\n", section.header.start))
            pieces.append((self.text[section.start : section.end], section.start))
        body = MappedText(pieces)
        header = sections[0].header
        span = Span(header.start, max(section.end for section in sections))
        document = Heredoc("post", quoted=False, strip_tabs=False, body=body, marker=header)
        return self.instruction("RUN", span, f"<<post {' '.join(interpreter)}", heredocs=(document,))

    def instruction(
        self,
        keyword: str,
        span: Span,
        arguments: str | MappedText,
        *,
        exec_form: tuple[Argument, ...] | None = None,
        flags: tuple[Flag, ...] = (),
        heredocs: tuple[Heredoc, ...] = (),
    ) -> Instruction:
        """Return an instruction that stands at ``span``; line ends behind it are none of it."""
        end = max(span.start, span.start + len(self.text[span.start : span.end].rstrip()))
        if isinstance(arguments, str):
            arguments = MappedText([(arguments, span.start)])
        return Instruction(
            keyword,
            False,
            Span(span.start, end),
            self.source.position(span.start)[0],
            self.source.position(end)[0],
            flags,
            exec_form,
            arguments,
            heredocs,
        )


def _plain(arguments: str) -> str:
    name = arguments.split()[0]
    return name if re.fullmatch(r"[\w.-]+", name) else "app"


def _base(stage: _Stage, earlier: Iterable[str | None]) -> str:
    """Return the image that a stage begins from, as a Dockerfile would name it."""
    header = stage.header
    agent = header.get("bootstrap", "").lower()
    image = _filled(header.get("from", ""), stage)
    version = _filled(header.get("osversion", ""), stage)
    if agent in ("docker", "library", "oras", "shub", "docker-daemon"):
        image = image.partition("://")[2] or image
        prefix = "/".join(part for part in (header.get("registry", ""), header.get("namespace", "")) if part)
        image = f"{prefix}/{image}" if prefix else image
    elif agent in _DISTRIBUTIONS:
        image = _DISTRIBUTIONS[agent] + (f":{version}" if re.fullmatch(r"[\w.-]+", version) else "")
    elif not image:
        image = agent
    image = re.sub(r"\s", "", image) or "unknown"
    # In a Dockerfile this would be the earlier stage; here it is an image of that name.
    return f"{image}:latest" if image.lower() in earlier else image


def _filled(text: str, stage: _Stage) -> str:
    """Return a header's value with the placeholders filled that ``%arguments`` has a default for."""
    return _PLACEHOLDER.sub(lambda match: stage.defaults.get(match[1], match[0]), text)
