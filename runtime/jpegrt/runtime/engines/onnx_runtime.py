"""ONNX Runtime on the CPU."""

import numpy as np
import onnxruntime as ort

from jpegrt.kernels import Tensors
from jpegrt.runtime.bundle import Bundle
from jpegrt.runtime.errors import RestoreError, one_line


class OnnxRuntimeEngine:
    """Graphs are loaded when first run; tensors are bound in place, never copied."""

    def __init__(self, bundle: Bundle, precision: str, threads: int) -> None:
        self._bundle, self._precision = bundle, precision
        self._options = ort.SessionOptions()
        self._options.intra_op_num_threads = threads
        self._options.log_severity_level = 4  # errors are raised, and need no line of their own
        # Threads that spin after a run would take the cores from unpacking and pixels.
        self._options.add_session_config_entry("session.force_spinning_stop", "1")
        self._sessions: dict[str, ort.InferenceSession] = {}

    def run(self, graph: str, inputs: Tensors, outputs: Tensors) -> None:
        session = self._session(graph)
        binding = session.io_binding()
        for name, array in inputs.items():
            binding.bind_input(name, "cpu", 0, np.float32, array.shape, array.ctypes.data)
        for name, array in outputs.items():
            binding.bind_output(name, "cpu", 0, np.float32, array.shape, array.ctypes.data)
        try:
            session.run_with_iobinding(binding)
        except Exception as error:  # ONNX Runtime's own exceptions share no base class
            raise RestoreError(
                f"ONNX Runtime failed on graph {graph}: {one_line(error)}"
            ) from error

    def _session(self, graph: str) -> ort.InferenceSession:
        if graph not in self._sessions:
            model = self._bundle.read_graph(graph, self._precision)
            try:
                self._sessions[graph] = ort.InferenceSession(
                    model, self._options, providers=["CPUExecutionProvider"]
                )
            except Exception as error:
                raise RestoreError(
                    f"ONNX Runtime cannot load graph {graph}: {one_line(error)}"
                ) from error
        return self._sessions[graph]
