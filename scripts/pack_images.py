"""Packs image folders into a few archives, which `jpegrt train --data` reads as it does folders.

    python scripts/pack_images.py IMAGES -o PACKS --sets clic2025 xiph gb82 --megabytes 60

Stopped, it goes on with the same command. Images are kept bit by bit, as lossless WebP.
"""

import argparse
import os
import sys
from pathlib import Path

from jpegrt.runtime.cli.options import positive
from jpegrt.runtime.errors import RestoreError
from jpegrt.training.packing import pack


def main() -> int:
    parser = argparse.ArgumentParser(
        description="Pack image folders into a few archives for jpegrt train --data."
    )
    parser.add_argument("images", type=Path, help="folder of image folders")
    parser.add_argument("-o", "--output", type=Path, required=True, help="folder of the packs")
    parser.add_argument("--sets", nargs="+", required=True, help="the image folders to pack")
    parser.add_argument(
        "--megabytes", type=positive, default=60, help="size of a pack, MiB (default: %(default)s)"
    )
    parser.add_argument("--workers", type=positive, default=os.cpu_count(), help="processes")
    arguments = parser.parse_args()
    try:
        packed = pack(
            arguments.images,
            arguments.output,
            arguments.sets,
            arguments.megabytes << 20,
            arguments.workers,
        )
    except (RestoreError, OSError) as error:
        print(f"pack_images: {error}", file=sys.stderr)
        return 2
    print(packed)
    return 0


if __name__ == "__main__":
    sys.exit(main())
