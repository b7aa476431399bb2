"""Weights to train or export with, out of a bundle.

What export does not fold is in a bundle bit by bit, so that the source tree has not all weights twice.
Put them where the recipe's run would leave them, and `jpegrt train` and `jpegrt export` find them:

    python scripts/weights_of_bundle.py cisr-tiny-x2 -o runs/cisr-tiny-best/cisr-tiny-best.safetensors
"""

import argparse
from pathlib import Path

from jpegrt.export.bundle_weights import load_bundle_weights
from jpegrt.runtime.bundle import find_bundle
from jpegrt.training.networks import build_network
from jpegrt.training.recipe import load_recipe
from jpegrt.training.weights import save_weights


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("bundle", help="a model's name, or a bundle's folder")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--recipe", help="whose network it is (default: the last in the manifest)")
    arguments = parser.parse_args()
    bundle = find_bundle(arguments.bundle)
    recipe = arguments.recipe or bundle.manifest["training"]["recipes"][-1]
    network = build_network(load_recipe(recipe).network)
    load_bundle_weights(network, bundle)
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    save_weights(network, arguments.output)


if __name__ == "__main__":
    main()
