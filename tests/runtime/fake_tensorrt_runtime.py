"""The half of TensorRT's Python modules that runs engines, insisting on their documented order.

An engine is its graph, and ONNX Runtime runs it, on memory that is the host's. Calls that come too
early, shapes outside of the profile and memory that is too small or not there fail as a test does.
"""

import ctypes as ct
import json
import math
from collections.abc import Mapping, Sequence
from enum import Enum, IntEnum
from types import ModuleType
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort
from numpy.typing import NDArray
from tests.runtime.fake_cuda_core import FakeCudaCore, allocated

Shape = tuple[int, ...]
Limits = tuple[Shape, Shape, Shape]
MAGIC = b"engine "


class Severity(IntEnum):
    INTERNAL_ERROR = 0
    ERROR = 1
    WARNING = 2


class Logger:
    Severity = Severity

    def log(self, severity: IntEnum, message: str) -> None:
        raise NotImplementedError


class Mode(Enum):
    INPUT = 0
    OUTPUT = 1


class Strategy(Enum):
    STATIC = 0
    USER_MANAGED = 2


class LayerInformationFormat(Enum):
    ONELINE = 0


def add_runtime(module: Any, core: FakeCudaCore | None) -> None:
    """Gives a stand-in for a module what runs engines. core: None allows looking at them alone."""
    module.core = core
    module.contexts = 0  # that were made
    module.refused = ""  # what execute_async_v3 says instead of running
    module.is_capturable = True
    module.ILogger = Logger
    module.float32 = "float32"
    module.TensorIOMode = Mode
    module.ExecutionContextAllocationStrategy = Strategy
    module.LayerInformationFormat = LayerInformationFormat
    module.Runtime = lambda log: Runtime(module, log)


class FakeRuntimeModule(ModuleType):
    """A module that runs engines and builds none, as the lean runtime."""

    contexts: int
    refused: str
    is_capturable: bool

    def __init__(self, name: str, core: FakeCudaCore, version: str = "1.7.1") -> None:
        super().__init__(name)
        self.__version__ = version
        add_runtime(self, core)


def engine_bytes(graph: bytes, profiles: Sequence[Mapping[str, Limits]], target: str = "") -> bytes:
    """What a builder makes: of the same, the same."""
    listed = [sorted(profile.items()) for profile in profiles]
    return MAGIC + json.dumps([target, listed]).encode() + b"\n" + graph


class Runtime:
    def __init__(self, module: Any, log: Any) -> None:
        assert isinstance(log, Logger)
        if module.core is not None:
            assert module.core.current >= 0, "without a device the real one crashes"
        self._module, self._log = module, log

    def deserialize_cuda_engine(self, content: bytes) -> "Engine | None":
        if not content.startswith(MAGIC):
            self._log.log(Severity.WARNING, "nothing to worry about")
            self._log.log(Severity.ERROR, "magic tag does\nnot match")
            self._log.log(Severity.ERROR, "and so on")
            return None
        return Engine(self._module, self._log, content)


class Engine:
    def __init__(self, module: Any, log: Any, content: bytes) -> None:
        self.module, self.log = module, log
        header, _, graph = content.removeprefix(MAGIC).partition(b"\n")
        self.profiles: list[dict[str, list[Shape]]] = [
            {name: [tuple(shape) for shape in limits] for name, limits in profile}
            for profile in json.loads(header)[1]
        ]
        model = onnx.load_from_string(graph)
        values = (*model.graph.input, *model.graph.output)
        self.dimensions = {
            value.name: [d.dim_param or d.dim_value for d in value.type.tensor_type.shape.dim]
            for value in values
        }
        self.types = {value.name: value.type.tensor_type.elem_type for value in values}
        self.inputs = [value.name for value in model.graph.input]
        self.outputs = [value.name for value in model.graph.output]
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])

    @property
    def num_io_tensors(self) -> int:
        return len(self.dimensions)

    @property
    def num_optimization_profiles(self) -> int:
        return len(self.profiles)

    def get_device_memory_size_for_profile_v2(self, profile: int) -> int:
        return (7, 48, 1000)[profile] << 20

    def get_tensor_name(self, index: int) -> str:
        names: list[str] = list(self.dimensions)
        return names[index]

    def get_tensor_mode(self, name: str) -> Mode:
        return Mode.INPUT if name in self.inputs else Mode.OUTPUT

    def get_tensor_dtype(self, name: str) -> Any:
        return "float32" if self.types[name] == onnx.TensorProto.FLOAT else "another"

    def get_tensor_profile_shape(self, name: str, profile: int) -> list[Shape]:
        return self.profiles[profile][name]

    def create_execution_context(self, strategy: Strategy) -> "Context":
        assert strategy is Strategy.USER_MANAGED
        self.module.contexts += 1
        return Context(self, self.module.core)

    def create_engine_inspector(self) -> "Engine":
        return self

    def get_engine_information(self, form: LayerInformationFormat) -> str:
        assert form is LayerInformationFormat.ONELINE
        return "Layers:\nconv2d + relu\n\nconv2d_1\n"


