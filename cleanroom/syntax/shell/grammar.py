"""Make tree-sitter-bash read what the shell reads.

The grammar misreads some constructs and needs quadratic time for some broken texts. So the parser is given a *masked*
text: as long as the script, character for character one byte, with what it misreads replaced by something of the same
length that stands in the same place of the tree. Whoever reads the tree takes the characters from the script itself.
"""

from __future__ import annotations

import re
import sys
import time
from _thread import allocate_lock
from functools import cache, lru_cache
from importlib import import_module
from importlib.machinery import ExtensionFileLoader, PathFinder
from typing import TYPE_CHECKING

from msgspec import Struct, field

if TYPE_CHECKING:
    from typing import Any

    import tree_sitter

MAX_LENGTH = 1 << 20
MAX_NODES = 200_000
# An unfinished pipeline costs the parser the square of its length: 4,000 parts half a second.
MAX_PIPES = 4_000
MAX_SECONDS = 0.5
# Below this the parser's worst case is still quick, and the text can be handed over whole.
SMALL = 4096
CHUNK = 2048


class UnreadableError(Exception):
    """The script cannot be read; ``index`` is where in it."""

    def __init__(self, message: str, index: int) -> None:
        super().__init__(message)
        self.message = message
        self.index = index


class Heredoc(Struct, frozen=True):
    """A here-document: where its delimiter word and its body (without the closing line) are."""

    delimiter: int
    delimiter_end: int
    body: int
    body_end: int
    quoted: bool
    tabs: bool  # <<-: leading tabs are dropped


class Masked(Struct):
    """A masked text and what its masks stand for."""

    text: str
    heredocs: dict[int, Heredoc] = field(default_factory=dict)  # by the index of the operator
    backticks: list[tuple[int, int]] = field(default_factory=list)  # in order, both quotes included


# What can be masked wherever it stands: inside quotes and comments a mask changes nothing.
_ANYWHERE = re.compile(
    r"""
    (?= [^\x00-\x7f] | [$\[\\<>;\#\n\r\v\f] )            # what any of them begins with, to be quick
    (?:
      (?P<dot>
          [^\x00-\x7f]                                 # one byte for one character
        | \r(?!\n) | [\v\f]                             # blanks for the parser, not for the shell
        | (?<![^\s;&|(!]) \[ (?=\s)                     # "[" is a command like any other
        | (?<![\\$]) \$ (?! [\w({@*#?!'`$-] )           # a dollar that expands nothing
        | (?<=[^\s;&|()<>`${\#]) \# (?![^\s;&|)])      # a "#" at the end of a word
      )
    | (?P<escaped> (?<!\\) (?:\\\\)* \\[ \t(){};&|<>/] )  # an escaped character is part of a word
    | (?P<lead> \n[ \t]* \\ (?=[\w./-]) )              # so is one that begins a line
    | (?P<closing> [<>]&- )                             # takes no word but the dash
    | (?P<redirect> <<< | <> )
    | (?P<fallthrough> ;;?& )
    )
    """,
    re.VERBOSE | re.ASCII,
)


def _mask(match: re.Match[str]) -> str:
    kind = match.lastgroup
    if kind == "dot":
        return "."
    if kind == "lead":
        return match[0][:-1] + "."
    if kind == "closing":
        return match[0][0] + ".."
    if kind == "redirect":
        return "<".ljust(len(match[0]))
    if kind == "fallthrough":
        return ";;".ljust(len(match[0]))
    return "." * len(match[0])


# With nothing behind it a continued line is one that ends.
_LAST_CONTINUATION = re.compile(r"(?<!\\)\\(?=\r?\n\s*\Z)")


def mask(text: str, *, embedded: bool = False) -> Masked:
    """Return ``text`` masked. ``embedded`` text is in double quotes, but those inside it are no quotes."""
    if "\0" in text:
        raise UnreadableError("a NUL character", text.index("\0"))
    masked = Masked(_LAST_CONTINUATION.sub(" ", _ANYWHERE.sub(_mask, text)))
    if "<<" in masked.text or "`" in masked.text or embedded:
        _Scanner(text, masked, embedded).run()
    return masked


