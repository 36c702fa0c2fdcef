"""Simulate the builds of real Dockerfiles before and after ``fix``, and print what the fix breaks.

As root, with the corpus beside the project:

    python benchmarks/simulated.py [--tenth | --all] [--prefer clean|prevent|mount] [--unsafe] [FILE…]

What is simulated, and what is not, stands at the top of tests/support/simulation.py.
"""

from __future__ import annotations

import argparse
import os
import sys
import tarfile
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing.util import Finalize
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1]))

from cleanroom.api import fix
from tests.support.judge import breaks, stays
from tests.support.simulation import Simulator

CORPUS = Path(__file__).parents[2] / "shared" / "corpus" / "dockerfiles.tar.xz"


class Result(NamedTuple):
    """What came of one file."""

    name: str
    state: str  # unchanged, equal, broken, or why it could not be built
    lines: tuple[str, ...] = ()
    runs: int = 0
    failed: int = 0  # RUNs that already fail before the fix: what stands behind the failure is not judged
    commands: int = 0


class Work(NamedTuple):
    """One file, and how to fix it."""

    name: str
    text: str
    prefer: str
    unsafe: bool


_simulators: list[Simulator] = []


def judge(work: Work) -> Result:
    """Simulate one file before and after its fix."""
    fixed = fix(work.text, prefer=work.prefer, unsafe=work.unsafe)
    if fixed.errors:
        return Result(work.name, "not read")
    if fixed.text == work.text:
        return Result(work.name, "unchanged")
    if not _simulators:
        _simulators.append(Simulator())
        Finalize(None, _simulators[0].__exit__, exitpriority=1)
    simulator = _simulators[0]
    before = simulator.build(work.text)
    if before.problem:
        return Result(work.name, before.problem.splitlines()[0], tuple(before.problem.splitlines()))
    after = simulator.build(fixed.text, like=before)
    found = breaks(before, after, work.text, fixed.text)
    if not found and "type=cache" in fixed.text:
        again = simulator.build(fixed.text, like=before, twice=True)
        found = breaks(before, again, work.text, fixed.text)
    left = stays(before, after, fixed.fixed)
    lines = tuple(str(each) for each in (*found, *left))
    state = "broken" if found else "stays" if left else "equal"
    return Result(work.name, state, lines, len(before.runs), len(before.failed), len(before.commands))


def corpus(step: int) -> Iterator[tuple[str, str]]:
    """Yield the names and texts of every ``step``-th file of the corpus."""
    with tarfile.open(CORPUS) as archive:
        members = sorted((member for member in archive if member.isfile()), key=lambda member: member.name)[::step]
        for member in members:
            file = archive.extractfile(member)
            assert file is not None
            try:
                yield member.name, file.read().decode()
            except UnicodeDecodeError:
                continue


def simulate(files: list[tuple[str, str]], prefer: str, *, unsafe: bool, jobs: int) -> Iterator[Result]:
    """Yield what came of each file, in no order."""
    works = [Work(name, text, prefer, unsafe) for name, text in files]
    with ProcessPoolExecutor(jobs) as pool:
        yield from pool.map(judge, works, chunksize=4)


def main() -> int:
    """Read the command line, and print a report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tenth", action="store_true")
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--prefer", default="", choices=("", "clean", "prevent", "mount"))
    parser.add_argument("--unsafe", action="store_true")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("-v", "--verbose", action="store_true")
    parser.add_argument("files", nargs="*", type=Path)
    arguments = parser.parse_args()
    if arguments.files:
        files = [(str(path), path.read_text()) for path in arguments.files]
    else:
        files = list(corpus(1 if arguments.all else 10))
    start = time.perf_counter()
    states: Counter[str] = Counter()
    kinds: Counter[str] = Counter()
    runs = failed = commands = 0
    for result in simulate(files, arguments.prefer, unsafe=arguments.unsafe, jobs=arguments.jobs):
        states[result.state] += 1
        runs += result.runs
        failed += result.failed
        commands += result.commands
        kinds.update({line.partition(":")[0] for line in result.lines})
        if result.lines or (arguments.verbose and result.state != "unchanged"):
            print(f"{result.name}: {result.state}", *result.lines, sep="\n    ", flush=True)
    print(f"\n{len(files)} files in {time.perf_counter() - start:.0f} s")
    for state, count in states.most_common():
        print(f"{count:6} {state}")
    print(f"{runs:6} RUNs and starts, {failed} of them fail before the fix too; {commands} commands")
    print("differences by kind:", dict(kinds) or "none")
    return 1 if states["broken"] else 0


if __name__ == "__main__":
    sys.exit(main())
