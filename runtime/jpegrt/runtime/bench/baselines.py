"""Plain decodes, and reading coefficients alone: what every JPEG costs without a network."""

import io
from functools import partial

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from jpegrt.kernels import Pipeline
from jpegrt.kernels.libjpeg import plain_decode
from jpegrt.runtime.bench.checks import check_equal
from jpegrt.runtime.bench.rounds import Contender, silent
from jpegrt.runtime.bench.workload import GREY, Case

LIBJPEG, AGAIN, LUMA = "libjpeg", "libjpeg again", "libjpeg, luma only"
PILLOW, COEFFICIENTS, PLAIN = "Pillow", "coefficients only", "jpegrt without a model"


def plain_decodes(case: Case, threads: int) -> list[Contender]:
    """The base, its control and the other ways to read this JPEG, checked against each other."""
    expected = np.empty(case.original.shape, np.uint8)
    plain_decode(case.jpeg, expected)
    pixels = np.empty_like(expected)
    pipeline = Pipeline(threads=threads)

    def decode_with_jpegrt() -> None:
        pipeline.read(case.jpeg)
        pipeline.restore(pixels)

    decode_with_jpegrt()
    check_equal(f"{PLAIN}, {case.name},", pixels, expected)
    check_equal(f"Pillow, {case.name},", pillow_decode(case.jpeg), expected)
    decode = partial(plain_decode, case.jpeg, pixels)
    contenders = [Contender(LIBJPEG, decode), Contender(AGAIN, decode)]
    if case.subsampling != GREY:
        luma = np.empty(expected.shape[:2], np.uint8)
        contenders.append(Contender(LUMA, partial(plain_decode, case.jpeg, luma)))
    return [
        *contenders,
        Contender(PILLOW, silent(partial(pillow_decode, case.jpeg))),
        Contender(COEFFICIENTS, silent(partial(pipeline.read, case.jpeg))),
        Contender(PLAIN, decode_with_jpegrt),
    ]


def pillow_decode(jpeg: bytes) -> NDArray[np.uint8]:
    with Image.open(io.BytesIO(jpeg)) as image:
        return np.asarray(image)
