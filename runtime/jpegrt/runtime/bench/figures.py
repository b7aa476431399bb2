"""Quality on LIVE1 beside cost: that of models from their manifests, of others as published."""

import tomllib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib import resources
from typing import Any

QUALITY = 10
# What manifests call grey LIVE1, measured as `jpegrt evaluate` or as a paper does.
_SETS = ("live1_grey", "LIVE1")


@dataclass(frozen=True)
class Published:
    """gain_db: over the JPEG, grey LIVE1 at QUALITY."""

    name: str
    multiply_adds_per_px: int
    gain_db: float
    note: str

    def to_json(self) -> dict[str, object]:
        return asdict(self)


def load_published() -> list[Published]:
    file = resources.files("jpegrt.runtime") / "bench" / "published.toml"
    return [
        Published(
            network["name"],
            network["multiply_adds_per_px"],
            _gain_db(network),
            network["note"],
        )
        for network in tomllib.loads(file.read_text())["networks"]
    ]


def gain_of(manifest: Mapping[str, Any]) -> float | None:
    """The model's on grey LIVE1 at QUALITY, None if its manifest has no such row."""
    if manifest.get("scale", 1) != 1:
        return None
    for name in _SETS:
        for row in manifest.get("quality", []):
            if row["set"] == name and QUALITY in row["qualities"]:
                return _gain_db(row)
    return None


def _gain_db(row: Mapping[str, Any]) -> float:
    at = row["qualities"].index(QUALITY)
    return round(float(row["psnr_db"][at]) - float(row["jpeg_psnr_db"][at]), 4)
