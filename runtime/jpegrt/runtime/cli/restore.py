"""`jpegrt restore`."""

import argparse
import os
import signal
import sys
import tempfile
import threading
from collections.abc import Collection, Iterable, Iterator
from contextlib import ExitStack, closing, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

from jpegrt.runtime.auto_session import AUTO, open_session
from jpegrt.runtime.batch import Job, Sessions, work_through
from jpegrt.runtime.bundle import find_bundle
from jpegrt.runtime.cli.model_choice import choose_model
from jpegrt.runtime.cli.options import engine_options
from jpegrt.runtime.cli.progress import StripProgress
from jpegrt.runtime.cli.restore_options import add_restore_options
from jpegrt.runtime.cli.restore_plan import (
    STREAM,
    choose_format,
    goes_into_folder,
    plan_folder,
    refuse_input,
)
from jpegrt.runtime.cli.restore_report import tell_all
from jpegrt.runtime.cli.stdout import show_file
from jpegrt.runtime.errors import RestoreError, UsageError
from jpegrt.runtime.image_formats import ImageFormat
from jpegrt.runtime.inputs import JPEG_SUFFIXES, PIXEL_SUFFIXES, find_inputs, listed_inputs
from jpegrt.runtime.journal import Journal
from jpegrt.runtime.output import check_writable, remove_parts
from jpegrt.runtime.restorer import Report, Restorer
from jpegrt.runtime.session import Session, read_file, usable_cpus


class Interrupted(KeyboardInterrupt):
    """With how to go on."""


def configure(parser: argparse.ArgumentParser) -> None:
    add_restore_options(parser)
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    names: list[str] = arguments.inputs
    if not names and not arguments.files_from:
        raise UsageError("no inputs: name files or folders, or pass --files-from")
    arguments.model = choose_model(arguments.model, arguments.scale)
    output = Path(arguments.output)
    streams = STREAM in names or arguments.output == STREAM
    into_folder = not streams and (bool(arguments.files_from) or goes_into_folder(names, output))
    if arguments.resume and not into_folder:
        raise UsageError("--resume is for batches: name a folder as the output")
    with _terminable():
        if streams:
            return _restore_stream(arguments)
        return _restore_files(arguments, output, into_folder=into_folder)


