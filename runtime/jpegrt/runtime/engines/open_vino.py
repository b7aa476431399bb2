"""OpenVINO on the CPU."""

import openvino as ov

from jpegrt.kernels import Tensors
from jpegrt.runtime.bundle import Bundle
from jpegrt.runtime.errors import RestoreError, one_line


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
