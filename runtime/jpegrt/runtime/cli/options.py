"""Options that several commands share."""

import argparse

from jpegrt.kernels.coefficients import DEFAULT_MAX_PIXELS
from jpegrt.runtime.engines import ENGINE_NAMES

_LARGEST = (1 << 63) - 1
_MOST_THREADS = 1024


def positive(text: str) -> int:
    """An argparse type: an integer of at least 1."""
    return _within(text, _LARGEST)


def thread_count(text: str) -> int:
    """An argparse type: a number of threads that a machine could have."""
    return _within(text, _MOST_THREADS)


def _within(text: str, largest: int) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, not {text}")
    if value > largest:
        raise argparse.ArgumentTypeError(f"must be at most {largest}, not {text}")
    return value


def add_model_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("model")
    group.add_argument(
        "--model",
        default="cellnet",
        metavar="NAME",
        help="a model of `jpegrt models`, a bundle's folder, or none for a plain decoder "
        "(default: cellnet)",
    )
    group.add_argument(
        "--precision",
        choices=("fp32", "fp16", "int8"),
        help="default: the model's own, which was measured to cost no visible quality",
    )
    group.add_argument(
        "--engine", choices=ENGINE_NAMES, default="auto", help="what runs the network"
    )
    group.add_argument(
        "--threads", type=thread_count, default=0, metavar="N", help="default: one per core"
    )


def add_limit_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--max-pixels",
        type=positive,
        default=DEFAULT_MAX_PIXELS,
        metavar="N",
        help=f"refuse larger images (default: {DEFAULT_MAX_PIXELS})",
    )
