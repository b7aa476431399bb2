"""Stores the weights that several bundles have in common once: in the first, with links in the others.

For one network's bundles that differ in scale alone. They work as before, and together take the
place of one, as long as their folders stay side by side; a wheel has whole copies.
"""

import argparse
from pathlib import Path

from jpegrt.export.shared_weights import share_weights
from jpegrt.runtime.bundle import MANIFEST, open_bundle
from jpegrt.runtime.output import write_json


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundles", type=Path, nargs="+")
    arguments = parser.parse_args()
    manifests = {folder: dict(open_bundle(folder).manifest) for folder in arguments.bundles}
    share_weights(manifests)
    for folder, manifest in manifests.items():
        write_json(manifest, folder / MANIFEST)


if __name__ == "__main__":
    main()
