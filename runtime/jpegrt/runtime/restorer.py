"""One file from its bytes to the restored file: pixels, metadata, encoding, writing."""

import os
import threading
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

from jpegrt.runtime.batch import Job, Sessions
from jpegrt.runtime.errors import RestoreError
from jpegrt.runtime.image_formats import ImageFormat
from jpegrt.runtime.journal import Journal, stamp
from jpegrt.runtime.metadata import Metadata, read_metadata
from jpegrt.runtime.output import written_whole
from jpegrt.runtime.strips import Pixels, Strips

Report = dict[str, Any]


class Stopped(Exception):
    """The batch ends: what is not written yet is dropped."""


@dataclass(frozen=True)
class Restorer:
    """Threads may share it.

    strip: leave out metadata, all but what changes how the picture looks.
    journal: told of every output, before and after, and of every failure.
    on_strip: called after each strip of a large image, with how many there are by now and in all.
    """

    sessions: Sessions
    image_format: ImageFormat
    strip: bool = False
    overwrite: bool = False
    journal: Journal | None = None
    on_strip: Callable[[int, int], None] = lambda _done, _count: None

    def restore(
        self,
        content: bytes,
        destination: AbstractContextManager[IO[bytes]],
        stop: threading.Event | None = None,
    ) -> Report:
        """Writes the restored file; what is to be said of it.

        destination: gives an empty file once there is something to write. An image that needs no
            tiles is encoded when the session is another's already; a larger one strip by strip, as
            it is restored.
        stop: once it is set, nothing is finished.
        Raises RestoreError, Stopped.
        """
        metadata = read_metadata(content)
        width, height = metadata.size or (0, 0)
        with self.sessions.room(width * height):
            with self.sessions.borrow(width * height) as session:
                started = time.perf_counter()
                with session.strips(content, self.image_format.depth) as strips:
                    watch = _Watch(strips, time.perf_counter() - started, self.on_strip, stop)
                    image = replace(strips, make=watch.make)
                    if strips.count == 1:
                        image = Strips.of(image.joined())
                    else:
                        self._encode(image, metadata, destination, stop)
                    timings, account = session.timings, session.account
            if strips.count == 1:
                self._encode(image, metadata, destination, stop)
        encoded_s = time.perf_counter() - started - watch.seconds
        return {
            "width": strips.shape[1],
            "height": strips.shape[0],
            "components": 1 if len(strips.shape) == 2 else strips.shape[2],
            "model": account.model,
            "precision": account.precision,
            "engine": account.engine,
            "strength": account.strength,
            **({"choice": account.choice} if account.choice else {}),
            "milliseconds": {
                "entropy_decode": round(timings.entropy_decode_ms, 3),
                "unpack": round(timings.unpack_ms, 3),
                "network": round(timings.network_ms, 3),
                "pixels": round(timings.pixels_ms, 3),
                "restore": round(1e3 * watch.seconds, 3),
                "encode": round(1e3 * encoded_s, 3),
            },
        }

    def _encode(
        self,
        image: Strips,
        metadata: Metadata,
        destination: AbstractContextManager[IO[bytes]],
        stop: threading.Event | None,
    ) -> None:
        if self.strip:
            image = image.upright(metadata.orientation)
            metadata = metadata.turned_upright().stripped()
        with destination as file:
            self.image_format.write(image, metadata, file)
            if stop and stop.is_set():
                raise Stopped
            if self.journal:  # which must not know of more than what a power cut leaves
                file.flush()
                os.fsync(file.fileno())

    def __call__(self, job: Job, content: bytes | RestoreError, stop: threading.Event) -> Report:
        """Restores into a file, whole or not at all; the report has an "error" if it failed.

        content: the file's bytes, or why they cannot be had. Raises Stopped.
        """
        report: Report = {"input": str(job.source), "output": str(job.target)}
        try:
            try:
                if isinstance(content, RestoreError):
                    raise content
                said = self._write(content, job, stop)
            except MemoryError as error:
                raise RestoreError("not enough memory") from error
            return {**report, **said}
        except RestoreError as error:
            if self.journal:
                self.journal.fail(job.source, job.target, str(error))
            return {**report, "error": str(error)}

    def _write(self, content: bytes, job: Job, stop: threading.Event) -> Report:
        journal = self.journal

        def announce(part: Path) -> None:
            written = stamp(part)
            if journal and written:
                journal.announce(job.source, job.target, written)

        destination = written_whole(job.target, overwrite=self.overwrite, before_rename=announce)
        report = self.restore(content, destination, stop)
        if journal:
            journal.finish(job.target)
        return report


class _Watch:
    """Makes an image's strips, adds up how long that takes, and tells how many there are."""

    def __init__(
        self,
        strips: Strips,
        seconds: float,
        on_strip: Callable[[int, int], None],
        stop: threading.Event | None,
    ) -> None:
        self._strips, self._on_strip, self._stop = strips, on_strip, stop
        self._made, self.seconds = 0, seconds

    def make(self, index: int) -> Pixels:
        """Raises Stopped, and as the session does."""
        if self._stop and self._stop.is_set():
            raise Stopped
        started = time.perf_counter()
        strip = self._strips.make(index)
        self.seconds += time.perf_counter() - started
        self._made += 1
        if self._strips.count > 1:
            self._on_strip(self._made, self._strips.count)
        return strip
