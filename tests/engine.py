"""Build images for real, with Buildah, in a store of their own; and look at what lies in their layers."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class BuildError(RuntimeError):
    """A build that failed; the message ends with what it printed last."""


class Buildah:
    """A store of images below ``folder``, which must not lie in /tmp: Buildah 1.28 empties a mount's target there.

    With ``system``, the root folder of another Debian, in which the store lies, its Buildah does the work.
    """

    def __init__(self, folder: Path, system: Path | None = None) -> None:
        self.folder = folder
        self._system = system
        self._command = ["chroot", str(system), "buildah"] if system else ["buildah"]
        self._command += ["--root", self.inside(folder / "root"), "--runroot", self.inside(folder / "run")]
        (folder / "tmp").mkdir(parents=True, exist_ok=True)

    def inside(self, path: Path) -> str:
        """Return a path as Buildah sees it."""
        return f"/{path.relative_to(self._system)}" if self._system else str(path)

    def run(self, *arguments: str, timeout: float = 1200) -> str:
        """Run one of its commands and return what it prints. Raises BuildError."""
        done = subprocess.run(
            [*self._command, *arguments],
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=timeout,
            stdin=subprocess.DEVNULL,
            env={**os.environ, "TMPDIR": self.inside(self.folder / "tmp")},
        )
        if done.returncode:
            tail = "\n".join((done.stdout + done.stderr).splitlines()[-25:])
            raise BuildError(f"buildah {' '.join(arguments[:2])} exited {done.returncode}\n{tail}")
        return done.stdout

    def build(self, name: str, dockerfile: str, context: Path) -> None:
        """Build an image called ``localhost/<name>``, one layer an instruction. Raises BuildError."""
        file = self.folder / f"{name}.dockerfile"
        file.write_text(dockerfile)
        # Only chroot works without rights over cgroups; the OCI format would pass over SHELL.
        options = ["--isolation", "chroot", "--format", "docker", "--layers", "--force-rm"]
        if self._system:  # newer ones ask for more than this process may have
            for limit, number in (("nofile", resource.RLIMIT_NOFILE), ("nproc", resource.RLIMIT_NPROC)):
                options += ["--ulimit", f"{limit}={':'.join(map(str, resource.getrlimit(number)))}"]
        self.run("bud", *options, "--file", self.inside(file), "--tag", f"localhost/{name}", self.inside(context))

    def push(self, name: str, target: str) -> str:
        """Write an image to ``target`` (``oci:FOLDER``, ``docker-archive:FILE``) and return that."""
        self.run("push", f"localhost/{name}", target)
        return target

    def diff_ids(self, name: str) -> list[str]:
        """Return the digests of an image's layers (hexadecimal), the lowest first."""
        inspected = json.loads(self.run("inspect", "--type", "image", f"localhost/{name}"))
        return [digest.removeprefix("sha256:") for digest in inspected["OCIv1"]["rootfs"]["diff_ids"]]

    def size(self, name: str) -> int:
        """Return what an image's layers weigh together, in bytes, unpacked as archives."""
        known = json.loads((self.folder / "root/overlay-layers/layers.json").read_text())
        sizes = {item["id"]: item["diff-size"] for item in known}
        return sum(sizes[folder.parent.name] for folder in self.layers(self.diff_ids(name)))

    def layers(self, diff_ids: list[str]) -> list[Path]:
        """Return the folders in which the layers with these digests (hexadecimal, the lowest first) lie unpacked.

        A layer lies there as its ``diff`` of the overlay file system: what it removes is a device 0:0.
        """
        known = json.loads((self.folder / "root/overlay-layers/layers.json").read_text())
        found: list[Path] = []
        parent = ""
        for digest in diff_ids:
            layer = next(
                item
                for item in known
                if item.get("diff-digest") == f"sha256:{digest}" and item.get("parent", "") == parent
            )
            parent = layer["id"]
            found.append(self.folder / "root/overlay" / parent / "diff")
        return found


@contextmanager
def buildah() -> Iterator[Buildah]:
    """Make a store that is gone afterwards."""
    folder = Path(tempfile.mkdtemp(prefix="cleanroom-", dir="/var/tmp"))
    try:
        yield Buildah(folder)
    finally:
        _remove(folder)


@contextmanager
def newer_buildah(suite: str = "trixie") -> Iterator[Buildah]:
    """Make a store for the Buildah of a newer Debian, which knows here-documents. Takes two minutes."""
    system = Path(tempfile.mkdtemp(prefix="cleanroom-", dir="/var/tmp"))
    try:
        options = ["--quiet", "--mode=root", "--variant=apt", "--include=buildah,ca-certificates,netavark"]
        _call("mmdebstrap", *options, suite, str(system))
        _call("mount", "--bind", "--make-private", str(system), str(system))  # unpacking wants / to be a mount
        for name in ("dev", "proc", "sys"):
            _call("mount", "--rbind", "--make-rslave", f"/{name}", str(system / name))
        shutil.copy("/etc/resolv.conf", system / "etc/resolv.conf")
        yield Buildah(system / "store", system)
    finally:
        _remove(system)


def _call(*command: str) -> None:
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)


def _remove(folder: Path) -> None:
    """Remove a store, and what is mounted below it.

    Buildah leaves its store mounted on itself, and a layer of each build that it could not put away.
    """

    def mounted() -> list[str]:
        places = [line.split()[1] for line in Path("/proc/self/mounts").read_text().splitlines()]
        return [place for place in places if place == str(folder) or place.startswith(f"{folder}/")]

    for place in reversed(mounted()):
        subprocess.run(["umount", "--lazy", place], check=False, stdin=subprocess.DEVNULL)
    if mounted():
        raise RuntimeError(f"{folder} is left where it is: something is mounted below it still")
    shutil.rmtree(folder)


def make_debian(target: Path, suite: str = "bookworm") -> None:
    """Write a small Debian, with apt and nothing else of use, as a root file system archive. Takes about a minute."""
    _call("mmdebstrap", "--quiet", "--mode=root", "--variant=apt", suite, str(target))


def is_here() -> bool:
    """Tell whether images can be built: the tools are there, and this is root on Linux."""
    return bool(shutil.which("buildah") and shutil.which("mmdebstrap")) and os.geteuid() == 0
