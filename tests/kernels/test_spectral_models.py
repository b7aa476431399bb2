"""Spectral models: what engines are given, and what becomes of what they write."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.kernels.c_programs import Libjpeg
from tests.kernels.devices import Device
from tests.kernels.engines import Identity, model
from tests.kernels.images import synthetic
from tests.kernels.samplings import SAMPLINGS
from tests.kernels.test_cuda_session import OnDevice, assert_alike

from jpegrt.kernels import (
    CoefficientReader,
    GraphSpec,
    ModelSpec,
    NativeError,
    Pipeline,
    Status,
    Tensors,
    reference,
    spectrum_from_blocks,
)

SCALE = 1 / 255
MODEL = ModelSpec(1, SCALE, [GraphSpec("luma", 1)], "spectral")
FULL_LUMA = [name for name in SAMPLINGS if name != "luma subsampled"]
SIZES = [(1, 1), (8, 8), (17, 33), (50, 71)]


class Decoding:
    """The inverse DCT, in float64, and a little of what is not linear. Keeps what it was given."""

    def __init__(self, strength: float = 0) -> None:
        self.strength = strength
        self.calls: list[tuple[str, set[str], set[str]]] = []
        self.spectra: list[NDArray[np.float32]] = []

    def run(self, graph: str, inputs: Tensors, outputs: Tensors) -> None:
        self.calls.append((graph, set(inputs), set(outputs)))
        spectrum = inputs["spectrum"]
        self.spectra.append(spectrum.copy())
        _, _, rows, columns = spectrum.shape
        assert outputs["luma_restored"].shape == (1, 1, 8 * rows, 8 * columns)
        coefficients = spectrum[0].reshape(8, 8, rows, columns).transpose(2, 3, 0, 1)
        basis = reference.dct_basis()
        samples = basis.T @ coefficients.astype(np.float64) @ basis
        plane = samples.transpose(0, 2, 1, 3).reshape(8 * rows, 8 * columns)
        outputs["luma_restored"][0, 0] = plane + self.strength * np.sin(9 * plane)


def restore(pipeline: Pipeline, jpeg: bytes) -> NDArray[np.uint16]:
    pixels = np.empty(pipeline.read(jpeg), np.uint16)
    pipeline.restore(pixels)
    return pixels


@pytest.mark.parametrize("name", [*FULL_LUMA, "grey"])
def test_luma_is_given_and_chroma_goes_around(libjpeg: Libjpeg, name: str) -> None:
    """A model that decodes gives what the grey graph of a model on cells that changes nothing gives."""
    engine = Decoding()
    pipeline = Pipeline(MODEL, engine, threads=2)
    plain = Pipeline(model(1, scale=SCALE), Identity())
    for height, width in SIZES:
        pixels = synthetic(height, width, 1 if name == "grey" else 3)
        jpeg = libjpeg.encode(pixels, SAMPLINGS.get(name, "1x1"), quality=40)
        found, expected = restore(pipeline, jpeg), restore(plain, jpeg)
        assert np.abs(found.astype(int) - expected).max() <= 1  # 1/257 of a level
        luma = CoefficientReader().read(jpeg).components[0]
        assert luma.blocks is not None
        assert luma.table is not None
        spectrum = spectrum_from_blocks(luma.blocks, luma.table, SCALE)
        np.testing.assert_array_equal(engine.spectra[-1][0], spectrum)
    assert engine.calls == [("luma", {"spectrum"}, {"luma_restored"})] * len(SIZES)


@pytest.mark.parametrize(("sampling", "runs"), [("1x1,1x1,1x1", 3), ("2x2,1x1,2x2", 2)])
def test_rgb(libjpeg: Libjpeg, sampling: str, runs: int) -> None:
    """Each component by itself; what is subsampled stays."""
    engine = Decoding()
    pixels = synthetic(21, 35, 3)
    jpeg = libjpeg.encode(pixels, sampling, "rgb", quality=70)
    found = restore(Pipeline(MODEL, engine), jpeg)
    expected = restore(Pipeline(model(1, scale=SCALE), Identity()), jpeg)
    assert np.abs(found.astype(int) - expected).max() <= 1
    assert len(engine.calls) == runs


def test_what_it_writes_is_what_comes_out(libjpeg: Libjpeg) -> None:
    engine = Decoding(0.1)
    jpeg = libjpeg.encode(synthetic(30, 45, 1), "1x1", quality=40)
    found = restore(Pipeline(MODEL, engine), jpeg)
    outputs = {"luma_restored": np.empty((1, 1, 32, 48), np.float32)}
    engine.run("", {"spectrum": engine.spectra[0]}, outputs)
    levels = outputs["luma_restored"][0, 0, :30, :45].astype(np.float64) / SCALE + 128
    assert np.abs(found / 257 - np.clip(levels, 0, 255)).max() < 0.5 / 257 + 1e-4


def test_projection(libjpeg: Libjpeg) -> None:
    """Restored coefficients return to the file's intervals, which they had left."""
    jpeg = libjpeg.encode(synthetic(32, 40, 1), "1x1", quality=90)
    luma = CoefficientReader().read(jpeg).components[0]
    assert luma.blocks is not None
    assert luma.table is not None
    distances = []
    for slack in (None, 0.0):
        pixels = restore(Pipeline(MODEL, Decoding(0.05), project=slack), jpeg)
        inside = ((pixels > 0) & (pixels < 65535)).reshape(4, 8, 5, 8).all((1, 3))
        assert inside.any()
        samples = pixels / 257 - 128
        projected = reference.projected_plane(luma.blocks, luma.table, samples, 0.0)
        change = np.abs(projected - samples).reshape(4, 8, 5, 8).max((1, 3))
        distances.append(change[inside].max())
    assert distances[0] > 1
    assert distances[1] < 0.01


