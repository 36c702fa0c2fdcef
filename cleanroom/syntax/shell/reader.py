"""Make nodes of the tree that tree-sitter-bash grows of a script, and refuse what they would get wrong."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator
from typing import TYPE_CHECKING

from msgspec.structs import replace

from cleanroom.syntax.shell.grammar import ANSI_C, Heredoc, Masked, UnreadableError, grow, kinds, mask
from cleanroom.syntax.shell.nodes import (
    AndOr,
    Assignment,
    Case,
    Command,
    For,
    Function,
    Group,
    If,
    Item,
    Literal,
    Node,
    Parameter,
    Part,
    Pipeline,
    Redirect,
    Sequence,
    Substitution,
    Test,
    While,
    Word,
    substitutions_in,
)
from cleanroom.syntax.shell.plain import KEYWORDS, NOT_BLANK, PLAIN_COMMAND, RESERVED, plain_parts
from cleanroom.syntax.shell.quotes import ANSI_ESCAPE, ansi_escape
from cleanroom.syntax.text import MappedText, Span

if TYPE_CHECKING:
    import tree_sitter

    _Piece = tuple[str, int, int, list[tree_sitter.Node]]  # kind, start, end, nodes

MAX_DEPTH = 100
# What the grammar does not look into gets a reader of its own.
MAX_READERS = 5_000
# How often a text is read anew with what the last time showed to be misread.
MAX_READS = 4
# Kinds of nodes: what stands for itself in a pipeline, by what its own reader is.
_DECLARATIONS = frozenset({"declaration_command", "unset_command"})
_SIMPLE = _DECLARATIONS | {"command", "variable_assignment", "variable_assignments"}
_LISTS = frozenset({"list", "pipeline", "negated_command", "redirected_statement"})
_JOINTS = frozenset({"&&", "||", "|", "|&"})
_REDIRECTS = frozenset({"file_redirect", "herestring_redirect", "heredoc_redirect"})
_WRAPPERS = _REDIRECTS | {"command_name"}
_OPERATORS = frozenset({"<", ">", ">>", "&>", "&>>", "<&", ">&", ">|"})
_NO_WORDS = _OPERATORS | {"file_descriptor", "variable_assignment"}
_COMPOUND = (Group, If, For, While, Case)
_EXPANSIONS = frozenset(
    {
        "simple_expansion",
        "expansion",
        "command_substitution",
        "process_substitution",
        "arithmetic_expansion",
    }
)
_BLANK = re.compile(r"(?:[ \t]|\r(?=\n)|\\\r?\n)*")
_CONTINUATION = re.compile(r"(?:\\\r?\n)+")
_LINE_END = re.compile(r"(?:[ \t\r]|\\\r?\n)*(?:#[^\n]*)?\n")
_REST = re.compile(r"(?:[ \t\r]|\\\r?\n)*(?:#[^\n]*)?")
_NOTHING = re.compile(r"(?:[ \t\r\n]|\\\r?\n)*")
_OPERATOR = re.compile(r"&>>|&>|<<<|<<-|<<|<>|<&|>&|>>|>\||<|>")
_PLAIN = re.compile(r"[^\\$'\"`()\s]+")
_EXPANSION = re.compile(r"(?<!\\)(?:\\\\)*(?:\$[\w({]|`)", re.ASCII)
_LOST = re.compile(r"\$([A-Za-z_]\w*)", re.ASCII)
_NAME = re.compile(r"[^\s;&|()<>]+")
_ASSIGNED = re.compile(r"[A-Za-z_]\w*(?:\[.*\])?\+?=", re.ASCII | re.DOTALL)
_CONDITION = re.compile(r"\[\[\s.*[\s)]\]\]", re.DOTALL)
_DESCRIPTOR = re.compile(r"\d+|\{\w+\}", re.ASCII)
_NAMED = re.compile(r"\$(?:([A-Za-z_]\w*)|([0-9@*#?$!-]))", re.ASCII)
_LENGTH = re.compile(r"\$\{#([A-Za-z_]\w*|[0-9]+|[@*#?$!-])\}", re.ASCII)
_BRACED = re.compile(r"\$\{(!?)([A-Za-z_]\w*|[0-9]+|[@*#?$!-])", re.ASCII)
_OPERATION = re.compile(r":[-=?+]|[-=?+]|##?|%%?|//?")
_ESCAPES = re.compile(r"(?:\\(?:\r?\n|.))+", re.DOTALL)
_ESCAPE = re.compile(r"\\(?:\r?\n|(.))", re.DOTALL)
_QUOTED_ESCAPE = re.compile(r"\\(?:(\r?\n)|([$`\"\\]))")
_DOUBLE_QUOTED = re.compile(r'(?:[^\\"]|\\.)*', re.DOTALL)
_TIME = re.compile(r"time(?:[ \t]+(?:-p|--|time(?=[ \t])))*(?=[ \t])")
# What the grammar misses: a ``;`` between ``)`` and ``done`` or ``fi`` and ``fi``, one in ``for x do``, an end of
# a line of assignments, and a word that is a dash.
_JOINT = re.compile(r"(?:(?<=[)}])|(?<=\]\]))[ \t](?=[ \t]*(?:done|fi|then|else|elif|do|esac|\})(?![\w-]))", re.ASCII)
_CLOSING = re.compile(
    r"(?:^|(?<=[;&\n)}]))[ \t]*(?:fi|done|esac)(?:[ \t]+(?:done|fi|then|else|elif|do|esac|\})(?![\w-]))+", re.ASCII
)
_FOR_DO = re.compile(r"\b(for[ \t]+[A-Za-z_]\w*)[ \t](?=[ \t]*do\b)", re.ASCII)
_ASSIGNMENTS = re.compile(r"^([ \t]*(?:\w+=[^\s'\"\\()]*[ \t]+)+\w+=[^\s'\"\\()]*[ \t]*)\n", re.MULTILINE)
_DASH = re.compile(r"(?<=[ \t])-(?=[ \t]*(?:[\n;|&)]|[0-9]?[<>]))")
_GAP = re.compile(r"(?<=[a-z])[ \t](?=[ \t]*[a-z}])")
_WORD_END = re.compile(r"[ \t\n;&<>|()]")


class Reader:
    """Reads the tree of one text into nodes.

    ``positions`` gives for each character its index in the joined text (None: the same), ``offsets`` for each
    character of the joined text its offset in the file. ``embedded`` text is a here-document's, put in double quotes.
    """

    def __init__(
        self,
        text: str,
        positions: list[int] | None,
        offsets: list[int],
        script: MappedText,
        depth: int,
        *,
        embedded: bool = False,
    ) -> None:
        self._text = text
        self._positions = positions
        self._offsets = offsets
        self._script = script
        self._depth = depth
        self._is_embedded = embedded
        self._kinds = kinds()
        self._masked = Masked("")
        self._readers = 0
        self._used: set[int] = set()  # heredocs and backticks that were found in the tree, by their index
        self._prefixes: dict[int, tuple[int, bool]] = {}  # pipeline -> its masked ``!`` or ``time``, and if negated
        self._found: list[tuple[int, int, bool]] = []  # prefixes that the grammar took for part of a command
        self._line_ends: list[tuple[int, int]] = []  # line ends that the grammar took for blanks in a command

    def read(self) -> Sequence:
        """Return the whole text's commands."""
        try:
            return self._read()
        except UnreadableError as error:
            if self._positions is None:
                raise
            raise UnreadableError(error.message, self._positions[min(error.index, len(self._text) - 1)]) from None

    def _read(self) -> Sequence:
        self._masked = mask(self._text, embedded=self._is_embedded)
        joined = False
        depth = self._depth
        for _ in range(MAX_READS):
            self._depth = depth
            self._used.clear()
            self._found.clear()
            self._line_ends.clear()
            root = grow(self._masked.text)
            try:
                if root.has_error:
                    raise UnreadableError("a syntax error", self._first_error(root))
                sequence = self._sequence(root.children, 0, len(self._text))
                self._check_masks()
            except UnreadableError:
                if not self._found and not self._line_ends:
                    if joined:
                        raise
                    joined = True
                    self._masked.text = _as_the_grammar_wants(self._masked.text)
                    continue
            if not self._found and not self._line_ends:
                return sequence
            self._mask_prefixes()
            self._mask_line_ends()
        raise UnreadableError("it takes too long to read", 0)

    def _check_masks(self) -> None:
        """Make sure that nothing that was masked went unread: the tree could not be trusted."""
        for index in self._masked.heredocs.keys() | {start for start, _ in self._masked.backticks}:
            if index not in self._used:
                raise UnreadableError("a here-document or substitution where none can be", index)
        for index in self._prefixes:
            if index not in self._used:
                raise UnreadableError("! or time without a command", index)

    def _mask_prefixes(self) -> None:
        characters = list(self._masked.text)
        for start, end, _ in self._found:
            characters[start:end] = " " * (end - start)
        self._masked.text = "".join(characters)
        for start, end, negated in self._found:
            command = _blank_end(self._masked.text, end)
            earlier = self._prefixes.get(command)
            self._prefixes[command] = (
                (start, negated) if earlier is None else (min(start, earlier[0]), earlier[1] != negated)
            )

    def _mask_line_ends(self) -> None:
        text = self._masked.text
        for start, end in self._line_ends:
            text = f"{text[:start]}{';':>{end - start}}{text[end:]}"
        self._masked.text = text

    def _first_error(self, root: tree_sitter.Node) -> int:
        node = root
        while True:
            for child in node.children:
                if child.is_error or child.is_missing:
                    return child.start_byte
                if child.has_error:
                    node = child
                    break
            else:
                return node.start_byte

    # Positions

    def _span(self, start: int, end: int) -> Span:
        if self._positions is not None:
            start, end = self._index(start), self._index(end)
        if start >= end:
            offset = self._script.offset(start)
            return Span(offset, offset)
        return Span(self._offsets[start], self._offsets[end - 1] + 1)

    def _index(self, position: int) -> int:
        """Return the index in the joined text of a character, or of the end of one before."""
        if self._positions is None:
            return position
        return self._positions[position] if position < len(self._positions) else self._positions[-1] + 1

    # Lists

    def _sequence(self, nodes: list[tree_sitter.Node], start: int, end: int, *, filled: bool = False) -> Sequence:
        """Return the commands among ``nodes``, which stand in ``text[start:end]``; ``filled`` lists must have some."""
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise UnreadableError(f"constructs are nested more than {MAX_DEPTH} deep", start)
        text = self._text
        items: list[Item] = []
        node: Node | None = None
        last = start
        reached = start
        for child in nodes:
            kind = self._kinds[child.kind_id]
            at = child.start_byte
            self._nothing_between(reached, at)
            reached = child.end_byte
            if kind == "comment":
                continue
            if kind in {";", "&"}:
                if node is None:
                    raise UnreadableError(f"unexpected {kind}", at)
                if text[at] == "\n" and kind == ";":
                    items.append(Item(node, "\n", self._span(at, at + 1)))
                elif text[at] == kind:
                    items.append(Item(node, kind, self._span(at, at + 1)))
                elif _ends_compound(node):
                    items.append(Item(node, "", self._span(at, at)))
                else:
                    raise UnreadableError("unexpected keyword", at)
                node = None
                continue
            if node is not None:
                items.append(self._line(node, last, at))
            node = self._statement(child)
            last = child.end_byte
        if node is not None:
            items.append(self._line(node, last, end, final=True))
        self._depth -= 1
        if not items:
            if filled:
                raise UnreadableError("a list without commands", start)
            return Sequence((), self._span(start, start))
        return Sequence(tuple(items), Span(items[0].node.span.start, items[-1].node.span.end))

    def _nothing_between(self, end: int, start: int) -> None:
        """Make sure that the grammar left nothing out there; it loses dashes."""
        if (
            start > end
            and self._masked.text[end:start] != " "
            and not _NOTHING.fullmatch(self._masked.text, end, start)
        ):
            raise UnreadableError("a word that belongs to no command", end)

    def _line(self, node: Node, last: int, end: int, *, final: bool = False) -> Item:
        """Return the item of a node that ends at ``last`` without ``;`` or ``&``."""
        match = _LINE_END.match(self._text, last, end)
        if match:
            return Item(node, "\n", self._span(match.end() - 1, match.end()))
        if final and _REST.fullmatch(self._text, last, end):
            return Item(node, "", self._span(last, last))
        following = _blank_end(self._text, last)
        if self._text.startswith(";;", following):
            raise UnreadableError("unexpected ;;", following)
        raise UnreadableError("commands without anything between them", last)

    def _statement(self, node: tree_sitter.Node) -> Node:
        """Return a list of pipelines.

        The grammar misplaces ``!`` and redirects in it, so its order is taken and its structure made anew.
        """
        kind = self._kinds[node.kind_id]
        if kind in _SIMPLE and not self._prefixes:
            if self._text.startswith("time", node.start_byte):
                self._note_time(node.start_byte)
            return self._simple([node])
        stack = [node]
        elements: list[list[tree_sitter.Node]] = []  # each with its redirects
        operators: list[tuple[str, int, int]] = []  # what follows each
        negations: dict[int, int] = {}  # element -> where its ``!`` is
        names = self._kinds
        reached = node.start_byte
        while stack:
            node = stack.pop()
            kind = names[node.kind_id]
            if kind in _LISTS:
                stack.extend(node.children[::-1])
                continue
            self._nothing_between(reached, node.start_byte)
            reached = node.end_byte
            if kind in _JOINTS:
                operators.append((kind, node.start_byte, node.end_byte))
            elif kind == "!":
                if self._masked.text[_blank_end(self._masked.text, node.end_byte)] in "\n#" or (
                    self._masked.text[node.end_byte] not in " \t\r\\("
                ):
                    raise UnreadableError("unexpected !", node.start_byte)
                negations[len(operators)] = node.start_byte
            elif kind in _REDIRECTS and len(elements) > len(operators):
                elements[-1].append(node)
            elif kind != "comment":
                if len(elements) != len(operators):
                    raise UnreadableError("commands without anything between them", node.start_byte)
                elements.append([node])
        if len(elements) != len(operators) + 1:
            raise UnreadableError("a command is missing", node.start_byte)
        result: Node | None = None
        joint = ("", 0, 0)
        first = 0
        for last, operator in enumerate([*operators, ("", 0, 0)]):
            if operator[0] in {"|", "|&"}:
                continue
            pipeline = self._pipeline(elements[first : last + 1], first, negations)
            if result is None:
                result = pipeline
            else:
                span = Span(result.span.start, pipeline.span.end)
                result = AndOr(result, joint[0], pipeline, span, self._span(joint[1], joint[2]))
            joint = operator
            first = last + 1
        assert result is not None
        return result

    def _pipeline(self, elements: list[list[tree_sitter.Node]], first: int, negations: dict[int, int]) -> Node:
        """Return what ``elements`` make, the first of which is number ``first`` in its list."""
        if negations and any(first < number < first + len(elements) for number in negations):
            raise UnreadableError("! inside a pipeline", elements[0][0].start_byte)
        begin = elements[0][0].start_byte
        start = negations.get(first, begin)
        negated = first in negations
        prefixed = False
        if self._prefixes:
            for position in {start, *(nodes[0].start_byte for nodes in elements)} & self._prefixes.keys():
                self._used.add(position)
                if position <= begin:
                    prefixed = True
                    start = min(start, self._prefixes[position][0])
                    negated = negated != self._prefixes[position][1]
        for nodes in elements:
            if self._text.startswith("time", nodes[0].start_byte):
                self._note_time(nodes[0].start_byte)
        if first in negations:
            name = _NAME.match(self._text, begin)
            if name and (name[0] in RESERVED or name[0] in KEYWORDS):
                self._found.append((start, start + 1, True))
        parts = tuple([self._element(nodes) for nodes in elements])
        if len(parts) == 1 and not prefixed and not negated:
            return parts[0]
        return Pipeline(parts, negated, Span(self._span(start, start + 1).start, parts[-1].span.end))

    def _note_time(self, start: int) -> None:
        masked = self._masked.text
        match = _TIME.match(masked, start)
        if match and not masked.startswith(("\n", ";", "&", "|", ")"), _blank_end(masked, match.end())):
            self._found.append((start, match.end(), False))

    def _element(self, nodes: list[tree_sitter.Node]) -> Node:
        """Return one part of a pipeline: a node of the tree and its redirects."""
        node = nodes[0]
        kind = self._kinds[node.kind_id]
        if kind in _SIMPLE or kind in _REDIRECTS:
            return self._simple(nodes)
        reader = _READERS.get(kind)
        if reader is None:
            raise UnreadableError(f"unexpected {kind}", node.start_byte)
        end = nodes[-1].end_byte
        redirects: tuple[Redirect, ...] = ()
        if len(nodes) > 1:
            only = self._simple(nodes[1:])
            if only.words or only.assignments:
                raise UnreadableError("words behind a compound command", node.end_byte)
            redirects = only.redirects
        return reader(self, node, redirects, self._span(node.start_byte, end))

    # Simple commands

    def _simple(self, nodes: list[tree_sitter.Node]) -> Command:
        """Return the command whose words, assignments and redirects ``nodes`` hold.

        The grammar gives words behind a redirect to the redirect, and splits some words: only the order of the pieces
        is taken from it.
        """
        names = self._kinds
        if len(nodes) == 1 and names[nodes[0].kind_id] == "command":
            start, end = nodes[0].start_byte, nodes[0].end_byte
            if PLAIN_COMMAND.fullmatch(self._text, start, end):
                return self._plain_command(start, end)
        pieces, keyword = self._pieces(nodes)
        words: list[Word] = []
        assignments: list[Assignment] = []
        redirects: list[Redirect] = []
        operator = ""
        operator_start = redirect_start = -1
        begin = last = pieces[0][1]
        for kind, start, end, group in self._grouped(pieces):
            last = end
            if kind == "file_descriptor":
                redirect_start = start
            elif kind in _OPERATORS:
                match = _OPERATOR.match(self._text, start)
                if operator or not match:
                    raise UnreadableError("a redirect without a target", start)
                operator, operator_start = match[0], start
                redirect_start = start if redirect_start < 0 else redirect_start
            elif operator:
                span = self._span(redirect_start, end)
                redirects.append(self._redirect(operator, operator_start, group, start, end, span))
                operator, redirect_start = "", -1
            elif kind == "variable_assignment" and not words and _ASSIGNED.match(self._masked.text, start, end):
                assignments.append(self._assignment(group, start, end))
            elif not words and _ASSIGNED.match(_CONTINUATION.sub("", self._masked.text[start:end])):
                raise UnreadableError("an assignment in an unusual place", start)
            else:
                words.append(self._word(group, start, end, declared=kind == "variable_assignment"))
        if operator:
            raise UnreadableError("a redirect without a target", operator_start)
        if words and words[0].raw in RESERVED:
            raise UnreadableError(f"unexpected {words[0].raw}", begin)
        return Command(tuple(words), tuple(assignments), tuple(redirects), self._span(begin, last), keyword)

    def _pieces(self, nodes: list[tree_sitter.Node]) -> tuple[list[_Piece], str]:
        """Return the pieces that a simple command is made of, and the keyword that it begins with, "" for none."""
        names, masked = self._kinds, self._masked.text
        parts: list[tree_sitter.Node] = []
        keyword = ""
        for node in nodes:
            kind = names[node.kind_id]
            if kind == "variable_assignment":
                parts.append(node)
                continue
            children = node.children
            if kind in _DECLARATIONS:
                keyword = names[children[0].kind_id]
            for child in children:
                if names[child.kind_id] in _WRAPPERS:
                    parts.extend(child.children)
                else:
                    parts.append(child)
        pieces: list[_Piece] = []
        for part in parts:
            kind, start, end = names[part.kind_id], part.start_byte, part.end_byte
            if kind == "word" and masked[start] in "{}[]" and not _PLAIN.fullmatch(masked, start, end):
                # The grammar takes ``{ } [`` for one word.
                pieces.extend([(kind, *match.span(), []) for match in NOT_BLANK.finditer(masked, start, end)])
            elif kind == "file_descriptor" and not _DESCRIPTOR.fullmatch(masked, start, end):
                pieces.append(("word", start, end, []))
            elif kind != "comment":
                pieces.append((kind, start, end, [part]))
        return pieces, keyword

    def _grouped(self, pieces: list[_Piece]) -> Iterator[_Piece]:
        """Yield the pieces, those of one word together. Line ends that the grammar took for blanks are noted."""
        masked = self._masked.text
        last = pieces[0][1]
        index, count = 0, len(pieces)
        while index < count:
            kind, start, end, group = pieces[index]
            index += 1
            if start != last and masked[last:start] != " " and _blank_end(masked, last) != start:
                line_end = _LINE_END.match(masked, last, start)
                if not line_end:
                    raise UnreadableError("a line end inside a command", last)
                self._line_ends.append(line_end.span())
            last = end
            if kind != "file_descriptor" and kind not in _OPERATORS:
                while index < count and pieces[index][0] not in _NO_WORDS and self._joined(last, pieces[index][1]):
                    group.extend(pieces[index][3])
                    last = pieces[index][2]
                    index += 1
            yield kind, start, last, group

    def _redirect(
        self, operator: str, operator_start: int, target: list[tree_sitter.Node], start: int, end: int, span: Span
    ) -> Redirect:
        """Return the redirect whose target is ``text[start:end]``."""
        if heredoc := self._masked.heredocs.get(operator_start):
            self._used.add(operator_start)
            return self._heredoc(heredoc, operator, span)
        # Of ``>&-`` the mask made a shorter operator.
        word = self._word(target, max(start, operator_start + len(operator)), end)
        return Redirect(operator, word, None, False, span)

    def _plain_command(self, start: int, end: int) -> Command:
        """Return the command that ``text[start:end]`` is when only blanks in it have a meaning, which is common."""
        words = [self._plain_word(match[0], *match.span()) for match in NOT_BLANK.finditer(self._text, start, end)]
        if words[0].raw in RESERVED:
            raise UnreadableError(f"unexpected {words[0].raw}", start)
        return Command(tuple(words), (), (), self._span(start, end))

    def _plain_word(self, raw: str, start: int, end: int) -> Word:
        if self._positions is None:
            return Word(raw, plain_parts(raw), Span(self._offsets[start], self._offsets[end - 1] + 1), start, end)
        return Word(raw, plain_parts(raw), self._span(start, end), self._index(start), self._index(end))

    def _joined(self, end: int, start: int) -> bool:
        """Return True if pieces that end and start there are of one word: a continued line does not end a word."""
        return end == start or bool(_CONTINUATION.fullmatch(self._masked.text, end, start))

    def _assignment(self, group: list[tree_sitter.Node], start: int, end: int) -> Assignment:
        children = group[0].children
        sign = children[1]
        name = self._text[start : sign.start_byte]
        if not name.isidentifier() and re.search(r"\$\(|[<>]\(|`", name):
            raise UnreadableError("a substitution in a subscript", start)
        append = sign.end_byte - sign.start_byte == 2
        span = self._span(start, end)
        values = children[2:]
        if values and self._kinds[values[0].kind_id] == "array":
            return Assignment(name, None, append, span, self._words(values[0].children[1:-1]))
        return Assignment(name, self._word([*values, *group[1:]], sign.end_byte, end), append, span)

    def _heredoc(self, heredoc: Heredoc, operator: str, span: Span) -> Redirect:
        start, end = heredoc.body, heredoc.body_end
        body = self._script.slice(self._index(start), self._index(end)) if end > start else MappedText(())
        if heredoc.tabs:
            body = MappedText(
                piece
                for line in re.finditer(r"^\t*(.*\n?)", body.text, re.MULTILINE)
                for piece in body.pieces(line.start(1), line.end(1))
            )
        raw = self._text[heredoc.delimiter : heredoc.delimiter_end]
        literal = Literal(re.sub(r"""\\(.)|['"]""", lambda match: match[1] or "", raw), heredoc.quoted)
        place = self._span(heredoc.delimiter, heredoc.delimiter_end)
        target = Word(raw, (literal,), place, self._index(heredoc.delimiter), self._index(heredoc.delimiter_end))
        expansions: tuple[Parameter | Substitution, ...] = ()
        if not heredoc.quoted and _find_expansion(self._text, start, end):
            expansions = tuple([part for part in self._embedded(start, end) if not isinstance(part, Literal)])
        return Redirect(operator, target, body, heredoc.quoted, span, expansions)

    # Words

    def _words(self, nodes: list[tree_sitter.Node], *, lines: bool = True) -> tuple[Word, ...]:
        """Return the words that ``nodes`` make, with blanks and comments between them, if ``lines`` also line ends."""
        words: list[Word] = []
        group: list[tree_sitter.Node] = []
        for node in nodes:
            if self._kinds[node.kind_id] == "comment":
                continue
            if group and not self._joined(group[-1].end_byte, node.start_byte):
                if not lines and _blank_end(self._masked.text, group[-1].end_byte) != node.start_byte:
                    raise UnreadableError("a line end inside a command", group[-1].end_byte)
                words.append(self._word(group, group[0].start_byte, group[-1].end_byte))
                group = []
            group.append(node)
        if group:
            words.append(self._word(group, group[0].start_byte, group[-1].end_byte))
        return tuple(words)

    def _word(self, nodes: list[tree_sitter.Node], start: int, end: int, *, declared: bool = False) -> Word:
        raw = self._text[start:end]
        if _PLAIN.fullmatch(raw):
            return self._plain_word(raw, start, end)
        found = self._parts(nodes, start, end, False)
        parts = tuple(_with_lost_parameters(found) if raw.count("$") > 1 else found)
        for part in parts:
            # A declared array is one word with blanks in it.
            if type(part) is Literal and not part.quoted and not declared and _WORD_END.search(part.text):
                raise UnreadableError("a word that is hard to tell from the next", start)
        return Word(raw, parts, self._span(start, end), self._index(start), self._index(end))

    def _parts(self, nodes: list[tree_sitter.Node], start: int, end: int, quoted: bool) -> list[Part]:
        """Return the parts of ``text[start:end]``: ``nodes``, and literal text between them."""
        result: list[Part] = []
        masked = self._masked.text
        for node in nodes:
            kind = self._kinds[node.kind_id]
            at, stop = node.start_byte, node.end_byte
            if kind in _EXPANSIONS:
                # Behind a blank in double quotes the token takes the blank in.
                while masked[at] in " \t\r\n":
                    at += 1
            if at > start:
                self._literal(start, at, quoted, result)
            start = stop
            if kind == "string":
                if masked[at] != '"' or masked[stop - 1] != '"' or stop - at < 2:
                    raise UnreadableError("a double quote without its end", at)
                if not quoted and result and isinstance(result[-1], Literal) and self._text[at - 1] == "$":
                    # $"…" is a string to translate.
                    _drop_dollar(result)
                inner = [child for child in node.children if self._kinds[child.kind_id] in _EXPANSIONS]
                result.extend(self._parts(inner, at + 1, stop - 1, True) or [Literal("", True)])
            elif kind == "raw_string":
                # In "${x:-'a'}" they are no quotes.
                result.append(Literal(self._text[at:stop] if quoted else self._text[at + 1 : stop - 1], True))
            elif kind == "ansi_c_string":
                if not ANSI_C.fullmatch(masked, at, stop):
                    raise UnreadableError("quotes that are hard to tell apart", at)
                result.append(Literal(ANSI_ESCAPE.sub(ansi_escape, self._text[at + 2 : stop - 1]), True))
            elif kind == "simple_expansion":
                match = _NAMED.match(masked, at)
                if not match or masked.startswith("\\", match.end(), stop):
                    raise UnreadableError("an unknown expansion", at)
                result.append(Parameter(match[1] or match[2], "", None, quoted))
                if match.end() < stop:
                    self._literal(match.end(), stop, quoted, result)
            elif kind == "expansion":
                result.append(self._parameter(node, at, stop, quoted))
            elif kind == "command_substitution" or kind == "process_substitution":
                if masked[at + 1] != "(" or masked[stop - 1] != ")":
                    raise UnreadableError("an unknown substitution", at)
                body = self._sequence(node.children[1:-1], at + 2, stop - 1)
                result.append(Substitution(kind.partition("_")[0], body, quoted))
            elif kind == "arithmetic_expansion":
                if masked[at] != "$":
                    raise UnreadableError("unexpected ((", at)
                items = tuple([item for part in self._substitutions(node.children[1:-1]) for item in part.body.items])
                result.append(Substitution("arithmetic", Sequence(items, self._span(at, stop)), quoted))
            elif kind != "comment":
                children = node.children
                if children:
                    result.extend(self._parts(children, at, stop, quoted))
                else:
                    self._literal(at, stop, quoted, result)
        if start < end:
            self._literal(start, end, quoted, result)
        return result

    def _literal(self, start: int, end: int, quoted: bool, result: list[Part]) -> None:
        """Append the parts of text in which the grammar sees no expansions."""
        backticks = self._masked.backticks
        for index in range(bisect_left(backticks, (start, 0)), len(backticks)):
            at, stop = backticks[index]
            if stop > end:
                break
            self._text_parts(start, at, quoted, result)
            self._used.add(at)
            result.append(Substitution("command", self._backticks(at, stop), quoted))
            start = stop
        self._text_parts(start, end, quoted, result)

    def _text_parts(self, start: int, end: int, quoted: bool, result: list[Part]) -> None:
        if start == end:
            return
        if _find_expansion(self._masked.text, start, end):
            # Patterns and replacements are one token for the grammar.
            result.extend(self._embedded(start, end))
            return
        text = self._text[start:end]
        if quoted:
            if not _DOUBLE_QUOTED.fullmatch(self._masked.text, start, end):
                raise UnreadableError("quotes that are hard to tell apart", start)
            result.append(Literal(_QUOTED_ESCAPE.sub(lambda match: match[2] or "", text), True))
            return
        position = 0
        for match in _ESCAPES.finditer(text):
            _append_unquoted(text[position : match.start()], result)
            escaped = _ESCAPE.sub(lambda escape: escape[1] or "", match[0])
            if escaped:
                result.append(Literal(escaped, True))
            position = match.end()
        _append_unquoted(text[position:], result)

    def _parameter(self, node: tree_sitter.Node, start: int, end: int, quoted: bool) -> Parameter:
        masked = self._masked.text
        match = _LENGTH.fullmatch(masked, start, end)
        if match:
            return Parameter(match[1], "length", None, quoted)
        match = _BRACED.match(masked, start)
        if not match or masked[end - 1] != "}":
            raise UnreadableError("a bad substitution", start)
        rest = match.end()
        name = match[2]
        operation = None if match[1] else _OPERATION.match(masked, rest, end - 1)
        if operation:
            operator, argument = operation[0], operation.end()
        else:
            operator, argument = match[1] + self._text[rest : end - 1], rest
            if not _find_expansion(self._text, rest, end - 1):
                return Parameter(name, operator, None, quoted)
        if argument == end - 1:
            return Parameter(name, operator, None, quoted)
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise UnreadableError(f"constructs are nested more than {MAX_DEPTH} deep", start)
        nodes = [child for child in node.children[:-1] if child.start_byte >= argument]
        parts = tuple(self._parts(nodes, argument, end - 1, quoted))
        self._depth -= 1
        raw = self._text[argument : end - 1]
        place = self._span(argument, end - 1)
        return Parameter(name, operator, Word(raw, parts, place, self._index(argument), self._index(end - 1)), quoted)

    def _substitutions(self, nodes: list[tree_sitter.Node]) -> list[Substitution]:
        """Return the substitutions in expressions, however deep these are."""
        parts: list[Part] = []
        stack = nodes[::-1]
        while stack:
            node = stack.pop()
            kind = self._kinds[node.kind_id]
            start, end = node.start_byte, node.end_byte
            if kind in _EXPANSIONS or kind == "string":
                parts.extend(self._parts([node], start, end, False))
            elif kind not in {"raw_string", "ansi_c_string", "comment"}:
                children = node.children
                if children:
                    stack.extend(reversed(children))
                else:
                    self._literal(start, end, False, parts)
        return list(substitutions_in(parts))

    def _backticks(self, start: int, end: int) -> Sequence:
        """Return the commands between backticks, where a backslash before another one, a backtick or ``$`` goes."""
        text: list[str] = []
        positions: list[int] = []
        at = start + 1
        while at < end - 1:
            if self._text[at] == "\\" and self._text[at + 1] in "`\\$":
                at += 1
            text.append(self._text[at])
            positions.append(self._index(at))
            at += 1
        if not text:
            return Sequence((), self._span(at, at))
        return self._reader("".join(text), positions, embedded=False).read()

    def _embedded(self, start: int, end: int) -> tuple[Part, ...]:
        """Return the parts of text in which only ``$`` and backticks count, as they do in double quotes."""
        positions = [self._index(at) for at in range(start, end)]
        positions = [positions[0], *positions, positions[-1]]
        items = self._reader(f'"{self._text[start:end]}"', positions, embedded=True).read().items
        node = items[0].node
        if len(items) != 1 or not isinstance(node, Command) or len(node.words) != 1:
            raise UnreadableError("an unknown expansion", start)
        return node.words[0].parts

    def _reader(self, text: str, positions: list[int], *, embedded: bool) -> Reader:
        self._readers += 1
        if self._depth >= MAX_DEPTH:
            raise UnreadableError(f"constructs are nested more than {MAX_DEPTH} deep", 0)
        if self._readers > MAX_READERS:
            raise UnreadableError(f"more than {MAX_READERS} expansions in patterns and backticks", 0)
        return Reader(text, positions, self._offsets, self._script, self._depth + 1, embedded=embedded)

    # Compound commands: each gets its node of the tree, its redirects and its span with them

    def _group(self, node: tree_sitter.Node, redirects: tuple[Redirect, ...], span: Span) -> Node:
        children = node.children
        opening = self._kinds[children[0].kind_id]
        if opening == "((":
            return self._test(node, redirects, span)
        start, end = children[0].end_byte, children[-1].start_byte
        if opening == "{" and self._masked.text[start] not in " \t\r\n\\(":
            raise UnreadableError("unexpected {", node.start_byte)
        return Group(opening == "(", self._sequence(children[1:-1], start, end, filled=True), redirects, span)

    def _test(self, node: tree_sitter.Node, redirects: tuple[Redirect, ...], span: Span) -> Node:
        raw = self._text[node.start_byte : node.end_byte]
        if raw.startswith("[") and not _CONDITION.fullmatch(raw):
            raise UnreadableError("unexpected [", node.start_byte)
        return Test(raw, tuple(self._substitutions(node.children[1:-1])), span, redirects)

    def _if(self, node: tree_sitter.Node, redirects: tuple[Redirect, ...], span: Span) -> Node:
        branches: list[tuple[Sequence, Sequence]] = []
        otherwise: Sequence | None = None
        children = node.children
        clauses = [child for child in children if self._kinds[child.kind_id] in {"elif_clause", "else_clause"}]
        end = clauses[0].start_byte if clauses else children[-1].start_byte
        own = [child for child in children[:-1] if child.end_byte <= end]
        branches.append(self._branch(own, end))
        for index, clause in enumerate(clauses):
            end = clauses[index + 1].start_byte if index + 1 < len(clauses) else children[-1].start_byte
            parts = clause.children
            if self._kinds[clause.kind_id] == "elif_clause":
                branches.append(self._branch(parts, end))
            else:
                otherwise = self._sequence(parts[1:], parts[0].end_byte, end, filled=True)
        return If(tuple(branches), otherwise, redirects, span)

    def _branch(self, nodes: list[tree_sitter.Node], end: int) -> tuple[Sequence, Sequence]:
        """Return the condition and the body of ``if … then …``, which ends at ``end``."""
        then = self._find(nodes, "then")
        middle = nodes[then]
        condition = self._sequence(nodes[1:then], nodes[0].end_byte, middle.start_byte, filled=True)
        return condition, self._sequence(nodes[then + 1 :], middle.end_byte, end, filled=True)

    def _find(self, nodes: list[tree_sitter.Node], kind: str) -> int:
        for index, node in enumerate(nodes):
            if self._kinds[node.kind_id] == kind:
                return index
        raise UnreadableError(f"{kind} is missing", nodes[0].start_byte)

    def _for(self, node: tree_sitter.Node, redirects: tuple[Redirect, ...], span: Span) -> Node:
        children = node.children
        name = children[1]
        words: tuple[Word, ...] | None = None
        if self._kinds[children[2].kind_id] == "in":
            values = [child for child in children[3:-1] if self._kinds[child.kind_id] not in {";", "comment"}]
            words = self._words(values, lines=False)
        return For(self._text[name.start_byte : name.end_byte], words, self._body(children[-1]), redirects, span)

    def _c_style_for(self, node: tree_sitter.Node, redirects: tuple[Redirect, ...], span: Span) -> Node:
        children = node.children
        if any(substitution.body.items for substitution in self._substitutions(children[1:-1])):
            raise UnreadableError("a substitution in the head of a loop", node.start_byte)
        return For("", None, self._body(children[-1]), redirects, span)

    def _body(self, node: tree_sitter.Node) -> Sequence:
        """Return the commands between ``do`` and ``done``, or of ``{ … }``."""
        children = node.children
        return self._sequence(children[1:-1], children[0].end_byte, children[-1].start_byte, filled=True)

    def _while(self, node: tree_sitter.Node, redirects: tuple[Redirect, ...], span: Span) -> Node:
        children = node.children
        body = children[-1]
        condition = self._sequence(children[1:-1], children[0].end_byte, body.start_byte, filled=True)
        until = self._kinds[children[0].kind_id] == "until"
        return While(condition, self._body(body), until, redirects, span)

    def _case(self, node: tree_sitter.Node, redirects: tuple[Redirect, ...], span: Span) -> Node:
        children = node.children
        keyword = self._find(children, "in")
        words = self._words([child for child in children[1:keyword] if self._kinds[child.kind_id] != ";"])
        if len(words) != 1:
            raise UnreadableError("case needs one word", node.start_byte)
        branches: list[tuple[tuple[str, ...], Sequence]] = []
        for item in children[keyword + 1 : -1]:
            kind = self._kinds[item.kind_id]
            if kind == "case_item":
                branches.append(self._case_item(item))
            elif kind not in {"comment", ";"}:
                raise UnreadableError(f"unexpected {kind}", item.start_byte)
        return Case(words[0], tuple(branches), redirects, span)

    def _case_item(self, node: tree_sitter.Node) -> tuple[tuple[str, ...], Sequence]:
        children = node.children
        close = self._find(children, ")")
        patterns: list[str] = []
        start = end = -1
        for child in children[: close + 1]:
            kind = self._kinds[child.kind_id]
            if kind in {"|", ")"}:
                patterns.append(self._text[start:end])
                start = -1
            elif kind != "(":
                start = child.start_byte if start < 0 else start
                end = child.end_byte
        if self._substitutions(children[:close]):
            raise UnreadableError("a substitution in a pattern", node.start_byte)
        body = children[close + 1 :]
        end = node.end_byte
        if body and self._kinds[body[-1].kind_id] == ";;":
            end = body.pop().start_byte
        return tuple(patterns), self._sequence(body, children[close].end_byte, end)

    def _function(self, node: tree_sitter.Node, redirects: tuple[Redirect, ...], span: Span) -> Node:
        parts = [
            child for child in node.children if self._kinds[child.kind_id] not in {"function", "(", ")", "comment"}
        ]
        body = self._element(parts[1:])
        if not isinstance(body, (*_COMPOUND, Test)):
            raise UnreadableError("a function without a body", node.start_byte)
        if redirects:
            body = replace(body, redirects=body.redirects + redirects)
        return Function(self._text[parts[0].start_byte : parts[0].end_byte], body, span)


