"""Build a data-science image as blog posts show it, and again as ``cleanroom fix`` mends it; print what each weighs.

Run as root on Debian, with Buildah and mmdebstrap: ``python benchmarks/saving.py [LAYOUT]``. No registry of images is
asked: the base is an OCI layout, or a Debian that is made now, set up as the official image is. pip gets its packages
from a server here that lets it keep them, as PyPI does (https://pip.pypa.io/en/stable/topics/caching/).
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

from cleanroom.api import fix
from cleanroom.images.image import gzipped
from cleanroom.images.sources import open_image
from cleanroom.proofs.engines import Buildah, Engine, opened
from cleanroom.proofs.servers import serving

ROOT = Path(__file__).parents[1]
DOCKERFILE = ROOT / "examples/data-science-debian/Dockerfile"
BASE = "docker.io/library/debian:bookworm-slim"
PACKAGES = ("numpy", "scipy", "pandas", "scikit-learn", "matplotlib", "requests")
WORKS = "RUN python3 -c 'import sklearn, matplotlib, pandas, requests; pandas.DataFrame([1]).sum()'\n"


def main() -> None:
    """Print a table."""
    late = DOCKERFILE.read_text()
    fixed = fix(late).text
    variants = {
        "as it is, without the clean-up": "".join(line for line in late.splitlines(True) if "rm -rf" not in line),
        "as it is: cleaned in later layers": late,
        "after `cleanroom fix`": fixed,
        "and `fix --select not-lean --unsafe`": fix(fixed, select=["not-lean"], unsafe=True).text,
    }
    with opened(Buildah, time_limit=3600) as engine:
        wheels = engine.folder / "wheels"
        layout = Path(sys.argv[1]) if len(sys.argv) > 1 else engine.folder / "debian"
        if not layout.exists():
            subprocess.run([sys.executable, ROOT / "tools/debian_base.py", "--slim", "bookworm", layout], check=True)
        engine.load("base", f"oci:{layout}")
        engine.run("tag", engine.name("base"), BASE)
        platforms = [f"--platform=manylinux{version}_x86_64" for version in ("_2_28", "_2_17", "2014")]
        download = [sys.executable, "-m", "pip", "download", "--quiet", "--only-binary=:all:", "--python-version=3.11"]
        subprocess.run([*download, *platforms, "--dest", wheels, *PACKAGES], check=True)
        with serving(wheels) as address:
            host = address.partition("//")[2]  # trusted, since pip keeps nothing that comes by http otherwise
            settings = f"[global]\nindex-url = {address}/none\nfind-links = {address}/\ntrusted-host = {host}\n"
            (engine.folder / "empty/pip.conf").write_text(settings)
            engine.build("with-settings", f"FROM {BASE}\nCOPY pip.conf /etc/pip.conf\n")
            measure(variants, engine)


def measure(variants: dict[str, str], engine: Engine) -> None:
    """Print what the image of each Dockerfile weighs, and per cent of the first."""
    print("| image | bytes | saved | compressed | saved |\n|---|---:|---:|---:|---:|")
    first: tuple[int, int] | None = None
    for number, (name, text) in enumerate(variants.items()):
        began = time.monotonic()
        assert "FROM debian:bookworm-slim\n" in text
        image = f"variant-{number}"
        engine.build(image, text.replace("FROM debian:bookworm-slim", f"FROM {engine.name('with-settings')}"))
        engine.build(f"{image}-works", f"FROM {engine.name(image)}\n{WORKS}")
        target = engine.folder / "saved"
        with open_image(engine.save(image, target)) as found:
            sizes = [gzipped(layer) for layer in found.layers]
        Path(f"{target}.tar").unlink()
        whole, packed = sum(size for size, _ in sizes), sum(size for _, size in sizes)
        first = first or (whole, packed)
        shares = [_percent(before, after) for before, after in zip(first, (whole, packed), strict=True)]
        print(f"| {name} | {whole:,} | {shares[0]} | {packed:,} | {shares[1]} |", flush=True)
        print(f"{name}: {time.monotonic() - began:.0f} s", file=sys.stderr)


def _percent(before: int, after: int) -> str:
    saved = 100 * (before - after) / before
    return f"{saved:.1f} %" if abs(saved) >= 0.05 or not saved else f"{saved:.3f} %"


if __name__ == "__main__":
    main()
