"""A root folder in which the commands of anyone's Dockerfile can run, and nothing of what they say happens outside.

Commands run in a ``chroot`` as the user the build asks for, without the capabilities that reach out of it, with limits
on time and on the size of files; where the kernel allows it, also without a network and among none but their own
processes. In it are the real shells and coreutils, copied from the machine, and for every other program a client
that asks the harness over a socket what to do (``Request``, ``Reply``).
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import platform
import re
import resource
import select
import shutil
import signal
import socket
import struct
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

HIDDEN = ".sim"  # the harness's own folder in each root
# Run as they are: nothing that a fix does makes them fail.
PLAIN = (
    *("sh", "bash", "dash", "env", "nice", "nohup", "timeout", "xargs", "basename", "dirname", "uname", "id", "tr"),
    *("cut", "tee", "awk", "mawk", "date", "expr", "seq", "mktemp", "readlink", "realpath", "uniq", "comm", "nproc"),
    *("printenv", "true", "false", "echo", "printf", "test", "[", "yes", "base64", "pwd", "paste", "tac", "nl", "od"),
    *("whoami", "arch", "getconf", "join", "fold", "fmt", "rev", "stdbuf", "egrep", "fgrep"),
)
# Run as they are too, and noted with how they end: they fail where a place that they name is gone.
NOTED = (
    *("rm", "rmdir", "mv", "cp", "chown", "chgrp", "chmod", "du", "ls", "cat", "find", "stat", "tar", "ln", "grep"),
    *("sed", "head", "tail", "wc", "sort", "install", "touch", "mkdir", "diff", "cmp", "unlink", "truncate"),
)
_OWN = ("perl", "setpriv")  # for the harness itself
_CAPABILITIES = {0, 1, 3, 4, 5, 6, 7}  # CHOWN, DAC_OVERRIDE, FOWNER, FSETID, KILL, SETGID, SETUID: the rest is dropped
_LAST_CAPABILITY = 40
_GETCWD = {"x86_64": 79, "aarch64": 17}
_NAMESPACES = 0x00020000 | 0x08000000 | 0x04000000 | 0x40000000  # mounts, IPC, host name, network
_NEW_PIDS = 0x20000000

_GRACE = 0.3  # seconds for what a script left running

_CLIENT = r"""#!/.sim/bin/perl
my $cwd = "\0" x 4096;
my $length = syscall(GETCWD, $cwd, 4096);
$cwd = $length > 0 ? substr($cwd, 0, $length - 1) : "/";
socket(S, 1, 1, 0) && connect(S, pack("Sa*", 1, "/.sim/socket")) or exit 125;
sub put { my $text = join("\0", @_); $text = pack("N", length $text) . $text;
  while (length $text) { my $count = syswrite(S, $text) or exit 125; substr($text, 0, $count) = ""; } }
sub take { my ($wanted, $text) = (shift, "");
  while (length $text < $wanted) { sysread(S, $text, $wanted - length $text, length $text) or exit 125; } $text }
put($0, $cwd, scalar @ARGV, @ARGV, map { "$_=$ENV{$_}" } keys %ENV);
my ($kind, @rest) = split /\0/, take(unpack("N", take(4))), -1;
if ($kind eq "exit") {
  my ($code, $reads, $out, $error) = @rest;
  my ($text, $all) = ("", 0);
  if ($reads && -p STDIN) { $all += length $text while $all < 65536 && sysread(STDIN, $text, 4096); }
  syswrite(STDERR, $error) if length $error;
  print STDOUT $out;
  exit $code;
}
my ($folder, $count) = splice(@rest, 0, 2);
my @command = splice(@rest, 0, $count);
my $child = fork;
if (!$child) {
  close S;
  chdir $folder;
  %ENV = map { split /=/, $_, 2 } @rest;
  exec { $command[0] } @command;
  print STDERR "$command[0]: not found\n";
  exit 127;
}
waitpid($child, 0);
my $code = $? & 127 ? 128 + ($? & 127) : $? >> 8;
put("done", $code);
exit $code;
"""


@dataclass(slots=True)
class Request:
    """A program that was called: its words, and what it was called with."""

    argv: list[str]  # the first as it was called: a name, or the path of a script
    cwd: str
    environment: dict[str, str]
    uid: int
    gid: int
    code: int | None = None  # how it ended


@dataclass(frozen=True, slots=True)
class Reply:
    """What the program does: it ends with ``code`` and prints, or runs ``argv`` in its place."""

    code: int = 0
    out: str = ""
    error: str = ""
    reads: bool = True  # takes what a pipe brings it
    argv: tuple[str, ...] = ()
    environment: Mapping[str, str] | None = None  # None: as it was called
    cwd: str = ""  # "": where it was called


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended: ``code`` is None where it took too long."""

    code: int | None
    output: str  # the end of what it wrote to its standard error


