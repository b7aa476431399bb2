"""From a process's start to its first restored image, and the memory of such a process."""

import json
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jpegrt.runtime.errors import RestoreError, one_line

_WARM_RESTORES = 3


@dataclass(frozen=True)
class ColdStart:
    """Medians over processes, in milliseconds since each was started; memory in MiB, the largest.

    imported: Python and jpegrt are loaded. opened: the session is made. first: the first image is
    there. warm_ms: what an image took after some.
    """

    imported_ms: float
    opened_ms: float
    first_ms: float
    warm_ms: float
    peak_mib: float


@dataclass(frozen=True)
class Process:
    """What a process opens, to restore one JPEG file. model: "none" for a plain decoder."""

    model: str
    precision: str
    engine: str
    threads: int

    def restore(self, jpeg: Path, times: int) -> dict[str, Any]:
        """What the process says of itself when it has restored the file so often. Raises
        RestoreError if it fails."""
        command = [sys.executable, "-m", "jpegrt.runtime.bench.first_image"]
        command += [self.model, self.precision, self.engine, str(self.threads)]
        command += [str(jpeg), str(times)]
        result = subprocess.run(command, check=False, capture_output=True, text=True)
        if result.returncode:
            last = result.stderr.strip().splitlines()[-1:] or ["it says nothing"]
            raise RestoreError(f"a process that restores one image failed: {one_line(last[0])}")
        report: dict[str, Any] = json.loads(result.stdout)
        return report

    def peak_mib(self, jpeg: Path) -> float:
        """The most memory that it has to restore the file once. Raises RestoreError."""
        return round(float(self.restore(jpeg, 1)["peak_mib"]), 1)


def measure_cold_start(process: Process, jpeg: Path, processes: int) -> ColdStart:
    """Starts so many processes, one after another. Raises RestoreError if one fails."""
    reports = []
    for _ in range(processes):
        started = time.perf_counter()
        report = process.restore(jpeg, 1 + _WARM_RESTORES)
        first, *_, before_last, last_restored = report["restored"]
        moments = (report["imported"], report["opened"], first)
        since = [1e3 * (moment - started) for moment in moments]
        reports.append((*since, 1e3 * (last_restored - before_last), report["peak_mib"]))
    imported, opened, first_ms, warm = (
        round(statistics.median(column), 3) for column in list(zip(*reports, strict=True))[:4]
    )
    return ColdStart(imported, opened, first_ms, warm, round(max(r[4] for r in reports), 1))