_SPECIAL = re.compile(r"[\\'\"`$()<\n#}]")
_BACKTICKS = re.compile(r"`(?:[^`\\]|\\.)*`", re.DOTALL)
ANSI_C = re.compile(r"\$'(?:[^'\\]|\\.)*'", re.DOTALL)
_DELIMITER = re.compile(r"""[ \t]*((?:[^\s;&|()<>'"\\$`]|\\.|'[^'\n]*'|"[^"\n]*")+)""")
_QUOTES = re.compile(r"""\\(.)|['"]""")


class _Scanner:
    """Finds here-documents and backticks, which needs to know what is quoted.

    ``(`` in the stack is a list of commands, ``A`` an open parenthesis of an arithmetic expression, ``{`` a parameter.
    """

    def __init__(self, text: str, masked: Masked, embedded: bool) -> None:
        self._text = text
        self._masked = masked
        self._embedded = embedded
        self._stack: list[str] = []
        self._edits: list[tuple[int, int, str]] = []
        self._pending: list[tuple[int, int, int, bool]] = []

    def run(self) -> None:
        """Complete the masked text."""
        index, end = 0, len(self._text)
        if self._embedded:
            index, end = 1, end - 1
            self._stack.append('"')
        self.scan(index, end, until=-1)
        if self._pending:
            raise UnreadableError("a here-document without its closing line", self._pending[0][0])
        pieces: list[str] = []
        position = 0
        for start, stop, replacement in self._edits:
            pieces += (self._masked.text[position:start], replacement)
            position = stop
        pieces.append(self._masked.text[position:])
        self._masked.text = "".join(pieces)

    def scan(self, index: int, end: int, until: int) -> int:
        """Read on from ``index`` until the stack is as low as ``until``, or to ``end``. Returns where."""
        text, stack = self._masked.text, self._stack
        while match := _SPECIAL.search(text, index, end):
            index = match.start()
            character = match[0]
            context = stack[-1] if stack else ""
            if character == "\\":
                index += 2
            elif character == "`":
                index = self._backticks(index, context)
            elif character == "$":
                index = self._dollar(index, context)
            elif context == '"':
                if character == '"':
                    if self._embedded and len(stack) == 1:
                        self._edits.append((index, index + 1, "."))
                    else:
                        stack.pop()
                elif character == "\n" and self._pending:
                    raise UnreadableError("a here-document that begins inside quotes", index)
                index += 1
            elif character == "\n":
                index = self._bodies(index + 1)
            else:
                index = self._unquoted(character, index, context)
            if len(stack) == until:
                return index
        return end

    def _unquoted(self, character: str, index: int, context: str) -> int:
        text, stack = self._masked.text, self._stack
        commands = context in {"", "("}
        if character == '"':
            stack.append('"')
        elif character == "'":
            # In "${x:-'}" it quotes nothing.
            if context != "{" or '"' not in stack:
                close = text.find("'", index + 1)
                if close == -1:
                    raise UnreadableError("a single quote without its end", index)
                return close + 1
        elif character == "(":
            if context == "A":
                stack.append("A")
            elif text.startswith("((", index):
                stack += "AA"
                return index + 2
            else:
                stack.append("(")
        elif character == ")":
            if context in {"(", "A"}:
                stack.pop()
        elif character == "}":
            if context == "{":
                stack.pop()
        elif character == "#" and commands and (index == 0 or text[index - 1] in " \t\n;&|()"):
            line_end = text.find("\n", index)
            return len(text) if line_end == -1 else line_end
        elif character == "<" and text.startswith("<<", index):
            if commands:
                return self._heredoc(index)
            # A shift, behind which the grammar goes on to look for a here-document.
            self._edits.append((index, index + 2, " +"))
            return index + 2
        return index + 1

    def _dollar(self, index: int, context: str) -> int:
        text, stack = self._masked.text, self._stack
        if text.startswith("((", index + 1):
            stack += "AA"
            return index + 3
        following = text[index + 1 : index + 2]
        if following in {"(", "{"}:
            stack.append(following)
        elif following == "'" and context != '"' and (match := ANSI_C.match(text, index)):
            return match.end()
        elif following == "#":
            return index + 2
        else:
            return index + 1
        return index + 2

    def _backticks(self, index: int, context: str) -> int:
        match = _BACKTICKS.match(self._masked.text, index)
        if not match:
            raise UnreadableError("a backtick without its end", index)
        self._masked.backticks.append(match.span())
        # In arithmetic a variable stands where a substitution can.
        self._edits.append((*match.span(), ("_" if context in {"A", "{"} else ".") * len(match[0])))
        return match.end()

    def _heredoc(self, index: int) -> int:
        tabs = self._masked.text.startswith("<<-", index)
        operator_end = index + (3 if tabs else 2)
        match = _DELIMITER.match(self._text, operator_end)
        if not match:
            raise UnreadableError("a here-document without a delimiter", index)
        self._edits.append((index, operator_end, "<".ljust(operator_end - index)))
        self._pending.append((index, match.start(1), match.end(1), tabs))
        return match.end()

    def _bodies(self, index: int) -> int:
        """Mask the bodies of the here-documents whose line ends before ``index``; return where the last one ends."""
        start = index
        for operator, delimiter, delimiter_end, tabs in self._pending:
            word = self._text[delimiter:delimiter_end]
            closing = _QUOTES.sub(lambda match: match[1] or "", word)
            body = index
            while True:
                line_end = self._text.find("\n", index)
                stop = len(self._text) if line_end == -1 else line_end
                line = self._text[index:stop].removesuffix("\r")
                if (line.lstrip("\t") if tabs else line) == closing:
                    break
                if line_end == -1:
                    raise UnreadableError(f"a here-document without its closing line {closing}", operator)
                index = line_end + 1
            self._masked.heredocs[operator] = Heredoc(delimiter, delimiter_end, body, index, word != closing, tabs)
            index = min(stop + 1, len(self._text))
        if self._pending:
            self._edits.append((start, index, " " * (index - start)))
            self._pending.clear()
        return index


