"""`jpegrt export`."""

import argparse
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from jpegrt.runtime.cli.options import positive, within
from jpegrt.runtime.errors import UsageError, usage_errors

if TYPE_CHECKING:
    from jpegrt.export.model import Model


def configure(parser: argparse.ArgumentParser) -> None:
    parser.description = (
        "Export trained weights as a bundle: ONNX in fp32 and int8, each verified against PyTorch "
        "on real JPEGs. A precision that costs too much is left out."
    )
    parser.add_argument("recipe", help="the recipe that the weights were trained with, last part")
    parser.add_argument("--data", type=Path, required=True, help="folder of image folders")
    parser.add_argument("--runs", type=Path, default=Path("runs"), help="where runs are kept")
    parser.add_argument("-o", "--output", type=Path, required=True, help="the bundle's folder")
    parser.add_argument("--name", help="the model's name (default: the output folder's)")
    parser.add_argument(
        "--precision",
        nargs="+",
        choices=("fp16", "int8", "int8-symmetric"),
        help="besides fp32, which is always written; int8-symmetric is what TensorRT takes, and is "
        "made from int8 when an engine is built if the bundle lacks it (default: int8 for cellnet, "
        "none for others)",
    )
    parser.add_argument(
        "--scale",
        type=positive,
        help="of a network for several scales (default: the least), or of which weights were "
        "trained for several (default: the recipe's)",
    )
    parser.add_argument(
        "--window",
        type=lambda text: within(text, 65535),
        default=0,
        metavar="PX",
        help="of cisr: how far its non-local operator looks, without which it takes images of up to "
        "2^18 pixels",
    )
    parser.add_argument(
        "--single-file",
        action="store_true",
        help="of cisr: instead of a bundle one ONNX file, for other runtimes, with all of the network",
    )
    parser.add_argument(
        "--description",
        type=Path,
        help="a TOML file with the manifest's summary, licence, training",
    )
    parser.set_defaults(run=run)


def run(arguments: argparse.Namespace) -> int:
    from jpegrt.export.bundle_writer import BundleRequest, write_bundle  # torch, onnx: only now
    from jpegrt.export.cell_model import CellModel
    from jpegrt.export.models import model_of
    from jpegrt.training.architectures import ARCHITECTURES
    from jpegrt.training.images import find_images
    from jpegrt.training.networks import build_network
    from jpegrt.training.recipe import load_recipe, of_scale
    from jpegrt.training.weights import find_weights, load_weights

    with usage_errors():
        recipe = load_recipe(arguments.recipe)
        if arguments.scale and ARCHITECTURES[recipe.network["architecture"]].scales:
            recipe = of_scale(recipe, arguments.scale)
        network = build_network(recipe.network)
        load_weights(network, find_weights(recipe.name, arguments.runs))
        model = model_of(recipe, network, arguments.scale, arguments.window)
        files = find_images(arguments.data, recipe.data.sets, recipe.data.validation_every)
        if arguments.single_file:
            return _write_single_file(model, arguments.output, files.validation[:4])
        description = {}
        if arguments.description:
            description = tomllib.loads(arguments.description.read_text())
    precisions = arguments.precision
    if precisions is None:
        precisions = ["int8"] if isinstance(model, CellModel) else []
    request = BundleRequest(
        arguments.name or arguments.output.name,
        model,
        ["fp32", *precisions],
        files.training[::3],
        files.validation,
        description,
        rounds_weights=True,
    )
    bundle = write_bundle(request, arguments.output, lambda line: print(line, file=sys.stderr))
    print(f"{bundle.folder}: {', '.join(bundle.precisions)}, default {bundle.default_precision}")
    return 0


def _write_single_file(model: "Model", output: Path, files: Sequence[Path]) -> int:
    from jpegrt.export.single_file import write_single_file
    from jpegrt.export.unfolded_model import UnfoldedModel

    if not isinstance(model, UnfoldedModel):
        raise UsageError("only cisr is written as a single file: leave out --single-file")
    largest = write_single_file(model, output, files)
    print(f"{output}: image, keys -> image_restored; at most {largest:.1e} from PyTorch")
    return 0
