"""The server as an editor sees it: a real client talks to ``cleanroom-lsp`` over its standard input and output."""

import asyncio
import sys
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from cleanroom_lsp.positions import Positions
from lsprotocol import types
from pygls.lsp.client import LanguageClient

import cleanroom

DOCKERFILE = """\
FROM debian:12
RUN apt-get update && apt-get install -y curl
RUN pip install requests
"""
SCRIPT = str(Path(sys.executable).parent / "cleanroom-lsp")
SECONDS = 60  # far over what anything here takes; a server that says nothing fails the test


class Editor(LanguageClient):
    """A client that keeps what the server says."""

    def __init__(self, root):
        super().__init__("test", "1")
        self.root = root
        self.said = {}
        self.news = asyncio.Condition()
        self.registered = []

        @self.feature(types.TEXT_DOCUMENT_PUBLISH_DIAGNOSTICS)
        async def _(params):
            async with self.news:
                self.said.setdefault(params.uri, []).append(params)
                self.news.notify_all()

        @self.feature(types.CLIENT_REGISTER_CAPABILITY)
        def _(params):
            self.registered += params.registrations

        @self.feature(types.WINDOW_LOG_MESSAGE)
        def _(params):
            raise AssertionError(params.message)

    async def until(self, document, version):
        """Return what the server says of a version of a document, once it does."""

        def told():
            return [item for item in self.said.get(document.uri, []) if item.version == version]

        await self.wait(told)
        return told()[-1]

    async def wait(self, condition):
        """Wait for what the server says to meet a condition."""
        async with self.news:
            await asyncio.wait_for(self.news.wait_for(condition), SECONDS)


class Document:
    """A document that is open in the editor."""

    def __init__(self, editor, path, text, language):
        self.editor, self.path, self.text = editor, path, text
        self.uri = path if isinstance(path, str) else path.as_uri()
        self.identifier = types.TextDocumentIdentifier(self.uri)
        self.version = 1
        item = types.TextDocumentItem(self.uri, language, 1, text)
        editor.text_document_did_open(types.DidOpenTextDocumentParams(item))

    def write(self, text):
        """Change the document, as a person does who types."""
        self.text = text
        self.version += 1
        versioned = types.VersionedTextDocumentIdentifier(self.version, self.uri)
        change = types.TextDocumentContentChangeWholeDocument(text)
        self.editor.text_document_did_change(types.DidChangeTextDocumentParams(versioned, [change]))

    async def diagnostics(self):
        return list((await self.editor.until(self, self.version)).diagnostics)

    def at(self, needle, encoding="utf-16", end=False):
        """Return the position of a piece of the text."""
        offset = self.text.index(needle) + (len(needle) if end else 0)
        return Positions(self.text, encoding).position(offset)

    async def actions(self, needle, only=None):
        place = types.Range(self.at(needle), self.at(needle, end=True))
        context = types.CodeActionContext([], only)
        return list(
            await self.editor.text_document_code_action_async(types.CodeActionParams(self.identifier, place, context))
        )

    def edited(self, action, encoding="utf-16"):
        """Return the text after an action, whose edits must be for this version of it."""
        (change,) = action.edit.document_changes
        assert (change.text_document.uri, change.text_document.version) == (self.uri, self.version)
        positions = Positions(self.text, encoding)
        text = self.text
        for edit in sorted(change.edits, key=lambda edit: positions.offset(edit.range.start), reverse=True):
            span = positions.span(edit.range)
            text = text[: span.start] + edit.new_text + text[span.end :]
        return text

    async def hover(self, needle):
        return await self.editor.text_document_hover_async(types.HoverParams(self.identifier, self.at(needle)))

    async def complete(self, needle, kind=types.CompletionTriggerKind.Invoked, character=None):
        position = self.at(needle, end=True)
        context = types.CompletionContext(kind, character)
        found = await self.editor.text_document_completion_async(
            types.CompletionParams(self.identifier, position, context)
        )
        return list(found.items)

    def completed(self, item):
        positions = Positions(self.text)
        span = positions.span(item.text_edit.range)
        return self.text[: span.start] + item.text_edit.new_text + self.text[span.end :]


