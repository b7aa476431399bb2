"""Files that are odd without being damaged, and damage of which something can be kept."""

import ctypes as ct

import numpy as np
import pytest
from tests.kernels.c_programs import Libjpeg
from tests.kernels.engines import Recording, full_model
from tests.kernels.images import synthetic

from jpegrt.kernels import (
    CoefficientReader,
    JpegImage,
    NativeError,
    Pipeline,
    Status,
    _native,
    read_coefficients,
)

END = b"\xff\xd9"


@pytest.fixture
def jpeg(libjpeg: Libjpeg) -> bytes:
    return libjpeg.encode(synthetic(40, 56), "2x2,1x1,1x1")


def assert_same_blocks(image: JpegImage, expected: JpegImage) -> None:
    for component, other in zip(image.components, expected.components, strict=True):
        np.testing.assert_array_equal(component.blocks, other.blocks)


def test_padding_before_the_end_marker_is_no_damage(jpeg: bytes) -> None:
    assert jpeg.endswith(END)
    image = read_coefficients(jpeg[:-2] + bytes(64) + END)
    assert image.warnings == 1
    assert_same_blocks(image, read_coefficients(jpeg))


def test_padding_inside_the_image_is_damage(libjpeg: Libjpeg) -> None:
    jpeg = libjpeg.encode(synthetic(40, 56), "1x1,1x1,1x1", "separate")
    second_scan = jpeg.index(b"\xff\xda", jpeg.index(b"\xff\xda") + 2)
    with pytest.raises(NativeError) as error:
        read_coefficients(jpeg[:second_scan] + b"\0\0\0" + jpeg[second_scan:])
    assert error.value.status is Status.DAMAGED


def test_another_jfif_version_is_no_damage(jpeg: bytes) -> None:
    position = jpeg.index(b"JFIF\0") + 5
    image = read_coefficients(jpeg[:position] + b"\2" + jpeg[position + 1 :])
    assert image.warnings == 1
    assert_same_blocks(image, read_coefficients(jpeg))


def test_networks_see_no_step_of_zero(jpeg: bytes) -> None:
    table = jpeg.index(b"\xff\xdb") + 5  # past the marker, its length and the table's number
    assert jpeg[table] > 0
    zeroed = jpeg[: table + 63] + b"\0" + jpeg[table + 64 :]
    zero_steps = read_coefficients(zeroed).components[0].table
    assert zero_steps is not None
    assert (zero_steps == 0).sum() == 1
    engine = Recording()
    pipeline = Pipeline(full_model(2), engine)
    pipeline.restore(np.empty(pipeline.read(zeroed), np.uint8))
    steps = engine.inputs[0]["steps"]
    assert steps.min() == 1
    assert steps.shape == (1, 192)


def test_luma_is_kept_when_the_chroma_scans_are_cut_off(libjpeg: Libjpeg) -> None:
    jpeg = libjpeg.encode(synthetic(40, 56), "1x1,1x1,1x1", "separate")
    second_scan = jpeg.index(b"\xff\xda", jpeg.index(b"\xff\xda") + 2)
    with pytest.raises(NativeError):
        read_coefficients(jpeg[:second_scan])
    kept = read_coefficients(jpeg[:second_scan], allow_damaged=True)
    whole = read_coefficients(jpeg)
    np.testing.assert_array_equal(kept.components[0].blocks, whole.components[0].blocks)
    for chroma in kept.components[1:]:
        assert chroma.blocks is not None
        assert not chroma.blocks.any()


def test_a_file_without_any_image_gives_nothing_of_the_last_one(jpeg: bytes) -> None:
    reader = CoefficientReader()
    reader.read(jpeg)
    first_scan = jpeg.index(b"\xff\xda")
    with pytest.raises(NativeError):
        reader.read(jpeg[:first_scan] + END, allow_damaged=True)


def test_refused_arguments_replace_the_last_message(jpeg: bytes) -> None:
    reader = CoefficientReader()
    with pytest.raises(NativeError, match="not a JPEG"):
        reader.read(b"text")
    image = _native.Image()
    handle = reader._handle
    status = _native.lib.jpegrt_coefficients_read(handle, None, 4, None, ct.byref(image))
    assert status == Status.INVALID_ARGUMENT
    assert b"invalid argument" in _native.lib.jpegrt_coefficients_message(handle)


def test_an_engine_cannot_call_its_own_session(jpeg: bytes) -> None:
    refusals: list[NativeError] = []

    class Reentering(Recording):
        def run(self, graph, inputs, outputs):  # type: ignore[no-untyped-def]
            try:
                pipeline.read(jpeg)
            except NativeError as error:
                refusals.append(error)
            super().run(graph, inputs, outputs)

    pipeline = Pipeline(full_model(2), Reentering())
    pipeline.restore(np.empty(pipeline.read(jpeg), np.uint8))
    assert [error.status for error in refusals] == [Status.INVALID_ARGUMENT]
