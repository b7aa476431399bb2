"""`jpegrt models`."""

import argparse
import json

from jpegrt.runtime.bundle import Bundle, list_bundles
from jpegrt.runtime.cli.stdout import show


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = "List the models that come with the package."
    parser.add_argument("--json", action="store_true", help="the whole manifests, as JSON")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    bundles = list_bundles()
    if arguments.json:
        show(json.dumps([bundle.manifest for bundle in bundles], indent=1))
        return 0
    for bundle in bundles:
        show(_description(bundle))
    return 0


def _description(bundle: Bundle) -> str:
    manifest = bundle.manifest
    precisions = [
        f"{name} (default)" if name == bundle.default_precision else name
        for name in bundle.precisions
    ]
    graphs = ", ".join(graph["name"] for graph in manifest["graphs"])
    lines = [
        f"{bundle.name}: {manifest.get('summary', '')}",
        f"  precisions  {', '.join(precisions)}",
        f"  images      {graphs}",
        (
            f"  cost        {manifest.get('parameters', 0):,} parameters, "
            f"{manifest.get('multiply_adds_per_px', 0):,} multiply-adds a luma pixel"
        ),
        f"  licence     {manifest.get('licence', 'not stated')}",
    ]
    for row in manifest.get("quality", []):
        gains = "  ".join(
            f"Q{q} {db:.2f} ({db - jpeg:+.2f})"
            for q, db, jpeg in zip(
                row["qualities"], row["psnr_db"], row["jpeg_psnr_db"], strict=True
            )
        )
        lines.append(f"  {row['set']:<11} PSNR in dB (gain over the JPEG): {gains}")
    return "\n".join(lines)
