"""A bundle's engines, built once each: under a lock, written whole, with a sidecar."""

import fcntl
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory

from jpegrt.export.builder import BuildError, driver_version, find_vendor
from jpegrt.export.engine_graphs import EngineGraph, engine_graphs
from jpegrt.export.profiles import Profile
from jpegrt.kernels import ModelSpec
from jpegrt.runtime.bundle import Bundle
from jpegrt.runtime.engine_files import (
    EngineFacts,
    engine_name,
    read_facts,
    read_whole,
    sidecar_of,
)
from jpegrt.runtime.errors import UsageError


@dataclass(frozen=True)
class BuildRequest:
    """Which engines to build. graphs: all if empty. flavour: None is one that is installed."""

    bundle: Bundle
    folder: Path
    targets: Sequence[str]
    precisions: Sequence[str]
    profiles: Sequence[Profile]
    flavour: str | None = None
    graphs: Sequence[str] = ()
    processes: int = 1


@dataclass(frozen=True)
class Built:
    """One engine: its file, and either its facts or why there is none."""

    engine: Path
    target: str
    facts: EngineFacts | None
    was_there: bool = False
    failure: str = ""


@dataclass(frozen=True)
class _Job:
    """Picklable: what one process needs to build one engine."""

    model: str
    spec: ModelSpec
    graph: EngineGraph
    flavour: str
    target: str
    profiles: Sequence[Profile]
    engine: Path


def build(request: BuildRequest, report: Callable[[str], None]) -> list[Built]:
    """Builds what is missing or stale, in order of precision, graph and target.

    A graph that a target's builder refuses is in the result with the reason; the others are built.
    Raises UsageError, and VerificationError for a derived precision that loses too much.
    """
    vendor = find_vendor(request.flavour)
    for target in request.targets:
        vendor.check_target(target)
    _make_folder(request.folder)
    with TemporaryDirectory() as scratch:
        graphs = [
            graph
            for precision in dict.fromkeys(request.precisions)
            for graph in engine_graphs(request.bundle, precision, Path(scratch), report)
            if not request.graphs or graph.name in request.graphs
        ]
        jobs = [
            _Job(
                request.bundle.name,
                request.bundle.spec,
                graph,
                vendor.flavour,
                target,
                request.profiles,
                request.folder
                / engine_name(graph.name, graph.precision, vendor.flavour, vendor.version, target),
            )
            for graph in graphs
            for target in dict.fromkeys(request.targets)
        ]
        results = []
        for number, built in enumerate(_run(jobs, request.processes), 1):
            report(f"[{number}/{len(jobs)}] {_progress(built)}")
            results.append(built)
        return results


def _run(jobs: Sequence[_Job], processes: int) -> Iterator[Built]:
    if processes == 1 or len(jobs) < 2:
        yield from map(_build_once, jobs)
        return
    # Spawned: a builder's threads and memory do not survive a fork.
    with ProcessPoolExecutor(min(processes, len(jobs)), get_context("spawn")) as pool:
        try:
            yield from pool.map(_build_once, jobs)
        except BrokenProcessPool as error:
            raise BuildError(
                "a process that built an engine was ended by the system; "
                "run it again with a smaller -j"
            ) from error


def _progress(built: Built) -> str:
    if built.facts is None:
        return f"{built.engine.name}: {built.failure}"
    if built.was_there:
        return f"{built.engine.name}: up to date"
    return f"{built.engine.name}: {built.facts.build_seconds:.1f} s"


def _make_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        writable = os.access(folder, os.W_OK | os.X_OK)
    except OSError as error:
        raise UsageError(
            f"{folder} cannot be made ({error.strerror}): choose another with -o"
        ) from error
    if not writable:
        raise UsageError(f"{folder} cannot be written to: choose another with -o")


def _build_once(job: _Job) -> Built:
    """Whoever comes second waits, and finds the first one's engine."""
    with locked(job.engine.with_name(f".{job.engine.name}.lock")):
        if (facts := _up_to_date(job)) is not None:
            return Built(job.engine, job.target, facts, was_there=True)
        try:
            return Built(job.engine, job.target, _build(job))
        except BuildError as error:
            return Built(job.engine, job.target, None, failure=str(error))


def _build(job: _Job) -> EngineFacts:
    vendor = find_vendor(job.flavour)
    cache = job.engine.with_name(f"timing.{job.flavour}-{vendor.version}.{job.target}.cache")
    timings = b""
    with suppress(OSError):
        timings = cache.read_bytes()
    started = time.perf_counter()
    onnx = job.graph.onnx.read_bytes()
    engine, learnt = vendor.build(onnx, job.spec, job.target, job.profiles, timings)
    facts = EngineFacts(
        job.model,
        job.graph.name,
        job.graph.precision,
        job.flavour,
        vendor.version,
        job.target,
        driver_version(),
        _profiles(job),
        job.graph.source,
        job.graph.source_sha256,
        hashlib.sha256(onnx).hexdigest(),
        hashlib.sha256(engine).hexdigest(),
        len(engine),
        round(time.perf_counter() - started, 3),
    )
    if learnt:
        _write(cache, learnt)
    # The sidecar last: without one that fits, an engine counts as none.
    _write(job.engine, engine)
    _write(sidecar_of(job.engine), (json.dumps(facts.to_json(), indent=1) + "\n").encode())
    return facts


def _up_to_date(job: _Job) -> EngineFacts | None:
    with suppress(UsageError):
        facts = read_facts(job.engine)
        onnx = hashlib.sha256(job.graph.onnx.read_bytes()).hexdigest()
        same = (
            facts.source_sha256 == job.graph.source_sha256
            and facts.onnx_sha256 == onnx
            and facts.profiles == _profiles(job)
        )
        if same and read_whole(job.engine, facts):
            return facts
    return None


def _profiles(job: _Job) -> dict[str, dict[str, list[int]]]:
    return {profile.name: profile.to_json() for profile in job.profiles}


def _write(path: Path, content: bytes) -> None:
    """Whole or not at all. The name is fixed, so that what a killed build left is overwritten."""
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(content)
    part.replace(path)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Holds the lock file `path`, alone among processes; the system frees it if we are killed."""
    while True:
        try:
            lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            raise UsageError(
                f"{path.parent} cannot be written to ({error.strerror}): choose another with -o"
            ) from error
        fcntl.flock(lock, fcntl.LOCK_EX)
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(lock), os.stat(path)):
                break
        os.close(lock)  # its holder has removed it meanwhile: that lock locks nothing any more
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(lock)
