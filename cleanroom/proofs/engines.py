"""What builds images: Buildah, Podman or Docker, each in a place of its own that is gone afterwards."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path
from secrets import token_hex
from typing import TypeVar

# Buildah 1.28 removes the target of a cache mount after the RUN, and takes it to lie below the first folder of its
# store: with a store in /var/tmp, a mount on /var/lib/apt costs the image its /lib/apt. Nothing is mounted on /srv.
PLACES = ("/srv", "/var/tmp")
PREFIX = "cleanroom-"
TIME_LIMIT = 600.0  # seconds, of one command of the engine
# Of the engine, on a busy machine: its own folders are in use, or an image that it has just made is not found.
_FLAWS = ("device or resource busy", "Trying to pull localhost/")
_TRIES = 2  # then, before the last
_PR_SET_CHILD_SUBREAPER = 36
_TAIL = 25  # lines shown of a build that failed


class BuildError(RuntimeError):
    """A build that failed; the message ends with what it printed last. ``output`` is all of it."""

    def __init__(self, message: str, output: str = "") -> None:
        super().__init__(message)
        self.output = output


class EngineError(RuntimeError):
    """There is no engine, it cannot work here, or no room is left; the message says what to do."""


class Engine:
    """Builds images below ``folder``. The names of its images are its own: another run has others."""

    program = ""

    def __init__(self, folder: Path, time_limit: float = TIME_LIMIT) -> None:
        self.folder = folder
        self.time_limit = time_limit
        self._builds = 0
        (folder / "tmp").mkdir(parents=True, exist_ok=True)
        (folder / "empty").mkdir(exist_ok=True)

    # -- what the engines do each in their way ---------------------------------------------------------------------

    def options(self) -> Sequence[str]:
        """Return the options that stand before every command."""
        return ()

    def build_command(self) -> Sequence[str]:
        """Return the command that builds, and its options."""
        raise NotImplementedError

    def name(self, image: str) -> str:
        """Return how the engine calls one of our images."""
        return f"localhost/{image}"

    def load(self, image: str, reference: str) -> None:
        """Get an image from ``oci:FOLDER`` or another place that the engine knows. Raises BuildError."""
        raise NotImplementedError

    def save(self, image: str, target: Path) -> str:
        """Write an archive, its layers not compressed, and return the reference by which an audit finds it.

        Raises BuildError.
        """
        raise NotImplementedError

    def forget(self, image: str) -> None:
        """Remove an image: room is short. What cannot be removed goes with the store."""

    def close(self) -> None:
        """Put away what is not below the folder."""

    # -- what they have in common ----------------------------------------------------------------------------------

    def version(self) -> str:
        """Return its name and version. Raises BuildError."""
        words = self.run("--version").split()
        number = next((word.strip(",") for word in words if word[:1].isdigit()), "")
        return f"{self.program} {number}".strip()

    def build(
        self, image: str, dockerfile: str, context: Path | None = None, *, anew: bool = False, limit: float = 0
    ) -> str:
        """Build an image of ours, one layer an instruction, and return what was printed. Raises BuildError.

        ``anew`` runs every command again; ``limit`` is another time limit, in seconds.
        """
        self._builds += 1
        file = self.folder / f"dockerfile-{self._builds}"
        file.write_text(dockerfile, encoding="utf-8")
        extra = ["--no-cache"] if anew else []
        arguments = [*self.build_command(), *extra, "--file", str(file), "--tag", self.name(image)]
        for _ in range(_TRIES):
            try:
                return self.run(*arguments, str(context or self.folder / "empty"), limit=limit)
            except BuildError as error:
                if not any(flaw in error.output for flaw in _FLAWS):
                    raise
        return self.run(*arguments, str(context or self.folder / "empty"), limit=limit)

    def diff_ids(self, image: str) -> tuple[str, ...]:
        """Return the digests of an image's layers (hexadecimal), the lowest first."""
        said = self.run("image", "inspect", self.name(image))
        (found,) = json.loads(said[said.index("[\n") :])  # a warning may stand above it
        return tuple(digest.removeprefix("sha256:") for digest in found["RootFS"]["Layers"])

    def run(self, *arguments: str, limit: float = 0) -> str:
        """Run one of its commands and return what it prints. Raises BuildError, also when the time is up."""
        environment: Mapping[str, str] = {**os.environ, "TMPDIR": str(self.folder / "tmp"), "DOCKER_BUILDKIT": "1"}
        command = [self.program, *self.options(), *arguments]
        shown = f"{self.program} {arguments[0]}"
        limit = limit or self.time_limit
        before = _children()
        with (self.folder / "tmp" / f"output-{token_hex(4)}").open("w+b") as output:
            try:
                process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    env=environment,
                    start_new_session=True,
                )
            except OSError as error:
                raise EngineError(f"{self.program} cannot be run: {error.strerror}") from None
            try:
                code = process.wait(limit)
            except subprocess.TimeoutExpired:
                _end(process)
                said = _read(output.name)
                raise BuildError(
                    f"{shown} took longer than {limit:.0f} seconds and was ended; --time-limit allows more\n"
                    + _tail(said),
                    said,
                ) from None
            except BaseException:  # interrupted
                _end(process)
                raise
            finally:
                _end_children(before)
        said = _read(output.name)
        Path(output.name).unlink(missing_ok=True)
        if code:
            if "no space left on device" in said.lower():
                raise EngineError(
                    f"no room is left below {self.folder.parent}; --folder names another place\n{said[-300:]}"
                )
            raise BuildError(f"{shown} exited {code}\n{_tail(said)}", said)
        return said


