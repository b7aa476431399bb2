"""Options that several commands share."""

import argparse
from contextlib import suppress
from pathlib import Path
from typing import Any

from jpegrt.kernels.coefficients import DEFAULT_MAX_PIXELS
from jpegrt.runtime.engines import ENGINE_NAMES
from jpegrt.runtime.session import MOST_THREADS

PRECISIONS = ("fp32", "fp16", "int8", "int8-symmetric")

_LARGEST = (1 << 63) - 1


def positive(text: str) -> int:
    """An argparse type: an integer of at least 1."""
    return within(text, _LARGEST)


def thread_count(text: str) -> int:
    """An argparse type: a number of threads that a machine could have."""
    return within(text, MOST_THREADS)


def within(text: str, largest: int) -> int:
    """An integer from 1 to `largest`. Raises what argparse shows with the option's name."""
    with suppress(ValueError):
        if 1 <= (value := int(text)) <= largest:
            return value
    raise argparse.ArgumentTypeError(f"must be a number from 1 to {largest}, not {text}")


def _share(text: str) -> float:
    """An argparse type: a number from 0 to 1."""
    with suppress(ValueError):
        if 0 <= (value := float(text)) <= 1:
            return value
    raise argparse.ArgumentTypeError(f"must be a number from 0 to 1, not {text}")


def add_model_options(
    parser: argparse.ArgumentParser, default: str = "(default: cellnet)"
) -> argparse._ArgumentGroup:
    """Returns their group, for what a command adds to it. default: what --help says of it."""
    group = parser.add_argument_group("model")
    group.add_argument(
        "--model",
        default="cellnet",
        metavar="NAME",
        help=f"a model of `jpegrt models`, a bundle's folder, or none for a plain decoder {default}",
    )
    group.add_argument(
        "--precision",
        choices=PRECISIONS,
        help="default: the model's own, which was measured to cost no visible quality; fp16 on "
        "TensorRT",
    )
    add_engine_options(group)
    group.add_argument(
        "--threads", type=thread_count, default=0, metavar="N", help="default: one per CPU"
    )
    return group


def add_engine_options(parser: argparse._ActionsContainer) -> None:
    """Those of which `engine_options` makes arguments of a session."""
    parser.add_argument(
        "--engine",
        choices=ENGINE_NAMES,
        default="auto",
        help="what runs the network (default: auto, the faster that is installed of openvino and "
        "onnxruntime, on the CPU; the others run on a GPU)",
    )
    parser.add_argument(
        "--device",
        type=_ordinal,
        metavar="N",
        help="which GPU, where there are several (default: 0)",
    )
    parser.add_argument(
        "--engines",
        type=Path,
        metavar="DIR",
        help="where jpegrt build put TensorRT's engines (default: the user's cache, into which "
        "they are built if they are missing)",
    )


def engine_options(arguments: argparse.Namespace) -> dict[str, Any]:
    """What `add_engine_options` were given, for a Session."""
    return {name: getattr(arguments, name) for name in ("engine", "device", "engines")}


def _ordinal(text: str) -> int:
    if text.isdecimal() and int(text) < 1 << 16:
        return int(text)
    raise argparse.ArgumentTypeError(f"must be a GPU's number, from 0, not {text}")


def add_strength_option(group: argparse._ArgumentGroup) -> None:
    group.add_argument(
        "--strength",
        type=_share,
        metavar="S",
        help="how much of the restoration to take, from 0, a plain decode (or bicubic "
        "interpolation, if the model enlarges), to 1 (default: 1, or with --model auto what is best "
        "for each image)",
    )


def add_limit_option(parser: argparse.ArgumentParser, default: int = DEFAULT_MAX_PIXELS) -> None:
    parser.add_argument(
        "--max-pixels",
        type=positive,
        default=default,
        metavar="N",
        help=f"refuse larger images (default: {default})",
    )
