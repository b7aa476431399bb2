"""libjpeg's arithmetic on tensors: the very coefficients and pixels that libjpeg makes."""

import io

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from tests.kernels.images import Pixels, synthetic
from torch import Tensor

from jpegrt.kernels import CoefficientReader, reference
from jpegrt.training import tensor_jpeg
from jpegrt.training.degradation import other_tables, standard_tables

QUALITIES = (1, 5, 10, 25, 50, 75, 90, 95, 100)
SIZES = ((48, 64), (16, 16), (22, 22), (21, 35), (4, 4))
Tables = NDArray[np.int64]


def jpeg_of(image: Pixels, tables: Tables, sampling: str) -> bytes:
    buffer = io.BytesIO()
    used = [table.ravel().tolist() for table in tables[: 1 if image.ndim == 2 else 2]]
    subsampling = "4:4:4" if sampling == "grey" else ":".join(sampling)
    Image.fromarray(image).save(buffer, "JPEG", qtables=used, subsampling=subsampling)
    return buffer.getvalue()


def planes_of(images: list[Pixels]) -> Tensor:
    stacked = np.stack([np.atleast_3d(image) for image in images])
    return torch.from_numpy(np.ascontiguousarray(stacked.transpose(0, 3, 1, 2)))


def every_table() -> list[Tables]:
    drawn = [np.reshape(other_tables(q, np.random.default_rng(q)), (2, 8, 8)) for q in QUALITIES]
    return [*map(standard_tables, QUALITIES), *drawn]


def images_of(sampling: str, size: tuple[int, int], count: int) -> list[Pixels]:
    """The last is of noise: every coefficient is large, and many a decoded sample is clamped."""
    shape = size if sampling == "grey" else (*size, 3)
    photographs = [synthetic(*size, 1 if sampling == "grey" else 3, seed=n) for n in range(count)]
    noise = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    return [*photographs[1:], noise]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("sampling", ["grey", "444", "422", "420"])
def test_coefficients_and_pixels_are_libjpegs(sampling: str, size: tuple[int, int]) -> None:
    tables = every_table()
    images = images_of(sampling, size, len(tables))
    planes, steps = planes_of(images), torch.from_numpy(np.stack(tables))
    levels = planes.int() if sampling == "grey" else tensor_jpeg.ycbcr_from_rgb(planes)
    components = tensor_jpeg.compressed_blocks(levels, steps, sampling)
    decoded = tensor_jpeg.decoded_jpegs(planes, steps, sampling)
    for n, image in enumerate(images):
        jpeg = jpeg_of(image, tables[n], sampling)
        read = CoefficientReader().read(jpeg).components
        assert len(read) == len(components)
        for component, found in zip(read, components, strict=True):
            np.testing.assert_array_equal(found[n], component.blocks)
        with Image.open(io.BytesIO(jpeg)) as by_libjpeg:
            expected = planes_of([np.asarray(by_libjpeg)])
        assert torch.equal(decoded[n], expected[0].int())


def test_luma_is_pillows() -> None:
    rgb = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    found = tensor_jpeg.ycbcr_from_rgb(planes_of([rgb]))[0, 0]
    np.testing.assert_array_equal(found, np.asarray(Image.fromarray(rgb).convert("L")))


def test_spectra_and_cells_are_the_references() -> None:
    rng = np.random.default_rng(0)
    blocks, table = rng.integers(-40, 41, (3, 4, 8, 8)), standard_tables(40)[0]
    tensors = torch.from_numpy(blocks)[None], torch.from_numpy(table)[None]
    short, wide = blocks.astype(np.int16), table.astype(np.uint16)
    spectrum = reference.spectrum_from_blocks(short, wide, 1 / 255)
    found = tensor_jpeg.spectra_of(*tensors, 1 / 255)
    assert found.dtype == torch.float32
    np.testing.assert_allclose(found[0], spectrum, rtol=1e-6)
    for cell in ((2, 2), (4, 2), (2, 1), (1, 1), (8, 8)):
        cells = reference.cells_from_blocks(short, wide, cell, 1 / 255)
        np.testing.assert_allclose(
            tensor_jpeg.cells_of(*tensors, cell, 1 / 255)[0], cells, rtol=1e-6, atol=1e-6
        )


@pytest.mark.parametrize("sampling", ["grey", "444", "422", "420"])
def test_nothing_stays_on_the_cpu(sampling: str) -> None:
    planes = planes_of(images_of(sampling, (22, 22), 2)).to("meta")
    tables = torch.from_numpy(np.stack(every_table()[:2])).to("meta")
    decoded = tensor_jpeg.decoded_jpegs(planes, tables, sampling)
    assert (decoded.device.type, decoded.shape) == ("meta", planes.shape)
