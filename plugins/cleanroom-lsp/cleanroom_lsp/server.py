"""The language server: documents in, diagnostics, fixes, hovers and completions out.

https://microsoft.github.io/language-server-protocol/specifications/lsp/3.17/specification/
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import difflib
import logging
import os
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from lsprotocol import types
from pygls.lsp.server import LanguageServer
from pygls.uris import to_fs_path
from pygls.workspace import TextDocument

import cleanroom
from cleanroom.lint.findings import Finding
from cleanroom.syntax.text import Edit, Source, Span
from cleanroom_lsp.analysis import Analysis, analyse
from cleanroom_lsp.completion import clean_ups
from cleanroom_lsp.hover import hover
from cleanroom_lsp.positions import Positions

SOURCE = "cleanroom"
FIX_ALL = f"{types.CodeActionKind.SourceFixAll.value}.{SOURCE}"
PAUSE = 0.2  # seconds without a key pressed, after which a document is checked
_SEVERITIES = {
    "error": types.DiagnosticSeverity.Error,
    "warning": types.DiagnosticSeverity.Warning,
    "info": types.DiagnosticSeverity.Information,
}
_SETTINGS = ("**/cleanroom.toml", "**/pyproject.toml")

_log = logging.getLogger(__name__)


class Server(LanguageServer):
    """The server of one editor."""

    def __init__(self) -> None:
        # Whole documents: pygls applies partial changes by str.splitlines, which takes a form feed for a line end.
        super().__init__(
            "cleanroom-lsp", cleanroom.__version__, text_document_sync_kind=types.TextDocumentSyncKind.Full
        )
        self._analyses: dict[str, Analysis | None] = {}
        self._pending: dict[str, asyncio.Task[None]] = {}

    # -- documents --------------------------------------------------------------------------------------------------

    def positions(self, text: str) -> Positions:
        """Return the places of a text in the encoding that the editor asked for."""
        return Positions(text, self.workspace.position_encoding or types.PositionEncodingKind.Utf16)

    def check_soon(self, uri: str, pause: float = PAUSE) -> None:
        """Check a document when it has not changed for ``pause`` seconds."""
        self.stop_checking(uri)
        self._pending[uri] = asyncio.ensure_future(self._check_after(uri, pause))

    def check_all(self) -> None:
        """Check all documents that are open again, since what they depend on changed."""
        self._analyses.clear()
        for uri in [document.uri for document in self.workspace.text_documents.values()]:
            self.check_soon(uri, 0)

    def stop_checking(self, uri: str) -> None:
        """Drop the check that is under way, if one is."""
        if (task := self._pending.pop(uri, None)) is not None:
            task.cancel()

    def forget(self, uri: str) -> None:
        """Drop what is known of a document that was closed."""
        self.stop_checking(uri)
        self._analyses.pop(uri, None)

    async def analysis(self, uri: str) -> Analysis | None:
        """Return what is known of a document as it is now; None where there is nothing to know."""
        document = self.workspace.get_text_document(uri)
        known = self._analyses.get(uri)
        if known is not None and known.text == document.source and known.version == document.version:
            return known
        text, version = document.source, document.version
        found = await asyncio.to_thread(analyse, self._path(document), document.language_id or "", text, version)
        self._analyses[uri] = found
        return found

    def _path(self, document: TextDocument) -> str:
        """Return where a document lies; one that was never saved lies at the root of the workspace."""
        if document.uri.startswith("file:") and (path := to_fs_path(document.uri)):
            return path
        return str(Path(self.workspace.root_path or "") / "Untitled")

    async def _check_after(self, uri: str, pause: float) -> None:
        await asyncio.sleep(pause)
        document = self.workspace.get_text_document(uri)
        version = document.version
        try:
            found = await self.analysis(uri)
        except Exception as error:
            _log.exception("checking %s", uri)
            self.window_log_message(
                types.LogMessageParams(types.MessageType.Error, f"{uri}: {type(error).__name__}: {error}")
            )
            return
        if self.workspace.get_text_document(uri).version != version:
            return  # a later check has the word
        diagnostics = list(self.diagnostics(uri, found)) if found is not None else []
        self.text_document_publish_diagnostics(types.PublishDiagnosticsParams(uri, diagnostics, version))

    # -- what is said -----------------------------------------------------------------------------------------------

    def diagnostics(self, uri: str, analysis: Analysis) -> Iterator[types.Diagnostic]:
        """Yield what an analysis found, as the editor shows it."""
        positions = self.positions(analysis.text)
        for problem in analysis.problems:
            place = types.Position(problem.line - 1, 0)
            start = min(positions.offset(place) + problem.column - 1, len(analysis.text))
            end = positions.offset(types.Position(problem.line - 1, 1 << 30))
            yield types.Diagnostic(
                positions.range(Span(start, max(start, end))),
                problem.message,
                severity=types.DiagnosticSeverity.Error,
                source=SOURCE,
            )
        for finding in analysis.findings:
            yield self.diagnostic(uri, positions, finding)

    def diagnostic(self, uri: str, positions: Positions, finding: Finding) -> types.Diagnostic:
        """Return one finding as the editor shows it."""
        related = [
            types.DiagnosticRelatedInformation(
                types.Location(uri, types.Range(types.Position(line - 1, 0), types.Position(line, 0))), what
            )
            for line, what in finding.related
        ]
        return types.Diagnostic(
            positions.range(finding.span),
            finding.message,
            severity=_SEVERITIES[finding.severity],
            code=finding.label,
            source=SOURCE,
            related_information=related or None,
        )

    # -- fixes ------------------------------------------------------------------------------------------------------

    def actions(self, uri: str, analysis: Analysis, params: types.CodeActionParams) -> Iterator[types.CodeAction]:
        """Yield what can be done about the findings in a range, and about all of them."""
        positions = self.positions(analysis.text)
        only = params.context.only
        place = positions.span(params.range)
        here = [item for item in analysis.findings if item.span.start <= place.end and place.start <= item.span.end]
        if _asked(types.CodeActionKind.QuickFix.value, only):
            for finding in here:
                yield from self._quick_fixes(uri, analysis, positions, finding)
        fixable = [item for item in analysis.findings if item.fix is not None and item.fix.safe]
        wants_all = only is not None and _asked(FIX_ALL, only)
        if fixable and (wants_all or (here and len(fixable) > 1 and only is None)):
            edits = list(changes(analysis.text, analysis.fix_all()))
            if edits:
                yield types.CodeAction(
                    f"Fix all that cleanroom can ({len(fixable)})",
                    kind=FIX_ALL,
                    edit=self._edit(uri, analysis, positions, edits),
                )

    def _quick_fixes(
        self, uri: str, analysis: Analysis, positions: Positions, finding: Finding
    ) -> Iterator[types.CodeAction]:
        diagnostic = self.diagnostic(uri, positions, finding)
        if finding.fix is not None:
            fix = finding.fix
            yield types.CodeAction(
                _title(fix.title) + ("" if fix.safe else f" (not safe: {fix.why})"),
                kind=types.CodeActionKind.QuickFix,
                diagnostics=[diagnostic],
                edit=self._edit(uri, analysis, positions, fix.edits),
                is_preferred=fix.safe or None,
            )
        if finding.rule != "unused-ignore":
            yield types.CodeAction(
                f"Ignore {finding.label} here",
                kind=types.CodeActionKind.QuickFix,
                diagnostics=[diagnostic],
                edit=self._edit(uri, analysis, positions, [_ignore(analysis.text, finding)]),
            )

    def _edit(self, uri: str, analysis: Analysis, positions: Positions, edits: Iterable[Edit]) -> types.WorkspaceEdit:
        """Return edits of a document, tied to its version where the editor can do that."""
        texts = [types.TextEdit(positions.range(edit.span), edit.text) for edit in edits]
        workspace = self.client_capabilities.workspace
        if workspace and workspace.workspace_edit and workspace.workspace_edit.document_changes:
            document = types.OptionalVersionedTextDocumentIdentifier(uri, analysis.version)
            return types.WorkspaceEdit(document_changes=[types.TextDocumentEdit(document, texts)])
        return types.WorkspaceEdit(changes={uri: texts})


def changes(before: str, after: str) -> Iterator[Edit]:
    """Yield the edits that make ``after`` of ``before``: whole lines, as few as there are."""
    old, new = re.findall(r"[^\n]*\n|[^\n]+", before), re.findall(r"[^\n]*\n|[^\n]+", after)
    starts = [0]
    for line in old:
        starts.append(starts[-1] + len(line))
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=False)
    for kind, first, last, new_first, new_last in matcher.get_opcodes():
        if kind != "equal":
            yield Edit(Span(starts[first], starts[last]), "".join(new[new_first:new_last]))


def _asked(kind: str, only: Sequence[types.CodeActionKind | str] | None) -> bool:
    """Return True if an editor that wants ``only`` these kinds of actions wants one of ``kind``."""
    wanted = [str(getattr(item, "value", item)) for item in only or ()]
    return only is None or any(not item or kind == item or kind.startswith(f"{item}.") for item in wanted)


def _title(text: str) -> str:
    return text[:1].upper() + text[1:]


def _ignore(text: str, finding: Finding) -> Edit:
    """Return the edit that puts an ignore comment above the instruction of a finding."""
    source = Source(text)
    start, line = source.line_start(finding.instruction_line), source.line(finding.instruction_line)
    indent = line[: len(line) - len(line.lstrip())]
    feed = "\r\n" if text.startswith("\r\n", start + len(line)) else "\n"
    return Edit(Span(start, start), f"{indent}# cleanroom: ignore={finding.label}{feed}")


def create() -> Server:
    """Return a server that answers."""
    server = Server()

    @server.feature(types.INITIALIZED)
    async def initialized(server: Server, _: types.InitializedParams) -> None:
        """Ask to be told when settings change."""
        workspace = server.client_capabilities.workspace
        watching = workspace.did_change_watched_files if workspace else None
        if not (watching and watching.dynamic_registration):
            return
        watchers = [types.FileSystemWatcher(pattern) for pattern in _SETTINGS]
        options = types.DidChangeWatchedFilesRegistrationOptions(watchers)
        registration = types.Registration("settings", types.WORKSPACE_DID_CHANGE_WATCHED_FILES, options)
        await server.client_register_capability_async(types.RegistrationParams([registration]))

    @server.feature(types.WORKSPACE_DID_CHANGE_WATCHED_FILES)
    def files_changed(server: Server, _: types.DidChangeWatchedFilesParams) -> None:
        server.check_all()

    @server.feature(types.TEXT_DOCUMENT_DID_OPEN)
    def opened(server: Server, params: types.DidOpenTextDocumentParams) -> None:
        server.check_soon(params.text_document.uri, 0)

    @server.feature(types.TEXT_DOCUMENT_DID_CHANGE)
    def changed(server: Server, params: types.DidChangeTextDocumentParams) -> None:
        server.check_soon(params.text_document.uri)

    @server.feature(types.TEXT_DOCUMENT_DID_SAVE)
    def saved(server: Server, _: types.DidSaveTextDocumentParams) -> None:
        server.check_all()  # it may be a script that a Dockerfile copies

    @server.feature(types.TEXT_DOCUMENT_DID_CLOSE)
    def closed(server: Server, params: types.DidCloseTextDocumentParams) -> None:
        uri = params.text_document.uri
        server.forget(uri)
        server.text_document_publish_diagnostics(types.PublishDiagnosticsParams(uri, []))

    @server.feature(
        types.TEXT_DOCUMENT_CODE_ACTION,
        types.CodeActionOptions(code_action_kinds=[types.CodeActionKind.QuickFix, FIX_ALL]),
    )
    async def code_action(server: Server, params: types.CodeActionParams) -> list[types.CodeAction]:
        uri = params.text_document.uri
        analysis = await server.analysis(uri)
        return [] if analysis is None else list(server.actions(uri, analysis, params))

    @server.feature(types.TEXT_DOCUMENT_HOVER)
    async def show(server: Server, params: types.HoverParams) -> types.Hover | None:
        analysis = await server.analysis(params.text_document.uri)
        if analysis is None or analysis.ledger is None:
            return None
        positions = server.positions(analysis.text)
        told = hover(analysis.ledger, positions.offset(params.position))
        if told is None:
            return None
        text, span = told
        return types.Hover(types.MarkupContent(types.MarkupKind.Markdown, text), positions.range(span))

    @server.feature(types.TEXT_DOCUMENT_COMPLETION, types.CompletionOptions(trigger_characters=[" ", "&"]))
    async def complete(server: Server, params: types.CompletionParams) -> types.CompletionList:
        analysis = await server.analysis(params.text_document.uri)
        if analysis is None or not analysis.arguments:
            return types.CompletionList(False, [])
        positions = server.positions(analysis.text)
        asked = params.context is None or params.context.trigger_kind == types.CompletionTriggerKind.Invoked
        found = clean_ups(analysis, positions.offset(params.position), asked=asked)
        items = [
            types.CompletionItem(
                item.text,
                kind=types.CompletionItemKind.Snippet,
                detail=item.detail,
                sort_text=f"{number:03}",
                filter_text=item.text,
                text_edit=types.TextEdit(positions.range(item.span), item.text),
            )
            for number, item in enumerate(found)
        ]
        return types.CompletionList(False, items)

    return server


def main(arguments: Sequence[str] | None = None) -> None:
    """Serve an editor over standard input and output, until it says that it is done."""
    parser = argparse.ArgumentParser(
        "cleanroom-lsp", description="Serve an editor over standard input and output (Language Server Protocol)."
    )
    parser.add_argument("--stdio", action="store_true", help="what it does anyway; some editors ask for it")
    parser.add_argument("--version", action="version", version=f"cleanroom-lsp {cleanroom.__version__}")
    parser.parse_args(arguments)
    logging.basicConfig(level=logging.WARNING)  # on standard error
    # pygls closes what it is given; and what others print must not get between its messages.
    with (
        os.fdopen(os.dup(sys.stdin.fileno()), "rb") as reader,
        os.fdopen(os.dup(sys.stdout.fileno()), "wb") as writer,
        contextlib.redirect_stdout(sys.stderr),
    ):
        create().start_io(reader, writer)