@asynccontextmanager
async def editing(root, encodings=None, command=(SCRIPT, "--stdio")):
    editor = Editor(root)
    await editor.start_io(*command)
    capabilities = types.ClientCapabilities(
        general=types.GeneralClientCapabilities(position_encodings=encodings),
        workspace=types.WorkspaceClientCapabilities(
            workspace_edit=types.WorkspaceEditClientCapabilities(document_changes=True),
            did_change_watched_files=types.DidChangeWatchedFilesClientCapabilities(dynamic_registration=True),
        ),
    )
    folder = types.WorkspaceFolder(root.as_uri(), "root")
    result = await editor.initialize_async(
        types.InitializeParams(capabilities, root_uri=root.as_uri(), workspace_folders=[folder])
    )
    editor.encoding = result.capabilities.position_encoding
    editor.initialized(types.InitializedParams())
    try:
        yield editor
        await editor.shutdown_async(None)
    finally:
        editor.exit(None)
        await asyncio.wait_for(editor.stop(), SECONDS)
    assert editor._server.returncode == 0


def tried(root, steps, text=DOCKERFILE, name="Dockerfile", language="dockerfile", **options):
    """Open a document in a new editor and take steps with it."""

    async def run():
        async with editing(root, **options) as editor:
            path = name if name.startswith("untitled:") else root / name
            document = Document(editor, path, text, language)
            await steps(document)

    asyncio.run(run())


def codes(diagnostics):
    return [(item.code, item.range.start.line) for item in diagnostics]


FOUND = [("left-behind[apt.lists]", 1), ("left-behind[pip.cache]", 2)]


def test_what_check_finds_is_shown(tmp_path):
    async def steps(document):
        diagnostics = await document.diagnostics()
        findings = cleanroom.check(DOCKERFILE).findings
        assert codes(diagnostics) == FOUND
        assert [item.message for item in diagnostics] == [item.message for item in findings]
        assert [item.severity for item in diagnostics] == [types.DiagnosticSeverity.Warning] * 2
        assert {item.source for item in diagnostics} == {"cleanroom"}
        positions = Positions(DOCKERFILE)
        assert [positions.span(item.range) for item in diagnostics] == [item.span for item in findings]

    tried(tmp_path, steps)


def test_through_the_command_of_cleanroom(tmp_path):
    async def steps(document):
        assert codes(await document.diagnostics()) == FOUND

    tried(tmp_path, steps, command=(sys.executable, "-m", "cleanroom", "lsp"))


def test_while_someone_types(tmp_path):
    async def steps(document):
        await document.diagnostics()
        for end in range(1, 6):  # faster than the pause: only the last is checked
            document.write(DOCKERFILE + "# typed"[:end] + "\n")
        document.write("FROM debian:12\nRUN pip install x\n")
        assert codes(await document.diagnostics()) == [("left-behind[pip.cache]", 1)]
        assert [item.version for item in document.editor.said[document.uri]] == [1, 7]
        document.write("FROM debian:12\nRNU true\n")
        (diagnostic,) = await document.diagnostics()
        assert diagnostic.severity == types.DiagnosticSeverity.Error
        assert "did you mean RUN?" in diagnostic.message
        assert (diagnostic.range.start, diagnostic.range.end) == (types.Position(1, 0), types.Position(1, 8))
        document.write("")
        assert "begin it with FROM" in (await document.diagnostics())[0].message
        document.editor.text_document_did_close(types.DidCloseTextDocumentParams(document.identifier))
        assert not (await document.editor.until(document, None)).diagnostics

    tried(tmp_path, steps)


def test_quick_fixes_are_those_of_fix(tmp_path):
    async def steps(document):
        fix, ignore, everything = await document.actions("apt-get update")
        assert fix.title == "Add rm -rf /var/lib/apt/lists/* at the end of this RUN"
        assert fix.is_preferred
        assert fix.diagnostics[0].code == "left-behind[apt.lists]"
        expected = cleanroom.fix(DOCKERFILE, select=("left-behind[apt]",)).text
        assert document.edited(fix) == expected
        assert ignore.title == "Ignore left-behind[apt.lists] here"
        ignored = document.edited(ignore)
        assert ignored.splitlines()[1] == "# cleanroom: ignore=left-behind[apt.lists]"
        assert [item.manager for item in cleanroom.check(ignored).findings] == ["pip"]
        assert everything.title == "Fix all that cleanroom can (2)"
        assert everything.kind == "source.fixAll.cleanroom"
        assert document.edited(everything) == cleanroom.fix(DOCKERFILE).text
        assert await document.actions("FROM") == []
        assert await document.actions("FROM", ["source.fixAll"]) == [everything]
        assert await document.actions("FROM", ["source.fixAll.other"]) == []
        assert await document.actions("apt-get update", ["quickfix"]) == [fix, ignore]
        assert await document.actions("apt-get update", ["refactor"]) == []
        document.write(document.edited(everything))
        assert await document.diagnostics() == []
        assert await document.actions("FROM", ["source.fixAll"]) == []

    tried(tmp_path, steps)


