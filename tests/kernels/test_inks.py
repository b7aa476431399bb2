"""CMYK and YCCK: the plain decoder against libjpeg, and what models are given of inks."""

import ctypes as ct
import io
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from tests.kernels.c_programs import Libjpeg
from tests.kernels.engines import Filling, Identity, Recording, full_model
from tests.kernels.images import Pixels, synthetic
from tests.kernels.samplings import CODINGS, SAMPLINGS

from jpegrt.kernels import (
    GraphSpec,
    ModelSpec,
    NativeError,
    Pipeline,
    Status,
    Tensors,
    _native,
    read_coefficients,
)
from jpegrt.kernels._native import lib
from jpegrt.kernels.coefficients import Colour

INKS = synthetic(50, 71, 4)
# Of four components; those of Adobe's programs are inverted.
SAMPLINGS_OF_FOUR = {
    "CMYK": ("", ()),
    "CMYK, one at full size": ("2x2,1x1,1x1,1x1", ()),
    "CMYK, not inverted": ("", ("unmarked",)),
    **{
        # In scans of their own: of more than ten blocks no MCU may be.
        f"YCCK {name}": (f"{factors},{factors[:3]}", ("ycck", "separate"))
        for name, factors in SAMPLINGS.items()
    },
    "YCCK, K subsampled": ("2x2,1x1,1x1,1x1", ("ycck",)),
}


def jpeg_of(libjpeg: Libjpeg, name: str, pixels: Pixels = INKS, quality: int = 85) -> bytes:
    sampling, flags = SAMPLINGS_OF_FOUR[name]
    stored = pixels if "unmarked" in flags else 255 - pixels
    return libjpeg.encode(stored, sampling, *flags, quality=quality)


def pillow(jpeg: bytes) -> Pixels:
    """0 for no ink, if the file has Adobe's marker."""
    return np.asarray(Image.open(io.BytesIO(jpeg)))


def restore(pipeline: Pipeline, jpeg: bytes, dtype: type = np.uint8) -> NDArray[np.uint16]:
    pixels: NDArray[Any] = np.full(pipeline.read(jpeg), 99, dtype)
    pipeline.restore(pixels)
    return pixels.astype(np.uint16)


@pytest.mark.parametrize("name", SAMPLINGS_OF_FOUR)
def test_plain_decodes_are_libjpegs(libjpeg: Libjpeg, name: str) -> None:
    jpeg = jpeg_of(libjpeg, name)
    image = read_coefficients(jpeg)
    straight = "not inverted" in name
    expected = 255 - pillow(jpeg) if straight else pillow(jpeg)
    assert (image.colour is Colour.YCCK) == name.startswith("YCCK")
    assert image.inverted is not straight
    assert np.abs(expected.astype(int) - INKS).mean() < 20
    for tile_px in (0, 32):
        pipeline = Pipeline(tile_px=tile_px)
        np.testing.assert_array_equal(restore(pipeline, jpeg), expected)
        np.testing.assert_array_equal(
            restore(pipeline, jpeg, np.uint16), 257 * expected.astype(int)
        )


@pytest.mark.parametrize("coding", CODINGS)
def test_every_coding(libjpeg: Libjpeg, coding: str) -> None:
    jpeg = libjpeg.encode(255 - INKS, "2x2,1x1,1x1,2x2", "ycck", *CODINGS[coding])
    np.testing.assert_array_equal(restore(Pipeline(), jpeg), pillow(jpeg))


def test_names_of_sampling(libjpeg: Libjpeg) -> None:
    expected = {
        "CMYK": "4:4:4",
        "CMYK, one at full size": "2x2,1x1,1x1,1x1",
        "YCCK 4:2:0": "4:2:0",
        "YCCK, K subsampled": "2x2,1x1,1x1,1x1",
    }
    for name, said in expected.items():
        assert read_coefficients(jpeg_of(libjpeg, name)).subsampling == said


@pytest.mark.parametrize("name", SAMPLINGS_OF_FOUR)
@pytest.mark.parametrize("cell_px", [1, 8])
def test_nothing_restored_is_a_plain_decode(libjpeg: Libjpeg, name: str, cell_px: int) -> None:
    """But for rounding, and chroma that is not upsampled smoothly."""
    smooth = np.repeat(np.mgrid[:50, :71].sum(0)[..., None], 4, axis=2) + 9 * np.arange(4)
    jpeg = jpeg_of(libjpeg, name, smooth.astype(np.uint8), 95)
    plain = restore(Pipeline(), jpeg).astype(int)
    engine = Recording()
    pixels = restore(Pipeline(full_model(cell_px), engine), jpeg)
    assert len(engine.graphs) == (2 if name.startswith("YCCK") else 4)
    assert engine.graphs[-1] == "grey"
    assert np.abs(pixels - plain).max() <= 4
    assert np.abs(pixels - plain).mean() < 0.6
    deep = restore(Pipeline(full_model(cell_px), Identity()), jpeg, np.uint16)
    assert np.abs(deep / 257 - pixels).max() < 0.501


