"""What programs put on the disk: downloads, clones, what is unpacked, copied or moved, trees that change owner."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

from msgspec import Struct

from cleanroom.engine.calls import Call
from cleanroom.engine.options import Line, Syntax, read_options, table

# Options with a value, of which the next word is no operand, and those that are asked for here.
# https://www.gnu.org/software/wget/manual/wget.html
_WGET = table(
    "O|output-document: P|directory-prefix: o|output-file: a|append-output: i|input-file: t|tries: T|timeout: "
    "U|user-agent: e|execute: w|wait: A|accept: R|reject: D|domains: I|include-directories: X|exclude-directories: "
    "l|level: B|base: Q|quota: header: post-data: post-file: user: password: http-user: http-password: referer: "
    "ca-certificate: ca-directory: certificate: private-key: load-cookies: save-cookies: secure-protocol: waitretry: "
    "limit-rate: cut-dirs: dns-timeout: connect-timeout: read-timeout: progress: method: body-data: "
    "retry-on-http-error: r|recursive m|mirror content-disposition trust-server-names spider",
    permutes=True,
)
# https://curl.se/docs/manpage.html
_CURL = table(
    "o|output: O|remote-name output-dir: H|header: d|data: X|request: u|user: A|user-agent: x|proxy: e|referer: "
    "b|cookie: c|cookie-jar: m|max-time: T|upload-file: F|form: w|write-out: y|speed-time: Y|speed-limit: z|time-cond: "
    "r|range: C|continue-at: K|config: D|dump-header: E|cert: Q|quote: U|proxy-user: retry: retry-delay: "
    "retry-max-time: connect-timeout: cacert: capath: key: data-binary: data-raw: data-urlencode: limit-rate: "
    "max-redirs: proto: proto-redir: resolve: ciphers: tls-max: url: remote-name-all J|remote-header-name",
    permutes=True,
)
# https://aria2.github.io/manual/en/html/aria2c.html
_ARIA2C = table(
    "o|out: d|dir: x|max-connection-per-server: s|split: k|min-split-size: j|max-concurrent-downloads: i|input-file: "
    "m|max-tries: t|timeout: l|log: U|user-agent: header: checksum: file-allocation: console-log-level: log-level: "
    "summary-interval: referer:",
    permutes=True,
)
# https://git-scm.com/docs/git-clone
_GIT = table("C: c: git-dir: work-tree: exec-path: namespace:")
_CLONE = table(
    "b|branch: o|origin: c|config: u|upload-pack: j|jobs: depth: reference: reference-if-able: template: "
    "separate-git-dir: shallow-since: shallow-exclude: filter: server-option:",
    permutes=True,
)
# https://www.gnu.org/software/tar/manual/html_section/Option-Summary.html
_TAR = table(
    "f|file: C|directory: T|files-from: X|exclude-from: I|use-compress-program: exclude: strip-components: strip: "
    "transform: xform: wildcards owner: group: mode: b|blocking-factor: K|starting-file: x|extract|get "
    "one-top-level",
    permutes=True,
)
_UNZIP = table("d: P: x:", permutes=True)
# https://www.gnu.org/software/coreutils/manual/html_node/cp-invocation.html
_COPY = table("t|target-directory: S|suffix: r|recursive R a|archive T|no-target-directory", permutes=True)
_OWNER = table("from: reference: R|recursive", permutes=True)

_ARCHIVE = re.compile(r"\.(?:tar(?:\.\w+)?|tgz|tbz2?|txz|tlz|zip|gz|bz2|xz|zst|7z|whl|jar)$", re.IGNORECASE)
_OLD_STYLE = re.compile(r"[A-Za-z]+")


class Put(Struct, frozen=True):
    """What a program puts somewhere: at one of ``paths``, not yet resolved. ``taken`` is what it moves there."""

    paths: tuple[str, ...]
    what: str  # downloads, clones, unpacks, copies, moves
    folder: bool = False
    taken: tuple[str, ...] = ()


def file_name(url: str) -> str:
    """Return the name of the file that an address names, "" where it names none.

    >>> file_name("https://example.org/a/b.tar.gz?download=1#top")
    'b.tar.gz'
    """
    path = re.split(r"[?#]", url.rstrip("/"))[0]
    return path.rpartition("/")[2] if "/" in path.partition("://")[2] or "://" not in path else ""


def stem(archive: str) -> str:
    """Return the name of an archive without its endings, "" where it has none of an archive.

    >>> stem("/tmp/redis-3.0.tar.gz")
    'redis-3.0'
    """
    name = archive.rpartition("/")[2]
    return _ARCHIVE.sub("", name) if _ARCHIVE.search(name) else ""


def puts(call: Call, output: str) -> Iterator[Put]:
    """Yield what a call puts on the disk; ``output`` is the file that its output goes to, "" where it goes to none."""
    reader = _READERS.get(call.program)
    return reader(call, output) if reader is not None else iter(())


def reowned(call: Call) -> tuple[str, ...]:
    """Return the places in which a call changes the owner or mode of all there is, not yet resolved."""
    if call.program not in ("chown", "chmod", "chgrp"):
        return ()
    line = _read(call, _OWNER)
    operands = [call.words[index] for index in line.operands]
    return tuple(operands[0 if line.has("--reference") else 1 :]) if line.has("-R") else ()


def _read(call: Call, syntax: Syntax, start: int = 0) -> Line:
    return read_options(call.words, syntax, start)


def _names(call: Call, line: Line) -> list[str]:
    return [call.words[index] for index in line.operands]


def _in(folder: str, name: str) -> str:
    return f"{folder.rstrip('/')}/{name}" if folder and not name.startswith(("/", "~")) else name


def _wget(call: Call, output: str) -> Iterator[Put]:
    line = _read(call, _WGET)
    target = line.value("-O")
    urls = _names(call, line)
    if line.has("--spider") or not urls:
        return
    if target in ("-", "/dev/stdout") or (target == "" and output):
        if output:
            yield Put((output,), "downloads")
    elif target:
        yield Put((target,), "downloads")
    elif not (line.has("-r") or line.has("-m") or line.has("--content-disposition")):
        for url in urls:
            if name := file_name(url):
                yield Put((_in(line.value("-P"), name),), "downloads")


def _curl(call: Call, output: str) -> Iterator[Put]:
    line = _read(call, _CURL)
    urls = _names(call, line)
    folder = line.value("--output-dir")
    if not urls and not line.value("--url"):
        return
    targets = [option[3:] for option in line.options if option.startswith("-o=")]
    for target in targets:
        if target not in ("-", "/dev/stdout") and "#" not in target:
            yield Put((_in(folder, target),), "downloads")
    if (line.has("-O") or line.has("--remote-name-all")) and not line.has("-J"):
        for url in urls:
            if name := file_name(url):
                yield Put((_in(folder, name),), "downloads")
    elif output and not targets:
        yield Put((output,), "downloads")


def _aria2c(call: Call, output: str) -> Iterator[Put]:
    del output
    line = _read(call, _ARIA2C)
    names = [line.value("-o")] if line.value("-o") else [file_name(url) for url in _names(call, line)]
    for name in names:
        if name:
            yield Put((_in(line.value("-d"), name),), "downloads")


def _git(call: Call, output: str) -> Iterator[Put]:
    del output
    before = _read(call, _GIT)
    words = call.words
    if words[before.end : before.end + 1] != ["clone"]:
        return
    operands = _names(call, _read(call, _CLONE, before.end + 1))
    if not operands:
        return
    name = operands[0].rstrip("/").removesuffix("/.git").removesuffix(".git").rpartition("/")[2]
    target = operands[1] if len(operands) > 1 else name.rpartition(":")[2]
    path = _in(before.value("-C"), target)
    yield Put((path,), "clones", folder=True)
    yield Put((f"{path}/.git",), "clones", folder=True)


def _tar(call: Call, output: str) -> Iterator[Put]:
    del output
    words = call.words
    if words[:1] and _OLD_STYLE.fullmatch(words[0]):
        letters = [letter for letter in words[0] if letter in "fCTXIbK"]
        others = "".join(letter for letter in words[0] if letter not in "fCTXIbK")
        values = words[1 : 1 + len(letters)]
        words = [f"-{others}", *(f"-{letter}{value}" for letter, value in zip(letters, values, strict=False))]
        words += call.words[1 + len(letters) :]
    line = read_options(words, _TAR)
    if not line.has("-x"):
        return
    folder = line.value("-C")
    if line.operands:  # only some of what is in it
        for index in line.operands:
            if not line.has("--strip-components") and not line.has("--strip"):
                yield Put((_in(folder or ".", words[index]),), "unpacks", folder=True)
        return
    yield from _unpacked(line.value("-f"), folder)


def _unzip(call: Call, output: str) -> Iterator[Put]:
    del output
    line = _read(call, _UNZIP)
    names = _names(call, line)
    if len(names) == 1 and not (line.has("-l") or line.has("-p") or line.has("-t")):
        yield from _unpacked(names[0], line.value("-d"))


def _unpacked(archive: str, folder: str) -> Iterator[Put]:
    """Yield the folder that an archive is unpacked in, and before it the one in it that has the archive's name."""
    name = stem(archive)
    inside = (_in(folder or ".", name),) if name else ()
    yield Put((*inside, folder or "."), "unpacks", folder=True)


def _copy(call: Call, output: str) -> Iterator[Put]:
    del output
    line = _read(call, _COPY)
    names = _names(call, line)
    target = line.value("-t")
    if not target and names:
        target = names.pop()
    if not names or not target:
        return
    is_move = call.program == "mv"
    if is_move or line.has("-r") or line.has("-R") or line.has("-a"):
        for name in names:
            base = name.rstrip("/").rpartition("/")[2]
            inside = (f"{target.rstrip('/')}/{base}",) if base not in ("", ".", "..") else (target,)
            paths = inside if len(names) > 1 or target.endswith("/") or line.has("-t") else (target, *inside)
            yield Put(paths, "moves" if is_move else "copies", folder=True, taken=(name,) if is_move else ())


_READERS: Mapping[str, Callable[[Call, str], Iterator[Put]]] = {
    "wget": _wget,
    "curl": _curl,
    "aria2c": _aria2c,
    "git": _git,
    "tar": _tar,
    "bsdtar": _tar,
    "unzip": _unzip,
    "cp": _copy,
    "mv": _copy,
}
TAKERS = frozenset(("mv", "chown", "chmod", "chgrp"))  # that change what an earlier layer brought
PROGRAMS = TAKERS.union(_READERS)
