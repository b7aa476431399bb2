"""ONNX Runtime on the CPU, as its documentation has it."""

import onnxruntime as ort

from jpegrt.runtime.bench.by_hand import Arrays, Run


def prepare(graph: bytes, inputs: Arrays, threads: int) -> Run:
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 4
    session = ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    feeds = dict(inputs)
    return lambda: dict(zip(names, session.run(names, feeds), strict=True))
