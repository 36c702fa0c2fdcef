"""Simulate the build of a whole Dockerfile: every RUN of every stage in order, with fakes for what is not coreutils.

How to use it::

    with Simulator() as simulator:                       # root only: see ``sandbox.is_possible``
        before = simulator.build(text)                   # World(files, programs) says what is around the build
        after = simulator.build(fixed.text, like=before) # with what the first build was given
        problems = judge.breaks(before, after)           # see ``judge``

A build tells what was called and how it ended (``commands``), how each RUN ended (``runs``), what each layer holds
(``layers``), what CMD, ENTRYPOINT and HEALTHCHECK do with it (also ``runs``), and which of what was installed works
(``payload``). A file that a command misses is given to it when the build is tried again (``Given``), as the context or
the base image would hold it; the build after a fix is given the same, and no more: what it then misses, the fix took.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import tempfile
import time
import traceback
from dataclasses import dataclass
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import cast

from cleanroom import registries
from cleanroom.syntax.dockerfile import DockerfileError

from .image_build import Build, Builder, Given, NotSimulatedError, is_in
from .programs import World
from .sandbox import Template, separate, separate_processes

FILE_SECONDS = 60.0
ATTEMPTS = 6
_DANGEROUS = re.compile(r"\b(?:kill|suspend)\b|/dev/tcp|/dev/udp|:\(\)")


def _learn(builder: Builder, given: Given, only: set[str] | None) -> Given:
    """Return what a next attempt is to be given; with ``only``, no path that is not among these."""
    paths = {key: dict(value) for key, value in given.paths.items()}
    users = {key: set(value) for key, value in given.users.items()}
    caches = {key: set(value) for key, value in given.caches.items()}
    more = Given(paths, users, caches, set(given.programs), set(given.excused), set(given.wanted))
    known = {place for places in builder.build.places.values() for place in places}
    failed = {(run.stage, run.number) for run in builder.build.failed}
    for stage, number, path, kind in builder.missing:
        if (stage, number) not in failed and number >= 0 and kind not in ("name",):
            continue
        if only is not None and f"{kind} {path}" not in only:
            continue
        if kind == "name":
            more.programs.add(path)
        elif kind == "user":
            more.users.setdefault(_root_stage(builder, stage), set()).add(path)
        elif not is_in(path, known) or kind == "program":
            more.paths.setdefault((stage, max(number, 0)), {})[path] = kind
        else:
            continue
        more.wanted.add(f"{kind} {path}")
    if only is None:
        for stage, names, line in builder.unmet:
            bottom = _root_stage(builder, stage)
            memory = builder.stages[stage].memory
            name = names.split()[0]
            if set(names.split()) & (memory.filled | memory.emptied) or name in caches.get(bottom, ()):
                more.excused.add(f"{names} {line}")
            else:
                more.caches.setdefault(bottom, set()).add(name)
    return more


def _root_stage(builder: Builder, index: int) -> int:
    """Return the stage with the base image that a stage stands on."""
    names = {stage.name: stage.index for stage in builder.dockerfile.stages if stage.name}
    while (below := names.get(builder.dockerfile.stages[index].base.lower())) is not None and below < index:
        index = below
    return index


def _attempts(
    text: str, folder: Path, template: Template, world: World, known: Given | None, kept: Path | None
) -> Build:
    library = registries.library()
    given = known or Given()
    only = set(given.wanted) if known is not None else None
    end = time.monotonic() + FILE_SECONDS
    for attempt in range(ATTEMPTS):
        place = folder / f"attempt-{attempt}"
        place.mkdir()
        mounts = place / "mounts"
        if kept is not None and kept.exists():
            shutil.copytree(kept, mounts, symlinks=True)
        try:
            builder = Builder(text, place, template, library, world, given, mounts)
            build = builder.run()
        finally:
            if attempt:
                shutil.rmtree(folder / f"attempt-{attempt - 1}", ignore_errors=True)
        if not build.failed or world.failing:
            break
        more = _learn(builder, given, only)
        if more.count() == given.count() or attempt == ATTEMPTS - 1 or time.monotonic() > end:
            break
        given = more
    build.mounts = {"": str(mounts)} if mounts.exists() else {}
    return build


class Simulator:
    """Simulates builds, one after the other, each in a process of its own. A context manager."""

    def __init__(self) -> None:
        memory = "/dev/shm"  # a build makes and removes thousands of small files
        place = memory if os.access(memory, os.W_OK) else None
        self.folder = Path(tempfile.mkdtemp(prefix="cleanroom-simulation-", dir=place))
        self.folder.chmod(0o755)
        self.template = Template(self.folder / "template")
        self.count = 0
        registries.library().base("debian")  # read once, for all builds
        self._begin()

    def __enter__(self) -> Simulator:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _begin(self) -> None:
        """Begin the process that begins those of the builds: it leaves the network once for all."""
        self.connection, other = Pipe()
        self.helper = os.fork()
        if not self.helper:
            try:
                os.setsid()
                self.connection.close()
                _help(other, self.template, is_separate=separate())
            finally:
                os._exit(0)  # whatever happened: what the parent was about to do is not for this process
        other.close()

    def _end(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.helper, signal.SIGKILL)
        os.waitpid(self.helper, 0)
        self.connection.close()

    def build(self, text: str, world: World | None = None, *, like: Build | None = None, twice: bool = False) -> Build:
        """Simulate a build.

        With ``like``, it is given what that build was given; ``twice`` returns a second build of the same text, with
        what the first left in its cache mounts.
        """
        self.count += 1
        folder = self.folder / f"build-{self.count}"
        folder.mkdir()
        job = _Job(text, folder, world or World(), like.given if like is not None else None, twice)
        try:
            self.connection.send(job)
            if self.connection.poll(FILE_SECONDS * 2):
                return cast(Build, self.connection.recv())
            self._end()
            self._begin()
            return Build(problem="it took too long")
        except (EOFError, BrokenPipeError):
            self._end()
            self._begin()
            return Build(problem="the process that begins builds ended")
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            if not self.template.is_whole():
                self._end()
                shutil.rmtree(self.folder / "template")
                self.template = Template(self.folder / "template")
                self._begin()


@dataclass(frozen=True, slots=True)
class _Job:
    text: str
    folder: Path
    world: World
    given: Given | None
    twice: bool


def _help(jobs: Connection, template: Template, *, is_separate: bool) -> None:
    """Do jobs, each in a process that sees none but its own."""
    os.umask(0o022)
    while True:
        try:
            job = jobs.recv()
        except EOFError:
            return
        child = os.fork()
        if not child:
            try:
                separate_processes()
                inner = os.fork()
                if not inner:
                    jobs.send(_safely(job, template, is_separate=is_separate))
                else:
                    os.waitpid(inner, 0)
            finally:
                os._exit(0)
        os.waitpid(child, 0)


def _safely(job: _Job, template: Template, *, is_separate: bool) -> Build:
    if not is_separate and _DANGEROUS.search(job.text):
        return Build(problem="it may reach other processes, which cannot be kept apart here")
    try:
        build = _attempts(job.text, job.folder, template, job.world, job.given, None)
        if job.twice:
            again = job.folder / "again"
            again.mkdir()
            kept = Path(build.mounts.get("", "/nonexistent"))
            return _attempts(job.text, again, template, job.world, build.given, kept)
        return build
    except (NotSimulatedError, DockerfileError) as error:
        return Build(problem=str(error))
    except Exception as error:  # of the harness: to be told as that of the file
        return Build(problem=f"{type(error).__name__}: {error}\n{traceback.format_exc()}")
