"""A stand-in for TensorRT's Python modules that insists on their documented order of calls.

It takes what they take, refuses what TensorRT for RTX was seen to refuse, and makes "engines" that
depend on the graph, the target and the profiles alone.
"""

import threading
import time
from enum import Enum, IntEnum
from types import ModuleType
from typing import Any

import onnx
from onnx import TensorProto
from tests.runtime.fake_cuda_core import FakeCudaCore
from tests.runtime.fake_tensorrt_runtime import Severity, add_runtime, engine_bytes

Shape = tuple[int, ...]


class FakeTensorRt(ModuleType):
    """flavour: "rtx" has capability targets and no timing cache to speak of, "tensorrt" the
    reverse. `builds` counts engines made; each takes `seconds`. core: of engines that are run."""

    def __init__(
        self,
        flavour: str,
        version: str = "1.7.1",
        seconds: float = 0,
        core: FakeCudaCore | None = None,
    ) -> None:
        super().__init__(f"fake_{flavour}")
        self.__version__ = version
        self.flavour, self.seconds, self.builds = flavour, seconds, 0
        self.counting = threading.Lock()
        self.NetworkDefinitionCreationFlag = CreationFlag
        self.BuilderFlag = BuilderFlag
        self.OnnxParser = Parser
        self.ProfilingVerbosity = ProfilingVerbosity
        self.Builder = lambda log: Builder(self, log)
        if flavour == "rtx":
            self.ComputeCapability = Capability
        add_runtime(self, core)


class CreationFlag(IntEnum):
    STRONGLY_TYPED = 1


class BuilderFlag(Enum):
    VERSION_COMPATIBLE = 0
    EXCLUDE_LEAN_RUNTIME = 1


class Capability(Enum):
    NONE = "none"
    CURRENT = "current"
    SM75 = "sm75"
    SM86 = "sm86"


class ProfilingVerbosity(Enum):
    LAYER_NAMES_ONLY = 0
    DETAILED = 2


class Input:
    def __init__(self, value: onnx.ValueInfoProto) -> None:
        self.name = value.name
        dimensions = value.type.tensor_type.shape.dim
        self.shape = tuple(-1 if d.dim_param else d.dim_value for d in dimensions)


class Network:
    def __init__(self) -> None:
        self.graph = b""
        self.inputs: list[Input] = []

    @property
    def num_inputs(self) -> int:
        return len(self.inputs)

    def get_input(self, index: int) -> Input:
        return self.inputs[index]


class ParserError:
    def __init__(self, text: str) -> None:
        self._text = text

    def desc(self) -> str:
        return self._text


class Parser:
    def __init__(self, network: Network, log: Any) -> None:
        self._network, self._log = network, log
        self._errors: list[ParserError] = []

    def parse(self, graph: bytes) -> bool:
        model = onnx.load_from_string(graph)
        onnx.checker.check_model(model, full_check=True)
        for tensor in model.graph.initializer:
            if tensor.data_type in (TensorProto.UINT8, TensorProto.INT32):
                self._errors.append(ParserError(f"{tensor.name} has a type that is not taken"))
        self._network.graph = graph
        self._network.inputs = [Input(value) for value in model.graph.input]
        return not self._errors

    @property
    def num_errors(self) -> int:
        return len(self._errors)

    def get_error(self, index: int) -> ParserError:
        return self._errors[index]


class Profile:
    def __init__(self) -> None:
        self.shapes: dict[str, tuple[Shape, Shape, Shape]] = {}

    def set_shape(self, name: str, least: Shape, usual: Shape, largest: Shape) -> None:
        self.shapes[name] = (least, usual, largest)


class Config:
    def __init__(self, flavour: str) -> None:
        self._rtx = flavour == "rtx"
        self.profiles: list[Profile] = []
        self.num_compute_capabilities = 0
        self.capability: Any = None
        self.cache: bytes | None = None
        self.profiling_verbosity = ProfilingVerbosity.LAYER_NAMES_ONLY
        self.flags: set[BuilderFlag] = set()

    def set_flag(self, flag: BuilderFlag) -> None:
        assert not self._rtx
        self.flags.add(flag)

    def add_optimization_profile(self, profile: Profile) -> None:
        self.profiles.append(profile)

    def set_compute_capability(self, capability: Any, index: int) -> None:
        assert self._rtx and index < self.num_compute_capabilities
        self.capability = capability

    def create_timing_cache(self, content: bytes) -> "TimingCache":
        assert not self._rtx
        return TimingCache(content)

    def set_timing_cache(self, cache: "TimingCache", ignore_mismatch: bool) -> None:
        assert not ignore_mismatch
        self.cache = cache.content

    def get_timing_cache(self) -> "TimingCache":
        assert self.cache is not None
        return TimingCache(self.cache + b"learnt ")


class TimingCache:
    def __init__(self, content: bytes) -> None:
        self.content = content

    def serialize(self) -> bytes:
        return self.content


class Builder:
    def __init__(self, trt: FakeTensorRt, log: Any) -> None:
        self._trt, self._log = trt, log

    def create_network(self, flags: int) -> Network:
        assert flags == 1 << 1, "networks have to be strongly typed"
        return Network()

    def create_builder_config(self) -> Config:
        return Config(self._trt.flavour)

    def create_optimization_profile(self) -> Profile:
        return Profile()

    def build_serialized_network(self, network: Network, config: Config) -> bytes | None:
        assert network.graph, "parse first"
        assert config.profiles, "dynamic sizes need a profile"
        assert config.profiling_verbosity is ProfilingVerbosity.DETAILED
        for profile in config.profiles:
            for tensor in network.inputs:
                for size, low, middle, high in zip(
                    tensor.shape, *profile.shapes[tensor.name], strict=True
                ):
                    assert 1 <= low <= middle <= high
                    assert size in (-1, low) and (size == -1 or low == high)
        if self._trt.flavour == "rtx":
            assert config.capability is not None
        time.sleep(self._trt.seconds)
        with self._trt.counting:
            self._trt.builds += 1
        if getattr(config.capability, "name", "") == "SM75" and b"Gemm" in network.graph:
            model = onnx.load_from_string(network.graph)
            weights = {t.name: t.data_type for t in model.graph.initializer}
            if any(
                n.op_type == "Gemm" and weights.get(n.input[1]) != TensorProto.FLOAT16
                for n in model.graph.node
            ):
                self._log.log(Severity.ERROR, "FP32 GEMM is\nnot supported")
                self._log.log(Severity.ERROR, "and so on")
                return None
        what = f"{config.capability} {sorted(flag.name for flag in config.flags)}"
        return engine_bytes(network.graph, [profile.shapes for profile in config.profiles], what)
