"""The engine module for TensorRT and a libnvinfer for it, both built with NVIDIA's headers."""

import hashlib
import json
import os
import re
from pathlib import Path

import pytest
from tests.kernels.c_programs import INCLUDE, ROOT, build_tool
from tests.runtime.embedding import run

from jpegrt.runtime.engine_files import EngineFacts, engine_name, sidecar_of

_HEADER = "NvInferRuntime.h"
_FETCHED = ROOT / "build/tensorrt/include"
_CUDA = [Path("/usr/local/cuda/include"), Path("/usr/include")]
_SYSTEM = [Path("/usr/include"), Path("/usr/include/x86_64-linux-gnu")]
_INTERFACES = ("Runtime", "CudaEngine", "ExecutionContext")


def include_flags() -> list[str]:
    """Of TensorRT's headers and the CUDA toolkit's; without either the test is skipped."""
    tensorrt = _folder_of(_HEADER, "JPEGRT_TENSORRT_INCLUDE", [_FETCHED, *_SYSTEM])
    cuda = _folder_of("cuda_runtime_api.h", "JPEGRT_CUDA_INCLUDE", _CUDA)
    return ["-isystem", str(tensorrt), "-isystem", str(cuda)]


def tensorrt_major() -> int:
    """Of the headers."""
    text = (Path(include_flags()[1]) / "NvInferVersion.h").read_text()
    found = re.search(r"define TRT_MAJOR_ENTERPRISE (\d+)", text)
    assert found
    return int(found[1])


def _folder_of(header: str, variable: str, folders: list[Path]) -> Path:
    named = os.environ.get(variable)
    for folder in [Path(named)] if named else folders:
        if (folder / header).exists():
            return folder
    pytest.skip(
        f"no {header}: run scripts/fetch_tensorrt_headers.sh, or name its folder in {variable}"
    )


def build_module(folder: Path) -> Path:
    """runtime/engine_modules/tensorrt.cpp"""
    module = folder / "libjpegrt_tensorrt.so"
    sources = [
        *(ROOT / "runtime/engine_modules" / name for name in ("tensorrt.cpp", "engine_files.cpp")),
        *(ROOT / "kernels/cpu" / name for name in ("json.cpp", "sha256.cpp")),
        ROOT / "kernels/cuda/driver.cpp",
    ]
    ours = [f"-I{INCLUDE}", *(f"-I{ROOT / 'kernels' / name}" for name in ("cpu", "cuda"))]
    run(build_tool("c++"), *_FLAGS, *ours, *include_flags(), *sources, "-ldl", "-o", module)
    return module


def build_libraries(folder: Path) -> tuple[Path, Path]:
    """tests/c/fake_nvinfer.cpp, as the full library and as the lean one, which has no builder."""
    header = Path(include_flags()[1]) / "NvInferImpl.h"
    (folder / "stubs.h").write_text(stubs(header.read_text()))
    (folder / "builder.cpp").write_text('extern "C" void createInferBuilder_INTERNAL() {}\n')
    source, compiler = ROOT / "tests/c/fake_nvinfer.cpp", build_tool("c++")
    lean, full = folder / "libnvinfer_lean.so", folder / "libnvinfer.so"
    run(compiler, *_FLAGS, f"-I{folder}", *include_flags(), source, "-o", lean)
    rest = ["-Wl,--no-as-needed", str(lean), f"-Wl,-rpath,{folder}"]
    run(compiler, *_FLAGS, folder / "builder.cpp", *rest, "-o", full)
    return full, lean


_FLAGS = ["-std=c++17", "-Wall", "-Wextra", "-Werror", "-fPIC", "-shared", "-pthread"]


def stubs(header: str) -> str:
    """Classes that implement TensorRT's interfaces, in whatever version, by refusing every call."""
    classes = []
    for name in _INTERFACES:
        body = re.search(rf"class V{name} : public VRoot\n{{(.*?)\n}};", header, re.DOTALL)
        assert body, name
        functions = re.findall(r"virtual (.*?) noexcept = 0;", body[1], re.DOTALL)
        assert len(functions) > 15, name
        classes.append(f"class Stub{name} : public nvinfer1::apiv::V{name} {{\n public:")
        for function in functions:
            called = re.search(r"(\w+)\(", function)
            assert called, function
            classes.append(f'  {function} noexcept override {{ Unexpected("{called[1]}"); }}')
        classes.append("};")
    return "\n".join(["namespace nvinfer1 {", *classes, "}"])


def write_engine(
    folder: Path,
    graph: str,
    text: str,
    *,
    source: Path,
    precision: str = "fp32",
    flavour: str = "tensorrt",
    version: str = "",
) -> Path:
    """An engine for the fake library, with its sidecar as `jpegrt build` writes it.

    source: the bundle's file that it comes from; version: the fake library's unless given.
    """
    version, target = version or f"{tensorrt_major()}.9.8.7", "sm99"  # the emulated driver's
    path = folder / engine_name(graph, precision, flavour, version, target)
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    facts = EngineFacts(
        model="cellnet",
        graph=graph,
        precision=precision,
        flavour=flavour,
        version=version,
        target=target,
        driver=None,
        profiles={},
        source=source.name,
        source_sha256=hashlib.sha256(source.read_bytes()).hexdigest(),
        onnx_sha256="",
        engine_sha256=hashlib.sha256(text.encode()).hexdigest(),
        engine_bytes=len(text),
        build_seconds=1.0,
    )
    sidecar_of(path).write_text(json.dumps(facts.to_json()))
    return path
