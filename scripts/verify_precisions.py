"""What every precision costs, on a set: each model's graphs in fp16 and int8, those of the bundle and
those that engines are derived from, against its fp32.

fp16 is computed with every float16 tensor rounded, since CPUs' engines do not: a GPU's answers differ
from that by the order of its sums alone. Centre crops of at most 256 pixels a side, as `jpegrt verify`
takes them; a model that enlarges gets them reduced. Minutes for each model: the report is written
after each result, and what it has already, of the same graphs on the same images, is not measured
again. So a run may be ended, and models be measured one by one into one report.
`scripts/record_precisions.py` has the cards show it.
"""

import argparse
import hashlib
import json
import sys
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jpegrt.export.engine_graphs import derivable_from, derive
from jpegrt.export.half_emulation import HalfEmulation
from jpegrt.kernels import Engine, Tensors
from jpegrt.runtime.bundle import Bundle, find_bundle, list_bundles
from jpegrt.runtime.engines import create_engine
from jpegrt.runtime.errors import UsageError
from jpegrt.runtime.evaluation import find_originals
from jpegrt.runtime.output import write_json
from jpegrt.runtime.verification import CROP_PX, TOLERANCE_DB, load_crop, verify

# What makes a result of a report the same measurement.
_MEASUREMENT = (
    "model",
    "files_sha256",
    "precision",
    "engine",
    "set",
    "images",
    "crop_px",
    "qualities",
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("images", type=Path, help="folder of lossless originals")
    parser.add_argument("--models", nargs="+", help="names or folders (default: all that ship)")
    parser.add_argument("--quality", type=int, nargs="+", default=[10, 40])
    parser.add_argument("--crop", type=int, default=CROP_PX, metavar="PX", help="16 or more")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path, metavar="REPORT")
    arguments = parser.parse_args()
    originals = [load_crop(file, arguments.crop) for file in find_originals(arguments.images)]
    images = {
        "set": arguments.images.name,
        "images": len(originals),
        "crop_px": arguments.crop,
        "qualities": arguments.quality,
    }
    report = read_report(arguments.json)
    passed = True
    for bundle in map(find_bundle, arguments.models or [b.name for b in list_bundles()]):
        for row in measured(bundle, images, originals, arguments.threads, report):
            passed = passed and row["passed"]
            if arguments.json:
                write_json({"results": report}, arguments.json)
    return 0 if passed else 1


def read_report(path: Path | None) -> list[dict[str, Any]]:
    """The results that a report has; none if there is no report."""
    if path is None or not path.exists():
        return []
    results: list[dict[str, Any]] = json.loads(path.read_text())["results"]
    return results


def measured(
    bundle: Bundle,
    images: dict[str, Any],
    originals: list[NDArray[np.uint8]],
    threads: int,
    report: list[dict[str, Any]],
) -> Iterator[dict[str, Any]]:
    """Each precision's result, which is in `report` once it is yielded, instead of an older one."""
    reference = Remembered(create_engine("onnxruntime", bundle, "fp32", threads))
    with tempfile.TemporaryDirectory() as scratch:
        for precision, engine_name, engine in engines(bundle, Path(scratch), threads):
            facts = {
                "model": bundle.name,
                "files_sha256": bundle.files_sha256,
                "precision": precision,
                "engine": engine_name,
                **images,
            }
            row = next((r for r in report if {k: r.get(k) for k in _MEASUREMENT} == facts), None)
            told = f"{bundle.name} {precision} on {engine_name}"
            if row is None:
                result = verify(
                    bundle.spec,
                    reference,
                    engine(),
                    originals,
                    images["qualities"],
                    TOLERANCE_DB[precision],
                )
                row = {**facts, **result.to_json()}
                same = ("model", "precision", "engine", "set")
                report[:] = [r for r in report if any(r[key] != facts[key] for key in same)]
                report.append(row)
                print(f"{told}: {result.verdict()}", flush=True)
            else:
                print(f"{told}: is in the report, loses {row['loss_db']:.4f} dB", flush=True)
            yield row


def engines(
    bundle: Bundle, scratch: Path, threads: int
) -> Iterator[tuple[str, str, Callable[[], Engine]]]:
    """Precisions, with the name of what computes them, and what makes it."""
    for precision in ("fp16", "int8-symmetric"):
        if precision not in bundle.precisions:
            try:
                derivable_from(bundle, precision)
            except UsageError:
                continue  # no int8
        folder = scratch / precision
        yield precision, "float16 rounded", partial(emulation, bundle, precision, folder, threads)
    if "int8" in bundle.precisions:
        for name in ("openvino", "onnxruntime"):
            yield "int8", name, partial(create_engine, name, bundle, "int8", threads)


def emulation(bundle: Bundle, precision: str, folder: Path, threads: int) -> Engine:
    """Of the bundle's graphs, or of those derived from them, which are written into `folder`."""
    if precision not in bundle.precisions:
        folder.mkdir()
        bundle, _ = derive(bundle, precision, folder, print)
    return HalfEmulation(bundle, precision, threads)


class Remembered:
    """An engine whose answers are kept: each precision of a model is compared with the same ones."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._answers: dict[tuple[str, bytes], list[NDArray[np.float32]]] = {}

    def run(self, graph: str, inputs: Tensors, outputs: Tensors) -> None:
        content = hashlib.sha256()
        for array in inputs.values():
            content.update(repr(array.shape).encode() + np.ascontiguousarray(array).tobytes())
        key = graph, content.digest()
        if key not in self._answers:
            self._engine.run(graph, inputs, outputs)
            self._answers[key] = [array.copy() for array in outputs.values()]
        for array, answer in zip(outputs.values(), self._answers[key], strict=True):
            np.copyto(array, answer)


if __name__ == "__main__":
    sys.exit(main())