def is_possible() -> bool:
    """Return True if this process may make a root folder for others, and the machine has what goes into it."""
    wanted = ("bash", "dash", "perl", "setpriv", "ldd")
    return hasattr(os, "geteuid") and os.geteuid() == 0 and all(map(shutil.which, wanted))


class Template:
    """The programs and libraries that each root has, copied once from the machine; roots get hard links to them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        binaries = folder / HIDDEN / "bin"
        binaries.mkdir(parents=True)
        libraries: set[str] = set()
        for name in (*PLAIN, *NOTED, *_OWN):
            if found := shutil.which(name, path="/usr/bin:/bin:/usr/sbin:/sbin"):
                shutil.copy(os.path.realpath(found), binaries / name)
                libraries |= _libraries(found)
        (binaries / "setpriv").chmod(0o4755)
        for library in libraries:
            place = folder / re.sub(r"^/(?:usr/)?", "usr/", library)  # /lib is a link to /usr/lib in each root
            if not place.exists():
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(os.path.realpath(library), place)
        client = folder / HIDDEN / "call"
        client.write_text(_CLIENT.replace("GETCWD", str(_GETCWD[platform.machine()])))
        client.chmod(0o755)
        self.files = {str(path.relative_to(folder)): path for path in sorted(folder.rglob("*")) if path.is_file()}
        self.inodes = {path.stat().st_ino for path in self.files.values()}
        self._stamp = self._stamps()

    def _stamps(self) -> list[tuple[int, int]]:
        return [(status.st_size, status.st_mtime_ns) for status in (path.stat() for path in self.files.values())]

    def is_whole(self) -> bool:
        """Return True if no command wrote into a program or library, which all roots share."""
        return self._stamps() == self._stamp

    def new_root(self, root: Path) -> None:
        """Make a root folder with the programs in it."""
        for folder in ("usr/bin", "usr/sbin", "usr/lib", "usr/lib64", "usr/local/bin", "usr/local/sbin", "dev", "proc"):
            (root / folder).mkdir(parents=True)
        for name in ("bin", "sbin", "lib", "lib64"):
            (root / name).symlink_to(f"usr/{name}")
        made: set[str] = set()
        for name, path in self.files.items():
            place = root / name
            if place.parent not in made:
                place.parent.mkdir(parents=True, exist_ok=True)
            os.link(path, place)
        for name in PLAIN:
            (root / "usr/bin" / name).symlink_to(f"/{HIDDEN}/bin/{name}")
        for name in NOTED:
            (root / "usr/bin" / name).symlink_to(f"/{HIDDEN}/call")
        for name, minor in (("null", 3), ("zero", 5), ("random", 8), ("urandom", 9)):
            os.mknod(root / "dev" / name, 0o020000, os.makedev(1, minor))
            (root / "dev" / name).chmod(0o666)
        for name in ("stdout", "stderr", "stdin", "tty"):
            (root / "dev" / name).touch()
            (root / "dev" / name).chmod(0o666)

    def copy_root(self, source: Path, root: Path) -> None:
        """Make a root folder that begins as another one is."""
        copy_tree(source, root, self.inodes)


def _libraries(program: str) -> set[str]:
    listing = subprocess.run(["ldd", program], capture_output=True, text=True, check=False).stdout
    return set(re.findall(r"(/\S+)", listing)) - {program, f"{program}:"}


def copy_tree(source: Path, target: Path, shared: Iterable[int] = ()) -> None:
    """Copy a file or a folder with owners and modes; the inodes ``shared`` are linked instead."""
    status = os.lstat(source)
    if os.path.islink(source):
        if not os.path.lexists(target):
            os.symlink(os.readlink(source), target)
        return
    if os.path.isdir(source):
        if not target.is_dir():
            target.mkdir()
        os.chown(target, status.st_uid, status.st_gid)
        target.chmod(status.st_mode & 0o7777)
        with os.scandir(source) as entries:
            for entry in entries:
                copy_tree(Path(entry.path), target / entry.name, shared)
    elif os.path.isfile(source):
        if status.st_ino in shared:
            os.link(source, target)
            return
        if target.is_dir():
            return
        shutil.copyfile(source, target)
        os.chown(target, status.st_uid, status.st_gid)
        target.chmod(status.st_mode & 0o7777)
    elif os.path.exists(source) and (status.st_mode & 0o170000) == 0o020000:
        os.mknod(target, status.st_mode, status.st_rdev)


def inside(root: Path, path: str, *, follow: bool = True) -> Path:
    """Return where on the machine a path of the root folder leads, its links followed as ``chroot`` would."""
    waiting = [part for part in reversed(path.split("/")) if part not in ("", ".")]
    place: list[str] = []
    links = 0
    while waiting:
        part = waiting.pop()
        if part == "..":
            place = place[:-1]
            continue
        here = "/".join((str(root), *place, part))
        if (follow or waiting) and os.path.islink(here) and links < 40:
            links += 1
            goal = os.readlink(here)
            if goal.startswith("/"):
                place = []
            waiting += [step for step in reversed(goal.split("/")) if step not in ("", ".")]
        else:
            place.append(part)
    return root.joinpath(*place)


@contextlib.contextmanager
def acting_as(uid: int, gid: int) -> Iterator[None]:
    """Have the rights of a user for what touches files."""
    os.setegid(gid)
    os.seteuid(uid)
    try:
        yield
    finally:
        os.seteuid(0)
        os.setegid(0)


def separate() -> bool:
    """Leave the machine's network, mounts and host name; return True if the kernel allows it."""
    return ctypes.CDLL(None).unshare(_NAMESPACES) == 0


