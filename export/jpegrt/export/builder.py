"""TensorRT 10, TensorRT 11 and TensorRT for RTX, as what they share: a graph in, an engine out.

Networks are strongly typed: the graph says which tensors are float16 or int8, and the builder gets
no precision flags, which the newer two no longer have.
"""

import ctypes
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import ModuleType
from typing import Any

from jpegrt.export.profiles import Profile, tensor_shape
from jpegrt.kernels import ModelSpec
from jpegrt.runtime.errors import RestoreError, UsageError, one_line
from jpegrt.runtime.tensorrt_vendor import import_first, make_log

# flavour -> (modules that may be installed, the better named first; how to install one)
_FLAVOURS = {
    "rtx": (("tensorrt_rtx", "tensorrt_rtx_bindings"), "pip install 'jpegrt[rtx]'"),
    "tensorrt": (("tensorrt",), "pip install 'jpegrt[tensorrt]'"),
    # What TensorRT builds for its lean runtime, which cannot build.
    "lean": (("tensorrt",), "pip install 'jpegrt[tensorrt]'"),
}
FLAVOURS = tuple(_FLAVOURS)


class BuildError(RestoreError):
    """A builder refused a graph; the others may still be built."""


@dataclass(frozen=True)
class EngineDetails:
    """layers: a line each, with their precisions; profile_bytes: the memory that the activations of
    each profile's largest images take."""

    layers: list[str]
    profile_bytes: list[int]


@dataclass(frozen=True)
class Vendor:
    """One flavour's Python module, imported."""

    flavour: str
    module: ModuleType

    @property
    def version(self) -> str:
        return str(self.module.__version__)

    @property
    def targets(self) -> tuple[str, ...]:
        """RTX builds for any of these on any machine; TensorRT for the GPU that is there."""
        if self.flavour == "rtx":
            names = self.module.ComputeCapability.__members__
            return tuple(name.lower() for name in names if name.startswith("SM"))
        present = device_target()
        return (present,) if present else ()

    def check_target(self, target: str) -> None:
        """Raises UsageError if no engine can be built for it here."""
        if target in self.targets:
            return
        if self.flavour == "rtx":
            raise UsageError(
                f"TensorRT for RTX {self.version} has no target {target}: "
                f"choose one of {', '.join(self.targets)}"
            )
        found = f"this machine's is {self.targets[0]}" if self.targets else "there is none here"
        raise UsageError(
            f"TensorRT builds {target} only on a machine with such a GPU, and {found}: "
            "build there, or with --flavour rtx"
        )

    def build(
        self,
        graph: bytes,
        spec: ModelSpec,
        target: str,
        profiles: Sequence[Profile],
        timing_cache: bytes = b"",
    ) -> tuple[bytes, bytes]:
        """The engine of an ONNX graph, and the timing cache with what was learnt.

        Raises BuildError, with the builder's first complaint.
        """
        trt: Any = self.module
        log = make_log(trt)
        builder = trt.Builder(log)
        typed = 1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED)
        network = builder.create_network(typed)
        parser = trt.OnnxParser(network, log)
        if not parser.parse(graph):
            reasons = [parser.get_error(i).desc() for i in range(parser.num_errors)]
            raise BuildError(f"the graph is refused: {one_line(reasons[0] if reasons else log)}")
        config = builder.create_builder_config()
        config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED  # tells layers' precisions
        for profile in profiles:
            shapes = builder.create_optimization_profile()
            for index in range(network.num_inputs):
                tensor = network.get_input(index)
                sizes = (profile.least, profile.usual, profile.largest)
                shapes.set_shape(
                    tensor.name,
                    *(tensor_shape(tensor.name, tuple(tensor.shape), s, spec) for s in sizes),
                )
            config.add_optimization_profile(shapes)
        if self.flavour == "rtx":
            config.num_compute_capabilities = 1
            config.set_compute_capability(getattr(trt.ComputeCapability, target.upper()), 0)
        else:  # RTX measures on the user's machine, and has nothing to keep from here
            config.set_timing_cache(config.create_timing_cache(timing_cache), False)
        if self.flavour == "lean":  # whose runtime takes version-compatible engines alone
            config.set_flag(trt.BuilderFlag.VERSION_COMPATIBLE)
            config.set_flag(trt.BuilderFlag.EXCLUDE_LEAN_RUNTIME)
        engine = builder.build_serialized_network(network, config)
        if engine is None:
            raise BuildError(f"no engine could be built: {one_line(log)}")
        if self.flavour != "rtx":
            timing_cache = bytes(config.get_timing_cache().serialize())
        return bytes(engine), timing_cache

    def inspect(self, engine: bytes) -> EngineDetails:
        """What the vendor's runtime says of an engine; needs the GPU that it is for.

        Raises UsageError.
        """
        trt: Any = self.module
        log = make_log(trt)
        runtime = trt.Runtime(log)
        found = runtime.deserialize_cuda_engine(engine)
        if found is None:
            raise UsageError(f"the engine cannot be loaded ({one_line(log)}); build it again")
        inspector = found.create_engine_inspector()
        text = inspector.get_engine_information(trt.LayerInformationFormat.ONELINE)
        return EngineDetails(
            [line for line in text.splitlines() if line.strip()],
            [
                int(found.get_device_memory_size_for_profile_v2(profile))
                for profile in range(found.num_optimization_profiles)
            ],
        )


def find_vendor(flavour: str | None) -> Vendor:
    """A flavour's module; without a name the first that is installed. Raises UsageError."""
    for name in (flavour,) if flavour else FLAVOURS:
        if module := import_first(_FLAVOURS[name][0]):
            return Vendor(name, module)
    raise UsageError(
        f"no builder of {flavour or 'any flavour'} is installed: "
        f"run {_FLAVOURS[flavour or FLAVOURS[0]][1]}"
    )


def device_target() -> str | None:
    """This machine's first GPU, as "sm86"; None if there is none."""
    driver = _driver()
    if driver is None or driver.cuInit(0):
        return None
    device, major, minor = ctypes.c_int(), ctypes.c_int(), ctypes.c_int()
    if driver.cuDeviceGet(ctypes.byref(device), 0):
        return None
    for value, attribute in ((major, 75), (minor, 76)):  # compute capability
        if driver.cuDeviceGetAttribute(ctypes.byref(value), attribute, device):
            return None
    return f"sm{major.value}{minor.value}"


def driver_version() -> str | None:
    """The CUDA version of this machine's driver, as "13.0"; None if there is none."""
    driver, version = _driver(), ctypes.c_int()
    if driver is None or driver.cuDriverGetVersion(ctypes.byref(version)) or not version.value:
        return None
    return f"{version.value // 1000}.{version.value % 1000 // 10}"


def _driver() -> Any:
    with suppress(OSError):
        return ctypes.CDLL("libcuda.so.1")
    return None
