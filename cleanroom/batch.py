"""The same work over many files: in worker processes when they are many, results in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar

MANY = 50  # from here on, starting processes pays
_CHUNK = 8  # files handed to a worker at once
_WINDOW = 64  # chunks under way: bounds the results that wait for their turn

Job = TypeVar("Job")
Result = TypeVar("Result")


def run(work: Callable[[Job], Result], jobs: Sequence[Job], lost: Callable[[Job], Result]) -> Iterator[Result]:
    """Yield ``work(job)`` for each job, in order; ``lost(job)`` for one on which the worker process died.

    From MANY jobs up, ``work`` runs in other processes: it, the jobs and the results must pickle.
    """
    if len(jobs) < MANY:
        return map(work, jobs)
    return _in_processes(work, jobs, lost)


def _in_processes(
    work: Callable[[Job], Result], jobs: Sequence[Job], lost: Callable[[Job], Result]
) -> Iterator[Result]:
    from concurrent.futures import Future, ProcessPoolExecutor
    from concurrent.futures.process import BrokenProcessPool

    waiting = deque(jobs[start : start + _CHUNK] for start in range(0, len(jobs), _CHUNK))
    under_way: deque[tuple[Sequence[Job], Future[list[Result]]]] = deque()
    while waiting:
        with ProcessPoolExecutor(initializer=_ignore_interrupts) as pool:
            try:
                while waiting or under_way:
                    while waiting and len(under_way) < _WINDOW:
                        under_way.append((waiting[0], pool.submit(_each, work, waiting[0])))
                        waiting.popleft()
                    results = under_way[0][1].result()
                    under_way.popleft()
                    yield from results
            except BrokenProcessPool:
                pass
            except BaseException:
                pool.shutdown(cancel_futures=True)
                raise
        # A worker died and took the pool along. On which file it was, shows when each goes to a process of its own.
        for chunk, future in under_way:
            if future.exception() is None:
                yield from future.result()
            else:
                yield from (_alone(work, job, lost) for job in chunk)
        under_way.clear()


def _alone(work: Callable[[Job], Result], job: Job, lost: Callable[[Job], Result]) -> Result:
    from concurrent.futures import ProcessPoolExecutor
    from concurrent.futures.process import BrokenProcessPool

    with ProcessPoolExecutor(max_workers=1, initializer=_ignore_interrupts) as pool:
        try:
            return pool.submit(work, job).result()
        except BrokenProcessPool:
            return lost(job)


def _each(work: Callable[[Job], Result], jobs: Sequence[Job]) -> list[Result]:
    return [work(job) for job in jobs]


def _ignore_interrupts() -> None:
    """Leave Ctrl-C to the parent, which then stops the workers."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)
