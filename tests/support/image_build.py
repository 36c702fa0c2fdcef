"""One build of a Dockerfile, instruction by instruction, in a folder of its own, and what came of it."""

from __future__ import annotations

import contextlib
import os
import re
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

from cleanroom.recipes.library import Library
from cleanroom.recipes.model import Base
from cleanroom.syntax import dockerfile as reader
from cleanroom.syntax.dockerfile import Dockerfile, Instruction, Stage
from cleanroom.syntax.paths import absolute

from .base_image import furnish
from .managers import Managers, Memory
from .missing import BUILTIN, folders, missing, program_names
from .programs import DOWNLOADED, Programs, User, World
from .sandbox import HIDDEN, Request, Runner, Template, copy_tree, inside

SECONDS = 20.0  # of a RUN, on a machine that may be busy
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class _StoppedError(Exception):
    """A RUN failed, and with it the build."""


class NotSimulatedError(Exception):
    """A file of which no build can be simulated; says why."""


@dataclass(frozen=True, slots=True)
class Command:
    """A program that was called. ``run`` is the number of its RUN in the stage, negative for CMD and the like."""

    stage: int
    run: int
    user: int
    cwd: str
    argv: tuple[str, ...]
    code: int | None


@dataclass(frozen=True, slots=True)
class Run:
    """A RUN, CMD, ENTRYPOINT or HEALTHCHECK: how it ended (None: it took too long), and what it said."""

    stage: int
    number: int
    keyword: str
    line: int
    code: int | None
    output: str


@dataclass(frozen=True, slots=True)
class Layer:
    """What a RUN leaves: paths that are new or written anew, paths that are gone, bytes by cache (``apt.lists``)."""

    stage: int
    number: int
    line: int
    added: frozenset[str]
    removed: frozenset[str]
    caches: Mapping[str, int]


@dataclass(slots=True)
class Given:
    """What a build is given beside its text: files and programs that it misses, by stage and RUN; needs not met."""

    paths: dict[tuple[int, int], dict[str, str]] = field(default_factory=dict)  # path -> file, folder, program
    users: dict[int, set[str]] = field(default_factory=dict)
    caches: dict[int, set[str]] = field(default_factory=dict)  # of the base image
    programs: set[str] = field(default_factory=set)
    excused: set[str] = field(default_factory=set)
    wanted: set[str] = field(default_factory=set)  # all paths

    def count(self) -> int:
        """Return how much it is."""
        paths = sum(map(len, self.paths.values()))
        many = (*self.users.values(), *self.caches.values(), self.programs, self.excused)
        return paths + sum(map(len, many))


@dataclass(slots=True)
class Build:
    """What came of a build. ``problem`` says why there was none."""

    commands: list[Command] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)
    layers: list[Layer] = field(default_factory=list)
    payload: dict[str, bool] = field(default_factory=dict)  # by stage and what was installed
    files: dict[int, frozenset[str]] = field(default_factory=dict)  # in the end, by stage
    places: dict[str, tuple[str, ...]] = field(default_factory=dict)  # recipe.cache -> where it was
    given: Given = field(default_factory=Given)
    mounts: dict[str, str] = field(default_factory=dict)  # kept for a next build: key -> folder
    problem: str = ""
    is_stopped: bool = False  # at a RUN that failed, where one is to fail

    @property
    def failed(self) -> list[Run]:
        """The RUNs, CMDs and the like that failed."""
        return [run for run in self.runs if run.code != 0]


@dataclass(slots=True)
class _Stage:
    root: Path
    memory: Memory
    base: Base
    environment: dict[str, str]
    arguments: dict[str, str]
    user: str = ""
    workdir: str = "/"
    shell: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] | None = None  # as a command line
    command: tuple[str, ...] | None = None
    health: tuple[str, ...] | None = None


