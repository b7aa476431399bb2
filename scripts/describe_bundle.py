"""Writes a description into a bundle's manifest, as export would, without exporting again.

What the description says replaces what the manifest had under the same names; graphs, precisions
and measured quality stay. `jpegrt models NAME --card` shows the result.
"""

import argparse
import tomllib
from pathlib import Path

from jpegrt.runtime.bundle import MANIFEST, open_bundle
from jpegrt.runtime.output import write_json


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", type=Path)
    parser.add_argument("description", type=Path, help="a TOML file of export's descriptions")
    arguments = parser.parse_args()
    description = tomllib.loads(arguments.description.read_text())
    manifest = {**open_bundle(arguments.bundle).manifest, **description}
    write_json(manifest, arguments.bundle / MANIFEST)


if __name__ == "__main__":
    main()
