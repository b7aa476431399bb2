"""OpenVINO on the CPU, as its documentation has it, in the precision that the graph states."""

from jpegrt.runtime.bench.by_hand import Arrays, Load, Run
from jpegrt.runtime.engines.open_vino import ov


def load(graph: bytes, threads: int, device: str) -> Load | None:
    if device != "cpu":
        return None
    core = ov.Core()
    config = {
        "INFERENCE_NUM_THREADS": threads,
        "PERFORMANCE_HINT": "LATENCY",
        "INFERENCE_PRECISION_HINT": "f32",
    }
    compiled = core.compile_model(core.read_model(model=graph), "CPU", config)
    request = compiled.create_infer_request()

    def bind(inputs: Arrays) -> Run:
        feeds = {name: ov.Tensor(array, shared_memory=True) for name, array in inputs.items()}

        def run() -> Arrays:
            results = request.infer(feeds, share_outputs=True)
            return {output.any_name: results[output] for output in compiled.outputs}

        return run

    return bind
