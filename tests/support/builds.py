"""Build images for real, with the engine of the proofs, and look at what lies in their layers."""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from cleanroom.proofs import engines

_TIME_LIMIT = 1200.0


class Buildah(engines.Buildah):
    """A store whose images can be written elsewhere, and whose layers can be looked at as they lie there."""

    def push(self, name: str, target: str) -> str:
        """Write an image to ``target`` (``oci:FOLDER``, ``docker-archive:FILE``) and return that."""
        self.run("push", self.name(name), target)
        return target

    def layers(self, diff_ids: Sequence[str]) -> list[Path]:
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


class NewerBuildah(Buildah):
    """The Buildah of another Debian, whose root is the parent of the store's folder."""

    program = "chroot"

    def options(self) -> Sequence[str]:
        """Return where that root is, and in it the store."""
        store = f"/{self.folder.name}"
        return (str(self.folder.parent), "buildah", "--root", f"{store}/root", "--runroot", f"{store}/run")

    def build_command(self) -> Sequence[str]:
        """Return the command and its options: newer ones ask for more than this process may have."""
        limits = (("nofile", resource.RLIMIT_NOFILE), ("nproc", resource.RLIMIT_NPROC))
        options = [f"--ulimit={name}={':'.join(map(str, resource.getrlimit(number)))}" for name, number in limits]
        return (*super().build_command(), *options)


def buildah() -> AbstractContextManager[Buildah]:
    """Make a store that is gone afterwards."""
    return engines.opened(Buildah, time_limit=_TIME_LIMIT)


@contextmanager
def newer_buildah(suite: str = "trixie") -> Iterator[NewerBuildah]:
    """Make a store for the Buildah of a newer Debian, which knows here-documents. Takes two minutes."""
    system = Path(tempfile.mkdtemp(prefix="newer-", dir="/var/tmp"))
    try:
        options = ["--quiet", "--mode=root", "--variant=apt", "--include=buildah,ca-certificates,netavark"]
        _call("mmdebstrap", *options, suite, str(system))
        _call("mount", "--bind", "--make-private", str(system), str(system))  # unpacking wants / to be a mount
        for name in ("dev", "proc", "sys"):
            _call("mount", "--rbind", "--make-rslave", f"/{name}", str(system / name))
        shutil.copy("/etc/resolv.conf", system / "etc/resolv.conf")
        (system / str(system).lstrip("/")).symlink_to("/")  # so that paths are the same from within
        yield NewerBuildah(system / "store", _TIME_LIMIT)
    finally:
        engines.remove(system)


def _call(*command: str) -> None:
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)


def make_debian(target: Path, suite: str = "bookworm") -> None:
    """Write a small Debian, with apt and nothing else of use, as a root file system archive. Takes about a minute."""
    _call("mmdebstrap", "--quiet", "--mode=root", "--variant=apt", suite, str(target))


def is_here() -> bool:
    """Tell whether images can be built: the tools are there, and this is root on Linux."""
    return bool(shutil.which("buildah") and shutil.which("mmdebstrap")) and os.geteuid() == 0
