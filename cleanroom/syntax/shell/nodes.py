"""The tree of a shell script: commands and the constructs they stand in, each with its span in the file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from operator import itemgetter

from msgspec import Struct

from cleanroom.syntax.text import MappedText, Span


class ShellError(ValueError):
    """A script that cannot be read; ``span`` is where, in the file."""

    def __init__(self, message: str, span: Span) -> None:
        super().__init__(message)
        self.message = message
        self.span = span


class Literal(Struct, frozen=True):
    """Text after quote removal. Unquoted text may still hold globs, ``~`` and ``{a,b}``."""

    text: str
    quoted: bool


class Parameter(Struct, frozen=True):
    """``$name`` or ``${name<operator>argument}``; ``$@``, ``$*``, ``$1``, ``$#``, ``$?`` too.

    ``operator`` is "" for a plain one, else as written (``:-``, ``-``, ``:=``, ``:+``, ``+``, ``?``, ``#``, ``##``,
    ``%``, ``%%``, ``/``, ``//``, ``length`` for ``${#x}``, or any other text the shell has there, as ``^^``, ``[@]``).
    """

    name: str
    operator: str
    argument: Word | None
    quoted: bool


class Substitution(Struct, frozen=True):
    """``$(…)``, backticks (kind ``command``), ``<(…)``/``>(…)`` (``process``) or ``$((…))`` (``arithmetic``)."""

    kind: str
    body: Sequence
    quoted: bool


Part = Literal | Parameter | Substitution


class Word(Struct, frozen=True):
    """One word of a command. ``raw`` is as written (in the joined text); ``start``/``end`` index the joined text."""

    raw: str
    parts: tuple[Part, ...]
    span: Span
    start: int
    end: int

    @property
    def literal(self) -> str | None:
        """The word's text when it holds no expansion, else None."""
        if len(self.parts) == 1 and isinstance(self.parts[0], Literal):
            return self.parts[0].text
        if all(isinstance(part, Literal) for part in self.parts):
            return "".join(part.text for part in self.parts if isinstance(part, Literal))
        return None


class Assignment(Struct, frozen=True):
    """``name=value`` before or instead of a command; of an array (``name=(…)``) ``value`` is None."""

    name: str
    value: Word | None
    append: bool
    span: Span
    elements: tuple[Word, ...] = ()  # of an array


class Redirect(Struct, frozen=True):
    """``>``, ``>>``, ``<``, ``&>``, ``>&``, ``<<``, ``<<-``, ``<<<`` … with its target; of a here-document its body.

    ``operator`` is without the descriptor (``2>`` is ``>``). ``body`` is what the command reads, without the closing
    line and, of ``<<-``, without leading tabs. ``body_quoted`` says that it is taken as it is (quoted delimiter).
    """

    operator: str
    target: Word | None
    body: MappedText | None
    body_quoted: bool
    span: Span  # of a here-document, without the body
    expansions: tuple[Parameter | Substitution, ...] = ()  # in the body


class Command(Struct, frozen=True):
    """A simple command: assignments, words (the first names the program), redirects. Words may be empty."""

    words: tuple[Word, ...]
    assignments: tuple[Assignment, ...]
    redirects: tuple[Redirect, ...]
    span: Span  # from the first word or assignment to the last word, redirects included
    keyword: str = ""  # declare, export, local, readonly, unset … when the grammar sets them apart; also words[0]


class Pipeline(Struct, frozen=True):
    """Commands joined by ``|`` or ``|&``, or one command behind ``!`` or ``time``."""

    parts: tuple[Node, ...]
    negated: bool
    span: Span


class AndOr(Struct, frozen=True):
    """``first && second`` or ``first || second``; longer chains nest to the left, as the shell reads them."""

    first: Node
    operator: str
    second: Node
    span: Span
    operator_span: Span


class Item(Struct, frozen=True):
    """One part of a sequence and what ends it: ``;``, ``&``, a line feed, or "" at the end."""

    node: Node
    terminator: str
    terminator_span: Span


class Sequence(Struct, frozen=True):
    """Commands one after the other."""

    items: tuple[Item, ...]
    span: Span


class If(Struct, frozen=True):
    """``branches`` are (condition, body) for ``if`` and each ``elif``."""

    branches: tuple[tuple[Sequence, Sequence], ...]
    otherwise: Sequence | None
    redirects: tuple[Redirect, ...]
    span: Span


class For(Struct, frozen=True):
    """``for name in words; do body; done``; ``words`` is None without ``in`` and for the C-style form."""

    name: str
    words: tuple[Word, ...] | None
    body: Sequence
    redirects: tuple[Redirect, ...]
    span: Span


class While(Struct, frozen=True):
    """``while``, or ``until`` when ``until`` is True."""

    condition: Sequence
    body: Sequence
    until: bool
    redirects: tuple[Redirect, ...]
    span: Span


class Case(Struct, frozen=True):
    """``case word in pattern) body;; … esac``; ``branches`` are (patterns as written, body)."""

    word: Word
    branches: tuple[tuple[tuple[str, ...], Sequence], ...]
    redirects: tuple[Redirect, ...]
    span: Span


class Group(Struct, frozen=True):
    """``( … )`` (a subshell) or ``{ …; }``."""

    subshell: bool
    body: Sequence
    redirects: tuple[Redirect, ...]
    span: Span


class Function(Struct, frozen=True):
    """A function definition; nothing runs until it is called."""

    name: str
    body: Node
    span: Span


class Test(Struct, frozen=True):
    """``[[ … ]]`` or ``(( … ))``: a condition without commands of its own but those substituted in it."""

    raw: str
    substitutions: tuple[Substitution, ...]
    span: Span
    redirects: tuple[Redirect, ...] = ()


Node = Command | Pipeline | AndOr | Sequence | If | For | While | Case | Group | Function | Test


def commands(node: Node, containers: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Command]]:
    """Yield every simple command in the order of its first word, with the constructs it stands in.

    Constructs are named ``subshell``, ``brace``, ``func``, ``if``, ``for``, ``while``, ``case``, ``sub``. What only
    assigns or redirects is a command without words, and comes behind the commands substituted in it.
    """
    # A stack of our own: a list of thousands of commands nests to the left.
    stack: list[tuple[Node, tuple[str, ...], bool]] = [(node, containers, False)]
    while stack:
        current, inside, ready = stack.pop()
        if isinstance(current, Command):
            before, behind = _of_command(current) if not ready else ((), ())
            if not before and not behind:
                yield inside, current
                continue
            following = [*_bodies(before, inside), (current, inside, True), *_bodies(behind, inside)]
        elif isinstance(current, Sequence):
            following = [(item.node, inside, False) for item in current.items]
        elif isinstance(current, AndOr):
            following = [(current.first, inside, False), (current.second, inside, False)]
        elif isinstance(current, Pipeline):
            following = [(part, inside, False) for part in current.parts]
        elif isinstance(current, Function):
            following = [(current.body, (*inside, "func"), False)]
        elif isinstance(current, Test):
            following = _bodies((*current.substitutions, *_of_redirects(current.redirects)), inside)
        else:
            name, words, bodies = _of_compound(current)
            within = (*inside, name)
            following = [
                *_bodies(_of_words(words), within),
                *((body, within, False) for body in bodies),
                *_bodies(_of_redirects(current.redirects), inside),
            ]
        stack.extend(reversed(following))


