"""Which model restores a JPEG best, and how much of its restoration to take, by measurement.

`amounts.json`, which `scripts/measure_amounts.py` wrote, has what every model gains on images that
none was trained on, grey, 4:4:4 and 4:2:0, at the quality factors of libjpeg. A file's own tables
tell which of these it is most like.
"""

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from jpegrt.kernels import JpegImage
from jpegrt.kernels.coefficients import Colour
from jpegrt.runtime.tables import ANNEX_K_CHROMA, ANNEX_K_LUMA, estimate_quality

TABLE = Path(__file__).with_name("amounts.json")

# Of models that gain nearly the same the one that costs least is taken.
NEAR_DB = 0.05


@dataclass(frozen=True)
class Amount:
    """model: "none" if every model would make such files worse. strength: 0 to 1.

    quality: the quality factor that the file's tables are nearest to.
    """

    model: str
    strength: float
    quality: int


def choose_amount(image: JpegImage) -> Amount:
    """By the tables of a JPEG, of any components, that was read."""
    quality = representative_quality(image)
    return amount_at(quality, kind_of(image))


def kind_of(image: JpegImage) -> str:
    """The nearest that was measured: what chroma lost in being subsampled is there to be gained."""
    if image.colour in (Colour.GREY, Colour.RGB, Colour.CMYK):
        return "grey"  # each component by itself
    return "444" if image.subsampling == "4:4:4" else "420"


def representative_quality(image: JpegImage) -> int:
    """The lowest of the components' estimates.

    The coarsest component has most to gain, and a model that knows all tables changes the finer
    ones little.
    """
    estimates = []
    for index, component in enumerate(image.components):
        assert component.table is not None
        is_chroma = image.colour in (Colour.YCBCR, Colour.YCCK) and index in (1, 2)
        base = ANNEX_K_CHROMA if is_chroma else ANNEX_K_LUMA
        estimates.append(estimate_quality(component.table, base).quality)
    return min(estimates)


def amount_at(quality: int, kind: str) -> Amount:
    """What was best at the nearest quality that was measured. kind: "grey", "444" or "420"."""
    table = measured()
    qualities = table["qualities"]
    at = min(range(len(qualities)), key=lambda i: abs(qualities[i] - quality))
    gains = {name: row["gain_at_strength_db"][at] for name, row in table["gains"][kind].items()}
    best = max(gains.values())
    if best <= 0:
        return Amount("none", 0.0, quality)
    cost = {name: facts["multiply_adds_per_px"] for name, facts in table["models"].items()}
    near = (name for name, gain in gains.items() if gain > 0 and gain >= best - NEAR_DB)
    model = min(near, key=cost.__getitem__)
    return Amount(model, float(table["gains"][kind][model]["strength"][at]), quality)


@lru_cache(1)
def measured() -> dict[str, Any]:
    """The table. Not to be written to."""
    table: dict[str, Any] = json.loads(TABLE.read_text())
    return table
