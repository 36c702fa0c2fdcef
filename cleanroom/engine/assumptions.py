"""What is assumed of programs that are not seen: which may install, or read a cache, behind the back of a Dockerfile.

The numbers that justify each assumption are in docs/use/fix.md, which says each in a sentence.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cleanroom.engine.options import PYTHON

# 1. A program by its bare name, or in a folder called bin or sbin, came with a package: it installs nothing unseen.
_PROGRAM_FOLDERS = frozenset(("bin", "sbin"))

# 2. Scripts of these names build, or set variables, wherever they come from: those of autoconf and setuptools, the
# consoles of Django, Laravel and Symfony, those of virtual environments and shells.
ORDINARY_SCRIPTS = (
    frozenset(
        ("configure", "config", "Configure", "autogen.sh", "activate", "os-release", ".profile", "profile", ".bashrc")
    )
    | frozenset(
        ("bashrc", "setup.py", "Makefile.PL", "manage.py", "artisan", "console", "waf", "b2", "gradlew", "mvnw")
    )
    | frozenset(("docker-entrypoint.sh",))
)

# 3. These read a script that is the first word behind their options.
_INTERPRETERS = frozenset(("node", "nodejs", "perl", "ruby", "php", "lua", "tclsh", "Rscript", "guile", "pypy3"))
_TEXT_OPTIONS = frozenset(("-c", "-e", "-r", "--eval", "-m", "-h", "--help", "-v", "-V", "--version"))

# 4. A task runner does what its target says. A target of an ordinary build installs no packages of the system.
RUNNERS = frozenset(("make", "gmake", "ninja", "just", "task", "mage", "invoke", "inv", "nox", "mach"))
_PREPARES = (
    frozenset(
        (
            "apt",
            "bootstrap",
            "ci",
            "dependencies",
            "dependency",
            "dependences",
            "dep",
            "deps",
            "dev",
            "env",
            "environment",
        )
    )
    | frozenset(
        ("fetch", "get", "init", "initialize", "packages", "prepare", "prereq", "prereqs", "prerequisites", "provision")
    )
    | frozenset(("pkg", "pkgs", "require", "requirements", "setup", "sys", "system", "tools", "toolchain", "vendor"))
)


def is_ordinary_target(target: str) -> bool:
    """Return True if a target of make, or a script of ``npm run``, is one that builds, by the words of its name."""
    words = target.lower()
    for separator in "_:./":
        words = words.replace(separator, "-")
    return not _PREPARES & set(words.split("-"))


def targets(words: Sequence[str]) -> list[str]:
    """Return the targets on a command line of make or of what is like it."""
    found = []
    rest = iter(words)
    for word in rest:
        if word in ("-C", "-f", "-j", "--directory", "--file", "--jobs", "-o", "-W", "-I"):
            next(rest, "")
        elif not word.startswith("-") and "=" not in word and not word.isdigit():
            found.append(word)
    return found


def is_installed(name: str) -> bool:
    """Return True if a program is called as one that a package brought."""
    folder, _, _ = name.rpartition("/")
    is_tool = folder.endswith(("vendor/bin", "node_modules/.bin"))  # of a package of Composer, of npm
    return "/" not in name or is_tool or (folder.startswith("/") and folder.rpartition("/")[2] in _PROGRAM_FOLDERS)


def script_of(program: str, words: Sequence[str]) -> str:
    """Return the script that an interpreter is given as a file, "" where it is given none."""
    if program not in _INTERPRETERS and not PYTHON.fullmatch(program):
        return ""
    rest = iter(words)
    for word in rest:
        if word in _TEXT_OPTIONS or (word[:1] == "-" and word[1:2] != "-" and word.endswith(("e", "E"))):
            return ""  # perl -lane TEXT
        if word in ("-W", "-X", "-I", "-r") and program != "php":
            next(rest, "")
        elif not word.startswith("-") or word == "-":
            return "" if word == "-" else word
    return ""


def reads_input(program: str, words: Sequence[str]) -> bool:
    """Return True if an interpreter reads its script from standard input."""
    is_interpreter = program in _INTERPRETERS or PYTHON.fullmatch(program)
    return bool(is_interpreter) and all(word == "-" for word in words)


def text_of(program: str, words: Sequence[str]) -> Mapping[str, str]:
    """Return the program text on the command line of an interpreter, by the option that it stands behind."""
    if program not in _INTERPRETERS and not PYTHON.fullmatch(program):
        return {}
    return {word: words[index + 1] for index, word in enumerate(words[:-1]) if word in ("-c", "-e", "-r", "--eval")}
