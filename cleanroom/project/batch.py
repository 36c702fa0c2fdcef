"""The same work over many files: in worker processes when they are many, results in order.

What comes to light of plugins in a worker process is known in this one too.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from cleanroom.plugins.manager import Problem
from cleanroom.registries import plugins

MANY = 50  # from here on, starting processes pays
_CHUNK = 8  # files handed to a worker at once
_WINDOW = 64  # chunks under way: bounds the results that wait for their turn

if TYPE_CHECKING:
    from typing import TypeAlias, TypeVar

    Job = TypeVar("Job")
    Result = TypeVar("Result")
    _Problems: TypeAlias = tuple[tuple[str, Problem], ...]


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
    under_way: deque[tuple[Sequence[Job], Future[tuple[list[Result], _Problems]]]] = deque()
    while waiting:
        with ProcessPoolExecutor(initializer=_prepare) as pool:
            try:
                while waiting or under_way:
                    while waiting and len(under_way) < _WINDOW:
                        under_way.append((waiting[0], pool.submit(_each, work, waiting[0])))
                        waiting.popleft()
                    results, problems = under_way[0][1].result()
                    plugins().take_over(problems)
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
                results, problems = future.result()
                plugins().take_over(problems)
                yield from results
            else:
                yield from (_alone(work, job, lost) for job in chunk)
        under_way.clear()


def _alone(work: Callable[[Job], Result], job: Job, lost: Callable[[Job], Result]) -> Result:
    from concurrent.futures import ProcessPoolExecutor
    from concurrent.futures.process import BrokenProcessPool

    with ProcessPoolExecutor(max_workers=1, initializer=_prepare) as pool:
        try:
            results, problems = pool.submit(_each, work, [job]).result()
        except BrokenProcessPool:
            return lost(job)
        plugins().take_over(problems)
        return results[0]


def _each(work: Callable[[Job], Result], jobs: Sequence[Job]) -> tuple[list[Result], _Problems]:
    return [work(job) for job in jobs], _found_problems()


def _found_problems() -> _Problems:
    """Return what is wrong with plugins in this process, for the one that started it, by their titles."""
    return tuple((plugin.title, problem) for plugin, problem in plugins().problems)


def _prepare() -> None:
    """Leave Ctrl-C to the parent, which then stops the workers; and end with it, however it ends."""
    import signal
    import threading

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """End this process when the pipe to the one that started it does: one that is killed cannot say so."""
    import os
    from multiprocessing import parent_process
    from multiprocessing.connection import wait

    parent = parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)