class Builder:
    """One attempt to build a file, in a folder of its own."""

    def __init__(
        self, text: str, folder: Path, template: Template, library: Library, world: World, given: Given, kept: Path
    ) -> None:
        self.dockerfile: Dockerfile = reader.parse(text)
        self.folder = folder
        self.template = template
        self.library = library
        self.world = world
        self.given = given
        self.kept = kept  # where cache mounts live
        self.build = Build(given=given)
        self.stages: list[_Stage] = []
        self.missing: list[tuple[int, int, str, str]] = []  # stage, RUN, path, kind
        self.unmet: list[tuple[int, str, str]] = []
        self.number = 0

    def run(self) -> Build:
        """Build all stages."""
        globals_: dict[str, str] = {}
        for instruction in self.dockerfile.global_arguments:
            for assignment in reader.assignments(instruction):
                if assignment.value is not None:
                    globals_[assignment.name] = self.expand(assignment.value, globals_)
        for stage in self.dockerfile.stages:
            self.stages.append(self.begin(stage, globals_))
            self.number = 0
            with contextlib.suppress(_StoppedError):
                for instruction in stage.instructions:
                    if not instruction.onbuild:
                        self.instruction(instruction, stage.index, globals_)
                self.start(stage.index)
            self.finish(stage.index)
            if self.build.is_stopped:
                break
        return self.build

    def expand(self, text: str, *values: Mapping[str, str]) -> str:
        merged: dict[str, str | None] = {}
        for each in values:
            merged.update(each)
        return reader.expand(text, merged, self.dockerfile.escape, "")

    # -- stages ------------------------------------------------------------------------------------------------------

    def begin(self, stage: Stage, globals_: Mapping[str, str]) -> _Stage:
        """Return a stage with its base image or the stage that it stands on."""
        root = self.folder / str(stage.index)
        image = self.expand(stage.base, globals_)
        parent = next(
            (s.index for s in self.dockerfile.stages[: stage.index] if s.name and s.name == image.lower()), None
        )
        if parent is not None:
            below = self.stages[parent]
            self.template.copy_root(below.root, root)
            return _Stage(
                root,
                below.memory.copy(),
                below.base,
                dict(below.environment),
                {},
                below.user,
                below.workdir,
                below.shell,
                below.entrypoint,
                below.command,
                below.health,
            )
        base = self.library.base(image or "scratch")
        root.mkdir()
        self.template.new_root(root)
        memory = Memory(base)
        made = _Stage(root, memory, base, {"PATH": DEFAULT_PATH, **base.environment}, {}, base.user)
        self.furnish(made, stage.index)
        return made

    def furnish(self, stage: _Stage, index: int) -> None:
        """Fill the root of a base image, and give it what it is known to miss."""
        furnish(stage.root, stage.base)
        programs = self.programs(stage)
        for name, uid in stage.base.uids.items():
            programs.make_user(name, uid, stage.base.home if name == stage.base.user else "")
        if stage.base.user and not stage.base.user.isdigit():
            programs.make_user(stage.base.user.partition(":")[0], "", stage.base.home)
        for name in self.given.users.get(index, ()):
            programs.make_user(name)
        root = Request(["base"], "/", {"HOME": "/root"}, 0, 0)
        for cache in self.given.caches.get(index, ()):
            programs.managers.ask(cache, [], root)
            for place in stage.memory.places.get(cache, ()):
                programs.managers.write(place, "base-image", root)

    def programs(self, stage: _Stage) -> Programs:
        managers = Managers(stage.root, self.library, stage.memory, self.given.excused)
        return Programs(stage.root, self.library, managers, self.world)

    def finish(self, index: int) -> None:
        """Note what of a stage works in the end, and where its caches were."""
        stage = self.stages[index]
        for what, path in stage.memory.payload.items():
            self.build.payload[f"stage {index}: {what}"] = inside(stage.root, path).exists()
        for name, places in stage.memory.places.items():
            self.build.places[name] = tuple(sorted({*self.build.places.get(name, ()), *places}))
        self.build.files[index] = frozenset(path for path, (is_file, *_) in _scan(stage.root).items() if is_file)

    # -- instructions ------------------------------------------------------------------------------------------------

    def instruction(self, instruction: Instruction, index: int, globals_: Mapping[str, str]) -> None:
        """Do what an instruction says."""
        stage = self.stages[index]
        keyword = instruction.keyword
        text = instruction.arguments.text
        values = {**stage.arguments, **stage.environment}
        if keyword == "RUN":
            self.layer(instruction, index)
            self.number += 1
        elif keyword == "ENV":
            for assignment in reader.assignments(instruction):
                stage.environment[assignment.name] = self.expand(assignment.value or "", values)
        elif keyword == "ARG":
            for assignment in reader.assignments(instruction):
                if assignment.value is not None:
                    stage.arguments[assignment.name] = self.expand(assignment.value, stage.arguments, stage.environment)
                elif assignment.name in globals_:
                    stage.arguments[assignment.name] = globals_[assignment.name]
        elif keyword == "USER":
            stage.user = self.expand(text, values) or stage.user
        elif keyword == "WORKDIR":
            stage.workdir = absolute(self.expand(text, values) or ".", stage.workdir)
            self.make_folder(stage, stage.workdir)
        elif keyword == "SHELL" and instruction.exec_form:
            stage.shell = tuple(word.text for word in instruction.exec_form)
        elif keyword in ("CMD", "ENTRYPOINT", "HEALTHCHECK"):
            if keyword == "HEALTHCHECK":
                found = re.search(r"\bCMD\s+(.*)", text, re.DOTALL)
                if found is None:
                    return
                text = found[1]
            words = instruction.exec_form
            command = tuple(word.text for word in words) if words is not None else (*self.shell(stage), text)
            if keyword == "CMD":
                stage.command = command
            elif keyword == "ENTRYPOINT":
                stage.entrypoint, stage.command = command, None
            else:
                stage.health = command
        elif keyword in ("COPY", "ADD"):
            self.copy(instruction, index)

    def shell(self, stage: _Stage) -> tuple[str, ...]:
        """Return what RUN runs its text by."""
        if not stage.shell:
            return ("/bin/sh", "-c")
        program, *options = stage.shell
        name = program.rpartition("/")[2]
        if name in ("zsh", "ksh", "mksh"):
            name = "bash"
        if name not in ("sh", "bash", "dash", "ash"):
            raise NotSimulatedError(f"the shell {name} is not there")
        return (f"/bin/{'dash' if name == 'ash' else name}", *(options or ("-c",)))

    def make_folder(self, stage: _Stage, path: str) -> Path:
        place = inside(stage.root, path)
        for each in (place, *place.parents):
            if each.is_file():
                each.unlink()
        place.mkdir(parents=True, exist_ok=True)
        return place

    def copy(self, instruction: Instruction, index: int) -> None:
        """COPY and ADD: from other stages what is there, from the context what the test says, or empty files."""
        stage = self.stages[index]
        values = {**stage.arguments, **stage.environment}
        is_list = instruction.exec_form is not None
        words = [word.text if is_list else self.expand(word.text, values) for word in instruction.words()]
        flags = {flag.name: self.expand(flag.value or "", values) for flag in instruction.flags}
        owner = self.owner(stage, flags.get("chown", ""))
        if len(words) < 2:
            return
        *sources, target = words
        place = absolute(target, stage.workdir)
        is_folder = (
            target.endswith(("/", "/."))
            or target in (".", "..")
            or len(sources) > 1
            or inside(stage.root, place).is_dir()
        )
        for heredoc in instruction.heredocs:
            self.put(stage, f"{place}/{heredoc.name}" if is_folder else place, heredoc.body.text, owner)
        origin = flags.get("from", "")
        if origin:
            names = [str(s.index) if not s.name else s.name for s in self.dockerfile.stages[:index]]
            found = next((n for n, name in enumerate(names) if origin.lower() in (name, str(n))), None)
            if found is not None:
                for source in sources:
                    self.copy_from(self.stages[found], source, stage, place, is_folder=is_folder)
                return
        for source in sources:
            if not source.startswith("<<"):
                self.copy_in(stage, source, place, owner, is_folder=is_folder)

    def owner(self, stage: _Stage, name: str) -> User:
        name = name.partition(":")[0] or "root"
        return self.programs(stage).make_user(name, name)

    def put(self, stage: _Stage, path: str, text: str, owner: User) -> None:
        """Write a file of the context."""
        place = inside(stage.root, path)
        if place.is_dir():
            return
        missing = [folder for folder in place.parents if not folder.exists()]
        place.parent.mkdir(parents=True, exist_ok=True)
        for folder in missing:
            os.chown(folder, owner.uid, owner.gid)
        if os.path.lexists(place):
            place.unlink()
        if self.library.program(path.rpartition("/")[2]) and not text:
            place.symlink_to(f"/{HIDDEN}/call")
            return
        place.write_text(text)
        place.chmod(0o755)
        os.chown(place, owner.uid, owner.gid)

    def copy_in(self, stage: _Stage, source: str, place: str, owner: User, *, is_folder: bool) -> None:
        name = re.sub(r"[?#].*", "", source).rstrip("/").rpartition("/")[2]
        clean = source.removeprefix("./").strip("/")
        below = {
            path: text for path, text in self.world.files.items() if clean in (".", "") or path.startswith(f"{clean}/")
        }
        if clean in self.world.files:
            self.put(stage, f"{place.rstrip('/')}/{name}" if is_folder else place, self.world.files[clean], owner)
        elif below or clean in (".", "") or source.endswith("/"):
            folder = self.make_folder(stage, place)
            os.chown(folder, owner.uid, owner.gid)
            for path, text in below.items():
                inner = path if clean in (".", "") else path[len(clean) + 1 :]
                self.put(stage, f"{place.rstrip('/')}/{inner}", text, owner)
        elif (
            re.search(r"[.*?\[]|[A-Z]", name)
            or self.library.program(name)
            or "bin/" in source
            or not place.endswith(name)
        ):
            name = re.sub(r"[*?\[\]]", "", name) or "file"
            is_script = re.search(r"\.(?:sh|bash|run|bin|py|pl)$", name) or "." not in name
            text = DOWNLOADED if is_script and not self.library.program(name) and not name.isupper() else ""
            self.put(stage, f"{place.rstrip('/')}/{name}" if is_folder else place, text, owner)
        else:
            folder = self.make_folder(stage, place)
            os.chown(folder, owner.uid, owner.gid)

    def copy_from(self, other: _Stage, source: str, stage: _Stage, place: str, *, is_folder: bool) -> None:
        found = inside(other.root, absolute(source, "/"))
        matches = sorted(found.parent.glob(found.name)) if set(found.name) & set("*?[") else [found]
        for each in matches:
            if not os.path.lexists(each):
                self.miss(stage, absolute(source, "/"), other)
                continue
            target = inside(
                stage.root, f"{place.rstrip('/')}/{each.name}" if is_folder and not each.is_dir() else place
            )
            target.parent.mkdir(parents=True, exist_ok=True)
            if each.is_dir():
                target.mkdir(exist_ok=True)
                for entry in sorted(each.iterdir()):
                    if entry.name not in (HIDDEN, "dev", "proc"):
                        _copy_over(entry, target / entry.name, self.template.inodes)
            else:
                _copy_over(each, target, self.template.inodes)
        for name, places in other.memory.places.items():
            stage.memory.places.setdefault(name, set()).update(places)

    def miss(self, stage: _Stage, path: str, other: _Stage) -> None:
        """Note that COPY --from finds nothing: a failure, where the first build found it."""
        index = self.stages.index(other)
        self.build.runs.append(Run(self.stages.index(stage), -9, "COPY", 0, 1, f"{path}: not found in stage {index}"))
        self.missing.append((index, 0, path, "file" if re.search(r"\.\w+$", path) else "folder"))

    # -- RUN ---------------------------------------------------------------------------------------------------------

    def layer(self, instruction: Instruction, index: int) -> None:
        """Run a RUN and note what it leaves."""
        stage = self.stages[index]
        command = self.command(instruction, stage)
        before = _scan(stage.root)
        with contextlib.ExitStack() as stack:
            for flag in instruction.flags:
                if flag.name == "mount" and flag.value:
                    stack.enter_context(self.mounted(stage, flag.value))
            if command:
                self.execute(instruction, index, self.number, command)
        after = _scan(stage.root)
        added = frozenset(path for path, stamp in after.items() if before.get(path) != stamp)
        caches = {
            name: sum(after[path][1] for path in added if after[path][0] and is_in(path, places))
            for name, places in stage.memory.places.items()
        }
        held = {name: size for name, size in caches.items() if size}
        self.build.layers.append(
            Layer(index, self.number, instruction.line, added, frozenset(before.keys() - after.keys()), held)
        )

    def command(self, instruction: Instruction, stage: _Stage) -> tuple[str, ...]:
        """Return the command line that a RUN stands for."""
        if instruction.exec_form is not None:
            return tuple(word.text for word in instruction.exec_form)
        text = instruction.arguments.text
        if not instruction.heredocs:
            return (*self.shell(stage), text)
        first = instruction.heredocs[0]
        alone = re.fullmatch(r"<<-?\s*(['\"]?)[\w.-]+\1\s*(?P<rest>.*)", text, re.DOTALL)
        body = first.body.text
        if first.strip_tabs:
            body = re.sub(r"(?m)^\t+", "", body)
        if alone and len(instruction.heredocs) == 1:
            interpreter = alone["rest"].split()
            if shebang := re.match(r"#!\s*(\S+)[ \t]*(.*)", body):
                interpreter = [shebang[1], *shebang[2].split()]
            if not interpreter:
                return (*self.shell(stage), body)
            name = next((word for word in interpreter if word.rpartition("/")[2] != "env"), "").rpartition("/")[2]
            if name in ("sh", "bash", "dash", "ash"):
                return (f"/bin/{'dash' if name == 'ash' else name}", *interpreter[1:], "-c", body)
            return (f"/{HIDDEN}/call", name, body)
        pieces = [text, "\n"]
        for heredoc in instruction.heredocs:
            pieces += [heredoc.body.text, heredoc.name, "\n"]
        return (*self.shell(stage), "".join(pieces))

    def execute(self, instruction: Instruction, index: int, number: int, command: tuple[str, ...]) -> None:
        """Run a command line as the user in force, and note what was called."""
        stage = self.stages[index]
        programs = self.programs(stage)
        name = (stage.user or stage.base.user or "root").partition(":")[0]
        user = programs.make_user(name, name)
        environment = {**stage.arguments, **stage.environment}
        environment.setdefault("HOME", user.home)
        self.prepare(stage, index, number, command)
        runner = Runner(stage.root, programs.answer)
        ended = runner.run(command, environment, stage.workdir, user.uid, user.gid, SECONDS)
        keyword = instruction.keyword
        self.build.runs.append(Run(index, number, keyword, instruction.line, ended.code, ended.output[-2000:]))
        self.build.commands += [
            Command(index, number, each.uid, each.cwd, tuple(each.argv), each.code) for each in runner.log
        ]
        self.unmet += [(index, caches, line) for caches, line in programs.managers.unmet]
        if self.world.failing and ended.code and number >= 0:
            self.build.is_stopped = True
            raise _StoppedError
        if ended.output:
            entered = list(folders(command[-1], stage.workdir))[:3] if _is_script(command) else []
            places = [stage.workdir, *entered, *(each.cwd for each in runner.log)]
            places = list(reversed(dict.fromkeys(reversed(places))))  # each where it was entered last
            self.missing += [(index, number, path, kind) for path, kind in missing(ended.output, places)]

    def prepare(self, stage: _Stage, index: int, number: int, command: tuple[str, ...]) -> None:
        """Give a RUN the programs that it names, and what it is known to miss."""
        named = program_names(command[-1]) if _is_script(command) else ()
        wanted = {command[0], *named} | self.given.programs
        for name in wanted:
            if name in BUILTIN or ".." in name or not re.fullmatch(r"[\w./+@-]+", name):
                continue
            if name.startswith("/"):
                self.give(stage, name, "program")
            elif "/" not in name and not os.path.lexists(stage.root / "usr/bin" / name):
                (stage.root / "usr/bin" / name).symlink_to(f"/{HIDDEN}/call")
        for path, kind in self.given.paths.get((index, number), {}).items():
            self.give(stage, path, kind)

    def give(self, stage: _Stage, path: str, kind: str) -> None:
        """Give a build a file that it misses."""
        place = inside(stage.root, path)
        with contextlib.suppress(OSError):
            if kind == "folder":
                if place.is_file():
                    place.unlink()
                place.mkdir(parents=True, exist_ok=True)
                return
            if place.is_dir() and kind == "program" and not any(place.iterdir()):
                place.rmdir()
            place.parent.mkdir(parents=True, exist_ok=True)
            if os.path.lexists(place):
                return
            if kind == "program":
                place.symlink_to(f"/{HIDDEN}/call")
            else:
                place.touch()
                place.chmod(0o755)

    def start(self, index: int) -> None:
        """Start what a container of the stage would, once."""
        stage = self.stages[index]
        instructions = [item for item in self.dockerfile.stages[index].instructions if not item.onbuild]
        last = {item.keyword: item for item in instructions}
        command = (*(stage.entrypoint or ()), *(stage.command or ()))
        for number, keyword, argv in ((-1, "ENTRYPOINT", command), (-2, "HEALTHCHECK", stage.health or ())):
            instruction = last.get(keyword) or (last.get("CMD") if number == -1 else None)
            if argv and instruction is not None:
                self.execute(instruction, index, number, tuple(argv))

    # -- mounts ------------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def mounted(self, stage: _Stage, value: str) -> Iterator[None]:
        """Have a mount of a RUN in its place while it runs, and what was there before afterwards."""
        values = {**stage.arguments, **stage.environment}
        fields = {key.strip().lower(): text for key, _, text in (part.partition("=") for part in value.split(","))}
        kind = fields.get("type", "bind")
        target = next((fields[key] for key in ("target", "dst", "destination") if key in fields), "")
        if not target or kind in ("ssh",):
            yield
            return
        target = absolute(self.expand(target, values), stage.workdir)
        place = inside(stage.root, target)
        if place == stage.root:
            yield
            return
        place.parent.mkdir(parents=True, exist_ok=True)
        folder = self.source(kind, fields, target)
        aside = self.folder / f"aside-{len(os.listdir(self.folder))}"
        had = os.path.lexists(place)
        if had:
            place.rename(aside)
        if folder is not None:
            folder.rename(place)
        try:
            yield
        finally:
            place = inside(stage.root, target)
            if folder is not None:
                if not os.path.lexists(place):
                    place.mkdir(parents=True)
                place.rename(folder)
            if had:
                place.parent.mkdir(parents=True, exist_ok=True)
                aside.rename(place)
            else:
                place.mkdir(exist_ok=True)  # where it was mounted stays

    def source(self, kind: str, fields: Mapping[str, str], target: str) -> Path | None:
        """Return the folder or file to mount, to be moved into its place."""
        if kind == "cache":
            key = re.sub(r"\W+", "-", fields.get("id", target))
            folder = self.kept / key
            if not folder.exists():
                folder.mkdir(parents=True)
                uid, gid = int(fields.get("uid", "0") or 0), int(fields.get("gid", "0") or 0)
                os.chown(folder, uid, gid)
                folder.chmod(int(fields.get("mode", "0755"), 8))
            return folder
        folder = self.folder / f"mount-{len(os.listdir(self.folder))}"
        origin = fields.get("from", "").lower()
        found = next(
            (
                n
                for n, s in enumerate(self.dockerfile.stages[: len(self.stages) - 1])
                if origin and origin in (s.name, str(n))
            ),
            None,
        )
        if found is not None:
            path = inside(self.stages[found].root, fields.get("source", fields.get("src", "/")))
            if path.exists():
                copy_tree(path, folder, self.template.inodes)
                return folder
        if kind == "secret":
            folder.write_text("secret")
            return folder
        folder.mkdir()
        if kind == "tmpfs":
            folder.chmod(0o1777)
        elif not origin:
            name = fields.get("source", fields.get("src", ".")).removeprefix("./").strip("/")
            if re.search(r"\.\w+$", name) or name in self.world.files:
                folder.rmdir()
                folder.write_text(self.world.files.get(name, ""))
                folder.chmod(0o755)
                return folder
            for path, text in self.world.files.items():
                if name in ("", ".") or path.startswith(f"{name}/"):
                    inner = folder / (path if name in ("", ".") else path[len(name) + 1 :])
                    inner.parent.mkdir(parents=True, exist_ok=True)
                    inner.write_text(text)
                    inner.chmod(0o755)
        return folder


