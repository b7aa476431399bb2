"""Networks on cells that are told other quantisation steps than the file's."""

import numpy as np
from numpy.typing import NDArray

from jpegrt.kernels import Engine, Tensors


class ToldSteps:
    """An engine that hands everything on to another, but `steps` where they are given.

    steps: None, or float32 (1, 64 * components), as the graphs take them.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.steps: NDArray[np.float32] | None = None

    def run(self, graph: str, inputs: Tensors, outputs: Tensors) -> None:
        if self.steps is not None:
            inputs = {**inputs, "steps": self.steps}
        self._engine.run(graph, inputs, outputs)
