import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from cleanroom.project import batch


def double(job: int) -> int:
    if job == -1:
        os._exit(1)
    return job * 2


def lost(job: int) -> int:
    return 1000 + job


def process(_: int) -> int:
    return os.getpid()


def test_few_jobs_stay_in_this_process() -> None:
    assert set(batch.run(process, range(batch.MANY - 1), lost)) == {os.getpid()}


def test_many_jobs_go_to_others() -> None:
    assert os.getpid() not in set(batch.run(process, range(batch.MANY), lost))


@pytest.mark.parametrize("count", [batch.MANY, 1000])
def test_results_come_in_order(count: int) -> None:
    assert list(batch.run(double, range(count), lost)) == [job * 2 for job in range(count)]


@pytest.mark.parametrize("deadly", [{0}, {59}, {20, 21}, {5, 300, 701}])
def test_jobs_on_which_the_process_dies_are_lost_alone(deadly: set[int]) -> None:
    count = max(60, max(deadly) + 1)
    jobs = [-1 if job in deadly else job for job in range(count)]
    assert list(batch.run(double, jobs, lost)) == [999 if job == -1 else job * 2 for job in jobs]


def fail(job: int) -> int:
    raise ValueError(job)


def test_an_exception_is_the_callers() -> None:
    with pytest.raises(ValueError, match="0"):
        list(batch.run(fail, range(100), lost))


def test_a_run_can_be_left_early() -> None:
    results: Iterator[int] = batch.run(double, range(10_000), lost)
    assert next(results) == 0
    results.close()  # type: ignore[attr-defined]


def interrupt_me(job: int) -> int:
    os.kill(os.getpid(), signal.SIGINT)
    return job


def test_an_interrupt_does_not_kill_workers() -> None:
    assert list(batch.run(interrupt_me, range(60), lost)) == list(range(60))


PARENT = """
import os, sys, time
sys.path.insert(0, sys.argv[1])
from cleanroom.project import batch

def work(_):
    print(os.getpid(), flush=True)
    time.sleep(60)

list(batch.run(work, range(batch.MANY), work))
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="a system without signals")
def test_workers_end_with_a_parent_that_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    root = str(Path(batch.__file__).parents[2])
    with subprocess.Popen([sys.executable, str(script), root], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline()
        start = time.monotonic()
        parent.kill()
        parent.stdout.read()  # ends once no one holds the pipe: no worker is there
        assert time.monotonic() - start < 30