_READERS = {
    "compound_statement": Reader._group,
    "subshell": Reader._group,
    "test_command": Reader._test,
    "if_statement": Reader._if,
    "for_statement": Reader._for,
    "c_style_for_statement": Reader._c_style_for,
    "while_statement": Reader._while,
    "case_statement": Reader._case,
    "function_definition": Reader._function,
}


def _as_the_grammar_wants(masked: str) -> str:
    """Return a masked text with what the shell reads and the grammar does not written otherwise."""
    masked = _JOINT.sub(";", masked)
    masked = _CLOSING.sub(lambda match: _GAP.sub(";", match[0]), masked)
    masked = _FOR_DO.sub(r"\1;", masked)
    masked = _ASSIGNMENTS.sub(r"\1;", masked)
    return _DASH.sub(".", masked)


def _ends_compound(node: Node) -> bool:
    """Return True if a reserved word ends ``node``, behind which another one needs no ``;``."""
    while isinstance(node, (AndOr, Pipeline)):
        node = node.second if isinstance(node, AndOr) else node.parts[-1]
    if isinstance(node, Function):
        return _ends_compound(node.body)
    return isinstance(node, (*_COMPOUND, Test)) and not node.redirects


def _blank_end(text: str, index: int) -> int:
    """Return where the blanks and line continuations that begin at ``index`` end."""
    match = _BLANK.match(text, index)
    return match.end() if match else index


