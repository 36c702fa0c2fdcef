"""Readers: kinds of files that hold build steps. Each gives instructions with their places in the file."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from msgspec import Struct

from cleanroom.syntax import dockerfile
from cleanroom.syntax.dockerfile import Dockerfile
from cleanroom.syntax.globs import matches
from cleanroom.syntax.text import MappedText


class Embedded(Struct, frozen=True):
    """A Dockerfile that stands in a file of another kind, as a build reads it.

    ``write`` gives what stands in the file for a piece of it, None where that cannot be written.
    """

    text: MappedText
    write: Callable[[str], str | None]
    target: str = ""  # the stage that is built


class Reader(Struct, frozen=True):
    """A kind of file. ``parse`` raises DockerfileError for text that it cannot read.

    What is no Dockerfile is given as one: a script is a ``RUN`` with a here-document, whose spans are those of the
    file. Fixes then go into the file as they would into a here-document.
    """

    name: str
    summary: str
    patterns: tuple[str, ...]  # globs over the name of a file
    parse: Callable[[str], Dockerfile]
    ignored: tuple[str, ...] = ()  # globs over names that the patterns match and that are something else
    recognises: Callable[[str], bool] | None = None  # asked of the text of a file that is found in a folder
    embedded: Callable[[str], Iterable[Embedded]] | None = None  # of a file that holds Dockerfiles; raises as ``parse``


DOCKERFILE = Reader(
    "dockerfile",
    "Dockerfiles and Containerfiles, as BuildKit reads them",
    # Capital: dockerfile.py is someone's module. Dockerfile.dockerignore is the ignore file of that Dockerfile.
    (
        *("Dockerfile", "dockerfile", "Containerfile", "containerfile", "Dockerfile.*", "Containerfile.*"),
        *("*.[dD][oO][cC][kK][eE][rR][fF][iI][lL][eE]", "*.[cC][oO][nN][tT][aA][iI][nN][eE][rR][fF][iI][lL][eE]"),
    ),
    dockerfile.parse,
    ("*.dockerignore",),
)


def for_file(name: str, readers: Iterable[Reader]) -> Reader | None:
    """Return the reader of files of this base name, None where no one reads such files."""
    for reader in readers:
        if any(matches(name, glob) for glob in reader.patterns):
            return None if any(matches(name, glob) for glob in reader.ignored) else reader
    return None
