"""Where images come from: files and folders, registries and stores through the tools that hold them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from itertools import chain
from pathlib import Path
from typing import BinaryIO

from msgspec import Struct

from cleanroom.images import layout
from cleanroom.images import platform as platforms
from cleanroom.images.compression import Stream
from cleanroom.images.files import ArchiveFiles, FolderFiles
from cleanroom.images.image import DEFAULT, Image, ImageError, LayerSource, Limits
from cleanroom.images.tar import members

# Transports whose images lie in files, as skopeo has them: oci:FOLDER[:NAME], docker-archive:FILE[:NAME].
_FILES = ("oci", "oci-archive", "docker-archive", "dir", "rootfs")
_SKOPEO = ("docker", "docker-daemon", "containers-storage", "ostree", "sif")
# How the first member of an image's archive is called, by any of the tools that write them.
_IMAGE_MEMBER = re.compile(
    rb"(\./)*(oci-layout|index\.json|manifest\.json|repositories|config\.json|blobs(/.*)?"
    rb"|(sha256:)?[0-9a-f]{64}(\.json|\.tar(\.gz)?|/.*)?)"
)


class ImageSource(Struct, frozen=True):
    """A place that images come from.

    ``find`` gets what the person wrote, the platform asked for and the limits; it returns None when that is none of
    its references. What it opens or makes for the time of reading goes onto the stack. Raises ImageError.
    """

    name: str
    find: Callable[[ExitStack, str, str, Limits], Image | None]


@contextmanager
def open_image(
    reference: str, *, platform: str = "", limits: Limits = DEFAULT, more: Iterable[ImageSource] = ()
) -> Iterator[Image]:
    """Find the image that a person means, ready to be read while the context lasts. Raises ImageError.

    ``reference`` is a file or folder, such a one behind ``oci:``, ``oci-archive:``, ``docker-archive:`` or ``dir:``
    (then with ``:NAME`` behind it, where it holds several images), a reference that skopeo knows (``docker://…``), or
    the name of an image that Docker or Podman has. ``more`` are asked before these. ``rootfs:PATH`` is a root file
    system, whatever it looks like.
    """
    if not reference.strip():
        raise ImageError("the name of the image is empty; is the variable set that it should come from?")
    with ExitStack() as stack:
        for source in (*more, *built_in()):
            image = source.find(stack, reference, platform, limits)
            if image is not None:
                break
        else:
            raise ImageError(f"{reference}: is neither a file nor the name of an image")
        yield image


def _file(stack: ExitStack, reference: str, platform: str, limits: Limits) -> Image | None:
    if Path(reference).exists():
        return _path(stack, reference, reference, "", platform, limits)
    transport, _, rest = reference.partition(":")
    if transport == "rootfs":
        if not rest or not Path(rest).exists():
            raise ImageError(f"{reference}: there is no such file or folder")
        return _rootfs(reference, rest, platform)
    if transport in _FILES:
        path, name = _split(reference, rest)
        return _path(stack, reference, path, name, platform, limits)
    if re.match(r"https?://", reference):
        raise ImageError(f"{reference}: is an address; for an image in a registry, write docker://HOST/NAME")
    if re.match(r"[./~]|.*\.(tar|tgz|gz|zst|xz|bz2)$", reference):
        raise ImageError(f"{reference}: there is no such file")
    return None


def _split(reference: str, rest: str) -> tuple[str, str]:
    """Return the path and the name in ``PATH[:NAME]``; the path is the longest that is there."""
    parts = rest.split(":")
    for count in range(len(parts), 0, -1):
        path = ":".join(parts[:count])
        if path and Path(path).exists():
            return path, ":".join(parts[count:])
    raise ImageError(f"{rest or reference}: there is no such file or folder")


def _path(stack: ExitStack, reference: str, path: str, name: str, platform: str, limits: Limits) -> Image:
    if Path(path).is_dir():
        files = FolderFiles(path)
        if layout.is_layout(files, limits):
            return layout.image(files, reference, limits, platform=platform, name=name)
        names = files.names()
        if not layout.SYSTEM & set(names):
            raise _no_system(path, layout.below(files) if names else "", names)
        return _rootfs(reference, path, platform)
    if not Path(path).is_file():
        raise ImageError(f"{path}: is neither a file nor a folder")
    file = stack.enter_context(_opened(path))
    if _looks_like_an_image(file, path, limits):
        archive = ArchiveFiles(_unpacked(stack, file, path, limits), path, limits)
        if layout.is_layout(archive, limits):
            return layout.image(archive, reference, limits, platform=platform, name=name)
    _check_system(file, path, limits)
    return _rootfs(reference, path, platform)


def _rootfs(reference: str, path: str, platform: str) -> Image:
    if platform:
        raise ImageError(f"{reference}: is a root file system, which does not say for which platform it is")
    if Path(path).is_dir():
        return Image(reference=reference, kind="rootfs", folder=path)
    source = LayerSource(name=path, size=Path(path).stat().st_size, open=partial(_opened, path))
    return Image(reference=reference, kind="rootfs", layers=(source,))


def _no_system(path: str, inner: str, names: Collection[str]) -> ImageError:
    if not names:
        return ImageError(f"{path}: is empty")
    if inner:
        return ImageError(f"{path}: is no image, but the folder {inner} in it looks like one: name that")
    shown = ", ".join(sorted(names)[:3]) + (" …" if len(names) > 3 else "")
    return ImageError(
        f"{path}: is no image, and no root file system: there is no /bin, /etc, /usr or the like, but {shown}; "
        f"if it is one all the same, write rootfs:{path}"
    )


@contextmanager
def _opened(path: str) -> Iterator[BinaryIO]:
    try:
        file = Path(path).open("rb", buffering=0)  # noqa: SIM115 - so that only what open raises is caught
    except OSError as error:
        raise ImageError(f"{path}: cannot be read: {error.strerror}") from None
    with file:
        yield file


def _looks_like_an_image(file: BinaryIO, name: str, limits: Limits) -> bool:
    """Return True if the first member of a tar archive is called as those of images are. Raises ImageError."""
    for member in members(Stream(file.read, name, limits), name):
        if member.name.strip(b"./"):
            return bool(_IMAGE_MEMBER.fullmatch(member.name))
    return False


def _check_system(file: BinaryIO, path: str, limits: Limits) -> None:
    """Raise ImageError unless a tar archive has a folder that file systems have; most begin with one."""
    file.seek(0)
    stream = Stream(file.read, path, limits)
    names: set[str] = set()
    inner = ""
    for member in members(stream, path):
        parts = [part for part in os.fsdecode(member.name).split("/") if part not in ("", ".")]
        if not parts:
            continue
        if parts[0] in layout.SYSTEM:
            return
        if len(names) < 100:
            names.add(parts[0])
        if len(parts) == 2 and parts[1] in ("oci-layout", "index.json", "manifest.json"):
            inner = parts[0]
    raise _no_system(path, inner, names)


def _unpacked(stack: ExitStack, file: BinaryIO, name: str, limits: Limits) -> BinaryIO:
    """Return the archive without its compression, if it has one in a temporary file that has no name."""
    file.seek(0)
    stream = Stream(file.read, name, limits, budget=limits.unpacked)
    pieces = iter(stream)
    first = next(pieces, b"")
    if not stream.compression:
        return file
    unpacked = stack.enter_context(tempfile.TemporaryFile())  # noqa: SIM115
    try:
        for piece in chain([first], pieces):
            unpacked.write(piece)
    except OSError as error:
        raise ImageError(f"{name}: cannot be unpacked into {tempfile.gettempdir()}: {error.strerror}") from None
    return unpacked


def _folder(stack: ExitStack) -> str:
    return stack.enter_context(tempfile.TemporaryDirectory(prefix="cleanroom-"))


def _skopeo(stack: ExitStack, reference: str, platform: str, limits: Limits) -> Image | None:
    transport, _, rest = reference.partition(":")
    if transport not in _SKOPEO or (transport == "docker" and not rest.startswith("//")):
        return None
    skopeo = shutil.which("skopeo")
    if skopeo is None:
        raise ImageError(
            f"{reference}: needs skopeo, which is not installed; or save the image to a file and name that"
        )
    target = f"{_folder(stack)}/image"
    _run([skopeo, *_override(platform), "copy", "--quiet", reference, f"dir:{target}"], reference)
    return layout.image(FolderFiles(target), reference, limits, platform=platform)


def _override(platform: str) -> list[str]:
    """Return the options by which skopeo chooses a platform."""
    if not platform:
        return []
    wanted = platforms.parse(platform)
    options = [f"--override-os={wanted.system}", f"--override-arch={wanted.architecture}"]
    return [*options, f"--override-variant={wanted.variant}"] if wanted.variant else options


def _saved(stack: ExitStack, reference: str, platform: str, limits: Limits) -> Image | None:
    if not re.fullmatch(r"[\w][\w./:@-]*", reference):
        return None
    tools = [tool for tool in ("docker", "podman") if shutil.which(tool)]
    complaints = []
    for tool in tools:
        target = f"{_folder(stack)}/image.tar"
        try:
            _run([tool, "save", "--output", target, reference], "")
        except ImageError as error:
            complaints.append(str(error))
            continue
        return _path(stack, reference, target, "", platform, limits)
    if complaints:
        raise ImageError(f"{reference}: {'; '.join(complaints)}{_hint(reference)}")
    raise ImageError(
        f"{reference}: there is no such file or folder, and neither docker nor podman is here to have an image of this "
        "name; for one in a registry, write docker://NAME"
    )


def _hint(reference: str) -> str:
    """Return what someone may have meant who wrote ``docker:NAME``."""
    transport, colon, name = reference.partition(":")
    if transport == "docker" and colon:
        return f"; for an image in a registry, write docker://{name}, for one that Docker has docker-daemon:{name}"
    return ""


def _run(command: list[str], reference: str) -> None:
    name = Path(command[0]).name
    prefix = f"{reference}: {name}" if reference else name
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", check=False, stdin=subprocess.DEVNULL
        )
    except OSError as error:
        raise ImageError(f"{prefix} cannot be run: {error.strerror}") from None
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip()).splitlines() or [f"nothing, and exits {done.returncode}"]
        logged = re.search(r'\bmsg="((?:[^"\\]|\\.)*)"', said[-1])  # as skopeo writes its errors
        complaint = logged[1].replace('\\"', '"') if logged else said[-1].removeprefix("Error: ")
        raise ImageError(f"{prefix} says: {complaint}")


def built_in() -> Iterator[ImageSource]:
    """Yield what ships, in the order in which it is asked."""
    yield ImageSource("files", _file)
    yield ImageSource("skopeo", _skopeo)
    yield ImageSource("stores", _saved)
