"""Models that deblock and then enlarge, made to stop in between: images keep their size."""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from jpegrt.kernels import Engine, GraphSpec, ModelSpec, Pipeline, Tensors
from jpegrt.runtime.bundle import Bundle, find_bundle_folder, name_of_scale
from jpegrt.runtime.engines import create_engine, runs_own_graphs
from jpegrt.runtime.errors import UsageError

_LOW = "low"  # of an unfolded model, the deblocked image: the output of its graph arm
_COMPONENTS = {"luma": 1, "rgb": 3}


def deblocking_spec(bundle: Bundle) -> ModelSpec:
    """Of the model that deblocks as `bundle` does and stops there; what does not enlarge is that
    model itself. Raises UsageError if `bundle` deblocks at no time."""
    spec = bundle.spec
    if spec.enlargement == 1:
        return spec
    graph = _LOW if spec.unfoldings else bundle.deblocking_graph
    if graph is None:
        raise UsageError(
            f"model {bundle.name} makes no deblocked image before it enlarges: for one, restore "
            f"with {_other_model(bundle)}, which does not enlarge"
        )
    graphs = [GraphSpec(graph, _COMPONENTS[spec.domain])]
    return replace(spec, graphs=graphs, enlargement=1, unfoldings=0, window_px=0)


def create_deblocking_engine(
    name: str, bundle: Bundle, precision: str, threads: int, **options: Any
) -> Engine:
    """What runs the graph of `deblocking_spec`. The arguments are those of `create_engine`.

    Raises UsageError for engines that are built: there are none of a first stage alone.
    """
    is_staged = bundle.spec.enlargement > 1 and not bundle.spec.unfoldings
    if is_staged and not runs_own_graphs(name):
        raise UsageError(
            f"engine {name} has no engines of deblocking alone: choose one that runs a model's own "
            "graphs, as --engine auto does"
        )
    engine = create_engine(name, bundle, precision, threads, **options)
    if not bundle.spec.unfoldings:
        return engine
    return UnfoldedDeblocking(bundle.spec, engine, threads)


class UnfoldedDeblocking:
    """An engine that answers an image with what an unfolded model deblocked last.

    All of the loop runs, in a pipeline of its own, which takes the image as the pixels that it was.
    """

    def __init__(self, spec: ModelSpec, engine: Engine, threads: int) -> None:
        self._scale, self._kept = spec.scale, _LowKept(engine)
        self._pipeline = Pipeline(spec, self._kept, threads=threads)

    def run(self, graph: str, inputs: Tensors, outputs: Tensors) -> None:
        (image,) = inputs["image"]
        levels = np.rint(image / self._scale + 128).astype(np.uint8)
        pixels = np.ascontiguousarray(levels.transpose(1, 2, 0))
        self._pipeline.restore(np.empty(self._pipeline.load_pixels(pixels), np.uint8))
        outputs["image_restored"][:] = self._kept.low


class _LowKept:
    """An engine that hands everything on to another, and keeps a copy of the last `low`."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self.low: NDArray[np.float32] = np.empty(0, np.float32)

    def run(self, graph: str, inputs: Tensors, outputs: Tensors) -> None:
        self._engine.run(graph, inputs, outputs)
        if _LOW in outputs:
            self.low = outputs[_LOW].copy()


def _other_model(bundle: Bundle) -> str:
    """The same network's that does not enlarge, if it is there."""
    network = bundle.name.removesuffix(name_of_scale("", bundle.spec.enlargement))
    is_there = network != bundle.name and find_bundle_folder(network)
    return network if is_there else "cellnet"
