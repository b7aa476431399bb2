"""Adds the graph of its first stage to the bundle of a network that deblocks and then enlarges.

`jpegrt export` writes it too. This is for bundles that were exported before, and whose weights are
nowhere else, batch norms folded. It is verified against PyTorch on held-out images; what is there
computes what it did, and shares its weights:

    python scripts/add_deblocking.py runtime/jpegrt/runtime/bundles/carsr-x2 --data IMAGES
"""

import argparse
import hashlib
import sys
from pathlib import Path
from typing import Any

import onnx
from torch import nn

from jpegrt.export.bundle_weights import weights_of
from jpegrt.export.bundle_writer import VERIFICATION_IMAGES, VERIFICATION_QUALITIES
from jpegrt.export.half_storage import store_in_half
from jpegrt.export.pixel_model import PixelModel
from jpegrt.export.shared_weights import share_weights
from jpegrt.export.verify import verify
from jpegrt.runtime.bundle import MANIFEST, Bundle, open_bundle
from jpegrt.runtime.engines import create_engine
from jpegrt.runtime.output import write_json
from jpegrt.training.images import find_images
from jpegrt.training.networks import build_network
from jpegrt.training.recipe import load_recipe

PRECISION = "fp32"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("bundle", type=Path)
    parser.add_argument("--data", type=Path, required=True, help="folder of image folders")
    arguments = parser.parse_args()
    bundle = open_bundle(arguments.bundle)
    if bundle.precisions != (PRECISION,) or bundle.deblocking_graph:
        sys.exit(f"{bundle.name} has such a graph, or other precisions than {PRECISION}")
    recipe = load_recipe(bundle.manifest["training"]["recipes"][-1])
    model = PixelModel(network_of(bundle, recipe.network))
    held_out = find_images(arguments.data, recipe.data.sets, recipe.data.validation_every)
    manifest = with_deblocking(bundle, model, list(held_out.validation))
    share_weights({bundle.folder: manifest})
    write_json(manifest, bundle.folder / MANIFEST)


def network_of(bundle: Bundle, options: dict[str, Any]) -> nn.Module:
    """The bundle's network with its weights; what batch norms were folded into has them inside."""
    network, found = build_network(options), weights_of(bundle)
    for name, layer in list(network.named_modules()):
        if isinstance(layer, nn.BatchNorm2d):
            network.set_submodule(name, nn.Identity())
        elif isinstance(layer, nn.Conv2d):
            layer.weight = nn.Parameter(found[f"{name}.weight"].float())
            bias = found.get(f"{name}.bias", found.get(f"{name}.weight_bias"))
            layer.bias = None if bias is None else nn.Parameter(bias.float())
    return network.eval()


def with_deblocking(bundle: Bundle, model: PixelModel, files: list[Path]) -> dict[str, Any]:
    """The bundle's manifest, with the graph, which is written, and its verification."""
    manifest = bundle.manifest
    spec = model.specs[1]
    file = f"{spec.name}.{PRECISION}.onnx"
    onnx.save(store_in_half(model.export(spec)), bundle.folder / file)
    content = (bundle.folder / file).read_bytes()
    manifest["files"][file] = {
        "sha256": hashlib.sha256(content).hexdigest(),
        "bytes": len(content),
    }
    entry = manifest["precisions"][PRECISION]
    entry["files"][spec.name] = file
    for engine_name, figures in entry["verification"].items():
        engine = create_engine(engine_name, bundle, PRECISION, threads=1)
        for graph in model.specs:  # the other tells that the weights are the right ones
            data = model.examples_of_each_quality(
                files[:: max(1, len(files) // VERIFICATION_IMAGES)], graph, VERIFICATION_QUALITIES
            )
            result = verify(
                engine, graph.name, model.module(graph), model.output_names(graph), data
            )
            print(f"{graph.name} on {engine_name}: {result}", file=sys.stderr)
            if not result.acceptable(PRECISION):
                sys.exit(f"{graph.name} differs too much from PyTorch")
            if graph == spec:
                figures[spec.name] = result.to_json()
    position = list(manifest).index("graphs") + 1
    keys = list(manifest.items())
    return dict([*keys[:position], ("deblocking", spec.name), *keys[position:]])


if __name__ == "__main__":
    main()
