"""Checks our reader and plain decoder against stock libjpeg on folders of real images.

Every image is compressed in grey and in every sampling of the tests, baseline and progressive.
Coefficients and tables have to be equal; samples before upsampling are compared too, and the
largest difference and the share of equal samples are printed. Exit code 1 if anything is wrong.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

sys.path.insert(0, str(Path(__file__).parents[1]))  # the tests' stock libjpeg programs

from tests.kernels.c_programs import Libjpeg
from tests.kernels.samplings import SAMPLINGS

from jpegrt.kernels import CoefficientReader, samples_from_blocks


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--quality", type=int, default=75)
    arguments = parser.parse_args()
    files = [file for folder in arguments.folders for file in sorted(folder.iterdir())]
    reader = CoefficientReader()
    compared = wrong = largest = samples = equal = 0
    with tempfile.TemporaryDirectory() as programs:
        libjpeg = Libjpeg(Path(programs))
        for file in tqdm(files, unit="image"):
            with Image.open(file) as image:
                rgb = np.asarray(image.convert("RGB"))
                grey = np.asarray(image.convert("L"))
            for pixels, sampling in [(grey, ""), *((rgb, s) for s in SAMPLINGS.values())]:
                for flags in ([], ["progressive"]):
                    jpeg = libjpeg.encode(pixels, sampling, *flags, quality=arguments.quality)
                    read, stock = reader.read(jpeg), libjpeg.coefficients(jpeg)
                    planes = libjpeg.samples(jpeg, len(read.components))
                    compared += 1
                    for ours, theirs, plane in zip(
                        read.components, stock.components, planes, strict=True
                    ):
                        assert ours.blocks is not None and ours.table is not None
                        same = np.array_equal(ours.blocks, theirs.blocks) and np.array_equal(
                            ours.table, theirs.table
                        )
                        if not same:
                            wrong += 1
                            print(f"{file}: {sampling or 'grey'} {flags}: coefficients differ")
                        decoded = samples_from_blocks(ours.blocks, ours.table)
                        height, width = decoded.shape
                        difference = np.abs(decoded.astype(int) - plane[:height, :width])
                        largest = max(largest, int(difference.max()))
                        samples += difference.size
                        equal += int((difference == 0).sum())
    print(
        f"{compared} JPEGs of {len(files)} images: {wrong} with other coefficients than libjpeg's; "
        f"samples differ by at most {largest} level, {100 * equal / samples:.4f} % are equal"
    )
    return 1 if wrong or largest > 1 or equal < 0.99 * samples else 0


if __name__ == "__main__":
    sys.exit(main())
