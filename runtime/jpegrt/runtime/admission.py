"""Which images are restored: those of not too many pixels, for which the memory is enough."""

import math
from dataclasses import dataclass

from jpegrt.runtime.errors import RestoreError
from jpegrt.runtime.memory import Memory

ALLOW_MORE_PIXELS = "; to allow it, pass a larger --max-pixels (max_pixels)"


@dataclass(frozen=True)
class Admission:
    """max_pixels: of an image, as it comes and as it is restored.
    memory: what restoring may take; images that need more are refused if it is a limit.
    enlargement: by how much images are enlarged.
    tile_px: the side of the tiles that they are restored in, 0 if they are restored whole, whatever
        it takes.
    bytes_per_px: what the pipeline and an engine take for each pixel of a tile.
    """

    max_pixels: int
    memory: Memory
    enlargement: int
    tile_px: int
    bytes_per_px: int

    def admit(self, width: int, height: int, channels: int, held: int, depth: int) -> None:
        """Raises RestoreError for an image that is too large.

        held: bytes that it takes as long as it is restored. channels, depth: of the pixels that it
        is restored to, depth in bits.
        """
        restored = self.enlargement * width, self.enlargement * height
        if math.prod(restored) > self.max_pixels:
            raise RestoreError(
                f"{restored[0]}x{restored[1]} pixels are more than the limit of {self.max_pixels}"
                + ALLOW_MORE_PIXELS
            )
        if not self.tile_px or not self.memory.is_limit:
            return
        rows = min(height, self.tile_px)
        strip = channels * depth // 8 * self.enlargement**2 * width * rows
        needed = held + strip + self.bytes_per_px * min(width, self.tile_px) * rows
        if needed > self.memory.bytes:
            raise RestoreError(
                f"{width} x {height} pixels take {(needed >> 20) + 1} MiB beside the program itself: "
                "pass a larger --memory (memory)"
            )
