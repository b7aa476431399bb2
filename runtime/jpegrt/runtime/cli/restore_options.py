"""What `jpegrt restore` can be asked for."""

import argparse
from contextlib import suppress

from jpegrt.runtime.cli.model_choice import SCALES
from jpegrt.runtime.cli.options import (
    add_limit_option,
    add_model_options,
    add_strength_option,
    within,
)
from jpegrt.runtime.image_formats import DEFAULT_QUALITIES, FORMAT_NAMES
from jpegrt.runtime.memory import Memory


def add_restore_options(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Restore JPEGs: one file to a file, or files, folders and patterns into a folder, with the "
        "folders found there. A file that cannot be restored is reported and leaves no output; the "
        "others are restored. Models that take pixels (domain luma or rgb) restore PNG, WebP and "
        "PNM files too. ICC profiles, EXIF, XMP and density are kept. So is EXIF's orientation, "
        "with the pixels as they were stored; in PNGs, where many viewers do not look for it, the "
        "pixels are turned instead and the orientation says upright."
    )
    parser.add_argument(
        "inputs",
        nargs="*",
        metavar="INPUT",
        help="files, folders, patterns such as 'photos/**/*.jpg', or - for stdin",
    )
    parser.add_argument(
        "-o",
        "--output",
        required=True,
        metavar="OUTPUT",
        help="a file, a folder, or - for stdout",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace outputs that exist")
    parser.add_argument(
        "--allow-damaged",
        action="store_true",
        help="restore what is there of truncated or corrupt files",
    )
    _add_format_options(parser)
    _add_batch_options(parser)
    parser.add_argument(
        "--project",
        type=_slack,
        nargs="?",
        const=0.0,
        metavar="SLACK",
        help="keep the DCT coefficients of what is restored within the intervals that the file's "
        "quantisation leaves them, or SLACK steps beyond (default: 0). Off unless given: a trained "
        "model gains about 0.01 dB by it, one that smooths too much up to 1 dB; files of "
        "encoders that do not simply round, such as mozjpeg, need slack, 0.5 say. Not for "
        "models that take pixels, nor for components that are subsampled",
    )
    add_limit_option(parser)
    parser.add_argument(
        "--memory",
        type=_memory,
        default=Memory.of(None),
        metavar="SIZE",
        help="how much restoring may take in all, such as 512M, 2G or 25%% of the machine's "
        "(default: 25%%). Images that would need more are restored in tiles, which makes the same "
        "pixels, and written strip by strip; what needs more all the same is refused if SIZE was "
        "given. JPEG, WebP and AVIF, and PNGs that are to be turned "
        "by a quarter, take the image's pixels besides",
    )
    parser.add_argument("--json", action="store_true", help="report on stdout as JSON")
    group = add_model_options(
        parser,
        "(default: auto, which chooses model and strength for each JPEG by its tables and what was "
        "measured, leaves those alone that no model makes better, and goes back to the first "
        "compression of those that were compressed more than once, if it did most of the harm)",
    )
    add_strength_option(group)
    group.add_argument(
        "--scale",
        type=int,
        choices=SCALES,
        help="enlarge so many times, with a shipped model that does so unless --model names one",
    )
    parser.set_defaults(model=None)  # so that it is seen whether it was named


def _add_format_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("format")
    group.add_argument(
        "--format",
        choices=FORMAT_NAMES,
        help="default: what the output's name says, or png into folders and stdout",
    )
    group.add_argument(
        "--depth",
        type=int,
        choices=(8, 16),
        default=8,
        help="bits a sample (default: 8); 16, in PNG and TIFF, keeps what the network computed "
        "finer",
    )
    defaults = ", ".join(f"{name} {quality}" for name, quality in DEFAULT_QUALITIES.items())
    group.add_argument(
        "--quality",
        type=lambda text: within(text, 100),
        metavar="Q",
        help=f"of formats that lose something, 1 to 100 (default: {defaults})",
    )
    group.add_argument(
        "--strip",
        action="store_true",
        help="leave out metadata, all but the ICC profile and a ratio of density that is not 1; "
        "the pixels are turned as EXIF's orientation says",
    )


def _add_batch_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("batches")
    group.add_argument(
        "--files-from",
        metavar="LIST",
        help="also restore the files that LIST names, one a line or ended by NULs; - is stdin. "
        "Relative names keep their folders",
    )
    group.add_argument(
        "-r", "--recursive", action="store_true", help="look into folders of folders too"
    )
    group.add_argument(
        "--resume",
        action="store_true",
        help="go on with a batch that was stopped, by the journal in the output folder: what is "
        "finished stays, the rest is restored, and what failed is tried again",
    )
    group.add_argument(
        "--progress", action="store_true", help="show it also where stderr is no terminal"
    )


def _memory(text: str) -> Memory:
    """An argparse type."""
    try:
        return Memory.of(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def _slack(text: str) -> float:
    """An argparse type: a finite number of 0 or more."""
    with suppress(ValueError):
        if 0 <= (value := float(text)) < 1e30:
            return value
    raise argparse.ArgumentTypeError(
        f"SLACK must be a number of 0 or more, not {text}; put inputs before --project"
    )
