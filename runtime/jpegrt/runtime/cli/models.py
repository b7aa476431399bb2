"""`jpegrt models`."""

import argparse
import json
from pathlib import Path

from jpegrt.runtime.bundle import Bundle, fetched_bundles, find_bundle, list_bundles
from jpegrt.runtime.cli.options import positive
from jpegrt.runtime.cli.stdout import show
from jpegrt.runtime.errors import UsageError
from jpegrt.runtime.fetch import LIMIT_BYTES, fetch_bundle
from jpegrt.runtime.model_card import compression_name, model_card

_MIB = 1 << 20


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "List the models that come with the package and those that were fetched, or fetch one: "
        "jpegrt models --fetch cisr-full-x2 --from https://example.org/models, where there is a folder "
        "cisr-full-x2 or a file cisr-full-x2.zip; then --model cisr-full-x2 finds it."
    )
    parser.add_argument(
        "model", nargs="?", metavar="NAME", help="only this model, or a bundle's folder"
    )
    shown = parser.add_mutually_exclusive_group()
    shown.add_argument("--json", action="store_true", help="the whole manifests, as JSON")
    shown.add_argument(
        "--card",
        action="store_true",
        help="the model's card, in Markdown: data and terms, training, precisions, figures",
    )
    shown.add_argument("--fetch", metavar="NAME", help="fetch this model; needs --from")
    fetching = parser.add_argument_group(
        "fetching",
        "Every file is checked against the SHA-256 in the model's manifest, which tells damage: "
        "fetch from those you trust.",
    )
    fetching.add_argument(
        "--from",
        dest="source",
        metavar="WHERE",
        help="a folder, a zip file, or an address (https, http, file) of either",
    )
    fetching.add_argument(
        "--to",
        type=Path,
        metavar="DIR",
        help="where to put the model's folder (default: $JPEGRT_MODELS, or the user's data folder, "
        "jpegrt/models; there --model finds it by name)",
    )
    fetching.add_argument(
        "--max-mib",
        type=positive,
        default=LIMIT_BYTES // _MIB,
        metavar="N",
        help=f"refuse larger models (default: {LIMIT_BYTES // _MIB})",
    )
    fetching.add_argument("--overwrite", action="store_true", help="replace a model that exists")
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    if arguments.fetch:
        return _fetch(arguments)
    if arguments.source or arguments.to or arguments.overwrite:
        raise UsageError("--from, --to and --overwrite need --fetch NAME")
    if arguments.model:
        bundles = [find_bundle(arguments.model)]
    elif arguments.card:
        raise UsageError("--card needs a model's name: see jpegrt models")
    else:
        bundles = [*list_bundles(), *list_bundles(fetched_bundles())]
    if arguments.json:
        show(json.dumps([bundle.manifest for bundle in bundles], indent=1))
        return 0
    for bundle in bundles:
        show(model_card(bundle.manifest) if arguments.card else _description(bundle))
    return 0


def _fetch(arguments: argparse.Namespace) -> int:
    if not arguments.source:
        raise UsageError("--fetch needs --from: a folder, a zip file or an address")
    if arguments.model:
        raise UsageError(f"name one model, not {arguments.model} and {arguments.fetch}")
    bundle = fetch_bundle(
        arguments.fetch,
        arguments.source,
        arguments.to,
        overwrite=arguments.overwrite,
        limit_bytes=arguments.max_mib * _MIB,
    )
    by_name = bundle.folder.parent == fetched_bundles()
    show(
        f"{bundle.folder}: {len(bundle.manifest['files'])} files, checked; use it with "
        f"--model {bundle.name if by_name else bundle.folder}"
    )
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
    baseline = "the JPEG" if bundle.spec.enlargement == 1 else "bicubic interpolation"
    for row in manifest.get("quality", []):
        gains = "  ".join(
            f"{compression_name(q)} {db:.2f} ({db - jpeg:+.2f})"
            for q, db, jpeg in zip(
                row["qualities"], row["psnr_db"], row["jpeg_psnr_db"], strict=True
            )
        )
        lines.append(f"  {row['set']:<11} PSNR in dB (gain over {baseline}): {gains}")
    return "\n".join(lines)
