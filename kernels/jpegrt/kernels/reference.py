"""Float64 definitions of the kernels: slow, obvious, and what every implementation must match."""

import itertools

import numpy as np
from numpy.typing import NDArray

Blocks = NDArray[np.int16]
Table = NDArray[np.uint16]
Array = NDArray[np.float64]


def dct_basis() -> Array:
    """(8, 8): row u is the orthonormal DCT-II basis vector of frequency u (T.81, A.3.3)."""
    u, x = np.arange(8)[:, None], np.arange(8)
    basis = np.cos((2 * x + 1) * u * np.pi / 16) / 2
    basis[0] /= np.sqrt(2)
    return basis


def dequantised(blocks: Blocks, table: Table) -> Array:
    """(rows, columns, 8, 8): coefficient times step."""
    return blocks.astype(np.float64) * table


def spectrum_from_blocks(blocks: Blocks, table: Table, scale: float = 1.0) -> Array:
    rows, columns = blocks.shape[:2]
    return dequantised(blocks, table).reshape(rows, columns, 64).transpose(2, 0, 1) * scale


def plane_of(blocks: Array) -> Array:
    """Lays (rows, columns, 8, 8) out as the plane (8 rows, 8 columns)."""
    rows, columns = blocks.shape[:2]
    return blocks.transpose(0, 2, 1, 3).reshape(8 * rows, 8 * columns)


def coefficient_plane_from_blocks(blocks: Blocks, table: Table, scale: float = 1.0) -> Array:
    return plane_of(dequantised(blocks, table)) * scale


def centred_samples(blocks: Blocks, table: Table) -> Array:
    """(8 rows, 8 columns): the inverse DCT, before the level shift of 128."""
    basis = dct_basis()
    return plane_of(basis.T @ dequantised(blocks, table) @ basis)


def cells_from_blocks(
    blocks: Blocks, table: Table, cell: tuple[int, int], scale: float = 1.0
) -> Array:
    plane = centred_samples(blocks, table) * scale
    h, w = cell
    rows, columns = plane.shape[0] // h, plane.shape[1] // w
    cells = plane.reshape(rows, h, columns, w).transpose(1, 3, 0, 2)
    return cells.reshape(h * w, rows, columns)


def samples_from_blocks(blocks: Blocks, table: Table) -> NDArray[np.uint8]:
    level = np.floor(centred_samples(blocks, table) + 128.5)
    return np.clip(level, 0, 255).astype(np.uint8)


def blocks_of(plane: Array) -> Array:
    """Cuts the plane (8 rows, 8 columns) into (rows, columns, 8, 8)."""
    rows, columns = plane.shape[0] // 8, plane.shape[1] // 8
    return plane.reshape(rows, 8, columns, 8).transpose(0, 2, 1, 3)


def projected_plane(
    blocks: Blocks, table: Table, plane: Array, slack: float = 0.0, scale: float = 1.0
) -> Array:
    """Of centred samples times scale, (8 rows, 8 columns), those with the nearest coefficients
    that are within 1/2 + slack steps of the file's."""
    basis = dct_basis()
    low = (blocks.astype(np.float64) - 0.5 - slack) * table * scale
    high = (blocks.astype(np.float64) + 0.5 + slack) * table * scale
    coefficients = np.clip(basis @ blocks_of(plane) @ basis.T, low, high)
    return plane_of(basis.T @ coefficients @ basis)


def luma_of(rgb: Array) -> Array:
    """(..., 3) RGB levels to luma (T.871, section 7)."""
    return 0.299 * rgb[..., 0] + 0.587 * rgb[..., 1] + 0.114 * rgb[..., 2]


def ycbcr_of(rgb: Array) -> Array:
    """(..., 3) RGB levels to Y and centred Cb, Cr, without rounding (T.871, section 7)."""
    luma = luma_of(rgb)
    return np.stack([luma, (rgb[..., 2] - luma) / 1.772, (rgb[..., 0] - luma) / 1.402], axis=-1)


