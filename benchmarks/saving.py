"""Build a data-science image before and after ``cleanroom fix``, and print what its layers weigh.

Run as root on Debian, with Buildah and mmdebstrap: ``python benchmarks/saving.py``. No registry of images is asked: the
base is a Debian that mmdebstrap makes, set up as the official image sets apt up. pip gets its packages from a server
here that lets it keep them, as PyPI does (https://pip.pypa.io/en/stable/topics/caching/).
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "tests"))

import engine  # noqa: E402

from cleanroom.fix import fix  # noqa: E402

DOCKERFILE = ROOT / "examples/data-science-debian/Dockerfile"
PACKAGES = ("numpy", "pandas", "requests", "python-dateutil")
# What https://github.com/debuerreotype/debuerreotype puts into the official images.
APT = r"""
DPkg::Post-Invoke { "rm -f /var/cache/apt/archives/*.deb /var/cache/apt/*.bin || true"; };
Dir::Cache::pkgcache "";
Dir::Cache::srcpkgcache "";
Acquire::GzipIndexes "true";
Acquire::Languages "none";
"""


class Server(SimpleHTTPRequestHandler):
    """Files that may be kept, as those of PyPI."""

    def end_headers(self) -> None:
        """Add what lets pip keep the file."""
        self.send_header("Cache-Control", "max-age=365000000, immutable")
        super().end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 (its name there)
        """Say nothing."""


def main() -> None:
    """Print the bytes of both images, and what is saved."""
    if not engine.is_here():
        sys.exit("benchmarks/saving.py needs Buildah and mmdebstrap, and root: apt-get install buildah mmdebstrap")
    with engine.buildah() as store:
        context, wheels = store.folder / "context", store.folder / "wheels"
        context.mkdir()
        wheels.mkdir()
        platforms = [f"--platform=manylinux{version}_x86_64" for version in ("_2_28", "_2_17", "2014")]
        download = [sys.executable, "-m", "pip", "download", "--quiet", "--only-binary=:all:", "--python-version=3.11"]
        subprocess.run([*download, *platforms, "--dest", str(wheels), *PACKAGES], check=True)
        engine.make_debian(context / "debian.tar")
        (context / "apt.conf").write_text(APT)
        server = ThreadingHTTPServer(("127.0.0.1", 0), partial(Server, directory=str(wheels)))
        threading.Thread(target=server.serve_forever, daemon=True).start()
        host = f"127.0.0.1:{server.server_port}"  # trusted, since pip keeps nothing that comes by http otherwise
        settings = f"[global]\nno-index = true\nfind-links = http://{host}/\ntrusted-host = {host}\n"
        (context / "pip.conf").write_text(settings)
        base = "FROM scratch\nADD debian.tar /\nCOPY apt.conf /etc/apt/apt.conf.d/docker-clean\nCOPY pip.conf /etc/\n"
        store.build("base", base, context)
        store.run("tag", "localhost/base", "docker.io/library/debian:bookworm-slim")
        text = DOCKERFILE.read_text()
        sizes = {}
        for name, dockerfile in (("before", text), ("after", fix(text).text)):
            dockerfile = dockerfile.replace("FROM debian", "FROM docker.io/library/debian")
            store.build(name, dockerfile, store.folder / "tmp")
            store.build(f"{name}-runs", f"FROM localhost/{name}\nRUN python3 -c 'import pandas, requests'\n", context)
            sizes[name] = store.size(name)
        server.shutdown()
    saved = sizes["before"] - sizes["after"]
    print(json.dumps({**sizes, "saved": saved, "percent": round(100 * saved / sizes["before"], 1)}))


if __name__ == "__main__":
    main()
