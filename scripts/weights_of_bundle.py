"""Weights to train or export with, out of a bundle of an unfolded network (cisr).

cisr's shipped weights are in its bundle alone, which has all of them: twice would be too much for a
source tree. Put them where the recipe's run would leave them, and `jpegrt train` and `jpegrt export`
find them:

    python scripts/weights_of_bundle.py cisr-tiny-x2 -o runs/cisr-tiny-best/cisr-tiny-best.safetensors
"""

import argparse
from pathlib import Path

from safetensors.torch import save_file

from jpegrt.export.unfolded_model import weights_of
from jpegrt.runtime.bundle import find_bundle


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("bundle", help="a model's name, or a bundle's folder")
    parser.add_argument("-o", "--output", type=Path, required=True)
    arguments = parser.parse_args()
    weights = weights_of(find_bundle(arguments.bundle))
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    save_file(weights, arguments.output)


if __name__ == "__main__":
    main()