def test_subsampled_luma_is_refused(libjpeg: Libjpeg) -> None:
    pipeline = Pipeline(MODEL, Decoding())
    jpeg = libjpeg.encode(synthetic(20, 20, 3), SAMPLINGS["luma subsampled"], quality=60)
    with pytest.raises(NativeError, match="luma has fewer samples than chroma") as caught:
        pipeline.read(jpeg)
    assert caught.value.status is Status.UNSUPPORTED
    with pytest.raises(ValueError, match="no image"):
        pipeline.restore(np.empty((20, 20, 3), np.uint8))


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        (ModelSpec(2, SCALE, [GraphSpec("a", 1)], "spectral"), "cell_px of a spectral model is"),
        (ModelSpec(1, SCALE, [GraphSpec("a", 3)], "spectral"), "graphs are not one, grey"),
        (
            ModelSpec(1, SCALE, [GraphSpec("a", 1), GraphSpec("b", 1)], "spectral"),
            "graphs are not one, grey",
        ),
        (
            ModelSpec(1, SCALE, [GraphSpec("a", 1)], "spectral", 2),
            "neither enlarges nor has a size",
        ),
        (
            ModelSpec(1, SCALE, [GraphSpec("a", 1)], "spectral", 1, 8),
            "enlarges nor has a size rule",
        ),
        (ModelSpec(1, SCALE, [GraphSpec("a", 1, 2)], "spectral"), "does not fit its cell size"),
    ],
)
def test_models_that_make_no_sense_are_refused(spec: ModelSpec, said: str) -> None:
    with pytest.raises(NativeError, match=said) as caught:
        Pipeline(spec, Decoding())
    assert caught.value.status is Status.INVALID_ARGUMENT


def test_pixels_are_refused() -> None:
    with pytest.raises(NativeError, match="this session's takes JPEGs"):
        Pipeline(MODEL, Decoding()).load_pixels(np.zeros((8, 8), np.uint8))


@pytest.mark.parametrize("name", [*FULL_LUMA, "grey", "rgb"])
def test_cuda_sessions_give_the_cpus_pixels(device: Device, libjpeg: Libjpeg, name: str) -> None:
    encode: dict[str, Callable[[Any], bytes]] = {
        "grey": lambda pixels: libjpeg.encode(pixels[..., 0], "1x1", quality=40),
        "rgb": lambda pixels: libjpeg.encode(pixels, "1x1,1x1,1x1", "rgb", quality=40),
    }
    engine = Decoding(0.1)
    for project in (None, 0.0):
        cpu = Pipeline(MODEL, engine, project=project)
        gpu = Pipeline(MODEL, OnDevice(device, engine), cuda=device.kernels, project=project)
        for size in SIZES:
            pixels = np.ascontiguousarray(synthetic(*size, 3))
            own = encode.get(name)
            jpeg = own(pixels) if own else libjpeg.encode(pixels, SAMPLINGS[name], quality=40)
            assert_alike(device, cpu, gpu, jpeg)