def test_an_unsafe_fix_says_so(tmp_path):
    text = "FROM debian:12\nRUN apt-get install -y a && apt-get clean\nRUN apt-get install -y b && apt-get clean\n"

    async def steps(document):
        titles = [action.title for action in await document.actions("apt-get install -y b", ["quickfix"])]
        assert titles == [
            "Join it to the RUN on line 2 (not safe: two layers become one, which is built anew when either changes)",
            "Ignore split-installs[apt] here",
        ]

    tried(tmp_path, steps, text)


EMOJI = "FROM debian:12\nRUN echo '\N{GRINNING FACE}\N{GRINNING FACE} é' && pip install x # \f\n"


@pytest.mark.parametrize(
    ("encodings", "agreed", "column"),
    [
        (None, "utf-16", 21),
        (["utf-8", "utf-16"], "utf-8", 26),
        (["utf-32"], "utf-32", 19),
        (["utf-7"], "utf-16", 21),
    ],
)
def test_positions_are_in_the_encoding_that_was_agreed_on(tmp_path, encodings, agreed, column):
    async def steps(document):
        assert document.editor.encoding == agreed
        (diagnostic,) = await document.diagnostics()
        assert diagnostic.range.start == types.Position(1, column)
        assert diagnostic.range.end == types.Position(1, column + len("pip install x"))
        place = types.Range(diagnostic.range.start, diagnostic.range.start)
        actions = await document.editor.text_document_code_action_async(
            types.CodeActionParams(document.identifier, place, types.CodeActionContext([]))
        )
        assert document.edited(actions[0], agreed) == EMOJI.replace("pip install", "pip install --no-cache-dir")
        hover = await document.editor.text_document_hover_async(
            types.HoverParams(document.identifier, diagnostic.range.start)
        )
        assert hover.range == diagnostic.range

    tried(tmp_path, steps, EMOJI, encodings=encodings)


def test_hover_tells_the_recipe(tmp_path):
    async def steps(document):
        hover = await document.hover("apt-get update")
        assert hover.contents.kind == types.MarkupKind.Markdown
        text = hover.contents.value
        assert text.startswith("**[apt](https://wiki.debian.org/Apt)**: Debian and Ubuntu packages\n")
        assert "- **lists**: package lists that update downloads in `/var/lib/apt/lists`, about " in text
        assert "; stays in this layer\n" in text
        assert "- add at the end of this RUN: `rm -rf /var/lib/apt/lists/*`\n" in text
        assert "cleanroom show apt" in text
        text = (await document.hover("apt-get install")).contents.value
        assert "not written: `/etc/apt/apt.conf.d/docker-clean`" in text
        assert "Kept out" not in text
        assert "- add to this command: `--no-cache-dir`\n" in (await document.hover("pip install")).contents.value
        assert await document.hover("FROM") is None
        document.write("FROM debian:12\nRUN \n")
        assert await document.hover("RUN") is None

    tried(tmp_path, steps)


