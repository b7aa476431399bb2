"""`jpegrt build`."""

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from jpegrt.runtime.engine_files import engine_cache
from jpegrt.runtime.errors import UsageError


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Build TensorRT engines of a model. Sizes are images x height x width, in pixels; without "
        "any, engines have three profiles: small, to 1x1024x1024; tile, to 1x4096x4096; batch, "
        "to 32x512x512. TensorRT for RTX needs no GPU to build."
    )
    parser.add_argument("model", metavar="MODEL", help="a model's name, or a bundle's folder")
    parser.add_argument(
        "-o", "--output", type=Path, metavar="DIR", help="default: the user's cache"
    )
    parser.add_argument(
        "--target", nargs="+", required=True, metavar="SM", help="kinds of GPU: sm86 sm89 sm120"
    )
    parser.add_argument(
        "--precision", nargs="+", choices=("fp32", "fp16", "int8"), default=["fp16", "int8"]
    )
    for name, what in (("min", "least"), ("opt", "usual"), ("max", "largest")):
        parser.add_argument(f"--{name}", type=_size, metavar="NxHxW", help=f"the {what} size")
    parser.add_argument(
        "--flavour", choices=("rtx", "tensorrt", "lean"), help="default: what is installed"
    )
    parser.add_argument("--graph", nargs="+", default=[], help="only these, as grey 420")
    parser.add_argument("-j", type=_count, default=1, metavar="N", help="how many at a time")
    parser.set_defaults(run=run)


def _size(text: str) -> tuple[int, int, int]:
    match = re.fullmatch(r"(\d+)x(\d+)x(\d+)", text)
    if not match or "0" in match.groups():
        raise argparse.ArgumentTypeError(f"must be images x height x width, as 1x512x768: {text}")
    images, height, width = map(int, match.groups())
    return images, height, width


def _count(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 64:
        raise argparse.ArgumentTypeError(f"must be a number from 1 to 64, not {text}")
    return int(text)


def run(arguments: argparse.Namespace) -> int:
    from jpegrt.export.build import BuildRequest, build  # onnx and onnxruntime: only now
    from jpegrt.export.profiles import DEFAULT_PROFILES, Profile
    from jpegrt.runtime.bundle import find_bundle

    bundle = find_bundle(arguments.model)
    known = [graph.name for graph in bundle.spec.graphs]
    if unknown := [name for name in arguments.graph if name not in known]:
        raise UsageError(f"unknown graph {unknown[0]}: choose of {', '.join(known)}")
    sizes = (arguments.min, arguments.opt, arguments.max)
    profiles: Sequence[Profile] = DEFAULT_PROFILES
    if any(sizes):
        if not all(sizes):
            raise UsageError("--min, --opt and --max belong together: name all three or none")
        if any(not a <= b <= c for a, b, c in zip(*sizes, strict=True)):
            raise UsageError("--min must not exceed --opt, nor --opt --max, in any number")
        profiles = (Profile("custom", *sizes),)
    request = BuildRequest(
        bundle,
        arguments.output or engine_cache(bundle.name),
        arguments.target,
        arguments.precision,
        profiles,
        arguments.flavour,
        arguments.graph,
        arguments.j,
    )
    built = build(request, lambda line: print(line, file=sys.stderr))
    print(f"engines in {request.folder}")
    print("graph  precision  target  seconds      bytes")
    for row in built:
        if row.facts:
            print(
                f"{row.facts.graph:<6} {row.facts.precision:<10} {row.target:<6} "
                f"{row.facts.build_seconds:>8.1f} {row.facts.engine_bytes:>10}"
            )
    failed = sum(row.facts is None for row in built)
    if failed:
        print(f"jpegrt: {failed} of {len(built)} engines could not be built", file=sys.stderr)
    return 1 if failed else 0
