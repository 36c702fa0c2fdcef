"""What the commands of a script leave: events, files that they write, settings."""

from __future__ import annotations

from collections.abc import Callable

from cleanroom.engine.calls import Call
from cleanroom.engine.events import Change, Event, Fill, Guards, How, Named, Remove, Reowned, Unseen, Use, Write
from cleanroom.engine.expansion import Expansion
from cleanroom.engine.process import Budget, Frame
from cleanroom.engine.state import State, configure, detect_versions
from cleanroom.engine.uses import is_related, root_of
from cleanroom.engine.writes import puts, reowned
from cleanroom.recipes.library import Library
from cleanroom.syntax.paths import UNKNOWN, absolute, escape, plain
from cleanroom.syntax.text import Span

_MAX_USES = 1_000  # of one RUN
_MAX_CHANGES = 200  # of one RUN
_NO_FILES = ("/dev/", "/proc/", "/sys/")


class Effects(Expansion):
    """Notes what commands do. ``state`` is changed by what lasts: files, settings, users."""

    def __init__(self, library: Library, state: State, budget: Budget, note: Callable[[Span, str], None]) -> None:
        super().__init__(library, state)
        self.budget = budget
        self.unresolved = note
        self.events: list[Event] = []
        self.uses: list[Use] = []
        self.changes: list[Change] = []
        self.wanted: set[tuple[str, str]] = set()  # (recipe id, cache id) that a command reads if it starts a container
        self.frame = Frame()

    def emit(self, event: Event) -> None:
        """Add an event behind those there are."""
        frame = self.frame
        event.order = len(self.events)
        event.command = None if frame.fixed_span is not None else frame.command
        event.nested = frame.fixed_span is not None or frame.in_text
        self.events.append(event)
        if isinstance(event, Fill) and event.prevented in ("", "?"):
            self.state.filled.update(map(root_of, event.paths))

    def name(self, path: str, how: How, span: Span) -> None:
        """Note that a command names a place, where that has to do with a cache that was filled before."""
        path = self.resolve(path)
        if len(self.uses) < _MAX_USES and is_related(path, self.state.filled):
            self.uses.append(Named(path, how, span, len(self.events)))

    def not_seen(self, what: str, span: Span, text: str | None = None) -> None:
        """Note that a command runs something that is not followed; ``text`` is what it says where that is known."""
        if len(self.uses) < _MAX_USES:
            self.uses.append(Unseen(what, text, span, len(self.events)))

    def remove(
        self,
        patterns: tuple[str, ...],
        span: Span,
        guards: Guards,
        *,
        recursive: bool,
        forced: bool = True,
        certain: bool = True,
    ) -> None:
        """Add the removal of these patterns, where there are any."""
        if patterns:
            self.emit(Remove(patterns, recursive, span, guards, 0, forced=forced, certain=certain))

    def change(self, change: Change) -> None:
        """Note what a command changes on the disk besides caches."""
        if len(self.changes) < _MAX_CHANGES:
            self.changes.append(change)
            if isinstance(change, Write):
                self.state.filled.update(change.paths)

    def put(self, call: Call) -> None:
        """Note what a program puts on the disk, or changes in whole."""
        redirects = call.node.redirects if call.node is not None else ()
        targets = (item.target for item in redirects if item.operator in (">", ">|") and item.target is not None)
        output = next((value for target in targets if (value := self.value(target))), "")
        order = len(self.events)
        for put in puts(call, output):
            paths = tuple(path for path in map(self._place, put.paths) if path)
            if paths:
                taken = tuple(self.resolve(word) for word in put.taken)
                self.change(Write(paths, put.what, put.folder, call.span, call.guards, order, taken))
        if places := reowned(call):
            patterns = tuple(self.resolve(word) for word in places)
            self.change(Reowned(patterns, call.program, call.span, call.guards, order))

    def _place(self, word: str) -> str:
        """Return where a word that is written to is, "" where it is no file of the image."""
        path = plain(self.resolve(word if word.startswith("~") else escape(word))).rstrip("/")
        return "" if not path or path.startswith((*_NO_FILES, UNKNOWN)) else path

    def write(self, target: str, text: str | None, *, append: bool = False) -> None:
        """Note that a file was written; configuration files may prevent caches."""
        if text is None:
            return
        path = plain(self.resolve(escape(target)))
        self.state.removed_files.discard(path)
        if not text.strip() and not append:
            self.state.removed_files.add(path)  # an empty file says nothing
        self.state.texts[path] = self.state.texts.get(path, "") + text if append else text
        detect_versions(self.library, self.state, path)
        configure(self.library, self.state, path, text, self.home())

    def is_copied(self, name: str) -> bool:
        """Return True if the build copied or wrote a file at this path."""
        target = absolute(name, self.process.cwd)
        return target in self.state.texts or any(target == path for _, path in self.state.copied)