class Context:
    def __init__(self, engine: Engine, core: FakeCudaCore) -> None:
        self._engine, self._core = engine, core
        self._profile: int | None = None
        self._shapes: dict[str, Shape] = {}
        self._outputs: dict[str, Shape] = {}  # once they are inferred
        self._needed: int | None = None  # bytes of memory, once they are asked for
        self._memory = 0
        self._addresses: dict[str, int] = {}
        self._last: tuple[int, int] | None = None  # the stream and the work that it did last
        self._has_run = False  # with these shapes

    def set_optimization_profile_async(self, index: int, stream: int) -> bool:
        self._require_idle(stream)
        if not 0 <= index < len(self._engine.profiles):
            return self._fail(f"there is no profile {index}")
        self._profile = index
        self._shapes.clear()
        self._changed()
        return True

    def set_input_shape(self, name: str, shape: Shape) -> bool:
        assert self._profile is not None, "choose a profile first"
        assert name in self._engine.inputs
        least, _, largest = self._engine.profiles[self._profile][name]
        if not all(a <= b <= c for a, b, c in zip(least, shape, largest, strict=True)):
            return self._fail(f"{name} has shape {shape}, not from {least} to {largest}")
        self._shapes[name] = tuple(shape)
        self._changed()
        return True

    def _changed(self) -> None:
        self._outputs, self._needed, self._memory, self._has_run = {}, None, 0, False

    def infer_shapes(self) -> list[str]:
        if missing := [name for name in self._engine.inputs if name not in self._shapes]:
            return missing
        zeros = {name: np.zeros(shape, np.float32) for name, shape in self._shapes.items()}
        results = self._engine.session.run(self._engine.outputs, zeros)
        self._outputs = {
            name: result.shape for name, result in zip(self._engine.outputs, results, strict=True)
        }
        return []

    def get_tensor_shape(self, name: str) -> Shape:
        assert self._outputs, "shapes have to be inferred first"
        return self._outputs[name]

    def update_device_memory_size_for_shapes(self) -> int:
        assert self._outputs, "shapes have to be inferred first"
        self._needed, self._memory = 64 * sum(map(math.prod, self._shapes.values())), 0
        return self._needed

    def set_device_memory(self, address: int, size: int) -> None:
        assert self._needed is not None and size >= self._needed
        assert address % 256 == 0
        allocated(address, size)
        self._memory = address

    def set_tensor_address(self, name: str, address: int) -> bool:
        assert name in self._engine.dimensions
        assert address
        self._addresses[name] = address
        return True

    def is_stream_capturable(self, stream: int) -> bool:
        return bool(self._engine.module.is_capturable)

    def execute_async_v3(self, stream: int) -> bool:
        assert self._profile is not None
        assert self._needed is not None and self._memory
        assert set(self._addresses) == set(self._engine.dimensions)
        if self._engine.module.refused:
            return self._fail(self._engine.module.refused)
        addresses, memory, shapes = dict(self._addresses), self._memory, dict(self._shapes)
        outputs = dict(self._outputs)

        def work(on: int) -> None:
            self._require_idle(on)
            assert shapes == self._shapes, "a recording is of the shapes that it was made with"
            assert self._needed is not None
            done = self._core.enqueue(on)
            scratch = allocated(memory, self._needed)
            scratch.use(done)
            ct.memset(memory, 0xEE, self._needed)
            inputs = {name: array_at(addresses[name], shape) for name, shape in shapes.items()}
            results = self._engine.session.run(list(outputs), inputs)
            for (name, shape), result in zip(outputs.items(), results, strict=True):
                array_at(addresses[name], shape)[:] = result
            self._last = on, done

        if recorder := self._core.recorders.get(stream):
            assert self._has_run, "run once before it is recorded"
            recorder.works.append(work)
        else:
            work(stream)
            self._has_run = True
        return True

    def _require_idle(self, stream: int) -> None:
        if self._last:
            assert self._core.is_behind(stream, self._last[1]), "it still runs on another stream"

    def _fail(self, reason: str) -> bool:
        self._engine.log.log(Severity.ERROR, reason)
        return False


def array_at(address: int, shape: Shape) -> NDArray[np.float32]:
    memory = (ct.c_float * math.prod(shape)).from_address(address)
    return np.ctypeslib.as_array(memory).reshape(shape)