def _copy_over(source: Path, target: Path, shared: Iterable[int]) -> None:
    if os.path.lexists(target) and not (target.is_dir() and source.is_dir() and not source.is_symlink()):
        if target.is_dir() and not target.is_symlink():
            return
        target.unlink()
    if target.is_dir() and not target.is_symlink():
        for entry in source.iterdir():
            _copy_over(entry, target / entry.name, shared)
        return
    copy_tree(source, target, shared)


def _is_script(command: tuple[str, ...]) -> bool:
    """Return True if the last word of a command line is a script."""
    return len(command) > 1 and re.fullmatch(r"-\w*c", command[-2]) is not None


def _scan(root: Path) -> dict[str, tuple[bool, int, int]]:
    """Map each path of a root folder to whether it is a file, its size and when it was written."""
    found: dict[str, tuple[bool, int, int]] = {}
    waiting = [(str(root), "")]
    while waiting:
        folder, name = waiting.pop()
        with os.scandir(folder) as entries:
            for entry in entries:
                path = f"{name}/{entry.name}"
                if path in (f"/{HIDDEN}", "/dev", "/proc", "/usr/bin"):
                    continue
                status = entry.stat(follow_symlinks=False)
                is_file = stat.S_ISREG(status.st_mode)
                found[path] = is_file, status.st_size if is_file else 0, status.st_mtime_ns if is_file else 0
                if entry.is_dir(follow_symlinks=False):
                    waiting.append((entry.path, path))
    return found


def is_in(path: str, places: Iterable[str]) -> bool:
    for place in places:
        if set(place) & set("*?["):
            parts, wanted = path.split("/"), place.rstrip("/").split("/")
            if len(parts) >= len(wanted) and all(map(fnmatchcase, parts, wanted)):
                return True
        elif path == place or path.startswith(place.rstrip("/") + "/"):
            return True
    return False
