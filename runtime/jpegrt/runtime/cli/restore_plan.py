"""What `jpegrt restore` is to do: found, named and checked before any work is done."""

import glob
import os
from collections.abc import Sequence
from pathlib import Path

from jpegrt.runtime.batch import Job
from jpegrt.runtime.errors import UsageError
from jpegrt.runtime.image_formats import FORMAT_NAMES, format_of_name
from jpegrt.runtime.inputs import Input
from jpegrt.runtime.output import output_path

STREAM = "-"


def goes_into_folder(names: Sequence[str], output: Path) -> bool:
    """Whether outputs are named after their inputs, in the folder `output`."""
    return (
        len(names) != 1
        or os.path.isdir(output)  # which raises nothing, unlike Path's
        or os.path.isdir(names[0])
        or (glob.has_magic(names[0]) and not os.path.lexists(names[0]))
    )


def choose_format(asked_for: str | None, output: Path | None) -> str:
    """One of FORMAT_NAMES. output: the file to write, whose name tells; None: PNG."""
    if asked_for or output is None:
        return asked_for or "png"
    if (format_name := format_of_name(output)) is None:
        raise UsageError(
            f"{output}: its name tells no format: end it in .png, .tiff, .webp, .jpg or .avif, "
            f"or pass --format {'|'.join(FORMAT_NAMES)}"
        )
    return format_name


def plan_folder(inputs: Sequence[Input], folder: Path, suffix: str) -> list[Job]:
    """Raises UsageError if two inputs would be written to one output, or one over an input."""
    sources = {os.path.realpath(found.path) for found in inputs}
    jobs: dict[Path, Job] = {}
    for found in inputs:
        target = output_path(found.place, folder, suffix)
        if target in jobs:
            raise UsageError(f"two inputs would be written to {target}: restore them separately")
        refuse_input(target, sources)
        jobs[target] = Job(found.path, target)
    return list(jobs.values())


def refuse_input(target: Path, sources: set[str]) -> None:
    if os.path.realpath(target) in sources:
        raise UsageError(f"{target} is an input, which restoring would replace: name another one")
