"""Where and how text joins in a shell script, so that every command that was there runs as before.

A script is read as *statements* (what ``;`` or a line feed ends), each a chain of *links* (what ``&&`` and ``||``
join). With ``set -e`` in force the shell ends at a failing command, except where another one looks at its status: in a
condition, or before ``&&`` and ``||``, and then in everything within that command
(https://pubs.opengroup.org/onlinepubs/9799919799/utilities/V3_chap02.html#set). So ``&&`` behind a compound command
changes what happens in it, and ``;`` behind a chain of ``&&`` hides that it failed. Each place has the joiner that
changes nothing, or none.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from operator import itemgetter

from msgspec import Struct

from cleanroom.engine.conditions import TESTS
from cleanroom.syntax import shell
from cleanroom.syntax.text import Edit, MappedText, Span


class Link(Struct, frozen=True):
    """One link of a chain; ``operator`` joins it to the one before ("" at the first)."""

    node: shell.Node
    operator: str

    @property
    def span(self) -> Span:
        """Where it stands."""
        return self.node.span


class Statement(Struct, frozen=True):
    """A chain of links and what ends it: ``;``, ``&``, a line feed, or "" at the end."""

    links: tuple[Link, ...]
    terminator: str
    terminator_span: Span


class Place(Struct, frozen=True, order=True):
    """A link, by the number of its statement and its own in that."""

    statement: int
    link: int


class Spot(Struct, frozen=True):
    """Behind which link a command can join, and by ``&&`` or ``;``."""

    place: Place
    joiner: str


class Script:
    """One script of a RUN.

    ``text`` is the file's; ``document`` says that the script is the body of a here-document, whose lines are the
    shell's own. ``errexit`` is whether the shell was started with ``-e``. Raises ShellError when it cannot be read.
    """

    def __init__(self, text: str, mapped: MappedText, *, document: bool, escape: str, errexit: bool) -> None:
        self.text = text
        self.mapped = mapped
        self.document = document
        self.escape = "\\" if document else escape
        self.tree = shell.parse(mapped)
        self.statements = tuple(
            Statement(tuple(_links(item.node)), item.terminator, item.terminator_span) for item in self.tree.items
        )
        self._links = [
            (link.span.start, link.span.end, Place(number, index))
            for number, statement in enumerate(self.statements)
            for index, link in enumerate(statement.links)
        ]
        self._commands = tuple(shell.commands(self.tree))
        self.functions = frozenset(
            node.name for statement in self.statements for node in _functions([link.node for link in statement.links])
        )
        self._errexit = self._find_errexit(errexit)

    # -- what there is -------------------------------------------------------------------------------------------

    def locate(self, span: Span) -> Place | None:
        """Return the link that holds ``span``; of a function's body, the last link, since it may be called there."""
        index = bisect_right(self._links, span.start, key=itemgetter(0)) - 1
        if index < 0 or self._links[index][1] < span.end:
            return None
        place = self._links[index][2]
        if self.functions and any(isinstance(node, shell.Function) for node in _walk(self.link(place).node)):
            return self.last
        return place

    @property
    def last(self) -> Place:
        """The last link of the last statement."""
        return Place(len(self.statements) - 1, len(self.statements[-1].links) - 1)

    def link(self, place: Place) -> Link:
        """Return the link at ``place``."""
        return self.statements[place.statement].links[place.link]

    def is_conditional(self, place: Place) -> bool:
        """Return True if a link may be passed over though all goes well: an ``||`` stands before it in its chain."""
        return any(link.operator == "||" for link in self.statements[place.statement].links[: place.link + 1])

    @property
    def sets_errexit(self) -> bool:
        """Whether ``set -e`` may be in force anywhere."""
        return any(state is not False for state in self._errexit)

    # -- set -e --------------------------------------------------------------------------------------------------

    def _find_errexit(self, start: bool) -> list[bool | None]:
        """Return for each statement whether ``set -e`` is in force at its end; None when that is not known."""
        plain: set[int] = set()
        states: list[bool | None] = []
        state: bool | None = start
        for statement in self.statements:
            first = statement.links[0].node
            if isinstance(first, shell.Command) and (setting := _errexit_setting(first)) is not None:
                plain.add(id(first))
                state = setting
            states.append(state)
        hidden = any(
            id(command) not in plain and (_errexit_setting(command) is not None or _may_set_errexit(command))
            for _, command in self._commands
        )
        return [None] * len(states) if hidden else states

    def _passes_exit(self, node: shell.Node) -> bool:
        """Return True if the shell always ends when ``node`` fails under ``set -e``: ``;`` behind it hides nothing."""
        if isinstance(node, (shell.Command, shell.Test)):
            return True
        if isinstance(node, shell.Pipeline):
            return not node.negated and all(isinstance(part, shell.Command) for part in node.parts)
        if isinstance(node, shell.AndOr):
            return node.operator == "||" and self._passes_exit(node.second)
        if isinstance(node, shell.Sequence):
            return bool(node.items) and node.items[-1].terminator != "&" and self._passes_exit(node.items[-1].node)
        if isinstance(node, shell.Group):
            return self._passes_exit(node.body)
        if isinstance(node, shell.If):
            bodies = [body for _, body in node.branches] + ([node.otherwise] if node.otherwise is not None else [])
            return all(self._passes_exit(body) for body in bodies)
        if isinstance(node, (shell.For, shell.While)):
            return self._passes_exit(node.body)
        if isinstance(node, shell.Case):
            return all(self._passes_exit(body) or not body.items for _, body in node.branches)
        return isinstance(node, shell.Function)

    def _needs_no_exit(self, node: shell.Node) -> bool:
        """Return True if ``node`` does the same where ``set -e`` is not looked at: ``&&`` behind it changes nothing."""
        if isinstance(node, shell.Command):
            if node.words and node.words[0].literal is None:
                return False  # who knows what runs
            name = node.words[0].literal if node.words else ""
            if name in self.functions or name in ("eval", ".", "source", "command", "builtin", "trap"):
                return False
            return all(len(body.items) == 1 and self._needs_no_exit(body.items[0].node) for body in _substituted(node))
        if isinstance(node, shell.Pipeline):
            return all(self._needs_no_exit(part) for part in node.parts)
        if isinstance(node, shell.AndOr):
            return self._needs_no_exit(node.first) and self._needs_no_exit(node.second)
        if isinstance(node, shell.Sequence):
            return len(node.items) == 1 and self._needs_no_exit(node.items[0].node)
        if isinstance(node, shell.Group):
            return self._needs_no_exit(node.body)
        if isinstance(node, shell.If):
            bodies = [body for _, body in node.branches] + ([node.otherwise] if node.otherwise is not None else [])
            return all(self._needs_no_exit(body) for body in bodies)
        if isinstance(node, shell.Case):
            return all(self._needs_no_exit(body) or not body.items for _, body in node.branches)
        return isinstance(node, (shell.Test, shell.Function))

    # -- where a command can join --------------------------------------------------------------------------------

    def spots(self, after: Place, since: Place, *, near: bool = False) -> list[Spot]:
        """Return where a command can join behind ``after`` so that it runs whenever the link at ``since`` did.

        The last place comes first, with ``near`` the first one; before both, those that join as the author does.
        """
        places = [
            Place(number, index)
            for number, statement in enumerate(self.statements)
            for index in range(len(statement.links))
            if Place(number, index) >= after
        ]
        if not near:
            places.reverse()
        found = [Spot(place, joiner) for place in places if (joiner := self._joiner(place))]
        found = [spot for spot in found if not self._is_guarded(since, spot.place)]
        if not near and len(self.statements) > 1:
            found.sort(key=lambda spot: spot.joiner != ";")
        if self.document:
            found.sort(key=lambda spot: self._has_body(spot.place))
        return found

    def _has_body(self, place: Place) -> bool:
        """Return True if a here-document belongs to a statement, so that no line can follow it at once."""
        return any(
            isinstance(node, shell.Command) and any(redirect.body is not None for redirect in node.redirects)
            for link in self.statements[place.statement].links
            for node in _walk(link.node)
        )

    def _is_guarded(self, since: Place, place: Place) -> bool:
        """Return True if a test stands in the chain before ``place``, so that text joined there may not run."""
        first = since.link + 1 if place.statement == since.statement else 0
        statement = self.statements[place.statement]
        if any(_is_test(link.node) for link in statement.links[first : place.link + 1]):
            is_last = place.statement == len(self.statements) - 1 and statement.terminator != "&"
            return not is_last or any(link.operator == "||" for link in statement.links)  # else there is no layer
        return False

    def _joiner(self, place: Place) -> str:
        """Return what joins a command behind the link at ``place``: ``&&``, ``;``, or "" when nothing does."""
        if self._leaves_before(place):
            return ""
        statement = self.statements[place.statement]
        link = statement.links[place.link]
        if link.operator != "||" and _leaves(link.node):
            return ""
        if place.link < len(statement.links) - 1:
            if statement.terminator == "&" or statement.links[place.link + 1].operator != "&&":
                return ""
            return "&&"
        if statement.terminator == "&":
            return ""
        if place.statement < len(self.statements) - 1:
            following = self.text[
                self.statements[place.statement + 1].links[0].span.start : self.statements[place.statement + 1]
                .links[-1]
                .span.end
            ]
            if not _USES_STATUS.search(following):
                return ";"
            return "&&" if not self.sets_errexit else ""
        state = self._errexit[place.statement]
        if state is False:
            return "&&"
        whole = self.tree.items[place.statement].node
        by_and = self._needs_no_exit(whole)
        by_semicolon = state is True and self._passes_exit(whole)
        if by_and and by_semicolon:
            return ";" if len(statement.links) == 1 and len(self.statements) > 1 else "&&"
        return "&&" if by_and else ";" if by_semicolon else ""

    def _leaves_before(self, place: Place) -> bool:
        """Return True if the shell has left before ``place`` if all goes well."""
        for number, statement in enumerate(self.statements[: place.statement + 1]):
            links = statement.links if number < place.statement else statement.links[: place.link]
            if statement.terminator != "&" and any(link.operator != "||" and _leaves(link.node) for link in links):
                return True
        return False

    # -- joining -------------------------------------------------------------------------------------------------

    def join(self, spot: Spot, commands: Sequence[str], style: str = "") -> Edit:
        """Return the edit that adds ``commands`` at ``spot``, in the manner of what stands around.

        ``style`` is the gap that other RUNs of the file have between two commands, for a RUN that shows none.
        """
        end = self.link(spot.place).span.end
        if self.document and spot.joiner == ";":
            return self._new_line(spot.place, commands)
        gap = self._gap(spot, style)
        text = "".join(gap + command for command in commands)
        padding = re.match(rf"  +(?=(?:(?:&&|;|\|\|?) )?{re.escape(self.escape)}\r?\n)", self.text[end:])
        if padding is None or "\n" not in text:
            return Edit(Span(end, end), text)
        column = end + len(padding[0]) - (self.text.rfind("\n", 0, end) + 1)
        blanks = " " * max(column - len(text.rpartition("\n")[2]), 1)
        return Edit(Span(end, end + len(padding[0])), text + blanks)

    def lead(self, place: Place, command: str) -> Edit | None:
        """Return the edit that puts ``command`` before the link at ``place``, None when none is right.

        The script goes on, or fails, as if the link were to fail where ``command`` fails.
        """
        statement = self.statements[place.statement]
        link = statement.links[place.link]
        if link.operator == "||" or statement.terminator == "&":
            return None
        is_last = place.link == len(statement.links) - 1
        joiner = " &&"
        if self.sets_errexit and is_last and place.statement < len(self.statements) - 1:
            if link.operator or self._errexit[place.statement] is not True:
                return None
            joiner = ";"
        elif self.sets_errexit and not self._needs_no_exit(link.node):
            return None
        start = link.span.start
        return Edit(Span(start, start), f"{command}{joiner} ")

    def _new_line(self, place: Place, commands: Sequence[str]) -> Edit:
        """Return the edit that adds ``commands`` on lines of their own behind a statement of a here-document."""
        end = self.link(place).span.end
        statement = self.statements[place.statement]
        line_end = self.text.find("\n", end)
        line_end = len(self.text) if line_end == -1 else line_end
        rest = self.text[end:line_end]
        if re.fullmatch(r"[ \t]*;?[ \t\r]*(#.*)?", rest) and not self._has_body(place):
            at = line_end - (1 if self.text[line_end - 1 : line_end] == "\r" else 0)
            start = f"{self._line_feed(end)}{self._indent(statement.links[0].span.start)}"
            return Edit(Span(at, at), "".join(start + command for command in commands))
        return Edit(Span(end, end), "".join(f"; {command}" for command in commands))

    def _gap(self, spot: Spot, style: str) -> str:
        """Return what to write between the link at ``spot`` and what is to follow it."""
        link = self.link(spot.place)
        end = link.span.end
        gaps = self._gaps()
        near = sorted(gaps, key=lambda gap: (gap[0] != spot.joiner, abs(gap[1] - end), -gap[1]))
        broken = [gap for gap in near if "\n" in gap[2]]
        first_line = self.text.rfind("\n", 0, end)
        begins = self.mapped.offset(0)
        one_line = "\n" not in self.text[begins:end]
        if one_line and not broken:
            return (
                self._normalise(near[0][2], spot.joiner)
                if near and "\n" not in near[0][2]
                else f" {spot.joiner} "[spot.joiner == ";" :]
            )
        if broken:
            gap = self._normalise(broken[0][2], spot.joiner)
            if self.document and "\\" not in gap:
                return f" {spot.joiner} "[spot.joiner == ";" :]
            return self._align(end, gap)
        if self.document:
            return f" {spot.joiner} "[spot.joiner == ";" :]
        # Several lines, but no gap between two commands that is broken: the last command is long.
        del first_line
        feed = self._line_feed(end)
        indent = self._indent(end) if not one_line else "    "
        if not indent:
            indent = "    "
        if spot.joiner == ";":
            return self._align(end, f"; {self.escape}{feed}{indent}")
        if style and "\n" in style:
            head, _, _ = style.partition("\n")
            if "&&" in head:
                return self._align(end, f" && {self.escape}{feed}{indent}")
        return self._align(end, f" {self.escape}{feed}{indent}&& ")

    def _gaps(self) -> list[tuple[str, int, str]]:
        """Return (operator, offset, text without comments and blank lines) of each gap between two links."""
        found = []
        previous: Link | None = None
        for statement in self.statements:
            for link in statement.links:
                if previous is not None:
                    raw = self.text[previous.span.end : link.span.start]
                    operator = link.operator or ";"
                    cleaned = _without_comments(raw)
                    pattern = _GAPS[operator]
                    if pattern.fullmatch(cleaned.replace(self.escape, "\\")):
                        found.append((operator, previous.span.end, cleaned))
                previous = link
            if statement.terminator not in (";", "\n", ""):
                previous = None
        return [gap for gap in found if gap[0] != "||"]

    def _normalise(self, gap: str, joiner: str) -> str:
        """Return ``gap`` with ``joiner`` in place of the one it has."""
        if joiner in gap:
            return gap
        if joiner == "&&":  # from "; \\\n  "
            return re.sub(r"[ \t]*;", " &&", gap, count=1) if ";" in gap else gap
        # ";" in place of "&&", which may stand at the beginning of the next line
        before, _, after = gap.partition("&&")
        if "\n" in before:
            indent = before.rpartition("\n")[2]
            return f";{before.rpartition(chr(10))[0]}\n{indent}"
        return f";{after}" if after[:1].isspace() else f"; {after}"

    def _align(self, end: int, gap: str) -> str:
        """Return ``gap`` with its escape character in the column where the lines around have theirs."""
        head, feed, tail = gap.partition("\n")
        carriage = "\r" if head.endswith("\r") else ""
        bare = head.removesuffix("\r").removesuffix(self.escape)
        if bare == head.removesuffix("\r"):
            return gap
        start, stop = self._lines_around()
        columns = []
        padded = False
        for line in self.text[start:stop].split("\n")[:-1]:
            line = line.removesuffix("\r").rstrip(" \t")
            if line.endswith(self.escape):
                columns.append(len(line) - 1)
                padded = padded or line[:-1].endswith("  ")
        joiner = bare.rstrip(" \t")
        column = end - (self.text.rfind("\n", 0, end) + 1) + len(joiner)
        if joiner.startswith("  ") and len(set(columns)) == 1:  # the joiners have a column of their own
            word = joiner.lstrip(" ")
            blanks = columns[0] - len(bare[len(joiner) :]) - len(word) - (column - len(joiner))
            return f"{' ' * max(blanks, 1)}{word}{bare[len(joiner) :]}{self.escape}{carriage}{feed}{tail}"
        if padded and len(columns) > 1 and len(set(columns)) == 1 and column < columns[0]:
            return f"{joiner}{' ' * (columns[0] - column)}{self.escape}{carriage}{feed}{tail}"
        return f"{joiner} {self.escape}{carriage}{feed}{tail}"

    def _lines_around(self) -> tuple[int, int]:
        """Return where the lines begin and end that the script stands on."""
        start = self.text.rfind("\n", 0, self.mapped.offset(0)) + 1
        stop = self.text.find("\n", self.statements[-1].links[-1].span.end)
        return start, len(self.text) if stop == -1 else stop + 1

    def _indent(self, offset: int) -> str:
        """Return the blanks that the line of ``offset`` begins with."""
        start = self.text.rfind("\n", 0, offset) + 1
        match = re.match(r"[ \t]*", self.text[start:offset])
        return match[0] if match else ""

    def _line_feed(self, offset: int) -> str:
        """Return the line end that the file has around ``offset``."""
        at = self.text.find("\n", offset)
        if at == -1:
            at = self.text.rfind("\n", 0, offset)
        return "\r\n" if at > 0 and self.text[at - 1] == "\r" else "\n"

    def joint(self, style: str, comments: Sequence[str]) -> str:
        """Return what joins the script of another RUN behind this one, with the comments that stood between them."""
        end = self.statements[-1].links[-1].span.end
        feed = self._line_feed(end)
        gap = self.style() or style
        head, _, indent = gap.rpartition("\n")
        leading = "&&" in indent
        indent = re.match(r"[ \t]*", indent)[0] or "    "  # type: ignore[index]
        between = "".join(f"{indent}{comment.strip()}{feed}" for comment in comments)
        if leading or not head:
            return self._align(end, f" {self.escape}{feed}") + f"{between}{indent}&& "
        return self._align(end, f" && {self.escape}{feed}") + f"{between}{indent}"

    def style(self) -> str:
        """Return the gap between two commands that this script has, if it is broken over lines."""
        return next((gap for operator, _, gap in self._gaps() if operator == "&&" and "\n" in gap), "")

    # -- an rm that is there -------------------------------------------------------------------------------------

    def removal(self, after: Place, since: Place) -> tuple[Place, shell.Command] | None:
        """Return the last ``rm -rf`` behind ``after`` that runs whenever ``since`` did: a path can be added to it."""
        for number in range(len(self.statements) - 1, after.statement - 1, -1):
            statement = self.statements[number]
            if statement.terminator == "&":
                continue
            for index in range(len(statement.links) - 1, -1, -1):
                place = Place(number, index)
                link = statement.links[index]
                if place <= after:
                    return None
                if self._leaves_before(place) or self.is_conditional(place) or self._is_guarded(since, place):
                    continue
                if _is_removal(link.node):
                    assert isinstance(link.node, shell.Command)
                    return place, link.node
        return None

    def extend(self, removal: shell.Command, paths: list[str]) -> Edit:
        """Return the edit that adds ``paths`` to an ``rm``, one a line where its own stand so."""
        last, before = removal.words[-1], removal.words[-2]
        gap = self.text[before.span.end : last.span.start]
        gap = _without_comments(gap) if "\n" in gap else " "
        if not re.fullmatch(r"\s*" + re.escape(self.escape) + r"\r?\n\s*", gap):
            gap = " "
        end = last.span.end
        return Edit(Span(end, end), "".join(gap + path for path in paths))

    # -- taking away ---------------------------------------------------------------------------------------------

    def drop(self, place: Place) -> Edit | None:
        """Return the edit that takes the link at ``place`` away, None when something else would change by it."""
        statement = self.statements[place.statement]
        links = statement.links
        link = links[place.link]
        if statement.terminator == "&":
            return None
        if len(links) > 1:
            following = links[place.link + 1].operator if place.link + 1 < len(links) else ""
            if place.link == 0:
                return Edit(Span(link.span.start, links[1].span.start), "") if following == "&&" else None
            if link.operator != "&&" or following == "||":
                return None
            at_end = place.statement == len(self.statements) - 1
            if not following and self.sets_errexit and not at_end:
                return None  # the link before becomes the last, at which set -e looks
            if not following and self.sets_errexit and not self._needs_no_exit(links[place.link - 1].node):
                return None
            return Edit(Span(links[place.link - 1].span.end, link.span.end), "")
        number = place.statement
        if number + 1 < len(self.statements):
            following_links = self.statements[number + 1].links
            if _USES_STATUS.search(self.text[following_links[0].span.start : following_links[-1].span.end]):
                return None
            return Edit(Span(link.span.start, following_links[0].span.start), "")
        if number == 0:
            return None
        before = self.statements[number - 1]
        whole = self.tree.items[number - 1].node
        if self._errexit[number - 1] is not True or not self._passes_exit(whole) or before.terminator == "&":
            return None  # its own success hid how the command before it ended
        start = before.links[-1].span.end
        end = link.span.end
        if statement.terminator == ";":  # the author ends with it
            return Edit(Span(start, end), "")
        return Edit(Span(start, end), "")


