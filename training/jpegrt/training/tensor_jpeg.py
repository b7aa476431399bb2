"""libjpeg's JPEG on tensors of any device: the same integers, so the same coefficients and pixels.

What it computes in float64 are integers below 2^53, sums of products and quotients that are rounded
down: all exact, in any order of summation, also where a device multiplies no matrices of integers.

    planes  (N, H, W) or (N, C, H, W)     levels 0 to 255, int32
    tables  (N, 2, 8, 8)                  steps of luma and of chroma, 1 to 255
    blocks  (N, rows, columns, 8, 8)      quantised coefficients (vertical, horizontal frequency)
"""

import torch
from torch import Tensor

from jpegrt.training.samplings import SAMPLINGS

# libjpeg's "islow" DCT, sqrt(8) * 2^13 times the orthonormal one: of each frequency what the first four
# samples are multiplied by; the others mirror them, negated at odd frequencies. Factors are rounded
# before they are combined, which is why pairs that should be equal differ by one (ours in
# kernels/shared/dct.h too).
_ISLOW = (
    (8192, 8192, 8192, 8192),
    (11363, 9633, 6437, 2260),
    (10703, 4433, -4433, -10703),
    (9633, -2259, -11362, -6436),
    (8192, -8192, -8192, 8192),
    (6437, -11362, 2261, 9633),
    (4433, -10704, 10704, -4433),
    (2260, -6436, 9633, -11363),
)
# The first pass of either direction keeps 2 of the 13 fractional bits. The second leaves 3 bits of
# forward coefficients, which quantising drops; samples lose them, and as many of the DCT's scale.
_FIRST_SHIFT, _FORWARD_SHIFT, _INVERSE_SHIFT = 11, 15, 18


def ycbcr_from_rgb(rgb: Tensor) -> Tensor:
    """(N, 3, H, W) levels of any type to int32 Y, Cb, Cr levels, by 65536ths as in libjpeg.

    Y alone is Pillow's "L" too; of chroma, halves are rounded down.
    """
    r, g, b = rgb.to(torch.int32).unbind(1)
    half = 1 << 15
    y = 19595 * r + 38470 * g + 7471 * b + half
    cb = -11059 * r - 21709 * g + 32768 * b + (128 << 16) + half - 1
    cr = 32768 * r - 27439 * g - 5329 * b + (128 << 16) + half - 1
    return torch.stack((y, cb, cr), 1) >> 16


def rgb_from_ycbcr(ycbcr: Tensor) -> Tensor:
    """(N, 3, H, W) int32 levels to int32 R, G, B levels."""
    y, cb, cr = ycbcr.unbind(1)
    cb, cr = cb - 128, cr - 128
    half = 1 << 15
    red = y + ((91881 * cr + half) >> 16)
    green = y + ((-22554 * cb - 46802 * cr + half) >> 16)
    blue = y + ((116130 * cb + half) >> 16)
    return torch.stack((red, green, blue), 1).clamp(0, 255)


