"""What the programs of a simulated build do, managers apart.

The real coreutils run as they are. Every other program ends with 0 and does the least that the rest of a build stands
on; the whole list:

* ``sudo doas su runuser gosu su-exec setpriv`` run their command as the user they are told; ``time``, ``retry``,
  ``fakeroot``, ``xvfb-run`` and the like run it as it is.
* ``curl`` and ``wget`` write the file they are told to, a script that notes that it ran, or print ``true``, which does
  as a value and as a script.
* ``git clone`` makes a folder, ``tar x`` and ``unzip`` of an archive that was downloaded a folder by its name.
* ``python -m venv`` and ``virtualenv`` make a folder with ``bin``; Python runs modules of managers.
* ``useradd adduser groupadd addgroup`` write /etc/passwd and make a home.
* ``which``, ``getent``, ``dpkg --print-architecture``, ``lsb_release`` print what a script branches on.
* any other (``gcc``, ``openssl`` …) writes the file that ``-o``, ``-out`` or ``--output`` names.
* ``conda config --set`` writes ~/.condarc.
* programs that a test gives a script of its own (``World.programs``) run that.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cleanroom.recipes.library import Library

from .managers import Managers
from .sandbox import HIDDEN, NOTED, Reply, Request, acting_as, inside

DOWNLOADED = f'#!/bin/sh\n/{HIDDEN}/call "$0" "$@"\n'
PYTHON = re.compile(r"(?:python|pypy)[\d.]*")
_INTERPRETER = re.compile(r"(?:python|pypy|ruby|node|perl|php)[\d.]*")
# Run what stands behind them: by name, the options that take the next word.
_WRAPPERS: Mapping[str, str] = {
    "time": "-f -o",
    "retry": "-t -d",
    "fakeroot": "",
    "eatmydata": "",
    "xvfb-run": "-n -s -e -f -p -w",
    "tini": "-p -e",
    "dumb-init": "",
    "unbuffer": "",
    "chronic": "",
    "ionice": "-c -n -p",
    "setsid": "",
    "linux32": "",
    "linux64": "",
    "proxychains": "-f",
    "catchsegv": "",
}
_USER_VALUES = (
    *("-u", "--uid", "-g", "--gid", "-G", "--groups", "--ingroup", "-s", "--shell", "-d", "--home-dir", "--home", "-h"),
    *("-c", "--comment", "--gecos", "-p", "--password", "-k", "--skel", "-b", "--base-dir", "-e", "-f", "-K"),
)
_WITH_VALUE = ("-u", "-g", "-h", "-p", "-C", "-D", "-R", "-T", "-U", "-r", "-t", "--user", "--group", "--chdir")


@dataclass(frozen=True, slots=True)
class World:
    """What is around a build: the files of its context, and what programs do that it does not show, as scripts.

    The command whose words are ``failing``, but for those among ``ignored``, ends with 3.
    """

    files: Mapping[str, str] = field(default_factory=dict)
    programs: Mapping[str, str] = field(default_factory=dict)
    failing: tuple[str, ...] = ()
    ignored: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class User:
    """A line of /etc/passwd."""

    name: str
    uid: int
    gid: int
    home: str


class Programs:
    """The programs of one root folder: ``answer`` says what each call of one does."""

    def __init__(self, root: Path, library: Library, managers: Managers, world: World) -> None:
        self.root = root
        self.library = library
        self.managers = managers
        self.world = world
        self.table: dict[str, Callable[[list[str], Request], Reply | None]] = {
            **dict.fromkeys(("sudo", "doas"), self.sudo),
            **dict.fromkeys(("su", "runuser"), self.switch),
            **dict.fromkeys(("gosu", "su-exec", "chpst"), self.step_down),
            **dict.fromkeys(("useradd", "adduser"), self.add_user),
            **dict.fromkeys(("groupadd", "addgroup"), self.add_group),
            **dict.fromkeys(("curl", "wget"), self.download),
            **dict.fromkeys(("unzip", "7z", "unrar", "gunzip", "bunzip2", "unxz", "cpio"), self.unpack),
            **dict.fromkeys(_WRAPPERS, self.wrap),
            "git": self.git,
            "hg": self.git,
            "svn": self.git,
            "tar": self.tar,
            "which": self.which,
            "getent": self.getent,
            "dpkg": self.dpkg,
            "lsb_release": lambda *_: Reply(out="bookworm\n", reads=False),
            "virtualenv": self.environment,
            "busybox": lambda words, _: Reply(argv=("/usr/bin/env", "--", *words)) if words else None,
            "chroot": lambda *_: Reply(),
        }

    def answer(self, request: Request) -> Reply:
        """Say what a program does that was called."""
        name = request.argv[0].rpartition("/")[2]
        words = request.argv[1:]
        if self.world.failing == (name, *(word for word in words if word not in self.world.ignored)):
            return Reply(3)
        script = self._script(name, words)
        if script is not None:
            return Reply(argv=("/bin/sh", "-c", script, name, *words), reads=False)
        if name in NOTED and (name != "tar" or not self._is_made_up(words, request)):
            return Reply(argv=(f"/{HIDDEN}/bin/{name}", *words), reads=False)
        if failed := self.managers.around(name, words, request):
            return failed
        if name in ("conda", "mamba") and words[:2] == ["config", "--set"] and len(words) > 3:
            self.write(f"{request.environment.get('HOME', '')}/.condarc", f"{words[2]}: {words[3]}\n", request)
        reply = self._manager(name, words, request) or self._other(name, words, request)
        if not reply.code:
            self.managers.install(name, words, request)
        return reply

    def _script(self, name: str, words: list[str]) -> str | None:
        """Return what a test says that a program does: by its name and first words, or that of a script it runs."""
        line = " ".join([name, *words]) + " "
        for key, script in self.world.programs.items():
            if line.startswith(f"{key} "):
                return script
        operand = next((word for word in words if not word.startswith("-")), "").rpartition("/")[2]
        return self.world.programs.get(operand) if _INTERPRETER.fullmatch(name) else None

    def _manager(self, name: str, words: list[str], request: Request) -> Reply | None:
        found = self.library.program(name)
        if found is None and PYTHON.fullmatch(name):
            found, words = self._by_python(words)
        elif found is None and name.endswith(".py") and (found := self.library.module(name)):
            words = [name, *words]
        if found is None or found[0].shell:
            return None
        if name == "virtualenv":
            self.environment(words, request)
        return self.managers.call(*found, words, request)

    def _by_python(self, words: list[str]):  # type: ignore[no-untyped-def]
        if "-m" in words[:-1]:
            index = words.index("-m") + 1
            return self.library.module(words[index]), words[index + 1 :]
        script = next((word for word in words if not word.startswith("-")), "").rpartition("/")[2]
        return (self.library.module(script), [script, *words[1:]]) if script.endswith(".py") else (None, words)

    def _other(self, name: str, words: list[str], request: Request) -> Reply:
        if PYTHON.fullmatch(name) and words[:2] in (["-m", "venv"], ["-m", "virtualenv"]):
            self.environment(words[2:], request)
        if name in self.table and (reply := self.table[name](words, request)):
            return reply
        self._outputs(words, request)
        return Reply()

    # -- files -----------------------------------------------------------------------------------------------------

    def write(self, path: str, text: str, request: Request) -> None:
        """Write a file as the user in force, where that user may."""
        if path.startswith("/dev/"):
            return
        with acting_as(request.uid, request.gid):
            try:
                place = inside(self.root, self._absolute(path, request))
                os.makedirs(place.parent, exist_ok=True)
                if not place.is_dir():
                    place.write_text(text)
                    place.chmod(0o755)
            except OSError:
                pass

    def folder(self, path: str, request: Request, *names: str) -> None:
        """Make a folder with some programs in it as the user in force."""
        with acting_as(request.uid, request.gid):
            try:
                place = inside(self.root, self._absolute(path, request))
                place.mkdir(parents=True, exist_ok=True)
                for name in names:
                    (place / name).parent.mkdir(parents=True, exist_ok=True)
                    if not os.path.lexists(place / name):
                        (place / name).symlink_to(f"/{HIDDEN}/call")
            except OSError:
                pass

    def _absolute(self, path: str, request: Request) -> str:
        return path if path.startswith("/") else f"{request.cwd}/{path}"

    def _outputs(self, words: list[str], request: Request) -> None:
        for index, word in enumerate(words):
            name, equals, value = word.partition("=")
            if name in ("-o", "-out", "--output", "--outfile", "-O") and (value or words[index + 1 : index + 2]):
                path = value if equals else words[index + 1]
                if path and not path.startswith("-"):
                    self.write(path, DOWNLOADED, request)

    # -- programs ----------------------------------------------------------------------------------------------------

    def download(self, words: list[str], request: Request) -> Reply:
        """curl and wget."""
        is_wget = request.argv[0].endswith("wget")
        address = next(
            (word for word in words if "://" in word), next(reversed([w for w in words if w[:1] != "-"]), "")
        )
        name = re.sub(r"[?#].*", "", address).rstrip("/").rpartition("/")[2] or "index.html"
        target, folder = "", "."
        for index, word in enumerate(words):
            following = words[index + 1] if index + 1 < len(words) else ""
            if word.startswith(("--output=", "--output-document=")):
                target = word.partition("=")[2]
            elif word in ("--output", "--output-document"):
                target = following
            elif word in ("-P", "--directory-prefix", "--output-dir"):
                folder = following
            elif word.startswith("--directory-prefix="):
                folder = word.partition("=")[2]
            elif re.match(r"-[A-Za-z]", word) and (letter := "O" if is_wget else "o") in word:
                target = word.partition(letter)[2] or following
            elif not is_wget and (word == "--remote-name" or re.fullmatch(r"-[A-Za-z]*O[A-Za-z]*", word)):
                target = name
        if is_wget and not target and not any(word in ("--spider", "--version", "-i") for word in words):
            target = name
        if target in ("-", "") or target.startswith("/dev/"):
            return Reply(out="true\n" if target != "/dev/null" else "")
        self.write(f"{folder}/{target}" if folder != "." else target, DOWNLOADED, request)
        return Reply()

    def git(self, words: list[str], request: Request) -> Reply | None:
        """git, hg and svn: what they clone is a folder."""
        operands = [word for word in words if not word.startswith("-")]
        if not {"clone", "checkout", "co", "export"} & set(operands[:1]) or (
            operands[0] == "checkout" and request.argv[0].endswith("git")
        ):
            if operands[:1] == ["init"]:
                self.folder(operands[1] if len(operands) > 1 else ".", request)
            return None
        start = next(
            (i for i, word in enumerate(words) if re.search(r"://|^\w+@|\.git$|/", word) and word[:1] != "-"), -1
        )
        rest = [word for word in words[start + 1 :] if not word.startswith("-")] if start >= 0 else []
        if start >= 0:
            name = words[start].rstrip("/").rpartition("/")[2].removesuffix(".git")
            behind = [
                w
                for i, w in enumerate(words[start + 1 :], start + 1)
                if w in rest
                and words[i - 1] not in ("-b", "--branch", "--depth", "-j", "--jobs", "-c", "--config", "-o", "-r")
            ]
            self.folder(
                behind[0] if behind else name,
                request,
                "configure",
                "Makefile",
                "install.sh",
                "setup.sh",
                "bootstrap.sh",
            )
        return Reply()

    def _is_made_up(self, words: list[str], request: Request) -> bool:
        first = words[0] if words else ""
        is_reading = re.match(r"--(?:extract|get|list)|-?\w*[xt]", first) or {"--extract", "-x", "--get"} & set(words)
        if not is_reading:
            return False
        archive = self._archive(words)
        if archive in ("", "-"):
            return True
        place = inside(self.root, self._absolute(archive, request))
        return place.is_file() and place.stat().st_size < 4096 and place.read_bytes()[:2] in (b"#!", b"")

    def _archive(self, words: list[str]) -> str:
        for index, word in enumerate(words):
            if word.startswith("--file="):
                return word.partition("=")[2]
            is_cluster = index == 0 and re.fullmatch(r"\w*f", word)
            if (word == "--file" or re.fullmatch(r"-\w*f", word) or is_cluster) and index + 1 < len(words):
                return words[index + 1]
            if match := re.fullmatch(r"-\w*?f([/.\w].*[./].*)", word):
                return match[1]
        return ""

    def tar(self, words: list[str], request: Request) -> Reply:
        """tar, of what was downloaded."""
        return self.unpack(words, request)

    def unpack(self, words: list[str], request: Request) -> Reply:
        """Make a folder for an archive, by its name; the programs of a release in it."""
        archive = self._archive(words) if request.argv[0].endswith("tar") else ""
        archive = archive or next((word for word in words if re.search(r"\.\w+$", word) and word[:1] != "-"), "")
        target = "."
        for index, word in enumerate(words):
            if word in ("-C", "-d", "--directory") and index + 1 < len(words):
                target = words[index + 1]
            elif match := re.fullmatch(r"(?:--directory=|-C|-d)(.+)", word):
                target = match[1]
        name = re.sub(r"(?:\.(?:tar|tgz|gz|xz|bz2|zip|tbz2?|txz|7z|zst))+$", "", archive.rpartition("/")[2])
        is_stripped = any(word.startswith("--strip") for word in words)
        self.folder(target, request)
        if name and name not in ("-", ".") and not is_stripped:
            self.folder(f"{target}/{name}", request, "configure", "Makefile", "install.sh")
        elif is_stripped:
            self.folder(target, request, "configure", "Makefile")
        return Reply()

    def environment(self, words: list[str], request: Request) -> None:
        """A virtual environment of Python."""
        for word in words:
            if not word.startswith("-"):
                self.folder(word, request, "bin/python", "bin/python3", "bin/pip", "bin/pip3")
                self.write(f"{word}/bin/activate", "", request)

    def which(self, words: list[str], request: Request) -> Reply:
        """which."""
        found = []
        for word in words:
            if word.startswith("-"):
                continue
            for folder in request.environment.get("PATH", "").split(":"):
                if folder and inside(self.root, f"{folder}/{word}").is_file():
                    found.append(f"{folder}/{word}")
                    break
            else:
                return Reply(1, reads=False)
        return Reply(out="".join(f"{path}\n" for path in found), reads=False)

    def getent(self, words: list[str], _: Request) -> Reply:
        """getent passwd and group."""
        name = words[1] if len(words) > 1 else ""
        found = self.find_user(name)
        if found is None:
            return Reply(2, reads=False)
        return Reply(out=f"{found.name}:x:{found.uid}:{found.gid}::{found.home}:/bin/sh\n", reads=False)

    def dpkg(self, words: list[str], _: Request) -> Reply:
        """dpkg."""
        return Reply(out="amd64\n" if "--print-architecture" in words else "", reads=False)

    # -- users -------------------------------------------------------------------------------------------------------

    def find_user(self, name: str) -> User | None:
        """Return a user by name or number."""
        for line in (self.root / "etc/passwd").read_text().splitlines():
            fields = line.split(":")
            if len(fields) > 5 and name in (fields[0], fields[2]):
                return User(fields[0], int(fields[2]), int(fields[3]), fields[5])
        return None

    def make_user(self, name: str, uid: str = "", home: str = "", *, with_home: bool = True) -> User:
        """Return a user, made where there is none of that name."""
        if known := self.find_user(name):
            return known
        passwd, group = self.root / "etc/passwd", self.root / "etc/group"
        text = passwd.read_text()
        number = int(uid) if uid.isdigit() and int(uid) < 1 << 31 else 1000 + text.count("\n")
        home = home or f"/home/{name}"
        passwd.write_text(f"{text}{name}:x:{number}:{number}::{home}:/bin/sh\n")
        if not re.search(rf"(?m)^{re.escape(name)}:", group.read_text()):
            group.write_text(f"{group.read_text()}{name}:x:{number}:\n")
        if with_home:
            place = inside(self.root, home)
            place.mkdir(parents=True, exist_ok=True)
            os.chown(place, number, number)
        return User(name, number, number, home)

    def add_user(self, words: list[str], request: Request) -> Reply:
        """useradd and adduser."""
        uid = home = ""
        operands = []
        index = 0
        while index < len(words):
            word, equals, value = words[index].partition("=")
            index += 1
            if word in _USER_VALUES or (re.fullmatch(r"-[a-zA-Z]{2,}", word) and f"-{word[-1]}" in _USER_VALUES):
                if not equals:
                    value = words[index] if index < len(words) else ""
                    index += 1
                if word[-1:] == "u" or word == "--uid":
                    uid = value
                elif word in ("-d", "--home-dir", "--home", "-h") or (
                    len(word) > 2 and word[1] != "-" and word[-1] == "d"
                ):
                    home = value
            elif not word.startswith("-"):
                operands.append(word)
        if request.uid or not operands:
            return Reply(1 if request.uid else 0, reads=False)
        if len(operands) == 2 and self.find_user(operands[0]):
            return Reply(reads=False)  # adduser USER GROUP
        self.make_user(operands[0], uid, home)
        return Reply(reads=False)

    def add_group(self, words: list[str], _: Request) -> Reply:
        """groupadd and addgroup."""
        operands = [
            word for index, word in enumerate(words) if word[:1] != "-" and words[index - 1] not in ("-g", "--gid")
        ]
        group = self.root / "etc/group"
        if operands and not re.search(rf"(?m)^{re.escape(operands[-1])}:", text := group.read_text()):
            group.write_text(f"{text}{operands[-1]}:x:{2000 + text.count(chr(10))}:\n")
        return Reply(reads=False)

    def become(self, user: User, argv: list[str], environment: Mapping[str, str], cwd: str = "") -> Reply:
        """Run a command as a user."""
        command = ("--reuid", str(user.uid), "--regid", str(user.gid), "--clear-groups", "--", *argv)
        return Reply(argv=(f"/{HIDDEN}/bin/setpriv", *command), environment=environment, cwd=cwd, reads=False)

    def sudo(self, words: list[str], request: Request) -> Reply | None:
        """sudo and doas."""
        name, is_login, keeps = "root", False, False
        rest = list(words)
        assigned: dict[str, str] = {}
        while rest:
            word = rest[0]
            if re.fullmatch(r"\w+=.*", word, re.DOTALL):
                assigned[word.partition("=")[0]] = word.partition("=")[2]
            elif word == "--":
                rest.pop(0)
                break
            elif not word.startswith("-"):
                break
            elif word.startswith("--user="):
                name = word.partition("=")[2]
            elif word in _WITH_VALUE and len(rest) > 1:
                name = rest[1] if word in ("-u", "--user") else name
                rest.pop(0)
            elif match := re.fullmatch(r"-([A-Za-tv-z]*)u(.*)", word):
                is_login = "i" in match[1]
                name = match[2] or rest[1]
                rest = rest if match[2] else rest[1:]
            keeps = keeps or word in ("-E", "--preserve-env")
            is_login = is_login or word in ("-i", "--login") or bool(re.fullmatch(r"-[A-Z]*i", word))
            rest.pop(0)
        user = self.make_user(name.partition(":")[0].lstrip("#"))
        rest = rest or (["/bin/sh"] if is_login else [])
        environment = dict(request.environment) if keeps else {"PATH": request.environment.get("PATH", "")}
        environment |= {"HOME": user.home, "USER": user.name, **assigned}
        if not rest:
            return None
        argv = ["/bin/sh", "-c", " ".join(map(_quoted, rest))] if is_login and rest != ["/bin/sh"] else rest
        return self.become(user, argv, environment, user.home if is_login else "")

    def switch(self, words: list[str], request: Request) -> Reply | None:
        """su and runuser."""
        name, is_login, text = "", False, None
        operands: list[str] = []
        rest = list(words)
        while rest:
            word = rest.pop(0)
            if word in ("-", "-l", "--login"):
                is_login = True
            elif word.startswith("--command="):
                text = word.partition("=")[2]
            elif word in ("-s", "-g", "-G", "-w", "--shell"):
                rest = rest[1:]
            elif word == "-u" and rest:
                name = rest.pop(0)
            elif word == "--command" or re.fullmatch(r"-[a-z]*c", word):
                text = rest.pop(0) if rest else ""
                is_login = is_login or "l" in word
            elif word == "--" and name:
                break
            elif not word.startswith("-"):
                if name:
                    rest = [word, *rest]
                    break
                operands.append(word)
        user = self.make_user(name or (operands[0] if operands else "root"))
        environment = {**request.environment, "HOME": user.home, "USER": user.name}
        if is_login:
            environment = {"PATH": request.environment.get("PATH", ""), "HOME": user.home, "USER": user.name}
        if name and rest:
            return self.become(user, rest, request.environment)
        argv = ["/bin/sh", "-c", text] if text is not None else ["/bin/sh"]
        return self.become(user, argv, environment, user.home if is_login else "")

    def step_down(self, words: list[str], request: Request) -> Reply | None:
        """gosu and su-exec."""
        if len(words) < 2 or words[0].startswith("-"):
            return None
        user = self.make_user(words[0].partition(":")[0])
        return self.become(user, words[1:], {**request.environment, "HOME": user.home})

    def wrap(self, words: list[str], request: Request) -> Reply | None:
        """What runs a command as it is."""
        values = _WRAPPERS[request.argv[0].rpartition("/")[2]].split()
        rest = list(words)
        while rest and rest[0].startswith("-"):
            rest = rest[2 if rest[0] in values else 1 :]
        return Reply(argv=("/usr/bin/env", "--", *rest), reads=False) if rest else None


def _quoted(word: str) -> str:
    return "'" + word.replace("'", "'\\''") + "'"
