"""Trees of shell scripts, ours and shfmt's, in one plain form that can be compared.

A node is a tuple that begins with its kind; words are their source text, followed by the commands substituted in them.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterable, Iterator
from typing import Any

from cleanroom.syntax import shell
from cleanroom.syntax.text import MappedText

Tree = tuple[Any, ...]


def ours(script: str) -> Tree | None:
    """The tree of our reader, or None for an error."""
    try:
        return _Ours(script).sequence(shell.parse(MappedText([(script, 0)])))
    except shell.ShellError:
        return None


def shfmts(script: str) -> Tree | None:
    """The tree of shfmt's parser for bash (https://github.com/mvdan/sh), or None for an error."""
    done = subprocess.run(
        ["shfmt", "--to-json", "--language-dialect", "bash"],
        input=script.encode("utf-8", "replace"),
        capture_output=True,
        check=False,
    )
    return _Shfmt(script).sequence(json.loads(done.stdout)) if done.returncode == 0 else None


class _Ours:
    def __init__(self, script: str) -> None:
        self.script = script

    def sequence(self, sequence: shell.Sequence) -> Tree:
        ends = {"\n": "", ";": ";", "&": "&", "": ""}
        return ("list", *((self.node(item.node), ends[item.terminator]) for item in sequence.items))

    def node(self, node: shell.Node) -> Tree:
        if isinstance(node, shell.AndOr):
            chain: list[Any] = []
            first: shell.Node = node
            while isinstance(first, shell.AndOr):
                chain += [self.node(first.second), first.operator]
                first = first.first
            return ("and-or", *reversed([*chain, self.node(first)]))
        if isinstance(node, shell.Pipeline):
            parts = tuple(self.node(part) for part in node.parts)
            timed = re.match(r"(!\s+)*time\b", self.script[node.span.start :]) is not None
            return ("pipeline", "!" if node.negated else "", "time" if timed else "", *parts)
        if isinstance(node, shell.Sequence):
            return self.sequence(node)
        if isinstance(node, shell.Command):
            return self.command(node)
        if isinstance(node, shell.Function):
            return ("function", node.name, self.node(node.body))
        return (*self.compound(node), self.redirects(node.redirects))

    def command(self, node: shell.Command) -> Tree:
        assignments = tuple(
            ("array", *self.words(assignment.elements))
            if assignment.value is None
            else ("assignment", assignment.name, assignment.append, self.word(assignment.value))
            for assignment in node.assignments
        )
        return ("command", assignments, self.words(node.words), self.redirects(node.redirects))

    def compound(self, node: shell.If | shell.For | shell.While | shell.Case | shell.Group | shell.Test) -> Tree:
        if isinstance(node, shell.If):
            branches = tuple(self.sequence(part) for branch in node.branches for part in branch)
            return ("if", *branches, *(() if node.otherwise is None else (self.sequence(node.otherwise),)))
        if isinstance(node, shell.For):
            return ("for", node.name, None if node.words is None else self.words(node.words), self.sequence(node.body))
        if isinstance(node, shell.While):
            return ("until" if node.until else "while", self.sequence(node.condition), self.sequence(node.body))
        if isinstance(node, shell.Case):
            branches = tuple((patterns, self.sequence(body)) for patterns, body in node.branches)
            return ("case", self.word(node.word), *branches)
        if isinstance(node, shell.Group):
            return ("subshell" if node.subshell else "group", self.sequence(node.body))
        return ("test", *map(self.substitution, node.substitutions))

    def redirects(self, redirects: Iterable[shell.Redirect]) -> Tree:
        return tuple(
            (
                redirect.operator,
                self.script[redirect.span.start : redirect.span.end],
                None if redirect.target is None else self.word(redirect.target),
                None if redirect.body is None else redirect.body.text,
                tuple(self.substitutions(redirect.expansions)),
            )
            for redirect in redirects
        )

    def words(self, words: Iterable[shell.Word]) -> Tree:
        return tuple(self.word(word) for word in words)

    def word(self, word: shell.Word) -> Tree:
        return (word.raw, *self.substitutions(word.parts))

    def substitutions(self, parts: Iterable[shell.Part]) -> Iterator[Tree]:
        for part in parts:
            if isinstance(part, shell.Substitution):
                yield self.substitution(part)
            elif isinstance(part, shell.Parameter) and part.argument is not None:
                yield from self.substitutions(part.argument.parts)

    def substitution(self, part: shell.Substitution) -> Tree:
        return (part.kind, self.sequence(part.body))


