"""Run a script before and after a fix, with fakes for all commands, and compare what ran and how it ended.

The script runs in a root folder of its own (``chroot``), as a user without rights, with nothing in it but the shells
and fakes: each fake notes its command line and ends with the status that the trial wants. So a script of anyone can
run, and nothing of what it says happens.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from cleanroom.syntax import shell
from cleanroom.syntax.text import MappedText

NOBODY = 65534
SHELLS = ("dash", "bash")

# Notes its command line, without the words that a fix adds to commands that were there, and fails if it is to.
_FAKE = r"""#!/bin/dash
line=${0##*/}
for word in "$@"; do
  case "
$ADDED
" in *"
$word
"*) ;; *) line="$line $word" ;; esac
done
printf '%s\n' "$line" >> /log
case "
$FAILING
" in *"
$line
"*) exit 3 ;; esac
"""
# Runs what stands behind it.
_WRAPPER = r"""#!/bin/dash
while :; do
  case $1 in
    -u|-g|-C|-n|-s|-k) shift 2 ;;
    -*|*=*|[0-9]*) shift ;;
    *) break ;;
  esac
done
[ $# -gt 0 ] || exit 0
exec "$@"
"""
# Runs the text that it is given, as su and runuser do.
_SWITCH = r"""#!/bin/dash
while [ $# -gt 0 ]; do
  case $1 in
    --command=*) exec dash -c "${1#--command=}" ;;
    -s|-g|-G|-w) shift 2 ;;
    --command|-*c) exec dash -c "$2" ;;
    *) shift ;;
  esac
