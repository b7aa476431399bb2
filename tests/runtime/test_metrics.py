"""PSNR, SSIM, PSNR-B and luma: against scikit-image, against the definitions, by hand."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from skimage.metrics import structural_similarity

from jpegrt.runtime.metrics import UNIFORM_WINDOW, luma_bt601, psnr, psnr_b, ssim

SHAPES = [(11, 11), (17, 90), (64, 48), (75, 33, 3)]
seeds = st.integers(0, 2**32 - 1)
shapes = st.tuples(st.integers(11, 40), st.integers(11, 40), st.sampled_from([(), (3,)])).map(
    lambda size: (size[0], size[1], *size[2])
)


def smooth_image(shape: tuple[int, ...], seed: int) -> NDArray[np.uint8]:
    """A wavy picture with some grain, uint8, well inside 0 to 255."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[: shape[0], : shape[1]]
    frequency = rng.uniform(0.05, 0.3, 2)
    wave = 128 + 50 * np.sin(frequency[0] * y + frequency[1] * x + rng.uniform(0, 6))
    if len(shape) == 3:
        wave = wave[..., None]
    image: NDArray[np.float64] = wave + rng.normal(0, 4, shape)
    return image.clip(60, 195).astype(np.uint8)


def noisy(image: NDArray[np.uint8], level: float, seed: int) -> NDArray[np.uint8]:
    noise = np.random.default_rng(seed).normal(0, level, image.shape)
    return np.round(image + noise).clip(0, 255).astype(np.uint8)


@pytest.mark.parametrize("shape", SHAPES)
def test_psnr_is_the_formula(shape: tuple[int, ...]) -> None:
    a = smooth_image(shape, 1)
    b = noisy(a, 10, 2)
    total = sum((int(p) - int(q)) ** 2 for p, q in zip(a.ravel(), b.ravel(), strict=True))
    assert psnr(a, b) == pytest.approx(10 * math.log10(255**2 * a.size / total), abs=1e-12)


def test_peak_scales_with_the_samples() -> None:
    a = smooth_image((40, 40), 1)
    b = noisy(a, 10, 2)
    for metric in (psnr, ssim, psnr_b):
        assert metric(a / 255, b / 255, 1.0) == pytest.approx(metric(a, b), abs=1e-9)


@pytest.mark.parametrize("shape", [*SHAPES, (120, 131)])
@pytest.mark.parametrize("level", [0.5, 5, 50])
def test_ssim_is_scikit_image_s(shape: tuple[int, ...], level: float) -> None:
    a = smooth_image(shape, 3)
    b = noisy(a, level, 4)
    expected = structural_similarity(  # type: ignore[no-untyped-call]
        a,
        b,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
        data_range=255,
        channel_axis=2 if a.ndim == 3 else None,
    )
    assert ssim(a, b) == pytest.approx(expected, abs=1e-12)


def test_ssim_of_one_window_is_equation_13() -> None:
    a, b = smooth_image((11, 11), 5).astype(float), smooth_image((11, 11), 6).astype(float)
    y, x = np.mgrid[-5:6, -5:6]
    weights = np.exp(-(x**2 + y**2) / (2 * 1.5**2))
    weights /= weights.sum()
    mean_a, mean_b = (weights * a).sum(), (weights * b).sum()
    variance_a, variance_b = (
        (weights * (a - mean_a) ** 2).sum(),
        (weights * (b - mean_b) ** 2).sum(),
    )
    covariance = (weights * (a - mean_a) * (b - mean_b)).sum()
    c1, c2 = 2.55**2, 7.65**2
    expected = ((2 * mean_a * mean_b + c1) * (2 * covariance + c2)) / (
        (mean_a**2 + mean_b**2 + c1) * (variance_a + variance_b + c2)
    )
    assert ssim(a, b) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("shape", [(8, 8), (9, 50), (45, 37)])
def test_ssim_in_uniform_windows_is_their_mean(shape: tuple[int, int]) -> None:
    """Equation (13) of every 8 x 8 window, with population variances."""
    a = smooth_image(shape, 3)
    b = noisy(a, 10, 4)
    c1, c2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2
    windows = []
    for top in range(shape[0] - 7):
        for left in range(shape[1] - 7):
            x, y = (image[top : top + 8, left : left + 8].astype(float) for image in (a, b))
            covariance = ((x - x.mean()) * (y - y.mean())).mean()
            windows.append(
                (2 * x.mean() * y.mean() + c1)
                * (2 * covariance + c2)
                / ((x.mean() ** 2 + y.mean() ** 2 + c1) * (x.var() + y.var() + c2))
            )
    assert ssim(a, b, window=UNIFORM_WINDOW) == pytest.approx(np.mean(windows), abs=1e-9)
    with pytest.raises(ValueError, match="at least 8 pixels"):
        ssim(a[:7], b[:7], window=UNIFORM_WINDOW)


def test_psnr_b_by_hand() -> None:
    # Blocks of 2 in 4 x 4: 4 neighbours across and 4 down lie at a block edge, 8 and 8 do not.
    # D_B = 4 * 4^2 / 8 = 8, D_B^C = 8 * 1^2 / 16 = 1/2, eta = log2(2) / log2(4) = 1/2:
    # BEF = 3.75. An original that is 2 lower everywhere: MSE 4.
    image = np.array([[2, 3, 7, 8]] * 4, np.uint8)
    assert psnr_b(image, image - 2, block=2) == pytest.approx(10 * math.log10(255**2 / 7.75))


