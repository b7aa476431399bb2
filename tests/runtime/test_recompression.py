"""Traces of an earlier compression, and the way back to it."""

import numpy as np
import pytest
from tests.kernels.images import synthetic
from tests.runtime.jpegs import decode, encode
from tests.runtime.recompressed import photograph, twice, with_tables

from jpegrt.kernels import read_coefficients
from jpegrt.runtime.first_compression import can_go_back, first_jpeg, margin, replace_luma
from jpegrt.runtime.recompression import LEAST_SCORE, find_recompression
from jpegrt.runtime.strength import deepened

GREY = photograph()


@pytest.mark.parametrize(
    ("first", "second", "crop"),
    [
        (30, 70, (4, 3)),
        (30, 90, (0, 7)),
        (75, 90, (2, 5)),
        (85, 95, (7, 0)),
        (30, 70, (0, 0)),
        (60, 75, (0, 0)),
    ],
)
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_a_coarser_first_compression_is_found(
    mode: str, first: int, second: int, crop: tuple[int, int]
) -> None:
    image = read_coefficients(twice(photograph(mode), first, second, crop)[0])
    found = find_recompression(image)
    assert found and found.is_likely and not found.is_finer
    assert abs(found.quality - first) <= 2
    assert found.shift == tuple(-pixels % 8 for pixels in crop)
    assert can_go_back(image, found)


@pytest.mark.parametrize("quality", [5, 20, 30, 50, 75, 90, 95, 100])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_one_compression_leaves_no_sign(mode: str, quality: int) -> None:
    pixels = photograph(mode)
    assert find_recompression(read_coefficients(encode(pixels, quality=quality))) is None


@pytest.mark.parametrize(("first", "second"), [(85, 75), (80, 70), (60, 50), (75, 60), (95, 90)])
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_a_finer_first_compression_is_found_on_the_same_grid(
    mode: str, first: int, second: int
) -> None:
    pixels = photograph(mode)
    found = find_recompression(read_coefficients(twice(pixels, first, second, (0, 0))[0]))
    assert found and found.is_likely and found.is_finer
    assert abs(found.quality - first) <= 2
    assert found.shift == (0, 0)
    assert find_recompression(read_coefficients(twice(pixels, first, second, (4, 3))[0])) is None


def test_a_first_compression_that_was_much_finer_is_left_alone() -> None:
    for crop in ((0, 0), (4, 3)):
        assert find_recompression(read_coefficients(twice(GREY, 90, 40, crop)[0])) is None


@pytest.mark.parametrize(
    "jpeg",
    [
        encode(GREY[:63]),
        encode(GREY[:1, :1]),
        encode(np.full((300, 300), 77, np.uint8)),
        encode(synthetic(300, 301, 1, seed=4), quality=60),
        with_tables(GREY, [1] * 64),
        with_tables(GREY, [255] * 64),
        with_tables(GREY, list(range(3, 67))),
    ],
    ids=["low", "one pixel", "flat", "synthetic", "all ones", "coarsest", "custom"],
)
def test_other_images_show_no_sign(jpeg: bytes) -> None:
    assert find_recompression(read_coefficients(jpeg)) is None


def test_scores_grow_with_the_image() -> None:
    small = find_recompression(read_coefficients(twice(GREY[:160, :160], 30, 70, (4, 3))[0]))
    large = find_recompression(read_coefficients(twice(GREY, 30, 70, (4, 3))[0]))
    assert small and large
    assert LEAST_SCORE < small.score < large.score


@pytest.mark.parametrize("crop", [(4, 3), (0, 7), (0, 0)])
def test_the_first_file_is_made_again(crop: tuple[int, int]) -> None:
    image = read_coefficients(twice(GREY, 30, 80, crop)[0])
    found = find_recompression(image)
    assert found and found.quality == 30
    jpeg = first_jpeg(image, found)
    again, true = (
        read_coefficients(file).components[0] for file in (jpeg, encode(GREY, quality=30))
    )
    np.testing.assert_array_equal(again.table, true.table)
    assert again.blocks is not None and true.blocks is not None
    # Blocks that the crop cut are not there, or made up of what was left.
    down, across = (min(1, pixels) for pixels in crop)
    made, wanted = (blocks[down:-1, across:-1] for blocks in (again.blocks, true.blocks))
    assert made.shape == wanted.shape
    assert (made == wanted).mean() > 0.99
    above, before = margin(found)
    assert decode(jpeg)[above:, before:].shape == (image.height, image.width)


def test_files_without_luma_at_full_size_cannot_go_back() -> None:
    grey = read_coefficients(twice(GREY, 30, 80, (4, 3))[0])
    found = find_recompression(grey)
    assert found and can_go_back(grey, found)
    rgb = read_coefficients(encode(photograph("RGB"), keep_rgb=True, subsampling="4:4:4"))
    assert not can_go_back(rgb, found)


@pytest.mark.parametrize("depth", [8, 16])
def test_replacing_luma_leaves_chroma(depth: int) -> None:
    rgb = deepened(synthetic(600, 5) // 4 + 90, depth)
    luma = deepened(synthetic(600, 5, 1, seed=1) // 4 + 90, depth)
    before = rgb.astype(float)
    replace_luma(rgb, luma)
    after = rgb.astype(float)
    assert np.abs(after @ [0.299, 0.587, 0.114] - luma).max() <= 0.6
    differences = (after[..., :2] - after[..., 1:]) - (before[..., :2] - before[..., 1:])
    assert np.abs(differences).max() <= 1


def test_replaced_luma_stays_in_range() -> None:
    rgb = np.array([[[0, 10, 255], [255, 250, 0]]], np.uint8)
    replace_luma(rgb, np.array([[255, 0]], np.uint8))
    assert rgb.tolist() == [[[220, 230, 255], [32, 27, 0]]]
