"""Which kind of model a recipe's network is exported as."""

from torch import nn

from jpegrt.export.cell_model import CellModel
from jpegrt.export.model import Model
from jpegrt.export.pixel_model import COLOUR_RULES, PixelModel
from jpegrt.export.spectral_model import SpectralModel
from jpegrt.export.unfolded_model import UnfoldedModel
from jpegrt.runtime.errors import UsageError
from jpegrt.training.networks.cellnet import CellNet
from jpegrt.training.networks.cisr import CISR
from jpegrt.training.networks.hrcnn import HRCNN
from jpegrt.training.pixel_degradation import PixelDegradation
from jpegrt.training.recipe import Recipe
from jpegrt.training.tasks import TASKS
from jpegrt.training.tasks.pixels import EnlargedTask

SAMPLINGS = ["420", "444", "422", "440"]


def model_of(recipe: Recipe, network: nn.Module, scale: int | None, window_px: int = 0) -> Model:
    """scale: of a network that has none of its own, one that the recipe trains; None is the least.
    window_px: of the non-local operator of cisr; 0 is the whole image.

    Raises UsageError for a scale or a network that cannot be exported.
    """
    architecture = recipe.network["architecture"]
    if isinstance(network, CISR):
        _require_scale(recipe, scale, (network.enlargement,))
        return UnfoldedModel(network, window_px)
    if window_px:
        raise UsageError(f"{architecture} has no non-local operator: leave out --window")
    if isinstance(network, CellNet):
        _require_scale(recipe, scale, (1,))
        return CellModel(network, [name for name in SAMPLINGS if name in network.samplings])
    if isinstance(network, HRCNN):
        _require_scale(recipe, scale, (1,))
        return SpectralModel(network)
    domain = str(network.domain)
    if domain not in COLOUR_RULES:
        raise UsageError(f"{architecture} takes a {domain}: it cannot be exported yet")
    if issubclass(TASKS[architecture], EnlargedTask):
        assert isinstance(recipe.degradation, PixelDegradation)
        scales = tuple(sorted(set(recipe.degradation.scales)))
        _require_scale(recipe, scale, scales)
        return PixelModel(network, scale or scales[0])
    _require_scale(recipe, scale, (int(network.enlargement),))  # type: ignore[arg-type]
    return PixelModel(network)


def _require_scale(recipe: Recipe, scale: int | None, scales: tuple[int, ...]) -> None:
    if scale is not None and scale not in scales:
        raise UsageError(
            f"recipe {recipe.name} trains no scale {scale}: "
            f"choose one of {', '.join(map(str, scales))}"
        )
