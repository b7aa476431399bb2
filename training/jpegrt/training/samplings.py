"""The chroma samplings that networks know."""

from collections.abc import Mapping

# Luma samples per chroma sample, across and down.
SAMPLINGS: Mapping[str, tuple[int, int]] = {
    "444": (1, 1),
    "422": (2, 1),
    "440": (1, 2),
    "420": (2, 2),
}