def _bodies(substitutions: Iterable[Substitution], inside: tuple[str, ...]) -> list[tuple[Node, tuple[str, ...], bool]]:
    within = (*inside, "sub")
    return [(substitution.body, within, False) for substitution in substitutions]


def _of_compound(node: If | For | While | Case | Group) -> tuple[str, tuple[Word, ...], tuple[Sequence, ...]]:
    """Return the name of a compound command, its words, and its lists of commands."""
    if isinstance(node, If):
        bodies = tuple(part for branch in node.branches for part in branch)
        return "if", (), bodies if node.otherwise is None else (*bodies, node.otherwise)
    if isinstance(node, For):
        return "for", node.words or (), (node.body,)
    if isinstance(node, While):
        return "while", (), (node.condition, node.body)
    if isinstance(node, Case):
        return "case", (node.word,), tuple(body for _, body in node.branches)
    return "subshell" if node.subshell else "brace", (), (node.body,)


def _of_command(command: Command) -> tuple[tuple[Substitution, ...], tuple[Substitution, ...]]:
    """Return the substitutions before and behind the first word of a command."""
    if not command.assignments and not command.redirects:
        return (), tuple(_of_words(command.words))
    first = command.words[0].span.start if command.words else command.span.end
    found: list[tuple[int, Substitution]] = []
    for assignment in command.assignments:
        found.extend((assignment.span.start, part) for part in _of_words((assignment.value, *assignment.elements)))
    for word in command.words:
        found.extend((word.span.start, part) for part in _of_words((word,)))
    for redirect in command.redirects:
        found.extend((redirect.span.start, part) for part in _of_redirects((redirect,)))
    found.sort(key=itemgetter(0))
    before = tuple(part for start, part in found if start < first)
    return before, tuple(part for _, part in found[len(before) :])


def _of_redirects(redirects: Iterable[Redirect]) -> Iterator[Substitution]:
    for redirect in redirects:
        yield from _of_words((redirect.target,))
        yield from substitutions_in(redirect.expansions)


def _of_words(words: Iterable[Word | None]) -> Iterator[Substitution]:
    for word in words:
        if word is not None:
            yield from substitutions_in(word.parts)


def substitutions_in(parts: Iterable[Part]) -> Iterator[Substitution]:
    """Yield the substitutions in ``parts``, also those in arguments of parameters."""
    for part in parts:
        if type(part) is Literal:
            continue
        if isinstance(part, Substitution):
            yield part
        elif isinstance(part, Parameter) and part.argument is not None:
            yield from substitutions_in(part.argument.parts)
