"""Coefficients as a second way into a session: the same pixels as from bytes, nothing trusted."""

import ctypes as ct
from collections.abc import Callable, Iterator

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.kernels.c_programs import Libjpeg
from tests.kernels.images import synthetic
from tests.kernels.samplings import SAMPLINGS

from jpegrt.kernels import Status, _native
from jpegrt.kernels._native import lib

Pixels = NDArray[np.uint8]
OPTIONS = _native.SessionOptions(
    ct.sizeof(_native.SessionOptions), 2, _native.ReadOptions(ct.sizeof(_native.ReadOptions), 0, 0)
)


def copy_inputs(_user, _graph, inputs, count, outputs, _n, _stream, _message, _size):  # type: ignore[no-untyped-def]
    """Luma is left as it is, chroma of 4:4:4 too."""
    for tensor, restored in zip(inputs[:count], outputs[: count - 1], strict=False):
        ct.memmove(restored.data, tensor.data, 4 * int(np.prod(tensor.shape[:4])))
    return 0


CALLBACK = _native.EngineRun(copy_inputs)
ENGINE = _native.Engine(ct.sizeof(_native.Engine), None, CALLBACK, _native.EngineDestroy())
GRAPHS = (_native.Graph * 2)(_native.Graph(b"grey", 1, 1, 1), _native.Graph(b"444", 3, 1, 1))
MODEL = _native.Model(ct.sizeof(_native.Model), 8, 1.0, 2, GRAPHS)


class Handles:
    """A reader and a session, plain or with an engine."""

    def __init__(self, with_model: bool) -> None:
        self.reader, self.session = ct.c_void_p(), ct.c_void_p()
        assert lib.jpegrt_coefficients_create(ct.byref(self.reader)) == 0
        model, engine = (ct.byref(MODEL), ct.byref(ENGINE)) if with_model else (None, None)
        status = lib.jpegrt_session_create(ct.byref(OPTIONS), model, engine, ct.byref(self.session))
        assert status == 0

    def close(self) -> None:
        lib.jpegrt_session_destroy(self.session)
        lib.jpegrt_coefficients_destroy(self.reader)

    def read_coefficients(self, jpeg: bytes) -> _native.Image:
        image = _native.Image()
        status = lib.jpegrt_coefficients_read(self.reader, jpeg, len(jpeg), None, ct.byref(image))
        assert status == 0
        return image

    def restore(self, image: _native.Image) -> Pixels:
        pixels = np.zeros((image.height, image.width, image.components), np.uint8)
        row = image.width * image.components
        assert lib.jpegrt_session_restore(self.session, pixels.ctypes.data, row) == 0
        return pixels

    def restore_bytes(self, jpeg: bytes) -> Pixels:
        image = _native.Image()
        assert lib.jpegrt_session_read(self.session, jpeg, len(jpeg), ct.byref(image)) == 0
        return self.restore(image)

    def load(self, image: _native.Image) -> tuple[Status, str]:
        status = Status(lib.jpegrt_session_load(self.session, ct.byref(image)))
        return status, lib.jpegrt_session_message(self.session).decode()


@pytest.fixture(params=[False, True], ids=["plain", "model"])
def handles(request: pytest.FixtureRequest) -> Iterator[Handles]:
    made = Handles(request.param)
    yield made
    made.close()


@pytest.mark.parametrize("sampling", [s for s in SAMPLINGS if s != "thirds"])
def test_pixels_are_those_of_the_bytes(libjpeg: Libjpeg, handles: Handles, sampling: str) -> None:
    jpeg = libjpeg.encode(synthetic(37, 51), SAMPLINGS[sampling])
    expected = handles.restore_bytes(jpeg)
    handles.restore_bytes(libjpeg.encode(synthetic(8, 8)))  # leaves nothing behind
    image = handles.read_coefficients(jpeg)
    assert handles.load(image) == (Status.OK, "")
    np.testing.assert_array_equal(handles.restore(image), expected)


@pytest.mark.parametrize("flags", [("rgb",), ("progressive",), ("arithmetic",)])
def test_other_files(libjpeg: Libjpeg, handles: Handles, flags: tuple[str, ...]) -> None:
    jpeg = libjpeg.encode(synthetic(37, 51), "", *flags)
    expected = handles.restore_bytes(jpeg)
    image = handles.read_coefficients(jpeg)
    assert handles.load(image) == (Status.OK, "")
    np.testing.assert_array_equal(handles.restore(image), expected)


