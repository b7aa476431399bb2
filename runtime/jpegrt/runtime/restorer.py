"""One file from its bytes to the restored file: pixels, metadata, encoding, writing."""

import os
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jpegrt.runtime.batch import Job, Sessions
from jpegrt.runtime.errors import RestoreError
from jpegrt.runtime.image_formats import ImageFormat
from jpegrt.runtime.journal import Journal, stamp
from jpegrt.runtime.metadata import read_metadata
from jpegrt.runtime.orientation import upright
from jpegrt.runtime.output import written_whole

Report = dict[str, Any]


class Stopped(Exception):
    """The batch ends: what is not written yet is dropped."""


@dataclass(frozen=True)
class Restorer:
    """Threads may share it.

    strip: leave out metadata, all but what changes how the picture looks.
    journal: told of every output, before and after, and of every failure.
    """

    sessions: Sessions
    image_format: ImageFormat
    strip: bool = False
    overwrite: bool = False
    journal: Journal | None = None

    def restore(self, content: bytes) -> tuple[bytes, Report]:
        """The restored file, and what is to be said of it. Raises RestoreError."""
        metadata = read_metadata(content)
        width, height = metadata.size or (0, 0)
        with self.sessions.room(width * height):
            with self.sessions.borrow(width * height) as session:
                started = time.perf_counter()
                pixels, timings = session.restore_timed(content, self.image_format.depth)
                restored = time.perf_counter()
            report = {
                "width": pixels.shape[1],
                "height": pixels.shape[0],
                "components": 1 if pixels.ndim == 2 else 3,
                "model": session.model_name,
                "precision": session.precision,
                "engine": session.engine_name,
            }
            times = {
                "entropy_decode": round(timings.entropy_decode_ms, 3),
                "unpack": round(timings.unpack_ms, 3),
                "network": round(timings.network_ms, 3),
                "pixels": round(timings.pixels_ms, 3),
                "restore": round(1e3 * (restored - started), 3),
            }
            encoding = time.perf_counter()
            if self.strip:
                pixels = upright(pixels, metadata.orientation)
                metadata = metadata.turned_upright().stripped()
            file = self.image_format.encode(pixels, metadata)
            times["encode"] = round(1e3 * (time.perf_counter() - encoding), 3)
        return file, {**report, "milliseconds": times}

    def __call__(self, job: Job, content: bytes | RestoreError, stop: threading.Event) -> Report:
        """Restores into a file, whole or not at all; the report has an "error" if it failed.

        content: the file's bytes, or why they cannot be had. Raises Stopped.
        """
        report: Report = {"input": str(job.source), "output": str(job.target)}
        try:
            try:
                if isinstance(content, RestoreError):
                    raise content
                file, said = self.restore(content)
                if stop.is_set():
                    raise Stopped
                said["milliseconds"]["encode"] += self._write(file, job)
            except MemoryError as error:
                raise RestoreError("not enough memory") from error
            return {**report, **said}
        except RestoreError as error:
            if self.journal:
                self.journal.fail(job.source, job.target, str(error))
            return {**report, "error": str(error)}

    def _write(self, content: bytes, job: Job) -> float:
        """Returns the milliseconds that it took."""
        journal, started = self.journal, time.perf_counter()

        def announce(part: Path) -> None:
            written = stamp(part)
            if journal and written:
                journal.announce(job.source, job.target, written)

        with written_whole(job.target, overwrite=self.overwrite, before_rename=announce) as file:
            file.write(content)
            if journal:  # which must not know of more than what a power cut leaves
                file.flush()
                os.fsync(file.fileno())
        if journal:
            journal.finish(job.target)
        return round(1e3 * (time.perf_counter() - started), 3)
