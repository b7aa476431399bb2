"""What networks are trained to do: the loop's view of them, one task for each architecture."""

from typing import Any

from torch import nn

from jpegrt.training.recipe import Recipe
from jpegrt.training.tasks.cells import CellTask
from jpegrt.training.tasks.pixels import EnlargedTask
from jpegrt.training.tasks.spectral import SpectralTask
from jpegrt.training.tasks.staged import CARSRTask, CISRTask, CJPGSRTask
from jpegrt.training.tasks.task import Task

TASKS: dict[str, Any] = {
    "cellnet": CellTask,
    "hrcnn": SpectralTask,
    "jscnn": EnlargedTask,
    "carsr": CARSRTask,
    "cjpgsr": CJPGSRTask,
    "cisr": CISRTask,
}


def create_task(recipe: Recipe, network: nn.Module) -> Task[Any, Any]:
    """network: of the recipe. Raises ValueError if the recipe does not fit it."""
    task: Task[Any, Any] = TASKS[recipe.network["architecture"]](recipe, network)
    return task
