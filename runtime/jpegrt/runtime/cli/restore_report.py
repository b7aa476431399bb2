"""What `jpegrt restore` says of its work: a line for each image, failures, a summary, or JSON."""

import json
import sys
import time
from collections.abc import Collection, Iterable, Sequence

from jpegrt.runtime.batch import Job
from jpegrt.runtime.cli.progress import Progress, duration
from jpegrt.runtime.cli.stdout import show
from jpegrt.runtime.errors import RestoreError, one_line
from jpegrt.runtime.restorer import Report


def tell_all(
    results: Iterable[Report],
    jobs: Sequence[Job],
    finished: Collection[Job] = (),
    *,
    as_json: bool,
    progress: bool,
) -> int:
    """Tells of each result as it comes; returns the exit code.

    jobs: those that the results are of, and those that were `finished` before.
    """
    started = time.monotonic()
    count = len(jobs) - len(finished)
    line = Progress(count, asked_for=progress)
    reports: dict[str, Report] = {str(job.target): _finished_before(job) for job in finished}
    errors, told = 0, True
    try:
        for report in results:
            if as_json:
                reports[report["output"]] = report
            failed = "error" in report
            errors += failed
            line.clear()
            if failed:
                complaint = one_line(f"{report['input']}: {report['error']}")
                print(f"jpegrt: {complaint}", file=sys.stderr)
            elif not as_json:
                told &= _tell(_line(report))
            line.step(failed=failed)
    finally:  # an interrupt's too
        line.clear()
        if as_json:
            ordered = [reports[str(job.target)] for job in jobs if str(job.target) in reports]
            told &= _tell(json.dumps(ordered, indent=1))
    if not as_json and len(jobs) > 1:
        told &= _tell(_summary(count, errors, len(finished), time.monotonic() - started))
    return 1 if errors or not told else 0


def _tell(text: str) -> bool:
    """False, with the reason on stderr, if stdout fails: the other images are wanted anyway."""
    try:
        show(text)
    except BrokenPipeError:  # nobody reads it, which is no failure
        pass
    except RestoreError as error:
        print(f"jpegrt: {error}", file=sys.stderr)
        return False
    return True


def _finished_before(job: Job) -> Report:
    return {"input": str(job.source), "output": str(job.target), "finished_before": True}


def _line(report: Report) -> str:
    times, strength = report["milliseconds"], report["strength"]
    partly = f" at strength {strength:g}" if 0 < strength < 1 else ""
    choice = f"; {report['choice']}" if "choice" in report else ""
    return (
        f"{one_line(report['output'])}: {report['width']} x {report['height']}, {report['model']} "
        f"{report['precision']}{partly}, restored in {times['restore']:.0f} ms "
        f"(network {times['network']:.0f} ms), written in {times['encode']:.0f} ms{choice}"
    )


def _summary(count: int, errors: int, before: int, seconds: float) -> str:
    earlier = f", {before:,} finished before" if before else ""
    return (
        f"{count - errors:,} restored, {errors:,} failed{earlier}, in {duration(seconds)} "
        f"({count / max(seconds, 1e-9):.1f} images a second)"
    )