def test_psnr_b_of_partial_blocks_by_hand() -> None:
    # 9 x 9, the only edges at 7|8: 9 + 9 pairs, 9 of them differ by 4; elsewhere nothing.
    # D_B = 9 * 16 / 18 = 8, eta = 3 / log2(9), MSE 1.
    image = np.zeros((9, 9), np.uint8) + 10
    image[:, 8] += 4
    expected = 10 * math.log10(255**2 / (1 + 8 * 3 / math.log2(9)))
    assert psnr_b(image, image - 1) == pytest.approx(expected)


@pytest.mark.parametrize("shape", [(24, 40), (33, 29), (24, 40, 3)])
def test_psnr_b_is_psnr_without_edge_excess(shape: tuple[int, ...]) -> None:
    y, x = np.mgrid[: shape[0], : shape[1]]
    ramp = (2 * x + 2 * y).astype(np.uint8)
    image = np.stack([ramp] * 3, axis=2) if len(shape) == 3 else ramp
    original = noisy(image, 3, 7)
    if image.ndim == 2:
        assert psnr_b(image, original) == pytest.approx(psnr(image, original), abs=1e-12)
    else:
        channels = [psnr(image[..., c], original[..., c]) for c in range(3)]
        assert psnr_b(image, original) == pytest.approx(np.mean(channels), abs=1e-12)


@given(st.integers(12, 40), st.integers(12, 40), st.integers(1, 40))
def test_psnr_b_counts_steps_at_block_edges_only(height: int, width: int, step: int) -> None:
    original = np.full((height, width), 100, np.uint8)
    y, x = np.mgrid[:height, :width]
    aligned = (original + (y // 8 + x // 8) % 2 * step).astype(np.uint8)
    between = (original + ((y + 4) // 8 + (x + 4) // 8) % 2 * step).astype(np.uint8)
    assert psnr_b(aligned, original) < psnr(aligned, original)
    assert psnr_b(between, original) == psnr(between, original)


@given(seeds, shapes)
def test_identity(seed: int, shape: tuple[int, ...]) -> None:
    image = smooth_image(shape, seed)
    assert psnr(image, image) == math.inf
    assert ssim(image, image) == pytest.approx(1, abs=1e-12)


@given(seeds, shapes)
def test_psnr_and_ssim_are_symmetric(seed: int, shape: tuple[int, ...]) -> None:
    a, b = smooth_image(shape, seed), smooth_image(shape, seed + 1)
    assert psnr(a, b) == psnr(b, a)
    assert ssim(a, b) == pytest.approx(ssim(b, a), abs=1e-12)
    assert ssim(a, b) <= 1


@given(seeds, shapes)
@settings(max_examples=50)
def test_more_noise_is_worse(seed: int, shape: tuple[int, ...]) -> None:
    image = smooth_image(shape, seed)
    scores = [
        (psnr(other, image), ssim(other, image))
        for other in (noisy(image, level, seed) for level in (1, 4, 16))
    ]
    assert scores == sorted(scores, reverse=True)
    assert [s for _, s in scores] == sorted((s for _, s in scores), reverse=True)


def test_colour_is_the_mean_of_channels_but_one_psnr() -> None:
    a = smooth_image((30, 30, 3), 8)
    b = a.copy()
    b[..., 0] = noisy(a[..., 0], 20, 9)
    b[..., 1] = noisy(a[..., 1], 2, 10)
    b[..., 2] = noisy(a[..., 2], 5, 11)
    for metric in (ssim, psnr_b):
        channels = [metric(b[..., c], a[..., c]) for c in range(3)]
        assert metric(b, a) == pytest.approx(np.mean(channels))
    assert psnr(b, a) == psnr(b.reshape(30, 90), a.reshape(30, 90))


@pytest.mark.parametrize("metric", [psnr, ssim, psnr_b])
def test_bad_pairs_are_refused(metric: type) -> None:
    image = np.zeros((20, 20), np.uint8)
    with pytest.raises(ValueError, match="differ in shape"):
        metric(image, image[1:])
    with pytest.raises(ValueError, match="need images of shape"):
        metric(np.zeros((20, 20, 4)), np.zeros((20, 20, 4)))
    with pytest.raises(ValueError, match="need images of shape"):
        metric(image[0], image[0])


def test_small_images_are_refused() -> None:
    with pytest.raises(ValueError, match="at least 11 pixels"):
        ssim(np.zeros((10, 20)), np.zeros((10, 20)))
    with pytest.raises(ValueError, match="larger than one"):
        psnr_b(np.zeros((8, 20)), np.zeros((8, 20)))


def test_luma_of_known_colours() -> None:
    # Y of MATLAB's rgb2ycbcr; before rounding red is 81.48, green 144.55, blue 40.97.
    colours = [(0, 0, 0), (255, 255, 255), (255, 0, 0), (0, 255, 0), (0, 0, 255), (128, 128, 128)]
    assert luma_bt601(np.array([colours], np.uint8)).tolist() == [[16, 235, 81, 145, 41, 126]]


def test_luma_takes_uint8_rgb_only() -> None:
    for image in (np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3))):
        with pytest.raises(ValueError, match="need uint8"):
            luma_bt601(image)  # type: ignore[arg-type]
