"""Many images at once: reading, decoding, the network and encoding overlap from file to file."""

import queue
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from jpegrt.runtime.errors import RestoreError
from jpegrt.runtime.session import Session, read_file

# From here on an image is worth all threads; below, threads that share one wait for each other.
LARGE_PIXELS = 1 << 22
_LARGE_AT_ONCE = 2  # one in the network, one being written

Result = TypeVar("Result")


@dataclass(frozen=True)
class Job:
    source: Path
    target: Path


class Sessions:
    """Sessions to borrow: for small images one for each thread, for large ones one of all threads.

    make: makes a session of so many threads. It is called here for the sessions needed at once.
    large_pixels: from here on an image is large.
    """

    def __init__(
        self,
        make: Callable[[int], Session],
        threads: int,
        images: int,
        large_pixels: int = LARGE_PIXELS,
    ) -> None:
        self._make, self._threads, self._large_pixels = make, threads, large_pixels
        self.workers = min(threads + 1, images)  # one reads or writes while the others compute
        self._wide_turn = threading.Lock()
        self._large = threading.BoundedSemaphore(_LARGE_AT_ONCE)
        self._wide: Session | None = None
        self._idle: queue.SimpleQueue[Session] = queue.SimpleQueue()
        if self.workers == 1:
            self._wide = make(threads)
            return
        for _ in range(min(threads, images)):
            narrow = make(1)
            self._idle.put(narrow)
        if threads == 1:
            self._wide = narrow

    @contextmanager
    def borrow(self, pixels: int) -> Iterator[Session]:
        """A session for an image of so many pixels, for this thread alone."""
        if self.workers == 1 or pixels >= self._large_pixels:
            with self._wide_turn:
                if self._wide is None:
                    self._wide = self._make(self._threads)
                yield self._wide
            return
        session = self._idle.get()
        try:
            yield session
        finally:
            self._idle.put(session)

    @contextmanager
    def room(self, pixels: int) -> Iterator[None]:
        """Waits while other large images take all the memory that there is for them."""
        with self._large if pixels >= self._large_pixels else nullcontext():
            yield


def work_through(
    jobs: Sequence[Job],
    work: Callable[[Job, bytes | RestoreError, threading.Event], Result],
    workers: int,
) -> Generator[Result, None, None]:
    """What `work` makes of each job and its file's bytes, in the order in which they end.

    One thread reads ahead, `workers` threads work. Closed early, or if `work` raises, the event
    that `work` gets is set, jobs not begun are dropped, and the threads are waited for.
    """
    stop = threading.Event()
    ready: queue.Queue[tuple[Job, bytes | RestoreError] | None] = queue.Queue(workers)
    ended: queue.SimpleQueue[tuple[Result | None, BaseException | None]] = queue.SimpleQueue()

    def read_ahead() -> None:
        for job in jobs:
            if stop.is_set():
                break
            try:
                ready.put((job, read_file(job.source)))
            except (RestoreError, MemoryError) as error:
                ready.put((job, RestoreError(str(error) or "not enough memory to read it")))
        for _ in range(workers):
            ready.put(None)

    def work_on() -> None:
        while (item := ready.get()) is not None:
            if stop.is_set():
                continue
            try:
                ended.put((work(*item, stop), None))
            except BaseException as error:  # noqa: BLE001 - it is raised again where it is awaited
                ended.put((None, error))

    threads = [threading.Thread(target=work_on, daemon=True) for _ in range(workers)]
    threads.append(threading.Thread(target=read_ahead, daemon=True))
    for thread in threads:
        thread.start()
    try:
        for _ in jobs:
            result, error = ended.get()
            if error is not None:
                raise error
            yield result  # type: ignore[misc]  # there is one where there is no error
    finally:
        stop.set()
        for thread in threads:
            thread.join()
