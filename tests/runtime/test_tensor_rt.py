"""TensorRT's engines in sessions: behind an emulated driver with stand-ins for the vendor's modules
and for cuda-core, and as they are where there is a GPU that TensorRT runs on."""

import gc
import json
import sys
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from hashlib import sha256
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.kernels.c_programs import Libjpeg
from tests.kernels.devices import REQUIRE_GPU, Device
from tests.kernels.images import synthetic
from tests.runtime.command_line import CommandLine
from tests.runtime.fake_cuda_core import FakeCudaCore
from tests.runtime.fake_tensorrt_runtime import FakeRuntimeModule, Limits, engine_bytes
from tests.runtime.pixel_bundles import write_pixel_bundle

from jpegrt.kernels import Tensors
from jpegrt.kernels.cuda import DeviceArray
from jpegrt.runtime import RestoreError, Session, UsageError, engine_search
from jpegrt.runtime.bundle import Bundle, find_bundle, open_bundle
from jpegrt.runtime.engine_files import EngineFacts, engine_cache, engine_name, sidecar_of
from jpegrt.runtime.engines import create_engine
from jpegrt.runtime.engines.onnx_runtime import OnnxRuntimeEngine

VERSION = "1.7.1"
# engine -> its flavour, and the module that runs it
ENGINES = {
    "tensorrt": ("tensorrt", "tensorrt"),
    "tensorrt-lean": ("lean", "tensorrt_lean"),
    "rtx": ("rtx", "tensorrt_rtx_bindings"),
}
# Inputs of an unfolded model's graphs, as jpegrt.h lists them.
UNFOLDED = {
    "arm_guide": ("high",),
    "arm": ("image", "high", "filtered"),
    "rem_guide": ("low",),
    "rem": ("image", "low", "filtered"),
}
SIZES = {  # of profiles, in pixels
    "small": {"min": [1, 16, 16], "opt": [1, 64, 64], "max": [1, 64, 64]},
    "tile": {"min": [1, 16, 16], "opt": [1, 128, 128], "max": [1, 128, 256]},
}


@dataclass
class Vendor:
    """What runs engines on the device: an engine's name, and its stand-ins, None for the real ones."""

    name: str
    module: FakeRuntimeModule | None = None
    core: FakeCudaCore | None = None


def install(patch: pytest.MonkeyPatch, name: str, module: ModuleType) -> None:
    module.__spec__ = ModuleSpec(name, None)
    patch.setitem(sys.modules, name, module)


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(engine_search, "_failures", {})


@pytest.fixture
def core(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeCudaCore]:
    """A device for stand-ins."""
    core = FakeCudaCore()
    install(monkeypatch, "cuda.core", core)
    yield core
    gc.collect()
    assert core.held == 0


@pytest.fixture
def rtx(core: FakeCudaCore, monkeypatch: pytest.MonkeyPatch) -> FakeRuntimeModule:
    module = FakeRuntimeModule("tensorrt_rtx_bindings", core)
    monkeypatch.setitem(sys.modules, "tensorrt_rtx", None)
    install(monkeypatch, "tensorrt_rtx_bindings", module)
    return module


@pytest.fixture
def vendor(device: Device, request: pytest.FixtureRequest) -> Vendor:
    """With cellnet's grey and 420 in fp32 built, or ready to be."""
    if device.emulated:
        core, module = request.getfixturevalue("core"), request.getfixturevalue("rtx")
        for graph in ("grey", "420"):
            write_engine(engine_cache("cellnet"), find_bundle("cellnet"), graph)
        return Vendor("rtx", module, core)
    return Vendor(real_engine())


def real_engine() -> str:
    """One that runs on this machine's GPU."""
    builder = pytest.importorskip("jpegrt.export.builder")
    target = builder.device_target()
    for name, (flavour, _) in ENGINES.items():
        try:
            if name != "tensorrt-lean" and target in builder.find_vendor(flavour).targets:
                return name
        except UsageError:
            continue
    assert not REQUIRE_GPU, f"no TensorRT for {target} is installed: jpegrt[tensorrt]"
    pytest.skip(f"no TensorRT for {target}")