def test_coefficients_of_the_callers_making(handles: Handles) -> None:
    """One grey block whose mean is 16 above the middle, and another 8 below it."""
    blocks = np.zeros((1, 2, 64), np.int16)
    blocks[0, :, 0] = 32, -16
    table = np.full(64, 4, np.uint16)
    image = _native.Image(width=16, height=8, components=1, colour=0)
    image.component[0] = _native.Component(
        _native.Blocks(blocks.ctypes.data, table.ctypes.data, 1, 2, 2), 16, 8, 1, 1
    )
    assert handles.load(image) == (Status.OK, "")
    expected = np.repeat([[128 + 16, 128 - 8]], 8, axis=0).repeat(8, axis=1)
    np.testing.assert_array_equal(handles.restore(image)[:, :, 0], expected)


def set_component(index: int, **values: object) -> Callable[[_native.Image], None]:
    def edit(image: _native.Image) -> None:
        component = image.component[index]
        for name, value in values.items():
            setattr(component.blocks if hasattr(component.blocks, name) else component, name, value)

    return edit


def set_image(**values: int) -> Callable[[_native.Image], None]:
    def edit(image: _native.Image) -> None:
        for name, value in values.items():
            setattr(image, name, value)

    return edit


INVALID = Status.INVALID_ARGUMENT


@pytest.mark.parametrize(
    ("edit", "status", "said"),
    [
        (set_image(components=0), INVALID, "components and colour"),
        (set_image(components=2), INVALID, "components and colour"),
        (set_image(components=4), INVALID, "components and colour"),
        (set_image(components=1), INVALID, "components and colour"),
        (set_image(colour=0), INVALID, "components and colour"),
        (set_image(colour=7), INVALID, "components and colour"),
        (set_image(width=0), INVALID, "width or height"),
        (set_image(height=65536), INVALID, "width or height"),
        (set_image(width=2**32 - 1), INVALID, "width or height"),
        (set_image(width=59), INVALID, "a component's size"),
        (set_image(height=24), INVALID, "a component's size"),
        (set_component(0, h=0), INVALID, "a sampling factor"),
        (set_component(2, v=5), INVALID, "a sampling factor"),
        (set_component(1, h=3), Status.UNSUPPORTED, "a ratio that is not whole"),
        (set_component(1, v=2), INVALID, "a component's size"),
        (set_component(0, width=52), INVALID, "a component's size"),
        (set_component(0, rows=6), INVALID, "a component's size"),
        (set_component(1, columns=5), INVALID, "a component's size"),
        (set_component(1, stride=3), INVALID, "a component's size"),
        (set_component(2, data=None), INVALID, "no coefficients or no table"),
        (set_component(2, table=None), INVALID, "no coefficients or no table"),
    ],
)
def test_images_that_do_not_fit_together_are_refused(
    libjpeg: Libjpeg,
    handles: Handles,
    edit: Callable[[_native.Image], None],
    status: Status,
    said: str,
) -> None:
    image = handles.read_coefficients(libjpeg.encode(synthetic(37, 51), SAMPLINGS["4:2:0"]))
    assert handles.load(image)[0] is Status.OK
    edit(image)
    found, message = handles.load(image)
    assert found is status
    assert said in message
    pixels = np.zeros(37 * 51 * 3, np.uint8)  # what was loaded before is gone too
    restored = lib.jpegrt_session_restore(handles.session, pixels.ctypes.data, 51 * 3)
    assert restored == INVALID


def test_the_pixel_limit_holds(handles: Handles) -> None:
    blocks, table = np.zeros(64, np.int16), np.ones(64, np.uint16)
    image = _native.Image(width=65535, height=65535, components=1, colour=0)
    image.component[0] = _native.Component(
        _native.Blocks(blocks.ctypes.data, table.ctypes.data, 8192, 8192, 8192), 65535, 65535, 1, 1
    )
    status, message = handles.load(image)
    assert status is Status.TOO_LARGE
    assert "65535x65535 pixels are more than the limit" in message


def test_null_pointers_are_refused(handles: Handles) -> None:
    assert lib.jpegrt_session_load(handles.session, None) == INVALID
    assert lib.jpegrt_session_load(None, ct.byref(_native.Image())) == INVALID