def _find_expansion(text: str, start: int, end: int) -> bool:
    """Return True if something is expanded in ``text[start:end]``, as far as quotes do not matter."""
    return bool(_EXPANSION.search(text, start, end))


def _append_unquoted(text: str, result: list[Part]) -> None:
    if text:
        last = result[-1] if result else None
        if isinstance(last, Literal) and not last.quoted:
            result[-1] = Literal(last.text + text, False)
        else:
            result.append(Literal(text, False))


def _with_lost_parameters(parts: list[Part]) -> Iterator[Part]:
    """Yield the parts of a word with those ``$name`` of which the grammar makes a lone ``$`` and a word behind it."""
    text = ""  # what of the part before is still to be told: it ends with a $
    for number, part in enumerate(parts):
        if type(part) is not Literal or part.quoted or "$" not in text + part.text:
            yield part
            continue
        part = Literal(text + part.text, False)
        following = parts[number + 1] if number + 1 < len(parts) else None
        text = part.text if part.text.endswith("$") and type(following) is Literal and not following.quoted else ""
        if text:
            continue
        position = 0
        for match in _LOST.finditer(part.text):
            if match.start() > position:
                yield Literal(part.text[position : match.start()], False)
            yield Parameter(match[1], "", None, False)
            position = match.end()
        if position < len(part.text):
            yield Literal(part.text[position:], False)


def _drop_dollar(result: list[Part]) -> None:
    last = result.pop()
    if isinstance(last, Literal):
        if last.quoted or not last.text.endswith("$"):
            result.append(last)
        else:
            _append_unquoted(last.text[:-1], result)
