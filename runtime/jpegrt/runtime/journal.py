"""The journal of a batch: what is finished, what failed and why, so that it can go on later.

A file of JSON lines in the output folder, only ever appended to. A run begins with its settings.
An output is announced with its size and time before it gets its name, and is finished after; so
that whenever a run is killed, it can be told whether a file of that name is the one announced.
"""

import fcntl
import json
import os
import threading
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from jpegrt.runtime.errors import RestoreError, UsageError

JOURNAL_NAME = ".jpegrt-journal.jsonl"
_SYNC_S = 1.0  # a power cut costs what was noted since: outputs of which nobody knows

Stamp = tuple[int, int]  # bytes, and nanoseconds of the time of the last change


@dataclass(frozen=True)
class _Entry:
    """The last that was said of an output."""

    input: Stamp
    settings: dict[str, Any]
    announced: Stamp
    finished: bool


def stamp(path: Path) -> Stamp | None:
    """None if there is no such file, or it cannot be seen."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_size, status.st_mtime_ns


class Journal:
    """Threads may share it.

    settings: what outputs depend on, beside their inputs.
    alone: whether no other batch may be writing into the folder, as when one is gone on with.
    Raises UsageError.
    """

    def __init__(self, folder: Path, settings: dict[str, Any], *, alone: bool) -> None:
        self._folder, self._settings = folder, settings
        self.finished = 0  # outputs, since it was opened
        self._turn = threading.Lock()
        path = folder / JOURNAL_NAME
        try:
            folder.mkdir(parents=True, exist_ok=True)
            # In one write each, so that lines of several batches do not mix.
            self._file = path.open("ab+", buffering=0)
            self._lock(alone)
            self._file.seek(0)
            content = self._file.read()
        except OSError as error:
            raise UsageError(f"{path} cannot be written: {error.strerror or error}") from error
        self._entries = _entries(content)
        self._synced = time.monotonic()
        if content and not content.endswith(b"\n"):  # torn when the last run was killed
            self._file.write(b"\n")
        self._append({"settings": settings})

    def _lock(self, alone: bool) -> None:
        try:
            fcntl.flock(self._file, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
        except BlockingIOError as error:
            self._file.close()
            raise UsageError(
                f"another jpegrt is writing into {self._folder}: wait until it has ended"
            ) from error
        except OSError:  # a file system without locks
            pass

    def is_finished(self, source: Path, target: Path) -> bool:
        """Whether `target` is there, made of `source` as it is now.

        Raises UsageError if it was made with other settings.
        """
        entry, now = self._entries.get(self._name(target)), stamp(target)
        if entry is None or now is None or entry.input != stamp(source):
            return False
        if not entry.finished and entry.announced != now:
            return False
        if entry.settings != self._settings:
            changed = sorted(
                name
                for name in {*entry.settings, *self._settings}
                if entry.settings.get(name) != self._settings.get(name)
            )
            raise UsageError(
                f"{target} was made with another {' and '.join(changed)}: resume with the same "
                "options, or restore it again with --overwrite and without --resume"
            )
        return True

    def announce(self, source: Path, target: Path, written: Stamp) -> None:
        """To be called before a file with the stamp `written` is renamed to `target`."""
        self._append(
            {
                "output": self._name(target),
                "input": str(source),
                "input_stamp": stamp(source),
                "stamp": written,
            }
        )

    def finish(self, target: Path) -> None:
        self._append({"output": self._name(target), "finished": True})
        with self._turn:
            self.finished += 1

    def fail(self, source: Path, target: Path, reason: str) -> None:
        self._append({"output": self._name(target), "input": str(source), "failed": reason})

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        with self._turn, suppress(OSError):
            os.fsync(self._file.fileno())
            self._file.close()

    def _name(self, target: Path) -> str:
        return target.relative_to(self._folder).as_posix()

    def _append(self, line: dict[str, Any]) -> None:
        """Raises RestoreError."""
        with self._turn:
            try:
                self._file.write(json.dumps(line).encode() + b"\n")
                if time.monotonic() > self._synced + _SYNC_S:
                    os.fsync(self._file.fileno())
                    self._synced = time.monotonic()
            except OSError as error:
                raise RestoreError(
                    f"the journal {self._folder / JOURNAL_NAME} cannot be written: {error.strerror}"
                ) from error


def _entries(content: bytes) -> dict[str, _Entry]:
    """By outputs' names. Lines that make no sense are torn ones."""
    settings: dict[str, Any] = {}
    entries: dict[str, _Entry] = {}
    for line in content.splitlines():
        try:
            said = json.loads(line)
            if "settings" in said:
                settings = said["settings"]
            elif "stamp" in said:
                entries[said["output"]] = _Entry(
                    _stamp_of(said["input_stamp"]), settings, _stamp_of(said["stamp"]), False
                )
            elif "finished" in said and (entry := entries.get(said["output"])):
                entries[said["output"]] = _Entry(entry.input, entry.settings, entry.announced, True)
        except (ValueError, TypeError, KeyError):
            continue
    return entries


def _stamp_of(said: Any) -> Stamp:
    size, changed_ns = said
    return int(size), int(changed_ns)