@pytest.mark.parametrize("name", SAMPLINGS_OF_FOUR)
def test_models_see_light(libjpeg: Libjpeg, name: str) -> None:
    """Cyan everywhere at the left, none at the right; the same of K."""
    pixels = np.zeros((32, 64, 4), np.uint8)
    pixels[:, :32] = (200, 200, 200, 220)
    engine = Recording()
    restore(Pipeline(full_model(2), engine), jpeg_of(libjpeg, name, pixels))
    for given in engine.inputs:
        luma = given["luma"][0].mean((0, 1))
        assert luma[2] < -0.4 < 0.9 < luma[-3]


@pytest.mark.parametrize("name", ["CMYK", "CMYK, not inverted", "YCCK 4:4:4"])
def test_inks_are_projected(libjpeg: Libjpeg, name: str) -> None:
    """A model that forgets everything: what is left is what the file says."""
    jpeg = jpeg_of(libjpeg, name, quality=95)
    spec, forgetting = full_model(8), Filling(np.zeros)
    plain = restore(Pipeline(), jpeg).astype(int)
    forgotten = restore(Pipeline(spec, forgetting), jpeg)
    projected = restore(Pipeline(spec, forgetting, project=0), jpeg)
    assert np.abs(forgotten - plain).mean() > 20
    assert np.abs(projected - plain).mean() < 5


class Darkening:
    """An engine on pixels that halves what it sees, from black."""

    def run(self, graph: str, inputs: Tensors, outputs: Tensors) -> None:
        image, restored = inputs["image"], outputs["image_restored"]
        factor = restored.shape[2] // image.shape[2]
        restored[:] = (image.repeat(factor, 2).repeat(factor, 3) - 1) / 2


@pytest.mark.parametrize("name", ["CMYK", "CMYK, not inverted", "YCCK 4:2:0"])
@pytest.mark.parametrize("domain", ["luma", "rgb"])
@pytest.mark.parametrize("tile_px", [0, 24])
def test_models_on_pixels(libjpeg: Libjpeg, name: str, domain: str, tile_px: int) -> None:
    graph = GraphSpec("only", 3 if domain == "rgb" else 1)
    spec = ModelSpec(1, 1 / 128, [graph], domain, enlargement=2, receptive_field_px=1)
    dull = 96 + INKS // 4  # so that no colour is clipped
    jpeg = jpeg_of(libjpeg, name, dull)
    plain = restore(Pipeline(), jpeg).astype(int)
    light = 255 - plain.repeat(2, 0).repeat(2, 1)
    pipeline = Pipeline(spec, Darkening(), tile_px=tile_px)
    restored, deep = restore(pipeline, jpeg), restore(pipeline, jpeg, np.uint16)
    assert np.abs(deep / 257 - restored).max() < 0.501
    assert np.abs(255 - light[..., 3] // 2 - restored[..., 3]).max() <= 1
    if domain == "rgb":
        assert np.abs(255 - light // 2 - restored).max() <= 1
    else:
        weights = [0.299, 0.587, 0.114]
        difference = (255 - restored[..., :3]) @ weights - light[..., :3] @ weights / 2
        assert np.abs(difference).mean() < 1


@pytest.mark.parametrize("name", ["CMYK", "CMYK, not inverted", "YCCK 4:2:0"])
def test_coefficients_of_the_callers(libjpeg: Libjpeg, name: str) -> None:
    jpeg = jpeg_of(libjpeg, name)
    expected = restore(Pipeline(), jpeg)
    reader, image = ct.c_void_p(), _native.Image()
    lib.jpegrt_coefficients_create(ct.byref(reader))
    lib.jpegrt_coefficients_read(reader, jpeg, len(jpeg), None, ct.byref(image))
    pipeline = Pipeline()  # kept, with its handle
    session, pixels = pipeline._handle, np.full(expected.shape, 99, np.uint8)
    assert lib.jpegrt_session_load(session, ct.byref(image)) == Status.OK
    lib.jpegrt_session_restore(session, pixels.ctypes.data, pixels.strides[0])
    np.testing.assert_array_equal(pixels, expected)
    for colour in (0, 1, 2, 5):
        image.colour = colour
        status = lib.jpegrt_session_load(session, ct.byref(image))
        assert status == Status.INVALID_ARGUMENT
    lib.jpegrt_coefficients_destroy(reader)


def test_damaged_files_are_refused_or_salvaged(libjpeg: Libjpeg) -> None:
    jpeg = jpeg_of(libjpeg, "YCCK 4:2:0")[:-300]
    with pytest.raises(NativeError) as refusal:
        Pipeline().read(jpeg)
    assert refusal.value.status is Status.DAMAGED
    salvaged = restore(Pipeline(allow_damaged=True), jpeg)
    assert (
        np.abs(salvaged[:16].astype(int) - pillow(jpeg_of(libjpeg, "YCCK 4:2:0"))[:16]).max() == 0
    )
