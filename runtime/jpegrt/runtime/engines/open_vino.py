"""OpenVINO on the CPU.

When it is imported it sends a report to its makers, by a child process that stays until the network
has answered and complains on stderr if it is stopped; unless there is no package for that. So there
is none while it is imported here.
"""

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from jpegrt.kernels import Tensors
from jpegrt.runtime.bundle import Bundle
from jpegrt.runtime.errors import RestoreError, one_line

_REPORTING = "openvino_telemetry"


@contextmanager
def _without_reporting() -> Iterator[None]:
    before = sys.modules.get(_REPORTING)
    sys.modules[_REPORTING] = None  # type: ignore[assignment]  # as if it were not installed
    try:
        yield
    finally:
        del sys.modules[_REPORTING]
        if before is not None:
            sys.modules[_REPORTING] = before


with _without_reporting():
    import openvino as ov

__all__ = ["OpenVinoEngine", "ov"]


class OpenVinoEngine:
    """Graphs are compiled when first run; tensors are shared, never copied."""

    def __init__(self, bundle: Bundle, precision: str, threads: int) -> None:
        self._bundle, self._precision = bundle, precision
        self._core = ov.Core()
        self._config = {
            "INFERENCE_NUM_THREADS": threads,
            "PERFORMANCE_HINT": "LATENCY",
            # OpenVINO would otherwise compute fp32 graphs in bf16 where the processor can.
            "INFERENCE_PRECISION_HINT": "f32",
        }
        self._requests: dict[str, ov.InferRequest] = {}

    def run(self, graph: str, inputs: Tensors, outputs: Tensors) -> None:
        request = self._request(graph)
        try:
            for name, array in inputs.items():
                request.set_tensor(name, ov.Tensor(array, shared_memory=True))
            for name, array in outputs.items():
                request.set_tensor(name, ov.Tensor(array, shared_memory=True))
            request.infer(share_outputs=True)  # it would else copy them for its return value
        except RuntimeError as error:
            raise RestoreError(f"OpenVINO failed on graph {graph}: {one_line(error)}") from error

    def _request(self, graph: str) -> ov.InferRequest:
        if graph not in self._requests:
            content = self._bundle.read_graph(graph, self._precision)
            try:
                model = self._core.read_model(model=content)
                compiled = self._core.compile_model(model, "CPU", self._config)
            except RuntimeError as error:
                raise RestoreError(
                    f"OpenVINO cannot load graph {graph}: {one_line(error)}"
                ) from error
            self._requests[graph] = compiled.create_infer_request()
        return self._requests[graph]
