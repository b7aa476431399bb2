"""TensorRT, its lean runtime, and TensorRT for RTX: engines that `jpegrt build` makes, on a GPU."""

import hashlib
import threading
from importlib import import_module
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import numpy as np

from jpegrt.kernels import DeviceTensors, Tensors
from jpegrt.kernels.cuda import DeviceArray
from jpegrt.runtime.bundle import Bundle
from jpegrt.runtime.engine_files import read_facts
from jpegrt.runtime.engine_search import EngineSearch, Runner
from jpegrt.runtime.engines.tensor_rt_program import Program, ProgramError, SizeError
from jpegrt.runtime.errors import RestoreError, UsageError, one_line
from jpegrt.runtime.tensorrt_vendor import import_runtime

# Engines in GPUs' memory, by flavour, device and SHA-256: sessions share them.
_programs: WeakValueDictionary[tuple[str, int, str], Program] = WeakValueDictionary()
_loading = threading.Lock()


class TensorRtEngine:
    """Graphs' engines are found, or built, and loaded when first run.

    Device tensors are used where they are, on the caller's stream. Tensors on the host are copied
    there and back, on a stream of the engine's own, and are finished when `run` returns.

    flavour: of `tensorrt_vendor.RUNTIME_MODULES`; device: the GPU's ordinal; folder: where the
    engines are, as for `EngineSearch`.
    Raises UsageError without the vendor's package, cuda-core or such a device.
    """

    def __init__(
        self,
        bundle: Bundle,
        precision: str,
        threads: int,  # other engines'
        *,
        flavour: str,
        device: int = 0,
        folder: Path | None = None,
    ) -> None:
        self._trt, self._flavour = import_runtime(flavour), flavour
        self._core = _import_cuda_core()
        # Before the vendor's library is asked for anything: without a device its answers crash.
        self._device = _open_device(self._core, device)
        major, minor = self._device.compute_capability
        runner = Runner(flavour, str(self._trt.__version__), f"sm{major}{minor}")
        self._search = EngineSearch(bundle, precision, runner, folder)
        self._bundle = bundle
        self._loaded: dict[str, tuple[Path, Program]] = {}
        self._own_stream: Any = None

    def run(
        self,
        graph: str,
        inputs: DeviceTensors | Tensors,
        outputs: DeviceTensors | Tensors,
        stream: int | None = None,
    ) -> None:
        """As `CudaEngine.run`, or without a stream as `Engine.run`. Raises RestoreError."""
        self._device.set_current()
        engine, program = self._load(graph)
        try:
            if stream is None:
                self._run_from_host(program, inputs, outputs)  # type: ignore[arg-type]
            else:
                program.run(inputs, outputs, self._stream_of(stream))  # type: ignore[arg-type]
        except SizeError as error:
            raise RestoreError(self._size_advice(engine, inputs)) from error
        except Exception as error:  # cuda-core's have no public base class
            raise RestoreError(f"TensorRT failed on graph {graph}: {one_line(error)}") from error

    def _stream_of(self, handle: int) -> Any:
        core = self._core
        return core.Stream.from_handle(handle) if handle else core.LEGACY_DEFAULT_STREAM

    def _run_from_host(self, program: Program, inputs: Tensors, outputs: Tensors) -> None:
        if self._own_stream is None:
            self._own_stream = self._device.create_stream()
        stream, core = self._own_stream, self._core
        staged: dict[str, Any] = {}
        try:
            for name, array in (*inputs.items(), *outputs.items()):
                staged[name] = self._device.allocate(array.nbytes, stream=stream)
            for name, array in inputs.items():
                host = core.Buffer.from_handle(array.ctypes.data, array.nbytes)
                staged[name].copy_from(host, stream=stream)
            on_device = {
                name: DeviceArray(int(staged[name].handle), array.shape, np.float32)
                for name, array in (*inputs.items(), *outputs.items())
            }
            program.run(
                {name: on_device[name] for name in inputs},
                {name: on_device[name] for name in outputs},
                stream,
            )
            for name, array in outputs.items():
                host = core.Buffer.from_handle(array.ctypes.data, array.nbytes)
                staged[name].copy_to(host, stream=stream)
        finally:
            for buffer in staged.values():
                buffer.close(stream)
            stream.sync()

    def _load(self, graph: str) -> tuple[Path, Program]:
        """Raises UsageError."""
        if graph in self._loaded:
            return self._loaded[graph]
        engine, content = self._search.read(graph)
        digest = hashlib.sha256(content).hexdigest()
        key = (self._flavour, int(self._device.device_id), digest)
        with _loading:
            program = _programs.get(key)
            if program is None:
                try:
                    program = Program(self._trt, self._device, content)
                except ProgramError as error:
                    cure = read_facts(engine).rebuild_command(engine)
                    raise UsageError(
                        f"{engine} cannot be loaded: {one_line(error)}; run {cure}"
                    ) from error
                _programs[key] = program
        self._loaded[graph] = engine, program
        return engine, program

    def _size_advice(self, engine: Path, inputs: DeviceTensors | Tensors) -> str:
        facts, step = read_facts(engine), self._bundle.spec.input_px
        (images, _, rows, columns) = next(t.shape for t in inputs.values() if len(t.shape) == 4)
        needed = f"{images}x{rows * step}x{columns * step}"
        ranges = (
            f"{'x'.join(map(str, sizes['min']))} to {'x'.join(map(str, sizes['max']))}"
            for sizes in facts.profiles.values()
        )
        return (
            f"{engine} takes sizes from {', or '.join(ranges)}, and this image needs {needed}; "
            f"run {facts.rebuild_command(engine)} --min 1x16x16 --opt {needed} --max {needed}"
        )


def _import_cuda_core() -> Any:
    """Raises UsageError."""
    try:
        return import_module("cuda.core")
    except ModuleNotFoundError as error:
        raise UsageError("cuda-core is not installed: run pip install 'cuda-core[cu13]'") from error
    except (ImportError, OSError) as error:
        raise UsageError(f"cuda.core cannot be imported: {one_line(error)}") from error


def _open_device(core: Any, ordinal: int) -> Any:
    """Raises UsageError."""
    try:
        device = core.Device(ordinal)
        device.set_current()
    except Exception as error:  # cuda-core's have no public base class
        raise UsageError(
            f"no GPU {ordinal} to run TensorRT on ({one_line(error)}): "
            "choose an engine that runs on the CPU, as --engine auto does"
        ) from error
    return device
