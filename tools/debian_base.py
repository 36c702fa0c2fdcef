"""Make a Debian base image without a registry of images: ``python tools/debian_base.py SUITE FOLDER``, as root.

Writes an OCI layout that ``cleanroom prove --base debian:12-slim=oci:FOLDER`` takes, from a Debian mirror, with
mmdebstrap. It is set up as the official image is by https://github.com/debuerreotype/debuerreotype: apt keeps no
archives (docker-clean), fetches compressed lists and no translations; ``--slim`` leaves out documentation as the tags
with ``-slim`` do, ``--without-docker-clean`` leaves apt as Debian has it.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import subprocess
import sys
import tempfile
from datetime import datetime, timezone
from pathlib import Path

SETTINGS = {
    "docker-clean": (
        'DPkg::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb /var/cache/apt/archives/partial/*.deb'
        ' /var/cache/apt/*.bin || true"; };\n'
        'APT::Update::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb /var/cache/apt/archives/partial/*.deb'
        ' /var/cache/apt/*.bin || true"; };\n'
        'Dir::Cache::pkgcache "";\nDir::Cache::srcpkgcache "";\n'
    ),
    "docker-gzip-indexes": 'Acquire::GzipIndexes "true";\n',
    "docker-no-languages": 'Acquire::Languages "none";\n',
    "docker-autoremove-suggests": 'Apt::AutoRemove::SuggestsImportant "false";\n',
}
SLIM = ("doc", "groff", "info", "linda", "lintian", "locale", "man")


def main() -> None:
    """Make it."""
    parser = argparse.ArgumentParser(description=str(__doc__).partition("\n")[0])
    parser.add_argument("suite", help="bookworm, trixie …")
    parser.add_argument("folder", type=Path, help="where the OCI layout goes; must not be there yet")
    parser.add_argument("--slim", action="store_true", help="without documentation and translations")
    parser.add_argument("--without-docker-clean", action="store_true", help="with apt as Debian has it")
    parser.add_argument("--include", default="", metavar="PACKAGES", help="packages to have besides, with commas")
    parser.add_argument(
        "--aptopt",
        default="",
        metavar="LINE",
        help="""for apt.conf: 'Acquire::Check-Valid-Until "false"' takes an old mirror""",
    )
    given = parser.parse_args()
    if given.folder.exists():
        sys.exit(f"{given.folder} is there already")
    with tempfile.TemporaryDirectory(dir="/var/tmp") as work:
        archive = Path(work, "root.tar")
        command = ["mmdebstrap", "--quiet", "--mode=root", "--variant=apt"]
        if given.slim:
            command += [f"--dpkgopt=path-exclude=/usr/share/{name}/*" for name in SLIM]
            command.append("--dpkgopt=path-include=/usr/share/doc/*/copyright")
        for name, text in {} if given.without_docker_clean else SETTINGS.items():
            file = Path(work, name)
            file.write_text(text)
            command.append(f"--customize-hook=upload {file} /etc/apt/apt.conf.d/{name}")
        if given.aptopt:
            command.append(f"--aptopt={given.aptopt}")
        if given.include:
            command.append(f"--include={given.include}")
        if subprocess.run([*command, given.suite, str(archive)], check=False, stdin=subprocess.DEVNULL).returncode:
            sys.exit(f"mmdebstrap could not make {given.suite}: it says why above")
        write_layout(archive, given.folder)


def write_layout(archive: Path, folder: Path) -> None:
    """Write an OCI layout with one layer: https://github.com/opencontainers/image-spec/blob/main/image-layout.md."""
    blobs = folder / "blobs/sha256"
    blobs.mkdir(parents=True)
    plain = hashlib.sha256()
    unfinished = blobs / "unfinished"
    with (
        archive.open("rb") as source,
        unfinished.open("wb") as file,
        gzip.GzipFile("", "wb", 6, file, mtime=0) as packed,
    ):
        while piece := source.read(1 << 20):
            plain.update(piece)
            packed.write(piece)
    with unfinished.open("rb") as file:
        digest = (
            hashlib.file_digest(file, "sha256").hexdigest() if sys.version_info >= (3, 11) else _digest(file.read())
        )
    size = unfinished.stat().st_size
    unfinished.rename(blobs / digest)

    def blob(media_type: str, data: object) -> dict[str, object]:
        text = json.dumps(data).encode()
        (blobs / _digest(text)).write_bytes(text)
        return {"mediaType": media_type, "digest": f"sha256:{_digest(text)}", "size": len(text)}

    architecture = subprocess.run(["dpkg", "--print-architecture"], capture_output=True, text=True, check=True)
    created = datetime.now(timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    kind = "application/vnd.oci.image"
    configuration = blob(
        f"{kind}.config.v1+json",
        {
            "created": created,
            "architecture": architecture.stdout.strip(),
            "os": "linux",
            "config": {"Env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"], "Cmd": ["bash"]},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{plain.hexdigest()}"]},
            "history": [{"created": created, "created_by": "mmdebstrap"}],
        },
    )
    layer = {"mediaType": f"{kind}.layer.v1.tar+gzip", "digest": f"sha256:{digest}", "size": size}
    manifest = blob(
        f"{kind}.manifest.v1+json",
        {"schemaVersion": 2, "mediaType": f"{kind}.manifest.v1+json", "config": configuration, "layers": [layer]},
    )
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [manifest]}))
    (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


if __name__ == "__main__":
    main()
