"""Engines in place of networks, the models they serve, and cells as planes."""

import threading
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from jpegrt.kernels import GraphSpec, ModelSpec, Tensors

Plane = NDArray[np.float32]

# Luma samples per chroma sample, across and down, by the name of the graph.
GRAPHS = {"4:4:4": (1, 1), "4:2:2": (2, 1), "4:4:0": (1, 2), "4:2:0": (2, 2)}


def model(cell_px: int, *graphs: str, scale: float = 1 / 128) -> ModelSpec:
    """A model with a grey graph and those named."""
    colour = [GraphSpec(name, 3, *GRAPHS[name]) for name in graphs]
    return ModelSpec(cell_px, scale, [GraphSpec("grey", 1), *colour])


def full_model(cell_px: int) -> ModelSpec:
    """A model with every graph that its cells allow."""
    return model(cell_px, *(name for name, (h, v) in GRAPHS.items() if cell_px >= max(h, v)))


def plane_from_cells(cells: Plane, cell: tuple[int, int]) -> Plane:
    """(h * w, rows, columns) -> (h * rows, w * columns), for cell = (h, w)."""
    (h, w), (_, rows, columns) = cell, cells.shape
    return cells.reshape(h, w, rows, columns).transpose(2, 0, 3, 1).reshape(h * rows, w * columns)


def cells_from_plane(plane: Plane, cell: tuple[int, int]) -> Plane:
    (h, w), (height, width) = cell, plane.shape
    cells = plane.reshape(height // h, h, width // w, w).transpose(1, 3, 0, 2)
    return cells.reshape(h * w, height // h, width // w)


class Identity:
    """Restores nothing: its output is its input, chroma repeated up to full resolution."""

    def run(self, graph: str, inputs: Tensors, outputs: Tensors) -> None:
        outputs["luma_restored"][:] = inputs["luma"]
        if graph == "grey":
            return
        (h, v), r = GRAPHS[graph], round(inputs["luma"].shape[1] ** 0.5)
        for chroma, restored in zip(
            np.split(inputs["chroma"][0], 2),
            np.split(outputs["chroma_restored"][0], 2),
            strict=True,
        ):
            plane = plane_from_cells(chroma, (r // v, r // h))
            restored[:] = cells_from_plane(plane.repeat(v, axis=0).repeat(h, axis=1), (r, r))


class Recording(Identity):
    """Remembers what each call was given."""

    def __init__(self) -> None:
        self.graphs: list[str] = []
        self.inputs: list[dict[str, Plane]] = []
        self.output_shapes: list[dict[str, tuple[int, ...]]] = []
        self.threads: set[int] = set()

    def run(self, graph: str, inputs: Tensors, outputs: Tensors) -> None:
        self.graphs.append(graph)
        self.inputs.append({name: tensor.copy() for name, tensor in inputs.items()})
        self.output_shapes.append({name: tensor.shape for name, tensor in outputs.items()})
        self.threads.add(threading.get_ident())
        super().run(graph, inputs, outputs)


class Filling:
    """Writes what `value` gives for each output's shape, whatever comes in."""

    def __init__(self, value: Callable[[tuple[int, ...]], NDArray[np.float64]]) -> None:
        self.value = value

    def run(self, graph: str, inputs: Tensors, outputs: Tensors) -> None:
        for tensor in outputs.values():
            tensor[:] = self.value(tensor.shape)


class Raising(Identity):
    """Raises `error` once it is set."""

    error: BaseException | None = None

    def run(self, graph: str, inputs: Tensors, outputs: Tensors) -> None:
        super().run(graph, inputs, outputs)
        if self.error:
            raise self.error
