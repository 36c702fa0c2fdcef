"""What COPY and ADD bring: files of the context, here-documents, settings and versions of managers, paths of stages."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from itertools import islice

from cleanroom.engine.events import NO_GUARDS, Write
from cleanroom.engine.ledger import Copy, StageLedger
from cleanroom.engine.state import State, configure, detect_versions
from cleanroom.engine.writes import file_name
from cleanroom.recipes.library import Library
from cleanroom.syntax.dockerfile import Dockerfile, Instruction, Stage
from cleanroom.syntax.paths import absolute
from cleanroom.syntax.text import Span

_MAX_BROUGHT = 100  # sources of one COPY or ADD of which it is followed where they go
MAX_COPIES = 2_000  # sources of all COPY and ADD of one Dockerfile: each may be a script, or tell of a manager


class Copies:
    """Follows the COPY and ADD instructions of a Dockerfile."""

    def __init__(
        self,
        dockerfile: Dockerfile,
        library: Library,
        read_file: Callable[[str], str | None],
        note: Callable[[Span, str], None],
    ) -> None:
        self.dockerfile = dockerfile
        self.library = library
        self.read_file = read_file
        self.note = note
        self.followed = 0  # sources

    def follow(self, instruction: Instruction, ledger: StageLedger, state: State) -> None:
        """Note in ``ledger`` and ``state`` what an instruction copies."""
        words = [
            word.text if instruction.exec_form is not None else state.expand(word.text, self.dockerfile.escape)
            for word in instruction.words()
        ]
        if len(words) < 2 or words[-1] is None:
            return
        *sources, target = words
        place = absolute(target or "", state.workdir)
        ledger.placed.append((place, instruction))
        given = [source for source in sources if source is not None] if state.follows else []
        writes = list(islice(_brought(instruction, given, place), _MAX_BROUGHT))
        ledger.brought += [(instruction, write) for write in writes]
        state.filled.update(path for write in writes if not write.folder for path in write.paths)
        origin = next((flag.value for flag in instruction.flags if flag.name == "from"), None)
        if origin is not None:
            earlier = self.dockerfile.stages[: ledger.stage.index]
            index = stage_index(earlier, state.expand(origin, self.dockerfile.escape) or "", numbers=True)
            if index is not None:
                paths = tuple(absolute(source, "/") for source in sources if source)
                ledger.copies.append(Copy(index, paths, place, instruction))
        elif self._may_follow(instruction, len(sources)):
            for source in sources:
                if source is not None and not source.startswith("<<") and "://" not in source:
                    self._source(source.removeprefix("./").strip("/") or ".", place, state, alone=len(sources) == 1)
            for heredoc in instruction.heredocs:
                state.texts[place] = heredoc.body.text
                detect_versions(self.library, state, place)
                configure(self.library, state, place, heredoc.body.text, state.home())

    def _may_follow(self, instruction: Instruction, count: int) -> bool:
        if self.followed + count > MAX_COPIES:
            if self.followed <= MAX_COPIES:
                self.note(instruction.span, "the file copies more than can be followed from here on")
            self.followed = MAX_COPIES + 1
            return False
        self.followed += count
        return True

    def _source(self, source: str, place: str, state: State, *, alone: bool) -> None:
        """Note a file or folder of the context that is copied to ``place``, or into it."""
        bare = place.rstrip("/")
        inside = f"{bare}/{source.rpartition('/')[2]}"
        if alone and not place.endswith("/"):
            state.copied.append((source, place))
        state.copied.append((source, inside))
        state.copied.append(("" if source == "." else source, f"{bare}/"))
        detect_versions(self.library, state, source)
        for path in (place, inside):
            if self.library.about(path.rpartition("/")[2]):
                self._configure(source, path, state)
        folder = "" if source == "." else f"{source}/"
        for file in self.library.files():
            if "*" not in file and self._configure(f"{folder}{file}", f"{bare}/{file}", state):
                detect_versions(self.library, state, file)

    def _configure(self, source: str, path: str, state: State) -> bool:
        """Note what a file of the context says once it is at ``path``; return True if it is there."""
        text = self.read_file(source)
        if not text:
            return False
        configure(self.library, state, path, text, state.home())
        return True


# What names a file for sure: an ending, a glob, a name that is known for one.
_FILES = re.compile(r".\.|[*?\[]|^(?:[A-Z][a-z]+file|LICENSE|README|gradlew|mvnw|artisan|configure)$")


def _brought(instruction: Instruction, sources: list[str], place: str) -> Iterator[Write]:
    """Yield what each source of a COPY or ADD puts into the image: a file, or what is in a folder."""
    folder = place.rstrip("/")
    inside_only = place.endswith("/") or len(sources) > 1
    for source in sources:
        if source.startswith("<<"):
            continue
        is_remote = "://" in source
        name = file_name(source) if is_remote else source.rstrip("/").rpartition("/")[2]
        name = name if name.strip(".") else ""
        is_tree = source.endswith(".git") if is_remote else not _FILES.search(name)
        inside = (f"{folder}/{name}",) if name else ()
        paths = inside if inside_only and not is_tree else (folder, *inside)
        paths = tuple(path for path in paths if path)
        if paths:
            what = "downloads" if is_remote else "copies"
            yield Write(paths, what, is_tree, instruction.span, NO_GUARDS, 0)


def stage_index(stages: Iterable[Stage], name: str, *, numbers: bool) -> int | None:
    """Return the index of the last stage with this name, with ``numbers`` also of the one with this number."""
    found = None
    for stage in stages:
        if (stage.name is not None and stage.name == name.lower()) or (numbers and name == str(stage.index)):
            found = stage.index
    return found