done
"""
_WRAPPERS = ("sudo", "env", "nice", "time", "timeout", "nohup")
_BUILTIN = frozenset(
    (".", ":", "[", "alias", "bg", "break", "cd", "command", "continue", "declare", "echo", "eval", "exec", "exit")
) | frozenset(
    ("export", "false", "hash", "let", "local", "printf", "pwd", "read", "readonly", "return", "set", "shift")
)
_BUILTIN |= {"shopt", "source", "test", "times", "trap", "true", "type", "typeset", "umask", "unalias", "unset", "wait"}
# What would hang, or reach out of the root folder's processes.
_DANGEROUS = re.compile(r"\b(?:kill|ulimit|fg|bg|disown|suspend|coproc)\b|/dev/tcp|/dev/udp|:\(\)|\bwhile\b|\buntil\b")


def is_possible() -> bool:
    """Return True if this process may make a root folder for others."""
    return hasattr(os, "geteuid") and os.geteuid() == 0 and all(shutil.which(name) for name in (*SHELLS, "ldd"))


@dataclass(frozen=True)
class Run:
    """What a script did: its exit status and the command lines in their order."""

    status: int
    lines: tuple[str, ...]


class Sandbox:
    """A root folder with shells and fakes. A context manager: it goes away at the end."""

    def __init__(self) -> None:
        self.root = Path(tempfile.mkdtemp(prefix="cleanroom-execution-"))
        # By programs, not a preexec_fn, with which Python forks: half the time of a test was that.
        limits = (str(shutil.which("prlimit")), f"--fsize={1 << 20}", "--cpu=5")
        nobody = (str(shutil.which("chroot")), f"--userspec={NOBODY}:{NOBODY}", "--groups=", str(self.root))
        self.confined = (*limits, *nobody, "/bin/dash", "-c", 'cd /tmp && exec "$@"', "dash")

    def __enter__(self) -> Sandbox:
        self.root.chmod(0o777)  # scripts may write where they like, in here
        for name in ("bin", "fakes", "tmp", "home", "dev"):
            (self.root / name).mkdir()
        for name in SHELLS:
            self._copy(Path(str(shutil.which(name))).resolve(), f"bin/{name}")
        os.mknod(self.root / "dev/null", 0o666 | 0o020000, os.makedev(1, 3))
        (self.root / "dev/null").chmod(0o666)
        (self.root / "bin/sh").symlink_to("dash")
        self._write("fake", _FAKE)
        self._write("wrapper", _WRAPPER)
        self._write("switch", _SWITCH)
        for name in ("sh", *SHELLS):
            (self.root / "fakes" / name).symlink_to(f"/bin/{name}")
        for name in _WRAPPERS:
            (self.root / "fakes" / name).symlink_to("/wrapper")
        for name in ("su", "runuser"):
            (self.root / "fakes" / name).symlink_to("/switch")
        (self.root / "log").touch()
        (self.root / "log").chmod(0o666)
        self.kept = {path.name for path in self.root.iterdir()}
        return self

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self.root, ignore_errors=True)

    def _write(self, name: str, text: str) -> None:
        path = self.root / name
        path.write_text(text)
        path.chmod(0o755)

    def _copy(self, source: Path, target: str) -> None:
        shutil.copy(source, self.root / target)
        listing = subprocess.run(["ldd", str(source)], capture_output=True, text=True, check=True).stdout
        for library in re.findall(r"(/\S+)", listing):
            place = self.root / library.lstrip("/")
            if not place.exists():
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(library, place)

    def fake(self, commands: Iterable[str]) -> None:
        """Have a fake for each command, by its name or path."""
        for command in commands:
            if not re.fullmatch(r"[\w./+@-]+", command) or command in _BUILTIN or ".." in command:
                continue
            if "/" in command:
                place = self.root / command.lstrip("/") if command.startswith("/") else self.root / "tmp" / command
            else:
                place = self.root / "fakes" / command
            with contextlib.suppress(OSError):
                if not place.is_symlink() and not place.exists():
                    place.parent.mkdir(parents=True, exist_ok=True)
                    place.symlink_to("/fake")

    def furnish(self, script: str) -> None:
        """Have the folders that a script enters or writes into, so that it gets further than its first lines."""
        folders = re.findall(r"\bcd\s+([\w./-]+)", script)
        folders += [path.rpartition("/")[0] for path in re.findall(r"(?<![\w.$}~])(/[\w./-]+)", script)]
        for folder in folders:
            place = self.root / folder.lstrip("/") if folder.startswith("/") else self.root / "tmp" / folder
            if ".." in folder or place == self.root or folder.split("/")[1:2] in (["bin"], ["fakes"], ["dev"]):
                continue
            with contextlib.suppress(OSError):
                place.mkdir(parents=True, exist_ok=True)
                while place != self.root:
                    place.chmod(0o777)
                    place = place.parent

    def clear(self) -> None:
        """Remove what the last script wrote."""
        for path in self.root.iterdir():
            if path.name not in self.kept:
                path.unlink() if path.is_symlink() or path.is_file() else shutil.rmtree(path)
        for name in ("tmp", "home"):
            shutil.rmtree(self.root / name)
            (self.root / name).mkdir()
            (self.root / name).chmod(0o777)
        (self.root / "log").write_text("")

    def run(self, argv: Sequence[str], script: str, *, failing: Iterable[str] = (), added: Iterable[str] = ()) -> Run:
        """Run a script by ``argv`` (such as ``["dash", "-c"]``). Raises subprocess.TimeoutExpired."""
        self.clear()
        self.furnish(script)
        self.fake(programs(script))
        environment = {
            "PATH": "/fakes",
            "HOME": "/home",
            "FAILING": "\n".join(failing),
            "ADDED": "\n".join(added),
        }

        process = subprocess.run(
            [*self.confined, f"/bin/{argv[0]}", *argv[1:], script],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=10,
            check=False,
        )
        lines = (self.root / "log").read_text(errors="replace").splitlines()
        return Run(process.returncode, tuple(lines))


def programs(script: str) -> Iterator[str]:
    """Yield the first word, and all that could be one behind a wrapper, of each command of a script."""
    for _, command in shell.commands(shell.parse(MappedText([(script, 0)]))):
        for index, word in enumerate(command.words):
            text = word.literal
            if text is None:
                continue
            if index == 0 or re.fullmatch(r"[\w.+-]+|/[\w./+-]+", text):
                yield text
            elif " " in text:
                with contextlib.suppress(shell.ShellError):
                    yield from programs(text)


def is_runnable(script: str) -> bool:
    """Return True if a script ends by itself and stays within its process."""
    return not _DANGEROUS.search(script)


def differences(
    sandbox: Sandbox, argv: Sequence[str], before: str, after: str, added: Sequence[str], extra: re.Pattern[str]
) -> Iterator[str]:
    """Yield in what a script and its mended form differ, for each command that may fail, alone.

    ``added`` are words that the fix adds to commands, ``extra`` matches the command lines that it adds.
    """
    try:
        plain = sandbox.run(argv, before, added=added)
    except subprocess.TimeoutExpired:
        return
    trials: list[tuple[str, ...]] = [()]
    trials += [(line,) for line in dict.fromkeys(plain.lines) if not extra.fullmatch(line)][:12]
    ordered = "|" not in re.sub(r"\|\|", "", before) and not re.search(r"(?<![&>])&(?![&>])", before)
    for failing in trials:
        try:
            old = sandbox.run(argv, before, failing=failing, added=added)
            new = sandbox.run(argv, after, failing=failing, added=added)
        except subprocess.TimeoutExpired:
            continue
        what = f"when {failing[0]!r} fails" if failing else "when nothing fails"
        if old.status != new.status:
            yield f"{what}, it ends with {new.status}, not {old.status}"
            continue
        lines = [line for line in new.lines if not extra.fullmatch(line)]
        wanted = [line for line in old.lines if not extra.fullmatch(line)]
        if lines != wanted and (ordered or sorted(lines) != sorted(wanted)):
            yield f"{what}, it runs {lines}, not {wanted}"