def test_completion_offers_what_is_missing(tmp_path):
    head = "FROM debian:12\nRUN apt-get update && apt-get install -y curl"

    async def steps(document):
        (item,) = [item for item in await document.complete("curl && ") if item.sort_text == "000"]
        assert item.label == "rm -rf /var/lib/apt/lists/*"
        assert item.detail.startswith("apt: package lists that update downloads, about ")
        assert document.completed(item) == f"{head} && rm -rf /var/lib/apt/lists/*\n"
        typed = types.CompletionTriggerKind.TriggerCharacter
        assert await document.complete("curl && ", typed, " ")
        # Half a word, which the command takes the place of; the list goes on behind it.
        document.write(f"{head} \\\n && pip install x \\\n && rm -r\n")
        items = await document.complete("rm -r")
        assert [item.label for item in items][:1] == ["rm -rf /var/lib/apt/lists/* && rm -rf ~/.cache/pip"]
        assert items[0].detail == "all that is left here: apt, pip"
        assert "rm -rf ~/.cache/pip" in [item.label for item in items]
        # Behind a whole command, when asked.
        document.write(f"{head} \n")
        (item, *_) = await document.complete("curl ")
        assert document.completed(item) == f"{head} && rm -rf /var/lib/apt/lists/*\n"
        assert await document.complete("curl ", typed, " ") == []
        # Nothing is left, or this is no place for a command.
        document.write(f"{head} && rm -rf /var/lib/apt/lists/* && \n")
        assert await document.complete("* && ") == []
        document.write("FROM debian:12\nRUN apt-get install \n")
        assert await document.complete("install ", typed, " ") == []
        document.write("FROM \n")
        assert await document.complete("FROM ") == []

    tried(tmp_path, steps, f"{head} && \n")


def test_settings_of_the_folder_hold(tmp_path):
    settings = tmp_path / "pyproject.toml"
    settings.write_text('[tool.cleanroom]\nignore = ["apt"]\nprefer = "clean"\n')
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "cleanroom.toml").write_text('ignore = ["pip"]\n')

    async def steps(document):
        assert codes(await document.diagnostics()) == FOUND[1:]
        (fix, *_) = await document.actions("pip install")
        assert fix.title == "Add rm -rf ~/.cache/pip at the end of this RUN"
        below = Document(document.editor, tmp_path / "sub" / "Dockerfile", DOCKERFILE, "dockerfile")
        assert codes(await below.diagnostics()) == FOUND[:1]

        async def again(text):
            settings.write_text(text)
            seen = len(document.editor.said[document.uri])
            document.editor.workspace_did_change_watched_files(
                types.DidChangeWatchedFilesParams([types.FileEvent(settings.as_uri(), types.FileChangeType.Changed)])
            )
            await document.editor.wait(lambda: len(document.editor.said[document.uri]) > seen)
            return list(document.editor.said[document.uri][-1].diagnostics)

        (registration,) = document.editor.registered
        assert registration.method == "workspace/didChangeWatchedFiles"
        assert codes(await again("")) == FOUND
        (problem,) = await again("[tool.cleanroom]\nselct = []\n")
        assert "did you mean 'select'?" in problem.message
        assert await again('[tool.cleanroom]\nexclude = ["Docker*"]\n') == []

    tried(tmp_path, steps)


def test_scripts_of_the_context_are_read(tmp_path):
    script = tmp_path / "setup.sh"
    script.write_text("apt-get update\n")

    async def steps(document):
        assert codes(await document.diagnostics()) == [("left-behind[apt.lists]", 2)]
        script.write_text("apt-get update; rm -rf /var/lib/apt/lists/*\n")
        document.editor.text_document_did_save(types.DidSaveTextDocumentParams(document.identifier))
        await document.editor.wait(lambda: len(document.editor.said[document.uri]) > 1)
        assert not document.editor.said[document.uri][-1].diagnostics

    tried(tmp_path, steps, "FROM debian:12\nCOPY setup.sh /\nRUN /setup.sh\n")


@pytest.mark.parametrize(
    ("name", "language", "count"),
    [
        ("Containerfile", "plaintext", 2),
        ("build.txt", "dockerfile", 2),
        ("untitled:Untitled-1", "dockerfile", 2),
        ("a b é.dockerfile", "", 2),
        ("notes.txt", "plaintext", 0),
    ],
)
def test_documents_are_known_by_name_or_language(tmp_path, name, language, count):
    async def steps(document):
        assert len(await document.diagnostics()) == count

    tried(tmp_path, steps, name=name, language=language)


def test_windows_line_ends(tmp_path):
    text = DOCKERFILE.replace("\n", "\r\n")

    async def steps(document):
        assert codes(await document.diagnostics()) == FOUND
        (everything,) = await document.actions("FROM", ["source.fixAll"])
        assert document.edited(everything) == cleanroom.fix(text).text
        (_, ignore, *_) = await document.actions("pip install")
        assert "\r\n# cleanroom: ignore=left-behind[pip.cache]\r\nRUN" in document.edited(ignore)

    tried(tmp_path, steps, text)
