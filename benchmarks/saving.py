"""Build a data-science image as blog posts show it, and again as ``cleanroom fix`` mends it; print what each weighs.

Run as root on Debian, with Buildah and mmdebstrap: ``python benchmarks/saving.py [LAYOUT]``. No registry of images is
asked: the base is an OCI layout, or a Debian that is made now, set up as the official image is. pip gets its packages
from a server here that lets it keep them, as PyPI does (https://pip.pypa.io/en/stable/topics/caching/).
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from cleanroom.api import fix
from cleanroom.images.image import gzipped
from cleanroom.images.sources import open_image
from cleanroom.proofs.engines import Buildah, BuildError, Engine, opened
from cleanroom.proofs.servers import serving

ROOT = Path(__file__).parents[1]
DOCKERFILE = ROOT / "examples/data-science-debian/Dockerfile"
BASE = "docker.io/library/debian:bookworm-slim"
PACKAGES = ("numpy", "scipy", "pandas", "scikit-learn", "matplotlib", "requests")
FROM_SOURCE = "psutil"  # small, and written in C
HTTPS = "deb.debian.org"
BY_HAND = """\
FROM debian:bookworm-slim
RUN apt-get update && apt-get install -y curl wget nano locales python3-pip && rm -rf /var/lib/apt/lists/*
RUN pip install --break-system-packages numpy scipy pandas && rm -rf /root/.cache/pip
RUN pip install --break-system-packages scikit-learn matplotlib requests && rm -rf /root/.cache/pip
CMD ["python3"]
"""
# What an image of this kind is used for. Each is tried on every image; a lean one may lack what some of them need.
USES = {
    "imports": "RUN python3 -c 'import sklearn, matplotlib, pandas, requests; pandas.DataFrame([1]).sum()'",
    "https": "COPY *.crt /usr/local/share/ca-certificates/\n"
    f"RUN update-ca-certificates && curl -fsS -o /dev/null https://{HTTPS}/debian/dists/bookworm/InRelease",
    "locale": "RUN echo de_DE.UTF-8 UTF-8 > /etc/locale.gen && locale-gen && LC_ALL=de_DE.UTF-8 "
    "python3 -c 'import locale; locale.setlocale(locale.LC_ALL, str())'",
    "build from source": f"RUN pip install --break-system-packages --no-build-isolation --no-deps {FROM_SOURCE}",
}
HEAD = (
    "| image | bytes | saved | of what it adds | compressed | saved | of what it adds | does not work |\n"
    "|---|---:|---:|---:|---:|---:|---:|---|"
)


class Weighed(NamedTuple):
    """Bytes of an image, and of its layers with gzip."""

    whole: int
    packed: int


def main() -> None:
    """Print a table."""
    late = DOCKERFILE.read_text()
    fixed = fix(late).text
    variants = {
        "without any clean-up": "".join(line for line in late.splitlines(True) if "rm -rf" not in line),
        "cleaned in later layers, as it is": late,
        "cleaned by hand, each RUN its own": BY_HAND,
        "after `cleanroom fix`": fixed,
        "without a clean-up, installing less": fix(late, select=["not-lean"], unsafe=True).text,
        "after `cleanroom fix`, installing less": fix(fixed, select=["not-lean"], unsafe=True).text,
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
        source = ["--no-binary=:all:", "--no-deps", "--dest", wheels, FROM_SOURCE]
        subprocess.run([sys.executable, "-m", "pip", "download", "--quiet", *source], check=True)
        with serving(wheels) as address:
            host = address.partition("//")[2]  # trusted, since pip keeps nothing that comes by http otherwise
            settings = f"[global]\nindex-url = {address}/none\nfind-links = {address}/\ntrusted-host = {host}\n"
            (engine.folder / "empty/pip.conf").write_text(settings)
            trusted = os.environ.get("SSL_CERT_FILE", "")
            (engine.folder / "empty/trusted.crt").write_text(Path(trusted).read_text() if trusted else "")
            engine.build("with-settings", f"FROM {BASE}\nCOPY pip.conf /etc/pip.conf\n")
            measure(variants, engine)


def measure(variants: dict[str, str], engine: Engine) -> None:
    """Print what the image of each Dockerfile weighs, what it saves of the first, and what it cannot be used for."""
    print(HEAD)
    base = weigh("with-settings", engine)
    print(f"| the base | {base.whole:,} | | | {base.packed:,} | | | |")
    first: Weighed | None = None
    for number, (name, text) in enumerate(variants.items()):
        began = time.monotonic()
        assert "FROM debian:bookworm-slim\n" in text
        image = f"variant-{number}"
        engine.build(image, text.replace("FROM debian:bookworm-slim", f"FROM {engine.name('with-settings')}"))
        found = weigh(image, engine)
        first = first or found
        cells = [name]
        for before, after, below in zip(first, found, base, strict=True):
            cells += [f"{after:,}", _percent(before, after, before), _percent(before, after, before - below)]
        print(f"| {' | '.join([*cells, ', '.join(unusable(image, engine))])} |", flush=True)
        print(f"{name}: {time.monotonic() - began:.0f} s", file=sys.stderr)


def weigh(image: str, engine: Engine) -> Weighed:
    """Return what an image weighs."""
    target = engine.folder / "saved"
    with open_image(engine.save(image, target)) as found:
        sizes = [gzipped(layer) for layer in found.layers]
    Path(f"{target}.tar").unlink()
    return Weighed(sum(size for size, _ in sizes), sum(size for _, size in sizes))


def unusable(image: str, engine: Engine) -> Iterator[str]:
    """Yield the uses that fail on an image."""
    for name, lines in USES.items():
        try:
            engine.build(f"{image}-works", f"FROM {engine.name(image)}\n{lines}\n")
        except BuildError as error:
            print(f"{name}: {error}", file=sys.stderr)
            yield name


def _percent(before: int, after: int, of: int) -> str:
    saved = 100 * (before - after) / of
    return f"{saved:.1f} %" if abs(saved) >= 0.05 or not saved else f"{saved:.3f} %"


if __name__ == "__main__":
    main()