def blocks_of(planes: Tensor) -> Tensor:
    """Cuts (N, H, W), whole blocks, into (N, H / 8, W / 8, 8, 8)."""
    count, height, width = planes.shape
    return planes.reshape(count, height // 8, 8, width // 8, 8).transpose(2, 3)


def planes_of(blocks: Tensor) -> Tensor:
    """Lays (N, rows, columns, 8, 8) out as (N, 8 rows, 8 columns)."""
    return blocks.transpose(2, 3).flatten(3, 4).flatten(1, 2)


def quantised_blocks(planes: Tensor, steps: Tensor) -> Tensor:
    """(N, H, W) whole blocks, quantised by (N, 8, 8) steps: float64 blocks of integers."""
    dct = _islow(planes.device)
    rows = _shifted((blocks_of(planes).double() - 128) @ dct.T, _FIRST_SHIFT)
    coefficients = _shifted(dct @ rows, _FORWARD_SHIFT)
    divisor = _for_blocks(steps) * 8
    size = (coefficients.abs() + (divisor / 2).floor()) / divisor
    return size.floor() * coefficients.sign()


def decoded_planes(blocks: Tensor, steps: Tensor) -> Tensor:
    """Blocks quantised by (N, 8, 8) steps into their int32 levels, (N, 8 rows, 8 columns)."""
    dct = _islow(blocks.device)
    columns = _shifted(dct.T @ (blocks * _for_blocks(steps)), _FIRST_SHIFT)
    samples = _shifted(columns @ dct, _INVERSE_SHIFT) + 128
    return planes_of(samples.clamp(0, 255).to(torch.int32))


def compressed_blocks(components: Tensor, tables: Tensor, sampling: str) -> list[Tensor]:
    """The quantised blocks of a JPEG's components, of (N, C, H, W) grey or full-size Y, Cb, Cr.

    sampling: "grey", or a SAMPLINGS key. Of "440" they are those of the transposed image's 4:2:2
    JPEG, transposed, as in `degradation`; so are the tables that they are then of. Edges that are no
    whole MCUs are repeated as libjpeg does.
    """
    if sampling == "440":
        turned = compressed_blocks(components.mT, tables, "422")
        return [blocks.permute(0, 2, 1, 4, 3) for blocks in turned]
    luma = [quantised_blocks(_whole_blocks(components[:, 0]), tables[:, 0])]
    if sampling == "grey":
        return luma
    h, v = SAMPLINGS[sampling]
    chroma = _reduced(components[:, 1:], h, v).unbind(1)
    return luma + [quantised_blocks(_whole_blocks(plane), tables[:, 1]) for plane in chroma]


def decoded_jpegs(images: Tensor, tables: Tensor, sampling: str) -> Tensor:
    """(N, C, H, W) levels, grey or RGB, compressed and decoded: int32, as libjpeg returns them.

    sampling: "grey", "444", "422" or "420". Chroma is enlarged by libjpeg's triangle filter.
    """
    height, width = images.shape[2:]
    if sampling == "grey":
        (blocks,) = compressed_blocks(images.to(torch.int32), tables, sampling)
        return decoded_planes(blocks, tables[:, 0])[:, None, :height, :width]
    h, v = SAMPLINGS[sampling]
    components = compressed_blocks(ycbcr_from_rgb(images), tables, sampling)
    planes = [
        decoded_planes(blocks, tables[:, 0 if n == 0 else 1]) for n, blocks in enumerate(components)
    ]
    rows, columns = -(-height // v), -(-width // h)
    chroma = _enlarged(torch.stack(planes[1:], 1)[..., :rows, :columns], h, v)
    ycbcr = torch.cat((planes[0][:, None, :height, :width], chroma[..., :height, :width]), 1)
    return rgb_from_ycbcr(ycbcr)


def spectra_of(blocks: Tensor, steps: Tensor, scale: float) -> Tensor:
    """(N, 64, rows, columns) float32: coefficient times step times scale, plane 8 v + u."""
    return (blocks * _for_blocks(steps)).flatten(3).permute(0, 3, 1, 2).float() * scale


def cells_of(blocks: Tensor, steps: Tensor, cell: tuple[int, int], scale: float) -> Tensor:
    """Pixel cells, float32 (N, h w, 8 rows / h, 8 columns / w), for cell = (h, w).

    The inverse DCT, neither rounded nor clamped: what `kernels.cells_from_blocks` makes of one.
    """
    basis = _orthonormal_basis(blocks.device)
    planes = planes_of(basis.T @ (blocks * _for_blocks(steps)) @ basis) * scale
    return cut_into_cells(planes[:, None], cell).float()


def cut_into_cells(planes: Tensor, cell: tuple[int, int]) -> Tensor:
    """(N, C, H, W) to (N, C h w, H / h, W / w): sample (y, x) in plane (y % h) w + x % w."""
    h, w = cell
    count, channels, height, width = planes.shape
    cut = planes.reshape(count, channels, height // h, h, width // w, w)
    return cut.permute(0, 1, 3, 5, 2, 4).flatten(1, 3)


def _islow(device: torch.device) -> Tensor:
    half = torch.tensor(_ISLOW, dtype=torch.float64, device=device)
    signs = torch.tensor([[1.0], [-1.0]] * 4, dtype=torch.float64, device=device)
    return torch.cat((half, half.flip(1) * signs), 1)


def _orthonormal_basis(device: torch.device) -> Tensor:
    """(frequency, sample), float64."""
    u = torch.arange(8, dtype=torch.float64, device=device)
    basis = torch.cos((2 * u + 1) * u[:, None] * (torch.pi / 16)) / 2
    return torch.cat((basis[:1] / 2**0.5, basis[1:]))


def _shifted(integers: Tensor, bits: int) -> Tensor:
    """Down by so many bits, rounded half up."""
    half = 2.0 ** (bits - 1)
    return ((integers + half) / (2 * half)).floor()


def _for_blocks(steps: Tensor) -> Tensor:
    return steps.double()[:, None, None]


def _whole_blocks(planes: Tensor) -> Tensor:
    """With the last row and column repeated up to whole blocks."""
    return _repeated(planes, -planes.shape[-2] % 8, -planes.shape[-1] % 8)


def _reduced(chroma: Tensor, h: int, v: int) -> Tensor:
    """(N, C, H, W) to every h x v samples' mean, whole blocks wide.

    Columns are repeated before they are averaged, rows after, but for one that makes them even. The
    rounding alternates from column to column.
    """
    if (h, v) == (1, 1):
        return chroma
    chroma = _repeated(chroma, -chroma.shape[-2] % v, -chroma.shape[-1] % (8 * h))
    count, components, height, width = chroma.shape
    boxes = chroma.reshape(count, components, height // v, v, width // h, h)
    sums = boxes.sum((3, 5), dtype=torch.int32)
    odd = torch.arange(sums.shape[-1], device=sums.device, dtype=torch.int32) % 2
    return (sums + odd) >> 1 if v == 1 else (sums + 1 + odd) >> 2


def _enlarged(chroma: Tensor, h: int, v: int) -> Tensor:
    """(N, C, H, W) to h and v times that: three quarters of the nearest sample, one of the next."""
    if (h, v) == (1, 1):
        return chroma
    if chroma.shape[-1] <= 2:  # libjpeg's own condition
        return chroma.repeat_interleave(v, -2).repeat_interleave(h, -1)
    if v == 1:
        return _interleaved_columns(*_with_neighbours(chroma, 3), biases=(1, 2), bits=2)
    rows = torch.stack(_with_neighbours(chroma, 2), 3).flatten(2, 3)
    return _interleaved_columns(*_with_neighbours(rows, 3), biases=(8, 7), bits=4)


def _with_neighbours(planes: Tensor, dimension: int) -> tuple[Tensor, Tensor]:
    """Three times each sample plus the one before it, and plus the one after it."""
    size = planes.shape[dimension]
    first, last = planes.narrow(dimension, 0, 1), planes.narrow(dimension, size - 1, 1)
    before = torch.cat((first, planes.narrow(dimension, 0, size - 1)), dimension)
    after = torch.cat((planes.narrow(dimension, 1, size - 1), last), dimension)
    return 3 * planes + before, 3 * planes + after


def _interleaved_columns(
    left: Tensor, right: Tensor, *, biases: tuple[int, int], bits: int
) -> Tensor:
    return torch.stack(((left + biases[0]) >> bits, (right + biases[1]) >> bits), 4).flatten(3)


def _repeated(planes: Tensor, rows: int, columns: int) -> Tensor:
    """With the last row and column repeated so many times."""
    if rows:
        planes = torch.cat((planes, *[planes[..., -1:, :]] * rows), -2)
    if columns:
        planes = torch.cat((planes, *[planes[..., -1:]] * columns), -1)
    return planes
