"""The native core: JPEG coefficients, the kernels that unpack them, and the pipeline."""

from jpegrt.kernels._native import NativeError, Status
from jpegrt.kernels.coefficients import (
    Coding,
    CoefficientReader,
    Colour,
    Component,
    JpegImage,
    read_coefficients,
)
from jpegrt.kernels.non_local import find_blocking_edges, non_local
from jpegrt.kernels.packed import (
    blocks_from_packed,
    cells_from_packed,
    check_packed,
    coefficient_plane_from_packed,
    pack_blocks,
    packed_shape,
    samples_from_packed,
    spectrum_from_packed,
)
from jpegrt.kernels.pipeline import (
    CudaEngine,
    DeviceTensors,
    Engine,
    GraphSpec,
    ModelSpec,
    Pipeline,
    Tensors,
    Timings,
)
from jpegrt.kernels.project import project_cells
from jpegrt.kernels.unpack import (
    cells_from_blocks,
    coefficient_plane_from_blocks,
    samples_from_blocks,
    spectrum_from_blocks,
)

__all__ = [
    "Coding",
    "CoefficientReader",
    "Colour",
    "Component",
    "CudaEngine",
    "DeviceTensors",
    "Engine",
    "GraphSpec",
    "JpegImage",
    "ModelSpec",
    "NativeError",
    "Pipeline",
    "Status",
    "Tensors",
    "Timings",
    "blocks_from_packed",
    "cells_from_blocks",
    "cells_from_packed",
    "check_packed",
    "coefficient_plane_from_blocks",
    "coefficient_plane_from_packed",
    "find_blocking_edges",
    "non_local",
    "pack_blocks",
    "packed_shape",
    "project_cells",
    "read_coefficients",
    "samples_from_blocks",
    "samples_from_packed",
    "spectrum_from_blocks",
    "spectrum_from_packed",
]
