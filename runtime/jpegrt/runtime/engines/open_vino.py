"""OpenVINO on the CPU."""

import openvino as ov

from jpegrt.kernels import Tensors
from jpegrt.runtime.bundle import Bundle
from jpegrt.runtime.errors import RestoreError


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
        for name, array in inputs.items():
            request.set_tensor(name, ov.Tensor(array, shared_memory=True))
        for name, array in outputs.items():
            request.set_tensor(name, ov.Tensor(array, shared_memory=True))
        try:
            request.infer()
        except RuntimeError as error:
            raise RestoreError(f"OpenVINO failed on graph {graph}: {error}") from error

    def _request(self, graph: str) -> ov.InferRequest:
        if graph not in self._requests:
            model = self._core.read_model(model=self._bundle.read_graph(graph, self._precision))
            compiled = self._core.compile_model(model, "CPU", self._config)
            self._requests[graph] = compiled.create_infer_request()
        return self._requests[graph]