def expansion_end(text: str, index: int) -> int:
    """Return where the ``$(…)``, ``${…}``, ``<(…)`` or backticks that begin at ``index`` end."""
    if text[index] == "`":
        match = _BACKTICKS.match(text, index)
        return match.end() if match else len(text)
    if text[index] in "<>":
        index += 1
    return _Scanner(text, Masked(text), embedded=False).scan(index, len(text), until=0)


_LOADING = allocate_lock()


@cache
def _binding(package: str) -> Any:
    """Return the extension module of a package of tree-sitter's.

    By itself where that is found, since the packages around them import ``importlib.resources`` and ``typing``, which
    takes as long as half a small file, for what is not used here.
    """
    name = f"{package}._binding"
    with _LOADING:  # two threads would make two modules, whose types are not those of each other
        if name not in sys.modules and package not in sys.modules:
            found = PathFinder.find_spec(package)
            spec = found and PathFinder.find_spec(name, found.submodule_search_locations)
            if spec and isinstance(spec.loader, ExtensionFileLoader):
                module = spec.loader.create_module(spec)
                spec.loader.exec_module(module)
                sys.modules[name] = module  # whoever imports the package later has the same
        return sys.modules.get(name) or import_module(name)


@lru_cache(maxsize=1)
def _language() -> tuple[tree_sitter.Language, tuple[str, ...]]:
    # Here, since most of what cleanroom does needs no shell parser.
    language = _binding("tree_sitter").Language(_binding("tree_sitter_bash").language())
    return language, tuple(language.node_kind_for_id(kind) or "" for kind in range(language.node_kind_count))


def kinds() -> tuple[str, ...]:
    """Return the name of each kind of node by its id, which is quicker to ask a node for than its name."""
    return _language()[1]


def grow(masked: str) -> tree_sitter.Node:
    """Return the root of the tree of a masked text.

    The parser cannot be interrupted, but it asks for the text in pieces: when it has taken too long it gets no more.
    """
    if masked.count("|") - 2 * masked.count("||") > MAX_PIPES:
        raise UnreadableError(f"more than {MAX_PIPES} pipes", 0)
    parser: tree_sitter.Parser = _binding("tree_sitter").Parser(_language()[0])
    data = masked.encode("ascii")
    if len(data) <= SMALL:
        return parser.parse(data).root_node
    deadline = time.thread_time() + MAX_SECONDS
    late = False

    def read(offset: int, _point: object) -> bytes:
        nonlocal late
        late = late or time.thread_time() > deadline
        return b"" if late else data[offset : offset + CHUNK]

    root = parser.parse(read).root_node
    if late:
        raise UnreadableError("it takes too long to read", 0)
    if root.descendant_count > MAX_NODES:
        raise UnreadableError(f"more than {MAX_NODES} parts", 0)
    return root
