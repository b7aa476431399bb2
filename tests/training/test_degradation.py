"""Degraded patches hold what libjpeg's own decoder makes of the same files."""

import io

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from tests.kernels.c_programs import Libjpeg
from tests.kernels.engines import plane_from_cells
from tests.kernels.images import Pixels, synthetic

from jpegrt.runtime.tables import ANNEX_K_CHROMA, ANNEX_K_LUMA, scaled_table
from jpegrt.training.degradation import (
    Degradation,
    JpegDegrader,
    cells_of,
    other_tables,
    ycbcr_from_rgb,
)
from jpegrt.training.samplings import SAMPLINGS

Plane = NDArray[np.float32]
HEIGHT, WIDTH = 48, 64
PILLOW = {"grey": "4:4:4", "444": "4:4:4", "422": "4:2:2", "440": "4:2:2", "420": "4:2:0"}


def patch_of(sampling: str) -> Pixels:
    return synthetic(HEIGHT, WIDTH, 1 if sampling == "grey" else 3, seed=3)


def file_of(patch: Pixels, sampling: str, quality: int, tables: list[list[int]]) -> bytes:
    """What Pillow writes of the patch; of its transpose for 4:4:0, which Pillow cannot write."""
    if sampling == "440":
        patch = np.ascontiguousarray(patch.swapaxes(0, 1))
    options: dict[str, object] = {"subsampling": PILLOW[sampling]}
    if tables:
        options["qtables"] = tables[: 1 if sampling == "grey" else 2]
    else:
        options["quality"] = quality
    buffer = io.BytesIO()
    Image.fromarray(patch).save(buffer, "JPEG", **options)
    return buffer.getvalue()


def levels(cells: Plane, cell: tuple[int, int]) -> Plane:
    return plane_from_cells(cells, cell) * 255 + 128


def luma_by_pillow(jpeg: bytes) -> Pixels:
    image = Image.open(io.BytesIO(jpeg))
    if image.mode != "L":
        image.draft("YCbCr", image.size)
        return np.asarray(image)[..., 0]
    return np.asarray(image)


def assert_within_rounding(found: Plane, decoded: Pixels) -> None:
    """libjpeg's decoder rounds and clips, and its inverse DCT is in integers."""
    assert found.shape == decoded.shape
    assert np.abs(np.clip(found, 0, 255) - decoded).max() < 1


@pytest.mark.parametrize("cell_px", [2, 4])
@pytest.mark.parametrize("quality", [5, 40, 95])
@pytest.mark.parametrize("sampling", ["grey", *SAMPLINGS])
def test_samples_are_libjpegs(libjpeg: Libjpeg, sampling: str, quality: int, cell_px: int) -> None:
    patch = patch_of(sampling)
    degraded = JpegDegrader(Degradation(), cell_px).compress(patch, sampling, quality, [])
    jpeg = file_of(patch, sampling, quality, [])
    turned = sampling == "440"

    luma = luma_by_pillow(jpeg)
    assert_within_rounding(levels(degraded.luma, (cell_px, cell_px)), luma.T if turned else luma)
    assert degraded.luma.dtype == np.float32
    if sampling == "grey":
        assert degraded.chroma is None
        return
    assert degraded.chroma is not None
    h, v = SAMPLINGS[sampling]
    for cells, decoded in zip(
        np.split(degraded.chroma, 2), libjpeg.samples(jpeg, 3)[1:], strict=True
    ):
        plane = levels(cells, (cell_px // v, cell_px // h))
        assert plane.shape == (HEIGHT // v, WIDTH // h)
        assert_within_rounding(plane, decoded.T if turned else decoded)


@pytest.mark.parametrize("sampling", ["grey", *SAMPLINGS])
def test_steps_are_the_files(sampling: str) -> None:
    degrader = JpegDegrader(Degradation(), 2)
    patch = patch_of(sampling)
    turn = np.transpose if sampling == "440" else np.asarray
    standard = [scaled_table(table, 30) for table in (ANNEX_K_LUMA, ANNEX_K_CHROMA)]
    own = other_tables(30, np.random.default_rng(1))
    for given, tables in (([], standard), (own, [np.reshape(t, (8, 8)) for t in own])):
        steps = degrader.compress(patch, sampling, 30, given).steps
        luma, chroma = (turn(table).ravel() for table in tables)
        expected = luma if sampling == "grey" else np.concatenate((luma, chroma, chroma))
        np.testing.assert_array_equal(steps, expected)


def test_own_tables_change_the_file() -> None:
    degrader = JpegDegrader(Degradation(), 2)
    patch = patch_of("grey")
    tables = other_tables(30, np.random.default_rng(1))
    degraded = degrader.compress(patch, "grey", 30, tables)
    decoded = luma_by_pillow(file_of(patch, "grey", 30, tables))
    assert_within_rounding(levels(degraded.luma, (2, 2)), decoded)


@pytest.mark.parametrize("quality", [1, 10, 50, 90, 100])
def test_other_tables_are_valid_and_follow_the_quality(quality: int) -> None:
    drawn = [other_tables(quality, np.random.default_rng(seed)) for seed in range(20)]
    for tables in drawn:
        assert [len(table) for table in tables] == [64, 64]
        assert all(1 <= step <= 255 for table in tables for step in table)
    assert len({tuple(tables[0]) for tables in drawn}) > 1 or quality in (1, 100)
    standard = np.log(scaled_table(ANNEX_K_LUMA, quality)).mean()
    found = np.mean([np.log(tables[0]).mean() for tables in drawn])
    assert abs(found - standard) < 0.7  # within a factor of two


def test_cells_of_the_original_invert() -> None:
    planes = ycbcr_from_rgb(patch_of("444"))
    cells = cells_of(planes, 2)
    assert cells.shape == (12, HEIGHT // 2, WIDTH // 2)
    for plane, of_one in zip(planes, np.split(cells, 3), strict=True):
        np.testing.assert_allclose(levels(of_one, (2, 2)), plane, atol=1e-3)


def test_ycbcr_is_pillows() -> None:
    patch = patch_of("444")
    expected = np.asarray(Image.fromarray(patch).convert("YCbCr")).transpose(2, 0, 1)
    assert np.abs(ycbcr_from_rgb(patch) - expected).max() < 1.01  # Pillow rounds down


def test_qualities_stay_within_their_bounds_and_reach_them() -> None:
    patch = synthetic(16, 16, 1)
    tables = {scaled_table(ANNEX_K_LUMA, q).tobytes(): q for q in range(1, 101)}
    for skew in (1.0, 2.0):
        degradation = Degradation((20, 24), skew, ("grey",), other_tables=0)
        degrader, rng = JpegDegrader(degradation, 2), np.random.default_rng(0)
        drawn = [
            tables[degrader.degrade(patch, "grey", rng).steps.astype(np.int64).tobytes()]
            for _ in range(200)
        ]
        assert set(drawn) == {20, 21, 22, 23, 24}
        assert (np.mean(drawn) < 21.8) == (skew > 1)


@pytest.mark.parametrize(
    "bad", [{"samplings": ()}, {"samplings": ("411",)}, {"quality": (0, 5)}, {"quality": (9, 5)}]
)
def test_bad_degradations_are_refused(bad: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"samplings|quality"):
        Degradation(**bad)  # type: ignore[arg-type]