class _WithStore(Engine):
    """What Buildah and Podman have in common, which share their code: a store below the folder.

    Chroot isolation works also where cgroups and namespaces are not ours; the OCI format would pass over SHELL.
    """

    command = ""  # that builds

    def options(self) -> Sequence[str]:
        """Return where the store is."""
        return ("--root", str(self.folder / "root"), "--runroot", str(self.folder / "run"))

    def build_command(self) -> Sequence[str]:
        """Return the command and its options."""
        return (self.command, "--isolation", "chroot", "--format", "docker", "--layers", "--force-rm")

    def save(self, image: str, target: Path) -> str:
        """Write an archive. Raises BuildError."""
        reference = f"docker-archive:{target}.tar"
        self.run("push", "--quiet", self.name(image), reference)
        return reference

    def forget(self, image: str) -> None:
        """Remove an image and what only it needs."""
        with contextlib.suppress(BuildError):
            self.run("rmi", "--force", self.name(image))


class Buildah(_WithStore):
    """Buildah."""

    program, command = "buildah", "bud"

    def load(self, image: str, reference: str) -> None:
        """Get an image from ``oci:FOLDER``, a registry … Raises BuildError."""
        said = self.run("pull", reference if ":" in reference.partition("/")[0] else f"docker://{reference}")
        self.run("tag", said.split()[-1], self.name(image))

    def diff_ids(self, image: str) -> tuple[str, ...]:
        """Return the digests of an image's layers (hexadecimal), the lowest first."""
        said = self.run("inspect", "--type", "image", self.name(image))
        inspected = json.loads(said[said.index("{") :])  # a warning may stand above it
        return tuple(digest.removeprefix("sha256:") for digest in inspected["OCIv1"]["rootfs"]["diff_ids"])


class Podman(_WithStore):
    """Podman."""

    program, command = "podman", "build"

    def options(self) -> Sequence[str]:
        """Return where the store is, and what Podman would else ask of systemd."""
        return (*super().options(), "--cgroup-manager", "cgroupfs", "--events-backend", "none")

    def load(self, image: str, reference: str) -> None:
        """Get an image from ``oci:FOLDER``, a registry … Raises BuildError."""
        said = self.run("pull", "--quiet", reference)
        self.run("tag", said.split()[-1], self.name(image))


class Docker(Engine):
    """Docker, whose daemon has one store for all: the images get names that no one else has, and are removed."""

    program = "docker"

    def __init__(self, folder: Path, time_limit: float = TIME_LIMIT) -> None:
        super().__init__(folder, time_limit)
        self._run = f"cleanroom-prove-{token_hex(6)}"
        self._images: dict[str, None] = {}

    def name(self, image: str) -> str:
        """Return a name that is this run's alone."""
        name = f"{self._run}:{image}"
        self._images[name] = None
        return name

    def build_command(self) -> Sequence[str]:
        """Return the command; the network is the host's, where the registry on the loopback interface is."""
        return ("build", "--network", "host", "--progress", "plain", "--force-rm")

    def load(self, image: str, reference: str) -> None:
        """Get an image from a registry, or from an archive: Docker reads no folder. Raises BuildError."""
        transport = reference.partition(":")[0]
        if transport in ("oci", "oci-archive", "docker-archive", "dir"):
            if not shutil.which("skopeo"):
                raise EngineError(f"{reference}: Docker reads no such thing without skopeo, which is not installed")
            archive = self.folder / "base.tar"
            command = ["skopeo", "copy", "--quiet", reference, f"docker-archive:{archive}:{self.name(image)}"]
            done = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
            if done.returncode:
                raise BuildError(f"skopeo copy exited {done.returncode}\n{done.stderr[-500:]}", done.stderr)
            self.run("load", "--input", str(archive))
            archive.unlink()
            return
        name = reference.removeprefix("docker://")
        self.run("pull", "--quiet", name)
        self.run("tag", name, self.name(image))

    def save(self, image: str, target: Path) -> str:
        """Write an archive. Raises BuildError."""
        self.run("save", "--output", f"{target}.tar", self.name(image))
        return f"docker-archive:{target}.tar"

    def close(self) -> None:
        """Remove our images."""
        for name in reversed(self._images):
            with contextlib.suppress(BuildError, EngineError):
                self.run("rmi", "--force", name, limit=60)


Opened = TypeVar("Opened", bound=Engine)
ENGINES: Mapping[str, type[Engine]] = {engine.program: engine for engine in (Buildah, Podman, Docker)}