_USES_STATUS = re.compile(r"\$\?|\$\{\?|PIPESTATUS|\$_\b|\b(?:exit|return)\s*(?:$|[;&|)}\n#])")
_GAPS = {
    "&&": re.compile(r"(?:\s|\\(?=\r?\n))*&&(?:\s|\\(?=\r?\n))*"),
    ";": re.compile(r"(?:\s|\\(?=\r?\n))*;?(?:\s|\\(?=\r?\n))*"),
    "||": re.compile(r"(?:\s|\\(?=\r?\n))*\|\|(?:\s|\\(?=\r?\n))*"),
}


def _without_comments(gap: str) -> str:
    """Return the text between two commands without the comment and blank lines in it."""
    first, *rest = gap.split("\n")
    if not rest:
        return first
    kept = [line for line in rest[:-1] if line.strip() and not line.lstrip().startswith("#")]
    return "\n".join([first, *kept, rest[-1]])


def _links(node: shell.Node) -> list[Link]:
    chain: list[Link] = []
    while isinstance(node, shell.AndOr):
        chain.append(Link(node.second, node.operator))
        node = node.first
    chain.append(Link(node, ""))
    return chain[::-1]


def _children(node: shell.Node) -> list[shell.Node]:
    """Return the nodes that ``node`` is made of, without those substituted in words."""
    if isinstance(node, shell.Sequence):
        return [item.node for item in node.items]
    if isinstance(node, shell.AndOr):
        return [node.first, node.second]
    if isinstance(node, shell.Pipeline):
        return list(node.parts)
    if isinstance(node, shell.If):
        bodies: list[shell.Node] = [part for branch in node.branches for part in branch]
        return bodies + ([node.otherwise] if node.otherwise is not None else [])
    if isinstance(node, (shell.For, shell.Group, shell.Function)):
        return [node.body]
    if isinstance(node, shell.While):
        return [node.condition, node.body]
    if isinstance(node, shell.Case):
        return [body for _, body in node.branches]
    return []


