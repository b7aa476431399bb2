"""ONNX Runtime, as its documentation has it. On CUDA this has not been run on a GPU yet."""

import onnxruntime as ort

from jpegrt.runtime.bench.by_hand import Arrays, Load, Run
from jpegrt.runtime.errors import UsageError

_PROVIDERS = {"cpu": "CPUExecutionProvider", "cuda": "CUDAExecutionProvider"}


def load(graph: bytes, threads: int, device: str) -> Load | None:
    provider = _PROVIDERS[device]
    if provider not in ort.get_available_providers():
        return None
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 4
    session = ort.InferenceSession(graph, options, providers=[provider])
    if session.get_providers()[0] != provider:  # it takes the CPU instead, and says nothing
        raise UsageError(f"ONNX Runtime cannot use {provider} here: leave out --device {device}")
    names = [output.name for output in session.get_outputs()]

    def bind(inputs: Arrays) -> Run:
        feeds = dict(inputs)
        return lambda: dict(zip(names, session.run(names, feeds), strict=True))

    return bind