def choose(name: str = "") -> type[Engine]:
    """Return the engine called ``name``, or the first that is here. Raises EngineError."""
    for program, engine in ENGINES.items():
        if name in ("", program) and shutil.which(program):
            return engine
    wanted = name or "none of buildah, podman and docker"
    raise EngineError(
        f"{wanted} is {'not ' if name else ''}here to build images with; install Buildah: apt-get install buildah"
    )


@contextlib.contextmanager
def opened(engine: type[Opened], place: str = "", time_limit: float = TIME_LIMIT) -> Iterator[Opened]:
    """Make a folder below ``place``, else the first of ``PLACES`` that can be written to, in which an engine works.

    All of it is gone afterwards. Raises EngineError.
    """
    place = place or next((path for path in PLACES if os.access(path, os.W_OK)), tempfile.gettempdir())
    try:
        with _alone(place):
            sweep(place)
            folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=place))
            lock = os.open(folder / "lock", os.O_CREAT | os.O_RDWR)
            fcntl.flock(lock, fcntl.LOCK_EX)
        made = engine(folder, time_limit)
        _adopt(True)
    except OSError as error:
        raise EngineError(f"{place}: no folder can be made there: {error.strerror}") from None
    try:
        yield made
    finally:
        with _undisturbed():
            made.close()
            _adopt(False)
            try:
                remove(folder)
            finally:
                os.close(lock)


@contextlib.contextmanager
def _alone(place: str) -> Iterator[None]:
    """Keep other runs from looking at ``place`` meanwhile: a new folder must not be swept before it is locked."""
    descriptor = os.open(place, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def sweep(place: str) -> None:
    """Remove what runs that were killed have left: a run that is alive holds the lock of its folder."""
    for folder in Path(place).glob(f"{PREFIX}*"):
        try:
            lock = os.open(folder / "lock", os.O_RDWR)
        except OSError:
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            continue
        else:
            with contextlib.suppress(EngineError):  # it stays where it is
                remove(folder)
        finally:
            os.close(lock)


def remove(folder: Path) -> None:
    """Remove a store and what is mounted in it. Raises EngineError when something stays mounted: it is not removed.

    Buildah leaves its store mounted on itself, and a layer of each build that it could not put away.
    """
    for place in reversed(_mounted(folder)):
        subprocess.run(["umount", "--lazy", place], check=False, capture_output=True, stdin=subprocess.DEVNULL)
    if left := _mounted(folder):
        raise EngineError(f"{folder} is left where it is: umount {left[-1]}, then remove it")
    for _ in range(3):  # what was ended a moment ago may still write
        shutil.rmtree(folder, ignore_errors=True)
        if not folder.exists():
            return
        time.sleep(0.5)
    if os.geteuid() and shutil.which("buildah"):  # files of other users of the namespace
        subprocess.run(["buildah", "unshare", "rm", "-rf", str(folder)], check=False, stdin=subprocess.DEVNULL)


def _mounted(folder: Path) -> list[str]:
    """Return where something is mounted on a folder or below it; the kernel writes odd characters in octal."""
    mounts = Path("/proc/self/mounts")
    lines = mounts.read_bytes().splitlines() if mounts.exists() else []  # there are Dockers elsewhere than on Linux
    places = [os.fsdecode(line.split()[1].decode("unicode_escape").encode("latin-1")) for line in lines]
    return [place for place in places if place == str(folder) or place.startswith(f"{folder}/")]


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """Put off an interrupt until all is put away."""
    try:
        former = signal.signal(signal.SIGINT, signal.SIG_IGN)
    except ValueError:  # not the main thread
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, former)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a command and all that it started: first by asking, then without."""
    for number, patience in ((signal.SIGTERM, 5.0), (signal.SIGKILL, 5.0)):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, number)
        try:
            process.wait(patience)
        except subprocess.TimeoutExpired:
            continue
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        return


def _adopt(yes: bool) -> None:
    """Become the parent of what a command leaves running, or no longer: https://man7.org/linux/man-pages/man2/prctl.2.html.

    Chroot isolation has no namespace of processes, with which a container would end the daemons that a RUN has started.
    """
    with contextlib.suppress(AttributeError, OSError):  # on other systems than Linux
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, int(yes), 0, 0, 0)


def _children() -> frozenset[int]:
    found: set[int] = set()
    for file in Path("/proc/self/task").glob("*/children"):
        with contextlib.suppress(OSError):  # a thread that has ended
            found.update(map(int, file.read_text().split()))
    return frozenset(found)


def _end_children(before: Collection[int]) -> None:
    """End the children that were not there ``before``, and those that they leave."""
    while left := _children().difference(before):
        for number in left:
            with contextlib.suppress(ProcessLookupError, ChildProcessError):
                os.kill(number, signal.SIGKILL)
                os.waitpid(number, 0)


def _read(path: str) -> str:
    return Path(path).read_bytes().decode("utf-8", "replace")


def _tail(said: str) -> str:
    return "\n".join(said.splitlines()[-_TAIL:])
