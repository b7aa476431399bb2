"""ONNX Runtime, on the CPU or with one of its providers for GPUs."""

import io
from contextlib import redirect_stdout
from typing import Any

import numpy as np
import onnxruntime as ort

from jpegrt.kernels import DeviceTensors, Tensors
from jpegrt.kernels.cuda import DeviceArray
from jpegrt.runtime.bundle import Bundle
from jpegrt.runtime.errors import RestoreError, UsageError, one_line

_PROVIDERS = {
    "CPU": "CPUExecutionProvider",
    "CUDA": "CUDAExecutionProvider",
    "TensorRT": "TensorrtExecutionProvider",
}
_DEFAULT_STREAM = 1  # CU_STREAM_LEGACY: ONNX Runtime takes 0 for no stream at all


class OnnxRuntimeEngine:
    """Graphs are loaded when first run; tensors are bound in place, never copied.

    provider: "CPU", "CUDA" or "TensorRT", which leaves to CUDA what it does not take of a graph. One
    that ONNX Runtime does not take is an error: it is never replaced by another. Device tensors are
    for the latter two. A graph is loaded for the stream that it first runs on, and again when that
    changes: keep to one stream, which must be idle before a run on another.
    Raises UsageError if ONNX Runtime was built without the provider.
    """

    def __init__(
        self,
        bundle: Bundle,
        precision: str,
        threads: int,
        *,
        provider: str = "CPU",
        device: int = 0,
    ) -> None:
        self._bundle, self._precision = bundle, precision
        self._provider, self._device = _PROVIDERS[provider], device
        if self._provider not in (available := ort.get_available_providers()):
            raise UsageError(
                f"this ONNX Runtime was built without {self._provider}, it has "
                f"{', '.join(available)}: run pip uninstall onnxruntime, then "
                "pip install 'jpegrt[gpu]'"
            )
        if provider != "CPU" and hasattr(ort, "preload_dlls"):
            # CUDA's libraries as pip installs them. It prints those it misses, perhaps into an image.
            with redirect_stdout(io.StringIO()):
                ort.preload_dlls()
        self._options = ort.SessionOptions()
        self._options.intra_op_num_threads = threads
        self._options.log_severity_level = 4  # errors are raised, and need no line of their own
        # Threads that spin after a run would take the cores from unpacking and pixels.
        self._options.add_session_config_entry("session.force_spinning_stop", "1")
        self._enqueuing = ort.RunOptions()
        self._enqueuing.add_run_config_entry("disable_synchronize_execution_providers", "1")
        # Graph -> what was loaded, and the stream that it runs on; None is ONNX Runtime's own.
        self._sessions: dict[str, tuple[ort.InferenceSession, int | None]] = {}

    def run(
        self,
        graph: str,
        inputs: Tensors | DeviceTensors,
        outputs: Tensors | DeviceTensors,
        stream: int | None = None,
    ) -> None:
        """As `Engine.run`, or with a stream as `CudaEngine.run`. Raises RestoreError."""
        on_device = stream is not None
        session = self._session(graph, (stream or _DEFAULT_STREAM) if on_device else None)
        binding = session.io_binding()
        place = ("cuda", self._device) if on_device else ("cpu", 0)
        for name, array in inputs.items():
            binding.bind_input(name, *place, np.float32, array.shape, _address(array))
        for name, array in outputs.items():
            binding.bind_output(name, *place, np.float32, array.shape, _address(array))
        try:
            session.run_with_iobinding(binding, self._enqueuing if on_device else None)
        except Exception as error:  # ONNX Runtime's own exceptions share no base class
            raise RestoreError(
                f"ONNX Runtime failed on graph {graph}: {one_line(error)}"
            ) from error

    def _session(self, graph: str, stream: int | None) -> ort.InferenceSession:
        if graph in self._sessions and self._sessions[graph][1] == stream:
            return self._sessions[graph][0]
        self._sessions.pop(graph, None)  # its memory, before the other's is taken
        model = self._bundle.read_graph(graph, self._precision)
        try:
            # Without its fallback, which prints, and starts again on the CPU.
            session = ort.InferenceSession(
                model, self._options, providers=self._providers(stream), enable_fallback=0
            )
        except Exception as error:
            raise RestoreError(
                f"ONNX Runtime cannot load graph {graph}: {one_line(error)}"
            ) from error
        # It goes on without a provider that it cannot start.
        if self._provider not in (taken := session.get_providers()):
            raise RestoreError(
                f"ONNX Runtime did not take {self._provider} for graph {graph}, only "
                f"{', '.join(taken)}: install the CUDA and cuDNN libraries that it needs, or choose "
                "an engine that runs on the CPU, as --engine auto does"
            )
        self._sessions[graph] = session, stream
        return session

    def _providers(self, stream: int | None) -> list[tuple[str, dict[str, Any]]]:
        if self._provider == _PROVIDERS["CPU"]:
            return [(self._provider, {})]
        options = {"device_id": str(self._device)}
        if stream is not None:
            options["user_compute_stream"] = str(stream)
        # fp32 graphs in fp32: TF32 keeps 10 bits of a float's 23.
        cuda = (_PROVIDERS["CUDA"], {**options, "use_tf32": "0"})
        return [cuda] if self._provider == cuda[0] else [(self._provider, options), cuda]


def _address(array: Any) -> int:
    return int(array.pointer if isinstance(array, DeviceArray) else array.ctypes.data)