def _walk(node: shell.Node) -> Iterator[shell.Node]:
    stack = [node]
    while stack:
        current = stack.pop()
        yield current
        stack.extend(_children(current))


def _functions(nodes: list[shell.Node]) -> Iterator[shell.Function]:
    for node in nodes:
        for found in _walk(node):
            if isinstance(found, shell.Function):
                yield found


def _substituted(command: shell.Command) -> Iterator[shell.Sequence]:
    words = [*command.words, *(assignment.value for assignment in command.assignments)]
    for word in words:
        for part in word.parts if word is not None else ():
            if isinstance(part, shell.Substitution):
                yield part.body


def _leaves(node: shell.Node) -> bool:
    """Return True if the shell, having reached ``node``, does not go on behind it if all goes well."""
    if isinstance(node, shell.Command):
        if len(node.words) == 1 and node.words[0].literal == "exec":
            return False  # redirects of its own
        return bool(node.words) and node.words[0].literal in ("exit", "exec", "return")
    if isinstance(node, shell.AndOr):
        return _leaves(node.first) or (node.operator == "&&" and _leaves(node.second))
    if isinstance(node, shell.Sequence):
        return any(_leaves(item.node) and item.terminator != "&" for item in node.items)
    if isinstance(node, shell.Group):
        return not node.subshell and _leaves(node.body)
    if isinstance(node, shell.If):
        return (
            node.otherwise is not None and _leaves(node.otherwise) and all(_leaves(body) for _, body in node.branches)
        )
    return False


