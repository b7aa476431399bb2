"""What recipes may say of each architecture, known without importing torch."""

from dataclasses import dataclass

from jpegrt.training.degradation import Degradation
from jpegrt.training.pixel_degradation import PixelDegradation
from jpegrt.training.schedule import LOSSES


@dataclass(frozen=True)
class Architecture:
    """degradation: what the recipe's [degradation] is read as; parts and losses: those that its
    schedule may name; scales: those of which a network has one, none if there is nothing to choose.
    """

    degradation: type[Degradation] | type[PixelDegradation]
    parts: tuple[str, ...] = ("all",)
    losses: tuple[str, ...] = LOSSES
    scales: tuple[int, ...] = ()


ARCHITECTURES = {
    "cellnet": Architecture(Degradation, parts=("luma", "chroma"), losses=("log",)),
    "hrcnn": Architecture(Degradation),
    "jscnn": Architecture(PixelDegradation),
    "carsr": Architecture(
        PixelDegradation, parts=("car", "sr", "joint"), losses=("l1",), scales=(2, 3, 4)
    ),
    "cjpgsr": Architecture(PixelDegradation, losses=("l1",), scales=(2, 4)),
    "cisr": Architecture(PixelDegradation, losses=("l1",), scales=(2, 3, 4)),
}
