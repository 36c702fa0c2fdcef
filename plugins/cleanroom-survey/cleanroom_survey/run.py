"""A survey: sources in, a store filled. In this process, in processes of this machine, or on a Dask cluster."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import BrokenExecutor, CancelledError, Executor, Future, wait

import pyarrow as pa
from msgspec import Struct

from cleanroom_survey.examine import Examined, content_hash, examine, unread
from cleanroom_survey.sources import Place, Source
from cleanroom_survey.store import Store, place_key

BATCH = 100  # contents handed to a worker at once
PATIENCE = 120.0  # seconds that a cluster may be without any worker, as while it starts others
_TRIES = 2  # of a content on which a worker died
_AHEAD = 500  # places looked up in the ledger at once


class Totals(Struct):
    """What a run did."""

    places: int = 0  # met
    new: int = 0  # contents followed now
    set_aside: tuple[tuple[str, str], ...] = ()  # (source, path) of a content on which workers died


class Batch(Struct, frozen=True):
    """Contents for one call of ``examine``, each with a place where it stands."""

    places: tuple[Place, ...]
    contents: tuple[str, ...]

    @property
    def table(self) -> pa.Table:
        """The column that ``examine`` reads."""
        return pa.table({"content": pa.array([place.data for place in self.places], pa.binary())})


class Crew:
    """Workers that do ``work`` over batches; ``renew`` gives others when they died."""

    def __init__(
        self,
        hire: Callable[[], Executor | None],
        *,
        shared: bool = False,
        window: int = 8,
        work: Callable[[pa.Table], Examined] = examine,
        dismiss: Callable[[Executor], None] = lambda executor: executor.shutdown(wait=True, cancel_futures=True),
        alive: Callable[[], bool] = lambda: True,
    ) -> None:
        """``hire`` gives an executor, None to work in this process; ``shared``: one death leaves the others alone.

        ``alive`` tells whether there is any worker; an executor that says so by itself needs none.
        """
        self._hire = hire
        self.shared = shared
        self.window = window
        self._work = work
        self._dismiss = dismiss
        self._alive = alive
        self._executor = hire()

    def submit(self, batch: Batch) -> Future[Examined]:
        """Begin a batch."""
        if self._executor is None:
            future: Future[Examined] = Future()
            future.set_result(self._work(batch.table))
            return future
        try:
            return self._executor.submit(self._work, batch.table)
        except BrokenExecutor as error:
            failed: Future[Examined] = Future()
            failed.set_exception(error)
            return failed

    def result(self, future: Future[Examined]) -> Examined:
        """Return what a batch gave. Raises OSError when all workers are gone and none come, besides its own errors."""
        gone = 0.0
        while not wait([future], timeout=PATIENCE / 10).done:
            gone = 0.0 if self._alive() else gone + PATIENCE / 10
            if gone >= PATIENCE:
                raise OSError("the cluster has no workers any more; what was done is kept: give it workers, run again")
        return future.result()

    def renew(self) -> None:
        """Take on new workers in place of dead ones."""
        if not self.shared:
            self.dismiss()
            self._executor = self._hire()

    def dismiss(self) -> None:
        """Let the workers go; what they have not begun is dropped."""
        if self._executor is not None:
            self._dismiss(self._executor)


def local(jobs: int, work: Callable[[pa.Table], Examined] = examine) -> Crew:
    """Return ``jobs`` processes of this machine; for 1, this process itself (where a fatal content ends the run)."""
    if jobs == 1:
        return Crew(lambda: None, window=1, work=work)

    def hire() -> Executor:
        import multiprocessing
        from concurrent.futures import ProcessPoolExecutor

        # Arrow has threads of its own, which a fork would leave in any state.
        return ProcessPoolExecutor(
            jobs, mp_context=multiprocessing.get_context("spawn"), initializer=_ignore_interrupts
        )

    return Crew(hire, window=jobs * 4, work=work)


def cluster(address: str, work: Callable[[pa.Table], Examined] = examine) -> Crew:
    """Return the workers of the Dask cluster whose scheduler listens at ``address``. Raises OSError when none does."""
    from distributed import Client

    client = Client(address, set_as_default=False)
    threads = sum(client.nthreads().values()) or 1
    return Crew(
        lambda: client.get_executor(pure=False),
        shared=True,
        window=max(8, threads * 4),
        work=_WhenStarted(work),
        dismiss=lambda _: client.close(),
        alive=lambda: bool(client.scheduler_info()["workers"]),
    )


_started = False


class _WhenStarted(Struct, frozen=True):
    """Work that begins a second after its process does.

    Dask's nanny gives up on a worker that dies before it has said that it started, and one content could so take the
    cluster's workers one by one (``Nanny.instantiate`` in ``distributed/nanny.py``).
    """

    work: Callable[[pa.Table], Examined]

    def __call__(self, table: pa.Table) -> Examined:
        global _started
        if not _started:
            time.sleep(1)
            _started = True
        return self.work(table)


def survey(
    sources: Iterable[Source], store: Store, crew: Crew, met: Callable[[Totals], None] = lambda _: None
) -> Totals:
    """Follow all that is new in ``sources`` and keep it in ``store``; ``met`` is told from time to time how far it is.

    Results come into the store in the order of the sources, whoever does the work. When anything stops it, what was
    done until then is kept. Raises SourceError, OSError.
    """
    totals = Totals()
    try:
        for batch, examined in _results(_batches(sources, store, totals, met), crew):
            if examined is None:
                (place,) = batch.places
                totals.set_aside += ((place.source, place.path),)
                store.set_aside(unread(place.data, "set aside", "a worker process died on it"))
            else:
                totals.new += len(batch.contents)
                store.add(batch.contents, examined)
            met(totals)
    finally:
        store.flush()
    return totals


def _batches(sources: Iterable[Source], store: Store, totals: Totals, met: Callable[[Totals], None]) -> Iterator[Batch]:
    """Note each place, and yield the contents that are not done yet."""
    waiting: dict[str, Place] = {}
    for source in sources:
        for places in _chunks(source.read()):
            contents = [content_hash(place.data) for place in places]
            keys = [place_key(place, content) for place, content in zip(places, contents, strict=True)]
            known_places = store.known("places", keys)
            known_contents = store.known("contents", [bytes.fromhex(content) for content in contents])
            totals.places += len(places)
            for place, content, key in zip(places, contents, keys, strict=True):
                if key not in known_places:
                    known_places.add(key)
                    store.add_place(place, key, content)
                digest = bytes.fromhex(content)
                if digest not in known_contents:
                    known_contents.add(digest)
                    store.begin(digest)
                    waiting[content] = place
            met(totals)
            while len(waiting) >= BATCH:
                some = [(content, waiting.pop(content)) for content in list(waiting)[:BATCH]]
                yield Batch(tuple(place for _, place in some), tuple(content for content, _ in some))
    if waiting:
        yield Batch(tuple(waiting.values()), tuple(waiting))


def _chunks(places: Iterator[Place]) -> Iterator[list[Place]]:
    from itertools import islice

    while chunk := list(islice(places, _AHEAD)):
        yield chunk


def _results(batches: Iterator[Batch], crew: Crew) -> Iterator[tuple[Batch, Examined | None]]:
    """Yield what became of each batch, in order; None for one content (a batch by itself) on which workers died."""
    under_way: deque[tuple[Batch, Future[Examined]]] = deque()
    more = True
    while more or under_way:
        while more and len(under_way) < crew.window:
            batch = next(batches, None)
            more = batch is not None
            if batch is not None:
                under_way.append((batch, crew.submit(batch)))
        if not under_way:
            return
        batch, future = under_way.popleft()
        try:
            yield batch, crew.result(future)
        except Exception as error:
            if not _is_death(error):
                raise
            suspects = [(batch, future)]
            if not crew.shared:  # the dead process took the others' work along
                suspects += under_way
                under_way.clear()
                crew.renew()
            for suspect, done in suspects:
                if done.done() and done.exception() is None:
                    yield suspect, done.result()
                else:
                    yield from _carefully(suspect, crew)


def _carefully(batch: Batch, crew: Crew) -> Iterator[tuple[Batch, Examined | None]]:
    """Find the content on which a worker dies: all of the batch once more, then each by itself."""
    if len(batch.contents) > 1:
        if (examined := _try(batch, crew)) is not None:
            yield batch, examined
            return
        for place, content in zip(batch.places, batch.contents, strict=True):
            yield from _carefully(Batch((place,), (content,)), crew)
        return
    for _ in range(_TRIES):
        if (examined := _try(batch, crew)) is not None:
            yield batch, examined
            return
    yield batch, None


def _try(batch: Batch, crew: Crew) -> Examined | None:
    try:
        return crew.result(crew.submit(batch))
    except Exception as error:
        if not _is_death(error):
            raise
        crew.renew()
        return None


def _is_death(error: Exception) -> bool:
    """Return True if a worker died; of Dask's own errors the names, since it need not be installed."""
    return isinstance(error, (BrokenExecutor, CancelledError)) or type(error).__name__ in (
        "KilledWorker",
        "FutureCancelledError",
        "CommClosedError",
    )


def _ignore_interrupts() -> None:
    """Leave Ctrl-C to the parent, which then stops the workers."""
    import signal

    signal.signal(signal.SIGINT, signal.SIG_IGN)