@contextmanager
def _terminable() -> Iterator[None]:
    """Makes SIGTERM stop what is done here as Ctrl-C does."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _restore_stream(arguments: argparse.Namespace) -> int:
    """From stdin, or to stdout, or both."""
    if len(arguments.inputs) != 1 or arguments.files_from:
        raise UsageError("- stands for one image: restore it alone")
    to_stdout = arguments.output == STREAM
    target = Path(arguments.output)
    if to_stdout and arguments.json:
        raise UsageError("stdout cannot take the image and --json's report: name an output file")
    for name, stream in ((arguments.output, sys.stdout), (arguments.inputs[0], sys.stdin)):
        if name == STREAM and stream is None:  # where a program starts us without it
            raise UsageError("- stands for a stream that is closed: name a file")
    if to_stdout and sys.stdout.isatty():
        raise UsageError("stdout is a terminal: name an output file, or redirect stdout")
    image_format = _image_format(arguments, None if to_stdout else target)
    source = arguments.inputs[0]
    if not to_stdout:
        check_writable(target, overwrite=arguments.overwrite)
    sessions = _sessions(arguments, 1)
    restorer = Restorer(sessions, image_format, arguments.strip, arguments.overwrite)
    try:
        content = sys.stdin.buffer.read() if source == STREAM else read_file(Path(source))
        file = _restored(restorer, content) if to_stdout else None
    except RestoreError as error:
        raise RestoreError(f"{source}: {error}") from error
    if file:
        with file:
            show_file(file)
        return 0
    job = Job(Path(source), target)
    return _tell_all([restorer(job, content, threading.Event())], [job], arguments)


def _restored(restorer: Restorer, content: bytes) -> IO[bytes]:
    """In a temporary file: of an image that fails nothing is to be shown."""
    with ExitStack() as unless_it_fails:
        try:
            file = unless_it_fails.enter_context(tempfile.TemporaryFile())
            restorer.restore(content, nullcontext(file))
        except OSError as error:
            reason = error.strerror or error
            raise RestoreError(f"a temporary file cannot be written: {reason}") from error
        unless_it_fails.pop_all()
    return file


def _restore_files(arguments: argparse.Namespace, output: Path, *, into_folder: bool) -> int:
    image_format = _image_format(arguments, None if into_folder else output)
    if into_folder:
        jobs = _plan(arguments, output, image_format.suffix)
    else:
        jobs = [Job(Path(arguments.inputs[0]), output)]
        refuse_input(output, {os.path.realpath(arguments.inputs[0])})
    if not arguments.resume:
        _check(jobs, arguments)
    sessions = _sessions(arguments, len(jobs))
    if into_folder and (len(jobs) > 1 or arguments.resume):
        settings = _settings(arguments, image_format)
        with Journal(output, settings, alone=arguments.resume) as journal:
            restorer = Restorer(
                sessions, image_format, arguments.strip, arguments.overwrite, journal
            )
            return _restore_batch(restorer, journal, jobs, arguments)
    restorer = Restorer(sessions, image_format, arguments.strip, arguments.overwrite)
    if len(jobs) == 1:
        restorer = replace(restorer, on_strip=StripProgress())
    with closing(work_through(jobs, restorer, sessions.workers)) as results:
        return _tell_all(results, jobs, arguments)


def _restore_batch(
    restorer: Restorer, journal: Journal, jobs: list[Job], arguments: argparse.Namespace
) -> int:
    finished: set[Job] = set()
    if arguments.resume:
        finished = {job for job in jobs if journal.is_finished(job.source, job.target)}
    rest = [job for job in jobs if job not in finished]
    if arguments.resume:
        _check(rest, arguments)
        for folder in {job.target.parent for job in rest}:
            remove_parts(folder)
    results = work_through(rest, restorer, restorer.sessions.workers)
    try:
        with closing(results):
            return _tell_all(results, jobs, arguments, finished)
    except KeyboardInterrupt as error:
        raise Interrupted(
            f"interrupted; {journal.finished + len(finished):,} of {len(jobs):,} are finished: "
            "to go on, run the same command with --resume"
        ) from error


def _tell_all(
    results: Iterable[Report],
    jobs: list[Job],
    arguments: argparse.Namespace,
    finished: Collection[Job] = (),
) -> int:
    return tell_all(results, jobs, finished, as_json=arguments.json, progress=arguments.progress)


def _plan(arguments: argparse.Namespace, folder: Path, suffix: str) -> list[Job]:
    suffixes = JPEG_SUFFIXES
    if arguments.model not in ("none", AUTO) and find_bundle(arguments.model).spec.takes_pixels:
        suffixes |= PIXEL_SUFFIXES
    inputs = find_inputs(
        arguments.inputs, suffixes, recursive=arguments.recursive, apart_from=folder
    )
    if arguments.files_from:
        inputs += listed_inputs(arguments.files_from)
    return plan_folder(inputs, folder, suffix)


def _check(jobs: list[Job], arguments: argparse.Namespace) -> None:
    for job in jobs:
        try:
            check_writable(job.target, overwrite=arguments.overwrite)
        except UsageError as error:
            if not arguments.resume:
                raise
            raise UsageError(f"{error}; the journal does not know it as finished") from error


def _image_format(arguments: argparse.Namespace, output: Path | None) -> ImageFormat:
    name = choose_format(arguments.format, output)
    return ImageFormat(name, arguments.depth, arguments.quality)


def _settings(arguments: argparse.Namespace, image_format: ImageFormat) -> dict[str, Any]:
    """What the outputs depend on."""
    return {
        "model": arguments.model,
        "precision": arguments.precision,
        "project": arguments.project,
        "strength": arguments.strength,
        "format": image_format.name,
        "depth": image_format.depth,
        "quality": image_format.quality,
        "strip": arguments.strip,
    }


def _sessions(arguments: argparse.Namespace, images: int) -> Sessions:
    def make(threads: int) -> Session:
        return open_session(
            arguments.model,
            strength=arguments.strength,
            precision=arguments.precision,
            **engine_options(arguments),
            threads=threads,
            allow_damaged=arguments.allow_damaged,
            max_pixels=arguments.max_pixels,
            memory=arguments.memory.part(share(threads)),
            project=arguments.project,
        )

    def share(threads: int) -> float:
        """Of the memory: half is for large images, half for those that are restored at once."""
        if all_threads == 1 or images == 1:
            return 1
        return 0.5 if threads == all_threads else 0.5 / min(all_threads, images)

    all_threads = arguments.threads or usable_cpus()
    return Sessions(make, all_threads, images)
