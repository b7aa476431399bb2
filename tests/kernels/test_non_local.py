"""The non-local operator against its float64 definition."""

import ctypes as ct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from tests.kernels.c_programs import INCLUDE, ROOT, build_tool

from jpegrt.kernels import _native, non_local, reference

Floats = NDArray[np.float32]
Keys = NDArray[np.uint8]

FLOAT32_TOLERANCE = 1e-5
FLOAT16_TOLERANCE = 2e-3

# From one patch a query to the plain mean of all; 0 leaves the 1e-6 alone.
STRENGTHS = [0.0, 0.001, 0.02, 0.3, 4.0, 30.0]
KINDS = ["flat", "noisy", "levels", "blocky"]


def image(kind: str, shape: tuple[int, int, int, int], seed: int) -> Floats:
    """In [0, 1]. "levels" are the few of an 8-bit image with little contrast: many distances are
    equal but for their terms' order, which float32 does not see as equal."""
    random = np.random.default_rng(seed)
    if kind == "flat":
        samples = np.full(shape, random.random())
    elif kind == "noisy":
        samples = random.random(shape)
    elif kind == "levels":
        samples = random.integers(100, 104, shape) / 255
    else:
        height, width = shape[2:]
        blocks = random.integers(0, 5, (*shape[:2], -(-height // 4), -(-width // 4))) / 4
        samples = np.kron(blocks, np.ones((4, 4)))[:, :, :height, :width]
        samples = np.clip(samples + random.normal(0, 0.002, shape), 0, 1)
    return np.ascontiguousarray(samples, np.float32)


def random_keys(shape: tuple[int, int, int, int], share: float, seed: int) -> Keys:
    random = np.random.default_rng(seed)
    return (random.random((shape[0], 1, *shape[2:])) < share).astype(np.uint8)


def largest_error(
    guide: Floats, value: Floats, h: Floats | float, keys: Keys | None, window_px: int = 0
) -> float:
    filtered = non_local(guide, value, h, keys, window_px=window_px)
    expected = reference.non_local(guide, value, h, keys, window_px)
    return float(np.abs(filtered - expected).max())


shapes = st.tuples(
    st.integers(1, 2), st.sampled_from([1, 3]), st.integers(1, 20), st.integers(1, 20)
)


@given(
    shapes,
    st.sampled_from(KINDS),
    st.sampled_from([*STRENGTHS, None]),
    st.sampled_from([None, 0.0, 0.1, 0.7]),
    st.integers(0, 5),
    st.integers(0, 2**32 - 1),
)
def test_is_within_tolerance_of_definition(
    shape: tuple[int, int, int, int],
    kind: str,
    h: float | None,
    key_share: float | None,
    window_px: int,
    seed: int,
) -> None:
    guide = image(kind, shape, seed)
    value = image("noisy", shape, seed + 1)
    plane = (shape[0], 1, *shape[2:])
    strengths = np.random.default_rng(seed).choice(STRENGTHS, plane).astype(np.float32)
    keys = None if key_share is None else random_keys(shape, key_share, seed)
    strength = strengths if h is None else float(np.float32(h))
    assert largest_error(guide, value, strength, keys, window_px) < FLOAT32_TOLERANCE


# More positions than a tile has, so that patches reach from tile to tile.
@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("h", [0.001, 0.02, 0.3, 30.0])
def test_of_several_tiles(kind: str, h: float) -> None:
    shape = (1, 1, 70, 61)
    guide, value = image(kind, shape, 1), image("noisy", shape, 2)
    assert largest_error(guide, value, float(np.float32(h)), None) < FLOAT32_TOLERANCE


@pytest.mark.slow
@pytest.mark.parametrize("window_px", [0, 9])
def test_of_several_tiles_with_keys(window_px: int) -> None:
    shape = (1, 3, 70, 61)
    guide, value = image("blocky", shape, 1), image("noisy", shape, 2)
    h = np.random.default_rng(3).choice(STRENGTHS, (1, 1, 70, 61)).astype(np.float32)
    keys = random_keys(shape, 0.8, 4)
    assert largest_error(guide, value, h, keys, window_px) < FLOAT32_TOLERANCE


def equally_distant_keys() -> tuple[Floats, Floats, Keys]:
    """Guide, value and keys. The keys are patches of the same numbers in another order, all others
    are masked and most are zero: to these, the keys are equally far."""
    random = np.random.default_rng(0)
    patch = random.integers(0, 256, 9) / 255
    guide = np.zeros((1, 1, 5, 50), np.float32)
    for first in range(6, 46, 5):
        guide[0, 0, 1:4, first : first + 3] = random.permutation(patch).reshape(3, 3)
    keys = np.zeros(guide.shape, np.uint8)
    keys[0, 0, 2, 7:46:5] = 1
    return guide, random.random(guide.shape, np.float32), keys


def test_masked_query_with_equally_distant_keys() -> None:
    """With h far below the distances, weights hang on the distances' last bits."""
    guide, value, keys = equally_distant_keys()
    assert largest_error(guide, value, 0.001, keys) < FLOAT32_TOLERANCE
    # Distances in float32 would not do.
    patches = reference.patches_of(guide[0].astype(np.float64)).astype(np.float32)
    squares = patches[0, :, keys.ravel() != 0].T ** 2
    distances = np.add.reduce(squares, axis=0, dtype=np.float32)
    assert np.ptp(np.exp((distances.min() - distances) / np.float32(2e-6))) > 0.01


@pytest.mark.parametrize("h", [0.0, 0.001, 1.0, 30.0])
@pytest.mark.parametrize("kind", KINDS)
def test_float16(kind: str, h: float) -> None:
    shape = (1, 3, 24, 21)
    guide = image(kind, shape, 4).astype(np.float16)
    value = image("noisy", shape, 5).astype(np.float16)
    keys = random_keys(shape, 0.8, 6)
    filtered = non_local(guide, value, h, keys)
    assert filtered.dtype == np.float16
    expected = reference.non_local(guide, value, float(np.float32(h)), keys)
    assert np.abs(filtered - expected).max() < FLOAT16_TOLERANCE


def test_every_finite_float16_survives() -> None:
    halves = np.arange(1 << 16, dtype=np.uint16).view(np.float16)
    value = halves[np.isfinite(halves)].reshape(1, 1, 248, 256)
    keys = np.zeros(value.shape, np.uint8)
    np.testing.assert_array_equal(non_local(value, value, 0.1, keys, window_px=1), value)


@pytest.mark.parametrize("h", [0.0, 0.1, np.inf])
def test_without_keys_value_stays(h: float) -> None:
    value = image("noisy", (2, 3, 19, 40), 7)
    guide = image("noisy", value.shape, 8)
    keys = np.zeros((2, 1, 19, 40), np.uint8)
    for window_px in (0, 4):
        filtered = non_local(guide, value, h, keys, window_px=window_px)
        np.testing.assert_allclose(filtered, value, rtol=2e-7)


def test_one_key_replaces_every_patch() -> None:
    value = image("noisy", (1, 1, 9, 9), 9)
    keys = np.zeros(value.shape, np.uint8)
    keys[0, 0, 4, 4] = 1
    filtered = non_local(value, value, 0.0, keys)
    # Far from the border, a pixel is the mean of the key's nine pixels.
    np.testing.assert_allclose(filtered[0, 0, 2:7, 2:7], value[0, 0, 3:6, 3:6].mean(), rtol=1e-6)


def test_small_h_keeps_what_is_unlike_all_else() -> None:
    value = image("noisy", (1, 3, 30, 30), 10)
    np.testing.assert_allclose(non_local(value, value, 0.0), value, atol=1e-6)


def test_large_window_is_the_whole_image() -> None:
    value = image("blocky", (1, 3, 37, 41), 11)
    keys = random_keys(value.shape, 0.5, 12)
    whole = non_local(value, value, 0.2, keys)
    for window_px in (40, 41, 1000, 2**32 - 1):
        windowed = non_local(value, value, 0.2, keys, window_px=window_px)
        np.testing.assert_allclose(windowed, whole, atol=1e-6)


@pytest.mark.parametrize("window_px", [0, 7])
def test_threads_do_not_change_a_bit(window_px: int) -> None:
    value = image("noisy", (2, 3, 90, 70), 13)
    keys = random_keys(value.shape, 0.5, 14)
    one, *others = (
        non_local(value, value, 0.2, keys, window_px=window_px, threads=threads)
        for threads in (1, 2, 5)
    )
    for other in others:
        np.testing.assert_array_equal(one, other)


def test_images_of_a_batch_are_apart() -> None:
    value = image("noisy", (3, 3, 20, 30), 15)
    h = np.random.default_rng(16).random((3, 1, 20, 30), np.float32)
    keys = random_keys(value.shape, 0.6, 17)
    filtered = non_local(value, value, h, keys)
    for i in range(3):
        alone = slice(i, i + 1)
        np.testing.assert_array_equal(
            filtered[alone], non_local(value[alone], value[alone], h[alone], keys[alone])
        )


def test_not_a_number_spoils_no_memory() -> None:
    value = image("noisy", (1, 3, 20, 30), 18)
    guide = value.copy()
    guide[0, :, 3] = np.nan
    guide[0, :, 9] = np.inf
    guide[0, :, 15] = 3e38
    assert np.isfinite(non_local(guide, value, 0.1)).all()
    h = np.full((1, 1, 20, 30), np.nan, np.float32)
    assert np.isfinite(non_local(value, value, h)).all()


SOURCES = [
    "abi_non_local",
    "blocking_edges",
    "non_local",
    "non_local_query",
    "non_local_tile",
    "thread_pool",
]


@pytest.mark.slow
def test_instruction_sets_give_the_same_bits(tmp_path: Path) -> None:
    value = image("levels", (1, 3, 50, 45), 19)
    keys = random_keys(value.shape, 0.8, 20)
    options = _native.NonLocalOptions(
        ct.sizeof(_native.NonLocalOptions), 2, 1, 3, 50, 45, 0, 0, np.float32(0.01)
    )
    for largest_vector in (16, 32):
        library = tmp_path / f"variant{largest_vector}.so"
        command = [build_tool("c++"), "-std=c++17", "-O2", "-ffp-contract=off", "-Wno-psabi"]
        command += ["-shared", "-fPIC", f"-DJPEGRT_LARGEST_VECTOR={largest_vector}", f"-I{INCLUDE}"]
        command += [str(ROOT / f"kernels/cpu/{name}.cpp") for name in SOURCES]
        subprocess.run([*command, "-pthread", "-o", str(library)], check=True)
        filtered = np.empty_like(value)
        arrays = (ct.c_void_p(a.ctypes.data) for a in (value, value))
        status = ct.CDLL(str(library)).jpegrt_non_local(
            ct.byref(options),
            *arrays,
            None,
            ct.c_void_p(keys.ctypes.data),
            ct.c_void_p(filtered.ctypes.data),
        )
        assert status == 0
        np.testing.assert_array_equal(filtered, non_local(value, value, 0.01, keys))


MEMORY_OF_A_CALL = """
import sys, numpy as np
from jpegrt.kernels import non_local
side, window_px = map(int, sys.argv[1:])
value = np.random.default_rng(0).random((1, 3, side, side), np.float32)
keys = np.ones((1, 1, side, side), np.uint8)
non_local(value[:, :, :8, :8].copy(), value[:, :, :8, :8].copy(), 0.1)
def peak_kib():
    lines = open("/proc/self/status").read().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
before = peak_kib()
keys[:, :, ::3] = 0
non_local(value, value, 0.1, keys, window_px=window_px, threads=2)
print((peak_kib() - before) / 1024)
"""


@pytest.mark.parametrize(("side", "window_px"), [(128, 0), (512, 8)])
def test_memory_is_bounded(side: int, window_px: int) -> None:
    command = [sys.executable, "-c", MEMORY_OF_A_CALL, str(side), str(window_px)]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    # What jpegrt.h states, the result, and the stacks of threads.
    row = side + (window_px or 2)
    bound = 48 * row * (side + 3) + 116 * side * -(-side // 3) + 2 * (2048 * row + 2**18)
    assert float(output) < min(64, (bound + 12 * side * side) / 2**20 + 1)


GOOD = np.zeros((1, 3, 8, 9), np.float32)
PLANE = np.ones((1, 1, 8, 9), np.float32)


@pytest.mark.parametrize(
    ("guide", "value", "h", "keys"),
    [
        (GOOD[0], GOOD[0], 0.1, None),
        (GOOD[:, :2].copy(), GOOD[:, :2].copy(), 0.1, None),
        (GOOD[:, :, :0], GOOD[:, :, :0], 0.1, None),
        (GOOD, GOOD[:, :, :, 1:].copy(), 0.1, None),
        (GOOD, GOOD[:, :, ::-1], 0.1, None),
        (GOOD, GOOD.astype(np.float16), 0.1, None),
        (GOOD.astype(np.float64), GOOD.astype(np.float64), 0.1, None),
        (GOOD, GOOD, PLANE.astype(np.float64), None),
        (GOOD, GOOD, PLANE[0], None),
        (GOOD, GOOD, 0.1, PLANE),
        (GOOD, GOOD, 0.1, PLANE[:, :, :4].astype(np.uint8)),
        (np.zeros((1, 1, 1, 65536), np.float32), np.zeros((1, 1, 1, 65536), np.float32), 0.1, None),
    ],
)
def test_wrong_arrays_are_refused(guide: Floats, value: Floats, h: Floats, keys: Keys) -> None:
    with pytest.raises(ValueError, match="need "):
        non_local(guide, value, h, keys)


@pytest.mark.parametrize(("threads", "window_px"), [(-1, 0), (1025, 0), (0, -1), (0, 1 << 32)])
def test_wrong_numbers_are_refused(threads: int, window_px: int) -> None:
    with pytest.raises(ValueError, match="need "):
        non_local(GOOD, GOOD, 0.1, threads=threads, window_px=window_px)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("struct_size", 0),
        ("threads", 1025),
        ("images", 0),
        ("channels", 2),
        ("height", 0),
        ("width", 0),
        ("width", 65536),
        ("height", 1 << 31),
        ("dtype", 2),
        ("dtype", -1),
    ],
)
def test_wrong_options_have_a_status(field: str, value: int) -> None:
    options = _native.NonLocalOptions(ct.sizeof(_native.NonLocalOptions), 1, 1, 3, 8, 9, 0, 0, 0.1)
    setattr(options, field, value)
    filtered = np.full_like(GOOD, 7)
    addresses = (GOOD.ctypes.data, GOOD.ctypes.data, None, None, filtered.ctypes.data)
    status = _native.lib.jpegrt_non_local(ct.byref(options), *addresses)
    assert status == _native.Status.INVALID_ARGUMENT
    assert (filtered == 7).all()
    assert _native.lib.jpegrt_non_local(None, *addresses) == _native.Status.INVALID_ARGUMENT
