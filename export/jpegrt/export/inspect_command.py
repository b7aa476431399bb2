"""`jpegrt inspect`."""

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jpegrt.runtime.bundle import Bundle, find_bundle
from jpegrt.runtime.engine_files import EngineFacts, read_facts, read_whole

if TYPE_CHECKING:
    from jpegrt.export.builder import EngineDetails


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Show a model's graphs (layers, precisions, weights, memory of the activations for "
        "1024 x 1024 pixels), or what an engine was built from, for which GPU and sizes, and on that "
        "GPU its layers and its memory."
    )
    parser.add_argument("what", metavar="MODEL|ENGINE", help="a model, a bundle, an .engine file")
    parser.add_argument("--json", action="store_true")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    path = Path(arguments.what)
    if path.suffix == ".engine":
        facts = read_facts(path)
        details = _engine_details(facts, read_whole(path, facts))
        if arguments.json:
            known = asdict(details) if details else {"layers": None, "profile_bytes": None}
            print(json.dumps({**facts.to_json(), **known}, indent=1))
        else:
            print(_engine_text(facts, details))
        return 0
    bundle = find_bundle(arguments.what)
    rows = list(_bundle_rows(bundle))
    if arguments.json:
        print(json.dumps({"model": bundle.name, "graphs": rows}, indent=1))
        return 0
    print(bundle.name)
    for row in rows:
        shapes = ", ".join(f"{name} {' x '.join(map(str, s))}" for name, s in row["inputs"].items())
        kinds = ", ".join(f"{n} {kind} in {t}" for (kind, t, n) in row["layers"])
        print(
            f"{row['graph']} {row['precision']}: {row['weight_bytes']:,} bytes of weights, "
            f"{row['peak_bytes'] / 2**20:.0f} MiB of activations\n"
            f"  takes   {shapes}\n  layers  {kinds}"
        )
    return 0


def _bundle_rows(bundle: Bundle) -> list[dict[str, Any]]:
    import onnx  # only now

    from jpegrt.export.inspection import inspect_graph

    rows = []
    for precision in bundle.precisions:
        for graph in bundle.spec.graphs:
            model = onnx.load_from_string(bundle.read_graph(graph.name, precision))
            facts = inspect_graph(model, bundle.spec)
            rows.append(
                {
                    "graph": graph.name,
                    "precision": precision,
                    "inputs": facts.inputs,
                    "layers": [[*kind, count] for kind, count in sorted(facts.layers.items())],
                    "weight_bytes": facts.weight_bytes,
                    "peak_bytes": facts.peak_bytes,
                }
            )
    return rows


def _engine_details(facts: EngineFacts, content: bytes) -> "EngineDetails | None":
    """As the vendor's runtime has them; None without its package, its version or a GPU."""
    from jpegrt.export.builder import device_target, find_vendor
    from jpegrt.runtime.errors import UsageError

    try:
        vendor = find_vendor(facts.flavour)
    except UsageError:
        return None
    if vendor.version != facts.version or device_target() != facts.target:
        return None
    return vendor.inspect(content)


def _engine_text(facts: EngineFacts, details: "EngineDetails | None") -> str:
    lines = [
        f"{facts.model} {facts.graph} in {facts.precision}: {facts.engine_bytes:,} bytes",
        f"  for       {facts.target}, {facts.flavour} {facts.version}",
        f"  built     in {facts.build_seconds:.1f} s from {facts.source}",
    ]
    for number, (name, sizes) in enumerate(facts.profiles.items()):
        least, usual, largest = ("x".join(map(str, sizes[key])) for key in ("min", "opt", "max"))
        memory = f", {details.profile_bytes[number] / 2**20:.0f} MiB at most" if details else ""
        lines.append(f"  profile   {name}: {least} to {largest}, best at {usual}{memory}")
    if details is None:
        lines.append(
            "  layers    and memory are shown where "
            f"{facts.flavour} {facts.version} and {facts.target} are"
        )
    else:
        lines += [f"  layer     {layer}" for layer in details.layers]
    return "\n".join(lines)
