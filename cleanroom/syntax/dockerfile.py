"""Read a Dockerfile as BuildKit does: directives, stages, instructions, flags, heredocs, each with its span.

The rules are those of the Dockerfile reference (https://docs.docker.com/reference/dockerfile/); where it is silent,
those of BuildKit's own reader.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import pairwise

from msgspec import Struct, field

from cleanroom.syntax.text import MappedText, Span

KEYWORDS = (
    *("ADD", "ARG", "CMD", "COPY", "ENTRYPOINT", "ENV", "EXPOSE", "FROM", "HEALTHCHECK", "LABEL", "MAINTAINER"),
    *("ONBUILD", "RUN", "SHELL", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR"),
)


class DockerfileError(ValueError):
    """A Dockerfile that BuildKit would not read either; says where (1-based) and what to do."""

    def __init__(self, message: str, line: int, column: int = 1) -> None:
        super().__init__(message, line, column)
        self.message = message
        self.line = line
        self.column = column

    def __str__(self) -> str:
        return self.message


class Directive(Struct, frozen=True):
    """A parser directive (``# syntax=``, ``# escape=``, ``# check=``) at the top of a file; ``name`` in lower case."""

    name: str
    value: str
    line: int


class Comment(Struct, frozen=True):
    """A whole-line comment, also one inside a continued instruction; ``text`` is what follows ``#``."""

    text: str
    line: int
    span: Span


class Flag(Struct, frozen=True):
    """``--name=value`` before an instruction's arguments; ``value`` is None without ``=``, and without its quotes."""

    name: str
    value: str | None
    span: Span

    @property
    def text(self) -> str:
        """The flag as written."""
        return f"--{self.name}" if self.value is None else f"--{self.name}={self.value}"


class Heredoc(Struct, frozen=True):
    """A here-document of RUN, COPY or ADD. ``body`` is the raw text between the opening and the closing line."""

    name: str
    quoted: bool  # 'EOF' or "EOF": no expansion
    strip_tabs: bool  # <<-
    body: MappedText
    marker: Span  # of ``<<EOF`` in the instruction


class Argument(Struct, frozen=True):
    """One word of an instruction, quotes kept (use ``unquote``), or one string of a JSON array, unquoted."""

    text: str
    span: Span


class Instruction(Struct, frozen=True):
    """One instruction, from its keyword to its last character (heredocs included, final line end excluded)."""

    keyword: str  # upper case; of an ONBUILD, the keyword it triggers
    onbuild: bool
    span: Span
    line: int  # of the first and last line, 1-based
    end_line: int
    flags: tuple[Flag, ...]
    exec_form: tuple[Argument, ...] | None  # the strings of a JSON array (of HEALTHCHECK: after CMD), else None
    arguments: MappedText  # what follows the flags, continuations joined, comment and blank lines gone
    heredocs: tuple[Heredoc, ...]
    escape: str = "\\"  # of the file

    def words(self) -> tuple[Argument, ...]:
        """Return the arguments split at blanks outside quotes, quotes kept; of a JSON array, its strings."""
        if self.exec_form is not None:
            return self.exec_form
        words = _WORDS[self.escape].finditer(self.arguments.text)
        return tuple(Argument(word[0], self.arguments.span(*word.span())) for word in words)


class Assignment(Struct, frozen=True):
    """One ``NAME=value`` of ENV, LABEL or ARG, its name unquoted.

    ``value`` is raw: quotes and ``$`` as written; None for ``ARG NAME``.
    """

    name: str
    value: str | None
    span: Span


class Stage(Struct, frozen=True):
    """What one FROM begins. ``base`` is raw (may hold ``$ARG``).

    Instructions that no FROM precedes form a stage of their own, so that a fragment can be read: its ``base`` is
    empty, and its ``instruction`` is the first of its ``instructions``.
    """

    index: int
    name: str | None  # lower case, as written after AS
    base: str
    instruction: Instruction  # the FROM
    instructions: tuple[Instruction, ...]  # those after it


class Dockerfile(Struct, frozen=True):
    """A whole file. ``instructions`` holds all, FROM included; ``global_arguments`` the ARGs before the first FROM.

    ``run`` is what the file calls a RUN. Where that is something else, the file has scripts alone: there is no ENV line
    and no mount, and only the last stage ships.
    """

    text: str
    escape: str
    directives: tuple[Directive, ...]
    comments: tuple[Comment, ...]
    instructions: tuple[Instruction, ...]
    global_arguments: tuple[Instruction, ...]
    stages: tuple[Stage, ...]
    run: str = "RUN"


def parse(text: str) -> Dockerfile:
    """Read ``text``. Raises DockerfileError where BuildKit's own reader would stop, and for what is too large."""
    if len(text) > MAX_LENGTH:
        raise DockerfileError(f"the file is longer than {MAX_LENGTH} characters", 1)
    lines = _Lines(text)
    directives = _directives(lines)
    escape = next((directive.value for directive in directives if directive.name == "escape"), "\\")
    instructions = tuple(_instructions(lines, escape))
    if not instructions:
        raise DockerfileError("the file has no instructions; begin it with FROM", 1)
    global_arguments, stages = _stages(text, instructions)
    return Dockerfile(text, escape, directives, tuple(lines.comments), instructions, global_arguments, stages)


def assignments(instruction: Instruction) -> tuple[Assignment, ...]:
    """Return what an ENV, ARG or LABEL sets, in both the ``NAME=value`` and the old ``ENV NAME value`` form.

    Other instructions set nothing.
    """
    if instruction.keyword not in {"ARG", "ENV", "LABEL"}:
        return ()
    words = instruction.words()
    if words and instruction.keyword != "ARG" and "=" not in words[0].text:
        text = instruction.arguments.text
        name, value = _BLANKS.split(text, maxsplit=1)
        return (Assignment(unquote(name, instruction.escape), value, instruction.arguments.span(0, len(text))),)
    found = []
    for word in words:
        name, equals, value = word.text.partition("=")
        found.append(Assignment(unquote(name, instruction.escape), value if equals else None, word.span))
    return tuple(found)


def unquote(text: str, escape: str = "\\") -> str:
    """Return ``text`` without the quotes and escapes that Dockerfile words may have; ``$`` stays as it is."""

    def bare(part: re.Match[str]) -> str:
        if part["double"] is not None:
            return _ESCAPES_IN_QUOTES[escape].sub(r"\1", part["double"])
        return part["single"] or part["escaped"] or ""

    return text if _is_plain(text, escape) else _QUOTED[escape].sub(bare, text)


def _is_plain(text: str, escape: str) -> bool:
    """Return True if ``text`` has nothing that quotes: it stands for itself."""
    return "'" not in text and '"' not in text and escape not in text


MAX_VALUE = 1 << 17  # characters; Linux passes none as long to a program (MAX_ARG_STRLEN, execve(2))


def expand(text: str, values: Mapping[str, str | None], escape: str = "\\", unknown: str = "\x00") -> str:
    """Return ``text`` unquoted, its ``$NAME`` and ``${NAME}`` replaced from ``values``.

    So are ``${NAME:-word}``, ``${NAME:+word}``, ``${NAME:?word}``, the same without the colon, ``${NAME#pattern}``,
    ``##``, ``%``, ``%%``, ``${NAME/pattern/word}`` and ``//``. A name that is absent is unset (empty, as BuildKit has
    it); one whose value is None is unknown and becomes ``unknown``. Single quotes and an escaped ``$`` keep the text.
    What BuildKit refuses (a quote that is not closed, another modifier, ``${NAME?}`` of an unset name) is ``unknown``
    as a whole; so is what becomes longer than MAX_VALUE.
    """
    if "$" not in text and len(text) <= MAX_VALUE and _is_plain(text, escape):
        return text
    stack = [_Substitution("", "")]
    length = 0
    try:
        for kind, token in _lex(text, escape):
            top = stack[-1]
            if kind in {"plain", "quoted"}:
                top.parts.append(token[0])
            elif kind == "single":
                top.parts.append(token["single"])
            elif kind == "escaped":
                # A pattern keeps its escapes: they say which star is a star.
                top.parts.append(token[0] if top.operator[:1] in _PATTERN_OPERATORS else token["escaped"])
            elif kind == "variable":
                name = token["name"] or token["variable"]
                value = values.get(name, "") if name else "$"
                top.known = top.known and value is not None
                top.parts.append(unknown if value is None else value)
                length += len(top.parts[-1])
            elif kind == "open":
                stack.append(_Substitution(token["name"], token["operator"]))
            elif kind == "divide":
                top.pattern = "".join(top.parts)
                top.parts.clear()
            elif kind == "close":
                stack.pop()
                result = _substitute(top, values)
                stack[-1].known = stack[-1].known and top.known and result is not None
                stack[-1].parts.append(unknown if result is None else result)
                length += len(stack[-1].parts[-1])
            if length > MAX_VALUE:
                return unknown
    except ValueError:
        return unknown
    return "".join(stack[0].parts)


# Lines.

# What Go's unicode.IsSpace takes for a blank; Python's own isspace takes some control characters too.
_SPACE = "\t\n\v\f\r \x85\xa0\u1680" + "".join(map(chr, range(0x2000, 0x200B))) + "\u2028\u2029\u202f\u205f\u3000"
_LONGEST_LINE = 65_535  # bytes; BuildKit reads lines with Go's bufio.Scanner


class _Lines:
    """The lines of a file, taken one by one, without line ends; ``comments`` gathers the comment lines met.

    Raises DockerfileError for a line that is too long for BuildKit.
    """

    __slots__ = ("_lines", "_starts", "comments", "end", "number", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.comments: list[Comment] = []
        self.number = 0  # of the line taken last, 1-based
        self.end = 0  # its end, without the line end
        self._lines = text.split("\n")
        self._starts = []
        start = 0
        for number, line in enumerate(self._lines, 1):
            # No character has more than four bytes.
            if len(line) * 4 > _LONGEST_LINE and len(line.rstrip("\r").encode(errors="replace")) > _LONGEST_LINE:
                raise DockerfileError(f"the line is longer than {_LONGEST_LINE} bytes; break it up", number)
            self._starts.append(start)
            start += len(line) + 1
        if not self._lines[-1]:
            self._lines.pop()
        if text.startswith("\ufeff"):  # a byte order mark
            self._lines[0] = self._lines[0][1:]
            self._starts[0] = 1
        if "\r" in text:
            self._lines = [line.rstrip("\r") for line in self._lines]

    def take(self) -> tuple[str, int] | None:
        """Return the next line and its offset, or None at the end of the file."""
        if self.number == len(self._lines):
            return None
        line, start = self._lines[self.number], self._starts[self.number]
        self.number += 1
        self.end = start + len(line)
        return line, start

    def take_code(self) -> tuple[str, int] | None:
        """Return the next line that is neither blank nor a comment, and its offset; None at the end of the file."""
        while (taken := self.take()) is not None:
            bare = taken[0].lstrip(_SPACE)
            if not bare:
                continue
            if bare[0] != "#":
                return taken
            span = Span(self.end - len(bare), self.end)
            self.comments.append(Comment(bare[1:], self.number, span))
        return None

    def directive(self) -> Directive | None:
        """Take the next line if it is a parser directive and return that."""
        if self.number == len(self._lines):
            return None
        line = self._lines[self.number].lstrip(_SPACE)
        name, _, value = line[1:].partition("=")
        name, value = name.lstrip(_SPACE).rstrip("\t\f\r ").lower(), value.strip("\t\f\r ")
        if not line.startswith("#") or name not in {"syntax", "escape", "check"} or not value:
            return None
        self.take()
        return Directive(name, value, self.number)


def _directives(lines: _Lines) -> tuple[Directive, ...]:
    """Take the parser directives: only the very first lines can be some.

    Raises DockerfileError for one that is there twice, and for an escape character that is not one.
    """
    found: list[Directive] = []
    while (directive := lines.directive()) is not None:
        if any(other.name == directive.name for other in found):
            raise DockerfileError(f"only one {directive.name} directive can be used", directive.line)
        if directive.name == "escape" and directive.value not in {"\\", "`"}:
            raise DockerfileError(f"invalid escape character {directive.value!r}; use ` or \\", directive.line)
        found.append(directive)
    return tuple(found)


def _error(text: str, offset: int, message: str) -> DockerfileError:
    """Return the error ``message`` at an offset of the file's ``text``."""
    return DockerfileError(message, text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset))


# Instructions.

_BLANKS = re.compile(r"[\t\v\f\r ]+")
_KEYWORD = re.compile(r"([a-zA-Z]+)(?:[\t\v\f\r ]+|\Z)")
_JSON_KEYWORDS = frozenset({"ADD", "CMD", "COPY", "ENTRYPOINT", "HEALTHCHECK", "RUN", "SHELL", "VOLUME"})
_HEREDOC_KEYWORDS = frozenset({"ADD", "COPY", "RUN"})


# Ten times as many as people write. What compares each with every other takes no longer than a second or two.
MAX_LENGTH = 1 << 19  # characters
MAX_INSTRUCTIONS = 1_000
MAX_STAGES = 250


def _instructions(lines: _Lines, escape: str) -> Iterator[Instruction]:
    """Yield the instructions of ``lines``. Raises DockerfileError."""
    count = 0
    while (taken := lines.take_code()) is not None:
        count += 1
        first = lines.number
        if count > MAX_INSTRUCTIONS:
            raise DockerfileError(f"more than {MAX_INSTRUCTIONS} instructions", first)
        joined = MappedText(_join(lines, *taken, escape))
        yield _instruction(lines, joined, first, escape)


def _join(lines: _Lines, line: str, start: int, escape: str) -> list[tuple[str, int]]:
    """Return the pieces of ``line`` and of those that continue it, which are taken from ``lines``."""
    pieces = []
    while True:
        body = line.rstrip(" \t")
        # An escaped escape character continues nothing.
        if not body.endswith(escape) or body.endswith(escape * 2):
            pieces.append((line, start))
            return pieces
        pieces.append((body[:-1], start))
        taken = lines.take_code()
        if taken is None:
            return pieces
        line, start = taken


def _instruction(lines: _Lines, joined: MappedText, first: int, escape: str) -> Instruction:
    """Read one instruction from its joined lines, of which the first is number ``first``, and take its heredocs."""
    text = joined.text
    end = len(text.rstrip(_SPACE))
    if not end:
        raise DockerfileError("no instruction stands before or after the escape character", first)
    begin = len(text) - len(text.lstrip(_SPACE))
    start = joined.offset(begin)
    keyword, position = _keyword(lines.text, joined, begin, end)
    flags, position = _flags(joined, position, end)
    onbuild = keyword == "ONBUILD"
    if onbuild:
        if flags or position == end:
            raise _error(lines.text, start, "ONBUILD takes an instruction, and no flags of its own")
        keyword, position = _keyword(lines.text, joined, position, end)
        if keyword in {"FROM", "MAINTAINER", "ONBUILD"}:
            raise _error(lines.text, start, f"{keyword} is not allowed after ONBUILD")
        flags, position = _flags(joined, position, end)
    arguments = joined.slice(end - len(text[position:end].lstrip(_SPACE)), end)
    exec_form = None
    if keyword in _JSON_KEYWORDS and arguments.text.endswith("]"):
        exec_form = _exec_form(lines.text, keyword, arguments)
    heredocs: tuple[Heredoc, ...] = ()
    if exec_form is None and keyword in _HEREDOC_KEYWORDS and "<<" in text:
        heredocs = tuple(_heredocs(lines, joined, start))
    instruction = Instruction(
        keyword,
        onbuild,
        Span(start, lines.end),
        first,
        lines.number,
        flags,
        exec_form,
        arguments,
        heredocs,
        escape,
    )
    if keyword in {"ENV", "LABEL"}:
        _check_assignments(lines.text, instruction)
    return instruction


def _keyword(text: str, joined: MappedText, start: int, end: int) -> tuple[str, int]:
    """Return the keyword at ``start`` of ``joined``, in upper case, and where what follows it begins.

    Raises DockerfileError for a word that is no keyword.
    """
    match = _KEYWORD.match(joined.text, start, end)
    if match is not None and match[1].upper() in KEYWORDS:
        return match[1].upper(), match.end()
    word = _BLANKS.split(joined.text[start:end], maxsplit=1)[0][:40]
    from difflib import get_close_matches

    close = get_close_matches(word.upper(), KEYWORDS, n=1)
    hint = f" (did you mean {close[0]}?)" if close else ""
    raise _error(text, joined.offset(start), f"unknown instruction: {word}{hint}")


def _stages(text: str, instructions: tuple[Instruction, ...]) -> tuple[tuple[Instruction, ...], tuple[Stage, ...]]:
    """Return the ARGs before the first stage, and the stages. Raises DockerfileError for a FROM that is malformed."""
    first = next((i for i, instruction in enumerate(instructions) if instruction.keyword != "ARG"), len(instructions))
    starts = [i for i, instruction in enumerate(instructions) if instruction.keyword == "FROM"]
    if len(starts) > MAX_STAGES:
        raise _error(text, instructions[starts[MAX_STAGES]].span.start, f"more than {MAX_STAGES} stages")
    stages = []
    if first < len(instructions) and instructions[first].keyword != "FROM":
        end = starts[0] if starts else len(instructions)
        stages.append(Stage(0, None, "", instructions[first], instructions[first:end]))
    for start, end in pairwise([*starts, len(instructions)]):
        base, name = _base(text, instructions[start])
        stages.append(Stage(len(stages), name, base, instructions[start], instructions[start + 1 : end]))
    return instructions[:first], tuple(stages)


def _base(text: str, instruction: Instruction) -> tuple[str, str | None]:
    """Return the image and the stage's name of a FROM. Raises DockerfileError."""
    words = _BLANKS.split(instruction.arguments.text)
    if len(words) == 1 and words[0]:
        return words[0], None
    if len(words) != 3 or words[1].upper() != "AS":
        raise _error(text, instruction.span.start, "FROM takes an image, or an image, AS and a name")
    name = words[2].lower()
    if re.fullmatch("[a-z][a-z0-9_.-]*", name) is None:
        raise _error(text, instruction.span.start, f"invalid name of a stage: {words[2][:40]}")
    return words[0], name


# Flags.

# Here the backslash escapes, whatever the directive says, and in single quotes too; and only ASCII has blanks.
_FLAG_PART = "|".join(
    (
        r"\\(?P<escaped>.?)",
        r"'(?P<single>[^'\\]*(?:\\.[^'\\]*)*)(?:'|\\?\Z)",
        r'"(?P<double>[^"\\]*(?:\\.[^"\\]*)*)(?:"|\\?\Z)',
    )
)
_FLAG = re.compile(rf"""(?P<word>(?:[^\t\v\f\r '"\\]+|{_FLAG_PART})+)[\t\v\f\r ]*""", re.DOTALL)
_FLAG_PARTS = re.compile(_FLAG_PART, re.DOTALL)
_BACKSLASHED = re.compile(r"\\(.)", re.DOTALL)


def _flags(joined: MappedText, position: int, end: int) -> tuple[tuple[Flag, ...], int]:
    """Return the flags at ``position`` of ``joined``, and where the arguments after them begin."""

    def bare(part: re.Match[str]) -> str:
        return part["escaped"] or _BACKSLASHED.sub(r"\1", part["single"] or part["double"] or "")

    flags = []
    while joined.text.startswith("--", position) and (word := _FLAG.match(joined.text, position, end)) is not None:
        position = word.end()
        written = _FLAG_PARTS.sub(bare, word["word"])
        if written == "--":  # ends the flags
            break
        name, equals, value = written[2:].partition("=")
        flags.append(Flag(name, value if equals else None, joined.span(*word.span("word"))))
    return tuple(flags), position


# JSON arrays.

_JSON_STRING = r'"[^"\\\x00-\x1f]*(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\x00-\x1f]*)*"'
_JSON_STRINGS = re.compile(_JSON_STRING)
_JSON_BLANKS = r"[ \t\r\n]*"
_JSON_ARRAY = re.compile(
    rf"\[{_JSON_BLANKS}(?:{_JSON_STRING}{_JSON_BLANKS}(?:,{_JSON_BLANKS}{_JSON_STRING}{_JSON_BLANKS})*)?\]\Z"
)


def _exec_form(text: str, keyword: str, arguments: MappedText) -> tuple[Argument, ...] | None:
    """Return the strings of a JSON array, each with the span of its literal; None when it is no JSON array.

    Raises DockerfileError for an array of other things than strings, as BuildKit does.
    """
    start = 0
    if keyword == "HEALTHCHECK":  # the array follows CMD
        kind = re.match(rf"[^{_SPACE}]+[{_SPACE}]+", arguments.text)
        start = kind.end() if kind else 0
    if not arguments.text.startswith("[", start):
        return None
    if _JSON_ARRAY.match(arguments.text, start):
        return tuple(
            Argument(_json_string(literal[0]), arguments.span(*literal.span()))
            for literal in _JSON_STRINGS.finditer(arguments.text, start)
        )
    import json

    try:
        json.loads(arguments.text[start:], parse_constant=_refuse)
    except (ValueError, RecursionError):
        return None
    raise _error(text, arguments.offset(start), "a JSON array of arguments holds strings only")


def _json_string(literal: str) -> str:
    if "\\" not in literal:
        return literal[1:-1]
    import json

    # A half of a surrogate pair is no character; Go puts the replacement character for it.
    return re.sub("[\ud800-\udfff]", "\ufffd", json.loads(literal))


def _refuse(constant: str) -> None:
    """Refuse the constants that JSON does not have but Python reads, such as NaN."""
    raise ValueError(constant)


# Here-documents.

_MARKED_WORD = re.compile(rf"(?:[^{_SPACE}<]+|<<-?[\t\r ]*|<)+")  # blanks may follow ``<<`` since BuildKit 0.22
_MARKER = re.compile(rf"[0-9]*(<<(-?)[{_SPACE}]*([^<]+))\Z")


def _heredocs(lines: _Lines, joined: MappedText, start: int) -> Iterator[Heredoc]:
    """Take the here-documents that the joined lines of an instruction announce, in their order, and yield them.

    Raises DockerfileError, at the instruction's ``start``, for one without its closing line.
    """
    for marker in _markers(joined.text):
        word = joined.text[marker.start(3) : marker.end(3)]
        name = unquote(word)
        if "<" in word or not name:
            continue
        strip_tabs = marker[2] == "-"
        first = None
        while (taken := lines.take()) is not None:
            line, begin = taken
            first = begin if first is None else first
            if (line.lstrip("\t") if strip_tabs else line) == name:
                body = MappedText([(lines.text[first:begin], first)])
                quoted = _quotes(word) != _quotes(name)
                yield Heredoc(name, quoted, strip_tabs, body, joined.span(marker.start(1), marker.end(1)))
                break
        else:
            raise _error(lines.text, start, f"the heredoc {name[:40]} is not closed")


def _markers(text: str) -> list[re.Match[str]]:
    """Return the words of an instruction that announce a here-document; none when its quotes are not balanced.

    What is quoted, escaped or substituted announces nothing: it is masked.
    """
    mask = []
    depth = 0
    try:
        for kind, token in _lex(text, "\\"):  # here the backslash escapes, whatever the directive says
            mask.append(token[0] if kind == "plain" and not depth else "_" * len(token[0]))
            depth += (kind == "open") - (kind == "close")
    except ValueError:
        return []
    words = _MARKED_WORD.finditer("".join(mask))
    return [marker for word in words if (marker := _MARKER.match(word.string, *word.span())) is not None]


def _quotes(text: str) -> int:
    """Return how many quotes ``text`` has."""
    return text.count("'") + text.count('"')


# Words.


class _Patterns(dict[str, re.Pattern[str]]):
    """A pattern for each escape character, which stands for ``ESC`` in it; compiled when one is asked for."""

    def __init__(self, pattern: str) -> None:
        super().__init__()
        self._pattern = pattern

    def __missing__(self, escape: str) -> re.Pattern[str]:
        self[escape] = compiled = re.compile(self._pattern.replace("ESC", re.escape(escape)), re.DOTALL)
        return compiled


_DOUBLE = r"""[^"ESC]*(?:ESC.[^"ESC]*)*"""
_WORDS = _Patterns(rf"""(?:[^{_SPACE}'"ESC]+|ESC.?|'[^']*'?|"{_DOUBLE}(?:"|ESC?\Z))+""")
_QUOTED = _Patterns(rf"""'(?P<single>[^']*)'?|"(?P<double>{_DOUBLE})(?:"|ESC?\Z)|ESC(?P<escaped>.?)""")
_ESCAPES_IN_QUOTES = _Patterns(r"""ESC(["$ESC])""")


def _check_assignments(text: str, instruction: Instruction) -> None:
    """Raise DockerfileError where an ENV or LABEL is not well-formed."""
    words = instruction.words()
    if not words or ("=" not in words[0].text and _BLANKS.search(instruction.arguments.text) is None):
        raise _error(text, instruction.span.start, f"{instruction.keyword} takes NAME=value")
    if "=" in words[0].text:
        for word in words:
            if "=" not in word.text:
                raise _error(text, word.span.start, f"{word.text[:40]} has no =; write NAME=value and quote its blanks")


# Variables: https://docs.docker.com/reference/dockerfile/#environment-replacement.

_NAME = r"[^\W\d]\w*|\d+|[@*#?$!-]"
_DOLLAR = rf"\$\{{(?P<name>{_NAME})(?P<operator>\}}|:[^#%]|[-+?#%]|//?)|\$(?!\{{)(?P<variable>(?:{_NAME})?)"
_BARE = rf"""'(?P<single>[^']*)'|(?P<quote>")|ESC(?P<escaped>.?)|{_DOLLAR}"""
_TOKENS = {  # by what closes the quote or the brace that is open
    "": _Patterns(rf"""(?P<plain>[^'"ESC$]+)|{_BARE}"""),
    "}": _Patterns(rf"""(?P<plain>[^'"ESC$}}]+)|(?P<close>\}})|{_BARE}"""),
    "/": _Patterns(rf"""(?P<plain>[^'"ESC$/]+)|(?P<divide>/)|{_BARE}"""),
    '"': _Patterns(rf"""(?P<quoted>[^"ESC$]+|ESC(?!["$ESC]))|(?P<quote>")|ESC(?P<escaped>.)|{_DOLLAR}"""),
}
_PATTERN_OPERATORS = frozenset("#%/")


def _lex(text: str, escape: str) -> Iterator[tuple[str, re.Match[str]]]:
    """Yield the tokens of ``text``, each with its kind.

    The kinds: ``plain``; ``quoted``, within double quotes; ``quote``, one of these; ``single``; ``escaped``;
    ``variable``, a whole ``$NAME`` or ``${NAME}``; ``open``, ``${NAME`` and a modifier; ``divide``, the slash between
    pattern and word; ``close``, the brace that ends what ``open`` began. Raises ValueError where BuildKit's shell
    lexer fails: quotes or braces that are not closed, a modifier that it does not know.
    """
    awaited = [""]
    position = 0
    while position < len(text):
        token = _TOKENS[awaited[-1]][escape].match(text, position)
        if token is None:
            raise ValueError("a bad substitution, or a quote that is not closed")
        position = token.end()
        kind = token.lastgroup or ""
        if kind == "operator":
            kind = "variable"
            if token["operator"] != "}":
                kind = "open"
                awaited.append("/" if token["operator"][0] == "/" else "}")
        elif kind == "close" or (kind == "quote" and awaited[-1] == '"'):
            awaited.pop()
        elif kind == "quote":
            awaited.append('"')
        elif kind == "divide":
            awaited[-1] = "}"
        yield kind, token
    if len(awaited) > 1:
        raise ValueError(f"{awaited[-1]} is missing")


class _Substitution(Struct):
    """A ``${NAME…}`` that is being read: ``parts`` of its word so far, ``pattern`` once a slash ended that.

    ``known`` becomes False with a part whose value is unknown.
    """

    name: str
    operator: str
    parts: list[str] = field(default_factory=list)
    pattern: str = ""
    known: bool = True


def _substitute(substitution: _Substitution, values: Mapping[str, str | None]) -> str | None:
    """Return what stands for ``substitution``, None if unknown. Raises ValueError where BuildKit would stop."""
    word = "".join(substitution.parts)
    value = values.get(substitution.name, "")
    if value is None:
        return None
    colon, operator = substitution.operator[:-1] == ":", substitution.operator[-1]
    is_set = substitution.name in values and not (colon and not value)
    if operator == "-":
        return value if is_set else word
    if operator == "+":
        return word if is_set else ""
    if operator == "?" and is_set:
        return value
    if operator not in _PATTERN_OPERATORS or colon:
        raise ValueError(f"{substitution.name} is not set, or the modifier {operator} is unknown")
    if not substitution.known or len(value) * len(word) > _MAX_MATCHING:
        return None
    if operator == "/":
        return _replace(value, _glob(substitution.pattern), word, every=substitution.operator == "//")
    greedy = word.startswith(operator)
    glob = _glob(word[greedy:])
    if operator == "#":
        return _without_prefix(value, glob, greedy)
    backwards = [segment[::-1] for segment in reversed(glob)]
    return _without_prefix(value[::-1], backwards, greedy)[::-1]


# Patterns. Between its stars a pattern has segments of a fixed length, so it is matched segment by segment: the first
# place that fits is right for all but the last, and nothing has to be tried twice.

_MAX_MATCHING = 1 << 20  # characters of a value times those of a pattern: bounds the time that it takes
_Glob = list[list[str]]  # segments of regular expressions for one character each


def _glob(pattern: str) -> _Glob:
    """Return the segments of a pattern in which ``*`` and ``?`` are wild and the backslash escapes."""
    segments: _Glob = [[]]
    for character in re.finditer(r"\\?(.)", pattern, re.DOTALL):
        if character[0] == "*":
            segments.append([])
        else:
            segments[-1].append("." if character[0] == "?" else re.escape(character[1]))
    return segments


def _find(value: str, glob: _Glob, start: int, *, anchored: bool, greedy: bool) -> tuple[int, int] | None:
    """Return where ``glob`` first matches in ``value`` from ``start`` on, at ``start`` itself if ``anchored``."""
    begin = position = start
    for number, segment in enumerate(glob):
        expression = re.compile("".join(segment), re.DOTALL)
        if number == 0:
            match = expression.match(value, start) if anchored else expression.search(value, start)
            begin = match.start() if match else start
        elif greedy and number == len(glob) - 1:
            places = range(len(value) - len(segment), position - 1, -1)
            match = next(filter(None, (expression.match(value, place) for place in places)), None)
        else:
            match = expression.search(value, position)
        if match is None:
            return None
        position = match.end()
    return begin, position


def _without_prefix(value: str, glob: _Glob, greedy: bool) -> str:
    """Return ``value`` without the shortest, or longest, prefix that ``glob`` matches."""
    found = _find(value, glob, 0, anchored=True, greedy=greedy)
    return value[found[1] :] if found else value


def _replace(value: str, glob: _Glob, word: str, *, every: bool) -> str:
    """Return ``value`` with the first match of ``glob``, or every one, replaced by ``word``."""
    result: list[str] = []
    position = 0
    while (found := _find(value, glob, position, anchored=False, greedy=True)) is not None:
        begin, end = found
        result += (value[position:begin], word)
        position = end
        if not every or (begin < end == len(value)):
            break
        if begin == end:  # an empty pattern matches before each character, and at the end
            result.append(value[end : end + 1])
            position += 1
            if position > len(value):
                break
    result.append(value[position:])
    return "".join(result)