def rgb_of(ycbcr: Array) -> Array:
    """The inverse of `ycbcr_of`."""
    luma, cb, cr = np.moveaxis(ycbcr, -1, 0)
    red, blue = luma + 1.402 * cr, luma + 1.772 * cb
    return np.stack([red, (luma - 0.299 * red - 0.114 * blue) / 0.587, blue], axis=-1)


def bicubic(plane: Array, factor: int) -> Array:
    """(H, W) to (factor * H, factor * W) by cubic convolution (Keys, 1981, a = -1/2): pixel centres
    on pixel centres, the nearest samples beyond the edges."""

    def weights(size: int) -> Array:
        matrix = np.zeros((factor * size, size))
        for out in range(factor * size):
            centre = (out + 0.5) / factor - 0.5
            for tap in range(int(np.floor(centre)) - 1, int(np.floor(centre)) + 3):
                d = abs(centre - tap)
                near = 1.5 * d**3 - 2.5 * d**2 + 1
                far = -0.5 * d**3 + 2.5 * d**2 - 4 * d + 2
                matrix[out, min(max(tap, 0), size - 1)] += near if d < 1 else far
        return matrix

    height, width = plane.shape
    return weights(height) @ plane @ weights(width).T


def levels_of(values: Array, depth: int) -> Array:
    """Levels of 8 bits, not rounded, to those of 8 or 16: half up, clamped, NaN is 0."""
    highest = 255 if depth == 8 else 65535
    levels = np.floor(np.nan_to_num(values * (highest // 255), nan=-1.0) + 0.5)
    return np.clip(levels, 0, highest)


# Raster index (8 v + u) of each zigzag position (T.81, figure A.6): along the anti-diagonals, in
# turn downwards and upwards.
ZIGZAG = np.array(
    sorted(range(64), key=lambda k: (k // 8 + k % 8, k // 8 if (k // 8 + k % 8) % 2 else k % 8))
)

RUN_BLOCKS = 32


def blocks_from_packed(packed: bytes) -> Blocks:
    """(rows, columns, 8, 8): decodes a sound packed stream as kernels/README.md describes it."""
    rows, columns = (int(n) for n in np.frombuffer(packed, "<u4", 2, 8))
    count = rows * columns
    runs = -(-count // RUN_BLOCKS)
    offsets = np.frombuffer(packed, "<u4", runs + 1, 32).astype(np.int64) * 4 + 36 + 4 * runs
    blocks = np.zeros((count, 64), np.int16)
    for run in range(runs):
        first = run * RUN_BLOCKS
        blocks[first : first + RUN_BLOCKS] = _run_from_packed(
            packed[offsets[run] : offsets[run + 1]], min(RUN_BLOCKS, count - first)
        )
    return blocks.reshape(rows, columns, 8, 8)


def _run_from_packed(run: bytes, n: int) -> NDArray[np.int16]:
    """(n, 64) in raster order."""
    if len(run) == 128 * n:
        return np.frombuffer(run, "<i2").astype(np.int16).reshape(n, 64)
    data = np.frombuffer(run, np.uint8)
    named = np.unpackbits(data[:n, None], axis=1, bitorder="little").astype(bool)  # (n, 8)
    n_masks = int(named.sum())
    masks = np.zeros((n, 8), np.uint8)
    masks[named] = data[n : n + n_masks]
    present = np.unpackbits(masks[:, :, None], axis=2, bitorder="little").reshape(n, 64) != 0
    n_values = int(present.sum())
    end_of_values = n + n_masks + n_values
    values = data[n + n_masks : end_of_values].view(np.int8).astype(np.int16)
    escaped = values == -128
    values[escaped] = np.frombuffer(run, "<i2", int(escaped.sum()), end_of_values)
    zigzag = np.zeros((n, 64), np.int16)
    zigzag[present] = values
    zigzag[:, 0] = np.cumsum(zigzag[:, 0], dtype=np.int16)
    raster = np.zeros_like(zigzag)
    raster[:, ZIGZAG] = zigzag
    return raster


def patches_of(image: Array) -> Array:
    """(channels, H, W) -> (channels, 9, H * W): the 3x3 patch around each pixel, border replicated."""
    channels, height, width = image.shape
    padded = np.pad(image, ((0, 0), (1, 1), (1, 1)), mode="edge")
    shifted = [padded[:, y : y + height, x : x + width] for y in range(3) for x in range(3)]
    return np.stack(shifted, axis=1).reshape(channels, 9, height * width)


def image_of(patches: Array, height: int, width: int) -> Array:
    """(channels, 9, H * W) -> (channels, H, W): at each pixel the mean of the patches over it."""
    total = np.zeros((len(patches), height + 2, width + 2))
    count = np.zeros((height + 2, width + 2))
    for i in range(9):
        y, x = divmod(i, 3)
        total[:, y : y + height, x : x + width] += patches[:, i].reshape(-1, height, width)
        count[y : y + height, x : x + width] += 1
    return (total / count)[:, 1:-1, 1:-1]


def non_local(
    guide: NDArray[np.floating],
    value: NDArray[np.floating],
    h: NDArray[np.float32] | float,
    keys: NDArray[np.uint8] | None = None,
    window_px: int = 0,
) -> Array:
    """u(m) = sum over n of w(m, n) z(n), with w(m, n) = exp(-|g(m) - g(n)|^2 / (h(m)^2 + 1e-6)) d(n)
    scaled to sum to 1 over n, m and n 3x3 patches; u(m) = z(m) where no n is left to sum over.

    guide (g), value (z): (images, channels, H, W); h and keys (d): (images, 1, H, W).
    """
    images, _, height, width = guide.shape
    y, x = np.divmod(np.arange(height * width), width)
    squared_h = np.broadcast_to(np.asarray(h, np.float64), (images, 1, height, width)) ** 2 + 1e-6
    filtered = np.empty(guide.shape)
    for i in range(images):
        g = patches_of(guide[i].astype(np.float64))
        z = patches_of(value[i].astype(np.float64))
        u = np.empty_like(z)
        for m in range(height * width):
            is_key = np.ones(height * width, bool) if keys is None else keys[i].ravel() != 0
            if window_px:
                is_key = is_key & (abs(y - y[m]) <= window_px) & (abs(x - x[m]) <= window_px)
            if not is_key.any():
                u[..., m] = z[..., m]
                continue
            distance = ((g[..., is_key] - g[..., m : m + 1]) ** 2).sum((0, 1))
            weight = np.exp((distance.min() - distance) / squared_h[i].ravel()[m])
            u[..., m] = z[..., is_key] @ (weight / weight.sum())
        filtered[i] = image_of(u, height, width)
    return filtered


def find_blocking_edges(
    value: NDArray[np.float32],
    grid: tuple[int, int] = (0, 0),
    ratio: float = 2.0,
    least_step: float = 1 / 255,
) -> NDArray[np.uint8]:
    """Keys, (images, 1, H, W), of value, (images, channels, H, W): 0 on both sides of the borders
    between 8x8 blocks that stand out, else 1. grid is the (y, x) at which a block begins.

    A border of a block stands out if the mean absolute difference across it is at least least_step
    and more than `ratio` times that between the two pixels before it, and between the two after it.
    """
    keys = np.ones((len(value), 1, *value.shape[2:]), np.uint8)
    for image, image_keys in zip(value.astype(np.float64), keys[:, 0], strict=True):
        turned = (image.transpose(0, 2, 1), image_keys.T, grid[0], grid[1])
        for samples, found, across, along in ((image, image_keys, grid[1], grid[0]), turned):
            channels, length, size = samples.shape
            differences = np.abs(np.diff(samples))
            starts = sorted({0, *range(along, length, 8)})
            for start, end in itertools.pairwise([*starts, length]):
                steps = differences[:, start:end].sum((0, 1))
                least = least_step * channels * (end - start)
                for border in range(across, size - 1, 8):
                    if border < 2:
                        continue
                    beside = max(steps[border - 2], steps[border])
                    if steps[border - 1] >= least and steps[border - 1] > ratio * beside:
                        found[start:end, border - 1 : border + 1] = 0
    return keys