class _Shfmt:
    """Offsets in shfmt's tree count bytes."""

    def __init__(self, script: str) -> None:
        self.script = script.encode("utf-8", "replace")
        self.backticks = 0

    def source(self, node: dict[str, Any], end: dict[str, Any] | None = None) -> str:
        text = self.script[node["Pos"]["Offset"] : (end or node)["End"]["Offset"]].decode("utf-8", "replace")
        for _ in range(self.backticks):
            text = re.sub(r"\\([`\\$])", r"\1", text)
        return text

    def sequence(self, node: dict[str, Any], key: str = "Stmts") -> Tree:
        return self.statements(node.get(key, []))

    def statements(self, statements: Iterable[dict[str, Any]]) -> Tree:
        return ("list", *((self.statement(each), self.terminator(each)) for each in statements))

    def terminator(self, statement: dict[str, Any]) -> str:
        if statement.get("Background"):
            return "&"
        return ";" if "Semicolon" in statement else ""

    def statement(self, statement: dict[str, Any]) -> Tree:
        command = statement.get("Cmd")
        redirects = self.redirects(statement.get("Redirs", []))
        if command is None:
            node: Tree = ("command", (), (), redirects)
        elif command["Type"] == "CallExpr":
            assignments = tuple(self.assignment(each) for each in command.get("Assigns", []))
            node = ("command", assignments, tuple(self.word(word) for word in command.get("Args", [])), redirects)
        elif command["Type"] == "DeclClause":
            variant = command["Variant"]
            arguments = tuple(self.word(each) for each in command.get("Args", []))
            node = ("command", (), ((self.source(variant),), *arguments), redirects)
        elif command["Type"] == "LetClause":
            arguments = tuple(self.word(each) for each in command["Exprs"])
            node = ("command", (), (("let",), *arguments), redirects)
        elif command["Type"] == "BinaryCmd":
            node = self.binary(statement)
        elif command["Type"] == "TimeClause":
            node = self.pipeline("time", self.statement(command.get("Stmt", {})))
        elif command["Type"] == "FuncDecl":
            node = ("function", command["Name"]["Value"], self.statement(command["Body"]))
        else:
            node = (*self.compound(command), redirects)
        return self.pipeline("!", node) if statement.get("Negated") else node

    def pipeline(self, prefix: str, node: Tree) -> Tree:
        """``! a | b`` and ``time a | b`` are one pipeline."""
        negated, timed, parts = "", "", (node,)
        if node[0] == "pipeline":
            negated, timed, *rest = node[1:]
            parts = tuple(rest)
        if prefix == "!":
            negated = "" if negated else "!"
        else:
            timed = "time"
        return ("pipeline", negated, timed, *parts)

    def binary(self, statement: dict[str, Any]) -> Tree:
        command = statement["Cmd"]
        operator = command["Op"]
        first, second = self.statement(command["X"]), self.statement(command["Y"])
        kind = "and-or" if operator in {"&&", "||"} else "pipeline"
        left = [first]
        if first[0] == kind and not command["X"].get("Negated") and command["X"]["Cmd"]["Type"] == "BinaryCmd":
            left = list(first[1:] if kind == "and-or" else first[3:])
        if kind == "and-or":
            return ("and-or", *left, operator, second)
        right = [second]
        if second[0] == "pipeline" and command["Y"]["Cmd"]["Type"] == "BinaryCmd":
            right = list(second[3:])
        return ("pipeline", "", "", *left, *right)

    def compound(self, command: dict[str, Any]) -> Tree:
        kind = command["Type"]
        if kind == "IfClause":
            return ("if", *self.branches(command))
        if kind == "ForClause":
            loop = command["Loop"]
            words = None
            if loop["Type"] == "WordIter" and "InPos" in loop:
                words = tuple(self.word(word) for word in loop.get("Items", []))
            name = loop["Name"]["Value"] if loop["Type"] == "WordIter" else ""
            return ("select" if command.get("Select") else "for", name, words, self.sequence(command, "Do"))
        if kind == "WhileClause":
            body = self.sequence(command, "Do")
            return ("until" if command.get("Until") else "while", self.sequence(command, "Cond"), body)
        if kind == "CaseClause":
            branches = tuple(
                (tuple(self.source(pattern) for pattern in item["Patterns"]), self.sequence(item))
                for item in command.get("Items", [])
            )
            return ("case", self.word(command["Word"]), *branches)
        if kind == "Subshell":
            return ("subshell", self.sequence(command))
        if kind == "Block":
            return ("group", self.sequence(command))
        if kind in {"TestClause", "ArithmCmd"}:
            return ("test", *self.substitutions(command))
        return (kind,)

    def branches(self, clause: dict[str, Any]) -> Tree:
        if not clause.get("Cond"):
            return (self.sequence(clause, "Then"),)
        rest = self.branches(clause["Else"]) if clause.get("Else") else ()
        return (self.sequence(clause, "Cond"), self.sequence(clause, "Then"), *rest)

    def assignment(self, assign: dict[str, Any]) -> Tree:
        if "Array" in assign:
            elements = assign["Array"].get("Elems", [])
            return ("array", *(self.word(element) for element in elements))
        text = self.source(assign)
        name = re.match(r"\w+(\[.*?\])?(?=\+?=)", text, re.DOTALL)
        if name is None:
            return ("assignment", text)
        value = assign.get("Value")
        word = ("",) if value is None else self.word(value)
        return ("assignment", name[0], bool(assign.get("Append")), word)

    def redirects(self, redirects: Iterable[dict[str, Any]]) -> Tree:
        found: list[Tree] = []
        for redirect in redirects:
            body, inner = None, ()
            if redirect["Op"] in {"<<", "<<-"}:
                body = self.source(redirect["Hdoc"]) if "Hdoc" in redirect else ""
                if redirect["Op"] == "<<-":
                    body = re.sub(r"^\t+", "", body, flags=re.MULTILINE)
                # The closing line is sometimes part of it.
                body = body.removesuffix(re.sub(r"[\\'\"]", "", self.source(redirect["Word"])))
                inner = tuple(self.substitutions(redirect.get("Hdoc", {})))
            found.append(
                (redirect["Op"], self.source(redirect, redirect["Word"]), self.word(redirect["Word"]), body, inner)
            )
        return tuple(found)

    def word(self, word: dict[str, Any]) -> Tree:
        return (self.source(word), *self.substitutions(word))

    def substitutions(self, node: Any) -> Iterator[Tree]:
        if isinstance(node, list):
            for each in node:
                yield from self.substitutions(each)
        elif isinstance(node, dict):
            kind = node.get("Type")
            if kind == "CmdSubst":
                self.backticks += bool(node.get("Backquotes"))
                yield ("command", self.sequence(node))
                self.backticks -= bool(node.get("Backquotes"))
            elif kind == "ProcSubst":
                yield ("process", self.sequence(node))
            elif kind == "ArithmExp":
                inner = [item for _, body in self.substitutions(list(node.values())) for item in body[1:]]
                yield ("arithmetic", ("list", *inner))
            else:
                for each in node.values():
                    yield from self.substitutions(each)