def _is_test(node: shell.Node) -> bool:
    """Return True if ``node`` may fail in normal operation: a test, a search, a negation."""
    if isinstance(node, shell.Command):
        return bool(node.words) and node.words[0].literal in TESTS
    if isinstance(node, shell.Pipeline):
        return node.negated or _is_test(node.parts[-1])
    return isinstance(node, shell.Test)


def _errexit_setting(command: shell.Command) -> bool | None:
    """Return what ``set`` says of ``-e``, None when it says nothing."""
    if not command.words or command.words[0].literal != "set":
        return None
    words = [word.literal or "" for word in command.words[1:]]
    setting = None
    for index, word in enumerate(words):
        if word == "--":
            break
        if word[:1] in "+-" and word[1:2] != "-" and len(word) > 1:
            if "e" in word[1:]:
                setting = word[0] == "-"
            if word[1:].endswith("o") and words[index + 1 : index + 2] == ["errexit"]:
                setting = word[0] == "-"
    return setting


def _may_set_errexit(command: shell.Command) -> bool:
    """Return True if a command may turn ``set -e`` on unseen, or has the shell look at failures in another way."""
    if not command.words:
        return False
    name = command.words[0].literal
    if name in (".", "source", "eval"):
        return True
    if name == "set":
        return any(word.literal is None for word in command.words[1:])
    return name == "trap" and any(word.literal == "ERR" for word in command.words)


def _is_removal(node: shell.Node) -> bool:
    """Return True if ``node`` is a plain ``rm -rf`` of at least one path."""
    if not isinstance(node, shell.Command) or len(node.words) < 3 or node.redirects or node.assignments:
        return False
    if node.words[0].literal != "rm" or (node.words[-1].literal or "x").startswith("-"):
        return False
    flags = ""
    for word in node.words[1:]:
        text = word.literal or ""
        if text.startswith("--"):
            return False
        if text.startswith("-"):
            flags += text[1:]
    return "f" in flags and ("r" in flags or "R" in flags)
