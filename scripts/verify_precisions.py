"""What every precision costs, on a set: each model's graphs in fp16 and int8, those of the bundle and
those that engines are derived from, against its fp32.

fp16 is computed with every float16 tensor rounded, since CPUs' engines do not: a GPU's answers differ
from that by the order of its sums alone. Centre crops of at most 256 pixels a side, as `jpegrt verify`
takes them; a model that enlarges gets them reduced. Minutes for each model.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from jpegrt.export.engine_graphs import derivable_from, derived_bundle
from jpegrt.export.half_emulation import HalfEmulation
from jpegrt.kernels import Engine
from jpegrt.runtime.bundle import Bundle, find_bundle, list_bundles
from jpegrt.runtime.engines import create_engine
from jpegrt.runtime.errors import UsageError
from jpegrt.runtime.evaluation import find_originals
from jpegrt.runtime.verification import TOLERANCE_DB, load_crop, verify


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("images", type=Path, help="folder of lossless originals")
    parser.add_argument("--models", nargs="+", help="names or folders (default: all that ship)")
    parser.add_argument("--quality", type=int, nargs="+", default=[10, 40])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    originals = [load_crop(file) for file in find_originals(arguments.images)]
    names = arguments.models or [bundle.name for bundle in list_bundles()]
    results = []
    for bundle in map(find_bundle, names):
        with tempfile.TemporaryDirectory() as scratch:
            for precision, engine_name, engine in engines(bundle, Path(scratch), arguments.threads):
                reference = create_engine("onnxruntime", bundle, "fp32", arguments.threads)
                tolerance = TOLERANCE_DB[precision]
                result = verify(
                    bundle.spec, reference, engine, originals, arguments.quality, tolerance
                )
                print(f"{bundle.name} {precision} on {engine_name}: {result.verdict()}", flush=True)
                facts = {"model": bundle.name, "precision": precision, "engine": engine_name}
                results.append({**facts, **result.to_json()})
    if arguments.json:
        report = {"set": arguments.images.name, "images": len(originals), "results": results}
        arguments.json.write_text(json.dumps(report, indent=1) + "\n")
    sys.exit(any(not result["passed"] for result in results))


def engines(bundle: Bundle, scratch: Path, threads: int) -> Iterator[tuple[str, str, Engine]]:
    """Precisions, with what computes them and its name."""
    for precision in ("fp16", "int8-symmetric"):
        found = bundle
        if precision not in bundle.precisions:
            try:
                derivable_from(bundle, precision)
            except UsageError:
                continue  # no int8
            folder = scratch / precision
            folder.mkdir()
            found = derived_bundle(bundle, precision, folder)
        yield precision, "float16 rounded", HalfEmulation(found, precision, threads)
    if "int8" in bundle.precisions:
        for name in ("openvino", "onnxruntime"):
            yield "int8", name, create_engine(name, bundle, "int8", threads)


if __name__ == "__main__":
    main()