def limits(bundle: Bundle, graph: str) -> list[dict[str, Limits]]:
    """SIZES as shapes of cellnet's, cisr's or a pixel model's inputs."""
    components = next(g.components for g in bundle.spec.graphs if g.name == graph)
    if bundle.spec.unfoldings:
        planes = dict.fromkeys(UNFOLDED[graph], components)
    elif bundle.spec.takes_pixels:
        planes = {"image": components}
    else:
        planes = {"luma": 4, "chroma": 2} if components == 3 else {"luma": 4}
    step = bundle.spec.input_px
    factors = {"high": bundle.spec.enlargement}  # as large as the enlarged image
    found: list[dict[str, Limits]] = []
    for sizes in SIZES.values():
        shapes: dict[str, Limits] = {
            name: tuple(  # type: ignore[misc]
                (n, count, factors.get(name, 1) * h // step, factors.get(name, 1) * w // step)
                for n, h, w in sizes.values()
            )
            for name, count in planes.items()
        }
        if not bundle.spec.takes_pixels:
            steps = (1, 64 * components)
            shapes["steps"] = (steps, steps, steps)
        found.append(shapes)
    return found


def write_engine(
    folder: Path, bundle: Bundle, graph: str, flavour: str = "rtx", **changed: str
) -> Path:
    """As `jpegrt build` would, for a stand-in; `changed` facts are false."""
    facts = EngineFacts(
        bundle.name, graph, "fp32", flavour, VERSION, "sm86", None, SIZES, "", "", "", "", 0, 1.0
    )
    name = engine_name(graph, "fp32", flavour, VERSION, "sm86")
    content = engine_bytes(bundle.read_graph(graph, "fp32"), limits(bundle, graph))
    source = bundle.manifest["precisions"]["fp32"]["files"][graph]
    facts = replace(
        facts,
        source=source,
        source_sha256=bundle.manifest["files"][source]["sha256"],
        engine_sha256=sha256(content).hexdigest(),
        engine_bytes=len(content),
    )
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(content)
    sidecar_of(folder / name).write_text(json.dumps({**facts.to_json(), **changed}))
    return folder / name


def assert_alike(device: Device, pixels: NDArray[np.uint8], expected: NDArray[np.uint8]) -> None:
    """The stand-in runs ONNX Runtime; TensorRT may use TF32, which keeps 10 bits of a float's 23."""
    difference = np.abs(pixels.astype(int) - expected)
    assert difference.max() <= (0 if device.emulated else 2)


def in_fp32(engine: str, **options: object) -> Session:
    return Session("cellnet", engine=engine, precision="fp32", threads=1, **options)  # type: ignore[arg-type]


@pytest.mark.parametrize("sampling", ["grey", "2x2,1x1,1x1"])
def test_the_cpus_pixels(device: Device, vendor: Vendor, libjpeg: Libjpeg, sampling: str) -> None:
    grey = sampling == "grey"
    session, cpu = in_fp32(vendor.name), in_fp32("onnxruntime")
    for height, width in [(40, 56), (40, 56), (40, 56), (24, 16), (64, 200)]:
        pixels = synthetic(height, width, 1 if grey else 3)
        jpeg = libjpeg.encode(pixels, "" if grey else sampling, quality=30)
        assert_alike(device, session.restore(jpeg), cpu.restore(jpeg))
    assert (session.engine_name, session.precision) == (vendor.name, "fp32")


@pytest.mark.parametrize("engine", ["tensorrt", "tensorrt-lean"])
def test_other_flavours(
    core: FakeCudaCore,
    emulated_driver: Path,
    libjpeg: Libjpeg,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    engine: str,
) -> None:
    flavour, module = ENGINES[engine]
    install(monkeypatch, module, FakeRuntimeModule(module, core))
    monkeypatch.setenv("JPEGRT_CUDA_DRIVER", str(emulated_driver))
    write_engine(tmp_path / "engines", find_bundle("cellnet"), "grey", flavour)
    jpeg = libjpeg.encode(synthetic(40, 56, 1))
    expected = in_fp32("onnxruntime").restore(jpeg)
    session = in_fp32(engine, engines=tmp_path / "engines")
    np.testing.assert_array_equal(session.restore(jpeg), expected)


def test_of_a_model_on_pixels_the_network_alone_runs_there(
    device: Device, vendor: Vendor, tmp_path: Path
) -> None:
    folder = write_pixel_bundle(tmp_path / "small")
    if device.emulated:
        write_engine(engine_cache("small-rgb-x1"), open_bundle(folder), "only")
    session = Session(str(folder), engine=vendor.name, precision="fp32")
    cpu = Session(str(folder), engine="onnxruntime")
    for size in [(20, 30), (20, 30), (64, 64), (100, 200)]:
        pixels = synthetic(*size)
        assert_alike(device, session.restore(pixels), cpu.restore(pixels))


def test_of_an_unfolded_model_the_networks_alone_run_there(device: Device, vendor: Vendor) -> None:
    """Its four engines in turn, and on the CPU what is between them."""
    bundle = find_bundle("cisr-tiny-x2")
    if device.emulated:
        for graph in bundle.spec.graphs:
            write_engine(engine_cache(bundle.name), bundle, graph.name)
    session = Session(bundle.name, engine=vendor.name, precision="fp32")
    cpu = Session(bundle.name, engine="onnxruntime", precision="fp32")
    pixels = synthetic(16, 24)
    assert_alike(device, session.restore(pixels), cpu.restore(pixels))


# ---- The engine alone, on tensors of the device's


class OnDevice:
    """cellnet's grey graph, with tensors that stay where they are."""

    def __init__(self, device: Device, vendor: Vendor) -> None:
        bundle = find_bundle("cellnet")
        self.device = device
        self.engine = create_engine(vendor.name, bundle, "fp32", 1)
        self.cpu = OnnxRuntimeEngine(bundle, "fp32", 1)
        self._tensors: dict[tuple[int, int], list[dict[str, DeviceArray]]] = {}

    def run(self, rows: int, columns: int, stream: int, seed: int = 0) -> None:
        """Compares with the CPU."""
        random = np.random.default_rng(seed)
        inputs: Tensors = {
            "luma": random.uniform(-0.5, 0.5, (1, 4, rows, columns)).astype(np.float32),
            "steps": np.full((1, 64), 16, np.float32),
        }
        expected = {"luma_restored": np.empty((1, 4, rows, columns), np.float32)}
        self.cpu.run("grey", inputs, expected)
        if (rows, columns) not in self._tensors:
            self._tensors[rows, columns] = [
                {name: self.device.empty(t.shape, t.dtype) for name, t in tensors.items()}
                for tensors in (inputs, expected)
            ]
        there, outputs = self._tensors[rows, columns]
        for name, tensor in inputs.items():
            self.device.write(there[name], tensor)
        self.device.write(outputs["luma_restored"], np.full_like(expected["luma_restored"], np.nan))
        self.engine.run("grey", there, outputs, stream)  # type: ignore[arg-type, call-arg]
        self.device.synchronise(stream)
        result = self.device.download(outputs["luma_restored"])
        tolerance = 0 if self.device.emulated else 5e-3
        np.testing.assert_allclose(result, expected["luma_restored"], atol=tolerance, rtol=0)


def test_a_size_that_stays_is_recorded(device: Device, vendor: Vendor) -> None:
    on_device = OnDevice(device, vendor)
    launches = []
    for run, size in enumerate([(20, 28)] * 4 + [(8, 8)] * 3 + [(20, 28)]):
        on_device.run(*size, device.stream, seed=run)
        launches.append(vendor.core.launches if vendor.core else 0)
    if device.emulated:
        # The second of each size is recorded and launched, and so are those that follow.
        assert launches == [0, 1, 2, 3, 3, 4, 5, 5]


def test_what_cannot_be_recorded_runs(device: Device, vendor: Vendor) -> None:
    if vendor.module:
        vendor.module.is_capturable = False
    on_device = OnDevice(device, vendor)
    for run in range(4):
        on_device.run(20, 28, device.stream, seed=run)
    if vendor.core:
        assert vendor.core.launches == 0


def test_streams_in_turn(device: Device, vendor: Vendor) -> None:
    """A context waits for itself when it changes streams; the stand-in notices if not."""
    on_device = OnDevice(device, vendor)
    if vendor.core:
        vendor.core.is_idle = True  # so that there is one context for both
    for run, stream in enumerate([device.stream, device.stream, 0, 0, device.stream]):
        on_device.run(20, 28, stream, seed=run)
    if vendor.module:
        assert vendor.module.contexts == 1


def test_threads_and_sessions_share_what_is_loaded(device: Device, vendor: Vendor) -> None:
    first, second = OnDevice(device, vendor), OnDevice(device, vendor)
    first.run(20, 28, device.stream)
    second.run(20, 28, 0)  # while the first is under way, as far as anyone knows
    if vendor.module:
        assert vendor.module.contexts == 2
    first.run(20, 28, device.stream)
    second.run(20, 28, device.stream)
    if vendor.module:
        assert vendor.module.contexts == 2
    assert first.engine._load("grey")[1] is second.engine._load("grey")[1]  # type: ignore[attr-defined]


def test_threads_at_once(vendor: Vendor, device: Device, libjpeg: Libjpeg) -> None:
    jpegs = [libjpeg.encode(synthetic(24, 16 + 8 * i, 1)) for i in range(3)]
    expected = [in_fp32("onnxruntime").restore(jpeg) for jpeg in jpegs]
    sessions = [in_fp32(vendor.name) for _ in jpegs]  # made by one thread, used by another
    failures: list[BaseException] = []

    def restore(index: int) -> None:
        try:
            for _ in range(3):
                pixels = sessions[index].restore(jpegs[index])
                assert_alike(device, pixels, expected[index])
        except BaseException as error:  # noqa: BLE001 - it is raised again below
            failures.append(error)

    threads = [threading.Thread(target=restore, args=(index,)) for index in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


# ---- What is wrong, in one sentence each


def refusal(folder: Path | None = None, **inputs: DeviceArray) -> str:
    """Of the stand-in for TensorRT for RTX, for cellnet's grey graph; `inputs` take others' place."""
    shape = (1, 4, 8, 8)
    tensors = {
        "luma": DeviceArray(256, shape, np.float32),
        "steps": DeviceArray(256, (1, 64), np.float32),
        **inputs,
    }
    restored = {"luma_restored": DeviceArray(256, shape, np.float32)}
    with pytest.raises(RestoreError) as caught:
        engine = create_engine("rtx", find_bundle("cellnet"), "fp32", 1, folder=folder)
        engine.run("grey", tensors, restored, 0x100)  # type: ignore[arg-type, call-arg]
    message = str(caught.value)
    assert len(message.splitlines()) == 1 and message.isprintable()
    return message


@pytest.fixture
def engine(rtx: FakeRuntimeModule, tmp_path: Path) -> Path:
    return write_engine(tmp_path / "engines", find_bundle("cellnet"), "grey")


BUILD = "run jpegrt build cellnet --flavour rtx --target sm86 --precision fp32"


def test_no_gpu(
    core: FakeCudaCore, rtx: FakeRuntimeModule, monkeypatch: pytest.MonkeyPatch
) -> None:
    core.devices = 0
    assert "no GPU 0 to run TensorRT on (CUDA_ERROR_INVALID_DEVICE): choose an engine" in refusal()
    monkeypatch.setenv("JPEGRT_CUDA_DRIVER", "/none/libcuda.so.1")
    with pytest.raises(UsageError, match=r"no GPU to restore on \(no CUDA driver: .*: choose an"):
        Session("cellnet", engine="rtx")
    with pytest.raises(UsageError, match="device must be 0 or more"):
        Session("cellnet", engine="rtx", device=-1)
    with pytest.raises(UsageError, match="engine onnxruntime runs on the CPU: name no device"):
        Session("cellnet", engine="onnxruntime", device=0)


@pytest.mark.parametrize("options", [{"device": 0}, {"engines": Path()}])
def test_options_that_would_do_nothing(options: dict[str, Any], jpegrt: CommandLine) -> None:
    with pytest.raises(UsageError, match="nothing runs on a GPU: name no device and no folder"):
        Session("none", **options)
    if "engines" in options:
        with pytest.raises(UsageError, match="engine onnxruntime runs a model's own graphs: name"):
            Session("cellnet", engine="onnxruntime", **options)
    name, value = next(iter(options.items()))
    outcome = jpegrt("restore", "a.jpg", "-o", "b.png", "--model", "none", f"--{name}", value)
    assert outcome.code == 2 and "without a model nothing runs on a GPU" in outcome.complaint


@pytest.mark.parametrize("name", ENGINES)
def test_no_package(monkeypatch: pytest.MonkeyPatch, name: str, jpegrt: CommandLine) -> None:
    flavour, module = ENGINES[name]
    monkeypatch.setattr("jpegrt.runtime.engines.find_spec", lambda name: None)
    complaint = jpegrt("restore", "a.jpg", "-o", "b.png", "--engine", name).complaint
    assert complaint.endswith(
        f"engine {name} is not installed: run pip install 'jpegrt[{flavour}]'"
    )
    for missing in (module, "tensorrt_rtx"):
        monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(
        UsageError, match=rf"is not installed: run pip install 'jpegrt\[{flavour}\]'"
    ):
        create_engine(name, find_bundle("cellnet"), "fp32", 1)


def test_no_cuda_core(rtx: FakeRuntimeModule, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "cuda.core", None)
    assert refusal() == r"cuda-core is not installed: run pip install 'cuda-core[cu13]'"


def test_no_engine_and_nothing_to_build_it_with(
    engine: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(engine_search, "find_spec", lambda name: None)
    message = refusal()
    assert f"{engine_cache('cellnet')} has no engine of cellnet's graph grey in fp32" in message
    assert f"for rtx {VERSION} on sm86; {BUILD} --graph grey, on a machine with" in message
    message = refusal(tmp_path)
    assert f"{BUILD} --graph grey -o {tmp_path}, on" in message
    engine.rename(tmp_path / "grey.fp32.rtx-1.7.1.sm120.engine")
    assert "on sm86, only grey.fp32.rtx-1.7.1.sm120.engine; run" in refusal(tmp_path)
    cached = write_engine(engine_cache("cellnet"), find_bundle("cellnet"), "grey")
    cached.write_bytes(b"half of i")
    assert refusal().endswith(
        f"has 9 bytes of {json.loads(sidecar_of(cached).read_text())['engine_bytes']}; {BUILD}"
    )


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (
            {"target": "sm120"},
            "was built for rtx 1.7.1 on sm120, and this machine has rtx 1.7.1 on",
        ),
        (
            {"version": "1.6"},
            "was built for rtx 1.6 on sm86, and this machine has rtx 1.7.1 on sm86",
        ),
        (
            {"source_sha256": "0"},
            "is stale: grey.fp32.onnx of the model cellnet is not what it was",
        ),
        ({"engine_sha256": "0"}, "was changed after it was built (its SHA-256 differs)"),
    ],
)
def test_engines_of_others(
    rtx: FakeRuntimeModule, tmp_path: Path, changed: Mapping[str, str], said: str
) -> None:
    write_engine(tmp_path, find_bundle("cellnet"), "grey", **changed)
    message = refusal(tmp_path)
    assert said in message and f"; {BUILD} -o {tmp_path}" in message


def test_a_truncated_engine(engine: Path) -> None:
    whole = engine.read_bytes()
    engine.write_bytes(whole[:-1])
    assert f"{engine} has {len(whole) - 1} bytes of {len(whole)}; {BUILD}" in refusal(engine.parent)


def test_an_engine_that_the_vendor_refuses(engine: Path) -> None:
    facts = json.loads(sidecar_of(engine).read_text())
    content = b"no engine at all"
    engine.write_bytes(content)
    facts |= {"engine_sha256": sha256(content).hexdigest(), "engine_bytes": len(content)}
    sidecar_of(engine).write_text(json.dumps(facts))
    expected = f"{engine} cannot be loaded: magic tag does not match; {BUILD} -o {engine.parent}"
    assert refusal(engine.parent) == expected


def test_a_size_that_no_profile_takes(engine: Path) -> None:
    large = DeviceArray(256, (1, 4, 150, 100), np.float32)
    assert refusal(engine.parent, luma=large) == (
        f"{engine} takes sizes from 1x16x16 to 1x64x64, or 1x16x16 to 1x128x256, and this image "
        f"needs 1x300x200; {BUILD} -o {engine.parent} --min 1x16x16 --opt 1x300x200 --max 1x300x200"
    )


def test_tensors_of_other_names_and_shapes(engine: Path) -> None:
    other = DeviceArray(256, (1, 4, 8, 8), np.float32)
    assert refusal(engine.parent, lumen=other) == (
        "TensorRT failed on graph grey: its tensors are luma, luma_restored, steps"
    )
    wider = DeviceArray(256, (1, 4, 8, 16), np.float32)
    assert "its output luma_restored has shape (1, 4, 8, 16), not (1, 4, 8, 8)" in refusal(
        engine.parent, luma=wider
    )


def test_after_a_failure_the_next_image_runs(device: Device, vendor: Vendor) -> None:
    if vendor.module is None:
        pytest.skip("TensorRT fails on nobody's command")
    on_device = OnDevice(device, vendor)
    on_device.run(8, 8, device.stream)
    vendor.module.refused = "an illegal\ninstruction"
    with pytest.raises(
        RestoreError, match=r"TensorRT failed on graph grey: an illegal instruction$"
    ):
        on_device.run(20, 20, device.stream)
    vendor.module.refused = ""
    on_device.run(20, 20, device.stream)
    assert vendor.module.contexts == 2  # the first did not come back


def test_precisions_are_those_of_engines(
    core: FakeCudaCore,
    rtx: FakeRuntimeModule,
    emulated_driver: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("JPEGRT_CUDA_DRIVER", str(emulated_driver))
    assert Session("cellnet", engine="rtx").precision == "fp16"
    assert Session("cellnet", engine="rtx", precision="int8").precision == "int8"
    with pytest.raises(UsageError, match="rtx has no precision int8-symmetric: choose one of fp32"):
        Session("cellnet", engine="rtx", precision="int8-symmetric")