def separate_processes() -> None:
    """Have the next child see none but its own processes, where the kernel allows it."""
    ctypes.CDLL(None).unshare(_NEW_PIDS)


def _confine(root: Path, cwd: str, uid: int, gid: int) -> None:
    os.chroot(root)
    try:
        os.chdir(cwd)
    except OSError:
        os.chdir("/")
    control = ctypes.CDLL(None).prctl
    for capability in range(_LAST_CAPABILITY + 1):
        if capability not in _CAPABILITIES:
            control(24, capability, 0, 0, 0)  # PR_CAPBSET_DROP
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 22, 1 << 22))
    resource.setrlimit(resource.RLIMIT_CPU, (10, 10))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.umask(0o022)
    os.setgroups([])
    os.setgid(gid)
    os.setuid(uid)


@dataclass(slots=True)
class Runner:
    """Runs commands in a root folder; ``answer`` says what its programs do, ``log`` has those that were called."""

    root: Path
    answer: Callable[[Request], Reply]
    log: list[Request] = field(default_factory=list)

    def run(
        self, argv: Sequence[str], environment: Mapping[str, str], cwd: str, uid: int, gid: int, seconds: float
    ) -> Ended:
        """Run a command to its end."""
        place = self.root / HIDDEN / "socket"
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(place))
        place.chmod(0o777)
        listener.listen(64)
        errors = os.open(self.root.parent / "errors", os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        child = os.fork()
        if not child:
            self._execute(argv, environment, cwd, uid, gid, errors)
        try:
            code = self._serve(listener, child, time.monotonic() + seconds)
        finally:
            listener.close()
            place.unlink(missing_ok=True)
            output = os.pread(errors, 1 << 16, max(0, os.fstat(errors).st_size - (1 << 16)))
            os.close(errors)
        return Ended(code, output.decode(errors="replace"))

    def _execute(
        self, argv: Sequence[str], environment: Mapping[str, str], cwd: str, uid: int, gid: int, errors: int
    ) -> None:
        try:
            nothing = os.open("/dev/null", os.O_RDWR)
            for number, target in ((nothing, 0), (nothing, 1), (errors, 2)):
                os.dup2(number, target)
            os.setpgid(0, 0)
            os.closerange(3, 256)
            _confine(self.root, cwd, uid, gid)
            os.execvpe(argv[0], list(argv), dict(environment))
        except OSError as error:
            os.write(2, f"{argv[0]}: {error.strerror}\n".encode())
        finally:
            os._exit(127)

    def _serve(self, listener: socket.socket, child: int, end: float) -> int | None:
        ended = os.pidfd_open(child)
        poll = select.poll()
        poll.register(listener, select.POLLIN)
        poll.register(ended, select.POLLIN)
        waiting: dict[int, tuple[socket.socket, Request]] = {}
        code: int | None = None
        is_over = False
        while True:
            ready = [number for number, _ in poll.poll(max(0, int((end - time.monotonic()) * 1000)))]
            if not ready:
                break
            for number in ready:
                if number == listener.fileno():
                    self._accept(listener, poll, waiting)
                elif number == ended:
                    poll.unregister(ended)
                    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
                    is_over = True
                    end = min(end, time.monotonic() + (_GRACE if _is_alive(child) else 0))
                elif number in waiting:
                    connection, request = waiting.pop(number)
                    poll.unregister(number)
                    if len(answer := _receive(connection)) == 2:
                        request.code = int(answer[1])
                    connection.close()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child, signal.SIGKILL)
        if not is_over:
            os.waitpid(child, 0)
        for connection, _ in waiting.values():
            connection.close()
        os.close(ended)
        return code if code is None or code >= 0 else 128 - code

    def _accept(
        self, listener: socket.socket, poll: select.poll, waiting: dict[int, tuple[socket.socket, Request]]
    ) -> None:
        connection, _ = listener.accept()
        connection.settimeout(2)
        words = _receive(connection)
        if len(words) < 3:
            connection.close()
            return
        _, uid, gid = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
        program, cwd, count = words[0], words[1], int(words[2])
        argv = words[3 : 3 + count] if program == f"/{HIDDEN}/call" else [program, *words[3 : 3 + count]]
        environment = dict(word.partition("=")[::2] for word in words[3 + count :])
        request = Request(argv, cwd, environment, uid, gid)
        self.log.append(request)
        reply = self.answer(request)
        with contextlib.suppress(OSError):
            if reply.argv:
                variables = environment if reply.environment is None else reply.environment
                _send(
                    connection,
                    "run",
                    reply.cwd or cwd,
                    str(len(reply.argv)),
                    *reply.argv,
                    *map("=".join, variables.items()),
                )
                waiting[connection.fileno()] = connection, request
                poll.register(connection, select.POLLIN)
                return
            request.code = reply.code
            _send(connection, "exit", str(reply.code), "1" if reply.reads else "", reply.out, reply.error)
        connection.close()


def _is_alive(group: int) -> bool:
    """Return True if a process group has members: what a script left running."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def _receive(connection: socket.socket) -> list[str]:
    text = b""
    wanted = 4
    try:
        while len(text) < wanted:
            part = connection.recv(1 << 16)
            if not part:
                return []
            text += part
            if wanted == 4 and len(text) >= 4:
                wanted += struct.unpack(">I", text[:4])[0]
    except OSError:
        return []
    return text[4:].decode(errors="surrogateescape").split("\0")


def _send(connection: socket.socket, *words: str) -> None:
    text = "\0".join(words).encode(errors="surrogateescape")
    connection.sendall(struct.pack(">I", len(text)) + text)
