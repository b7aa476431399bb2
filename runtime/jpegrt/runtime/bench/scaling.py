"""Throughput against batch and threads, and latency against image size."""

from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from threading import Event

import numpy as np

from jpegrt.kernels.libjpeg import plain_decode
from jpegrt.runtime.batch import Job, Sessions, work_through
from jpegrt.runtime.bench.restores import Restores, Setup
from jpegrt.runtime.bench.rounds import Contender, measure, silent
from jpegrt.runtime.bench.workload import Case
from jpegrt.runtime.errors import RestoreError

Say = Callable[[str], None]


def measure_throughput(
    setup: Setup,
    case: Case,
    threads: Sequence[int],
    batches: Sequence[int],
    rounds: int,
    folder: Path,
    say: Say,
) -> list[dict[str, float]]:
    """Images a second, for each number of threads and of images that are handed over at once.

    They go the way of `jpegrt restore`: a batch is restored in parallel, one image on each thread.
    """
    source = folder / "batched.jpg"
    source.write_bytes(case.jpeg)
    contenders, combinations = [], []
    for count in threads:
        for batch in batches:
            sessions = Sessions(setup.open, count, batch)
            name = f"{setup.name}, {count} threads, {batch} images"
            contenders.append(Contender(name, partial(_restore_all, source, batch, sessions)))
            combinations.append((name, count, batch))
    say(f"throughput of {setup.name}")
    samples = measure(contenders, rounds, seconds=0)
    return [
        {
            "threads": count,
            "batch": batch,
            "images_per_s": round(batch / float(np.median(samples[name].blocks_s)), 3),
        }
        for name, count, batch in combinations
    ]


def _restore_all(source: Path, batch: int, sessions: Sessions) -> None:
    def work(job: Job, content: bytes | RestoreError, stop: Event) -> None:
        if isinstance(content, RestoreError):
            raise content
        with sessions.borrow(0) as session:
            session.restore(content)

    for _ in work_through([Job(source, source)] * batch, work, sessions.workers):
        pass


def measure_sizes(
    restores: Restores, cases: Sequence[Case], rounds: int, folder: Path, say: Say
) -> list[dict[str, float]]:
    """Milliseconds of a restore and of a plain decode, and the memory of a process that restores
    once, for each size."""
    session, name = restores.session, restores.setup.name
    contenders = []
    for case in cases:
        pixels = np.empty(case.original.shape, np.uint8)
        contenders += [
            Contender(f"restore {case.megapixels}", silent(partial(session.restore, case.jpeg))),
            Contender(f"decode {case.megapixels}", partial(plain_decode, case.jpeg, pixels)),
        ]
    say(f"{name} against image size")
    samples = measure(contenders, rounds, seconds=0)
    return [
        {
            "megapixels": round(case.megapixels, 4),
            "restore_ms": _median_ms(samples[f"restore {case.megapixels}"].blocks_s),
            "plain_decode_ms": _median_ms(samples[f"decode {case.megapixels}"].blocks_s),
            "peak_mib": _peak_mib(restores.setup, case, folder),
        }
        for case in cases
    ]


def _peak_mib(setup: Setup, case: Case, folder: Path) -> float:
    jpeg = folder / "sized.jpg"
    jpeg.write_bytes(case.jpeg)
    return setup.process.peak_mib(jpeg)


def _median_ms(seconds: Sequence[float]) -> float:
    return round(1e3 * float(np.median(seconds)), 4)
