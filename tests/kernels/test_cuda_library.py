"""One library for machines with and without CUDA: what it links, exports and says."""

import ctypes as ct
import subprocess
from pathlib import Path

import pytest
from tests.kernels.c_programs import INCLUDE, ROOT, build_tool
from tests.kernels.devices import cuda_include, require_nvcc

from jpegrt.kernels import NativeError, Status, _native
from jpegrt.kernels._native import Layout
from jpegrt.kernels.cuda import CURRENT_CONTEXT, Cuda

LIBRARY = Path(_native.lib._name).resolve()


def run(*command: str | Path) -> str:
    arguments = [str(part) for part in command]
    result = subprocess.run(arguments, check=False, capture_output=True, text=True)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def test_nothing_of_cuda_is_linked() -> None:
    needed = run("ldd", LIBRARY)
    assert "libjpeg" in needed
    assert not [line for line in needed.splitlines() if "cuda" in line or "nvidia" in line]


def test_the_library_stays_small() -> None:
    assert LIBRARY.stat().st_size < 4 << 20


def test_without_a_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JPEGRT_CUDA_DRIVER", "/nonexistent/libcuda.so.1")
    with pytest.raises(NativeError, match=r"^no CUDA driver: .*/nonexistent/libcuda") as raised:
        Cuda()
    assert raised.value.status == Status.NO_DEVICE


def test_with_a_library_that_is_no_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JPEGRT_CUDA_DRIVER", str(LIBRARY))
    with pytest.raises(NativeError, match=r"^no CUDA driver: .*older than CUDA 12") as raised:
        Cuda()
    assert raised.value.status == Status.NO_DEVICE


def test_devices_and_contexts_that_are_not_there(
    monkeypatch: pytest.MonkeyPatch, emulated_driver: Path
) -> None:
    require_nvcc()
    monkeypatch.setenv("JPEGRT_CUDA_DRIVER", str(emulated_driver))
    for device in (1, -2):
        with pytest.raises(NativeError, match=rf"^no CUDA device {device}: there are 1") as raised:
            Cuda(device)
        assert raised.value.status == Status.NO_DEVICE
    with pytest.raises(NativeError, match="no current CUDA context") as raised:
        Cuda(CURRENT_CONTEXT)
    assert raised.value.status == Status.INVALID_ARGUMENT


def test_a_handle_that_is_not_attached() -> None:
    handle = ct.c_void_p()
    assert _native.lib.jpegrt_cuda_create(ct.byref(handle)) == Status.OK
    status = _native.lib.jpegrt_cuda_unpack(handle, None, 0, Layout.CELLS, 0, 1.0, None)
    assert status == Status.NO_DEVICE
    assert _native.lib.jpegrt_cuda_message(handle).startswith(b"no CUDA device")
    status = _native.lib.jpegrt_cuda_unpack(handle, None, 1, Layout.CELLS, 0, 1.0, None)
    assert status == Status.INVALID_ARGUMENT
    _native.lib.jpegrt_cuda_destroy(handle)
    _native.lib.jpegrt_cuda_destroy(None)
    assert _native.lib.jpegrt_cuda_create(None) == Status.INVALID_ARGUMENT
    assert _native.lib.jpegrt_cuda_message(None) == b"no handle"


def test_built_without_kernels(
    monkeypatch: pytest.MonkeyPatch, emulated_driver: Path, tmp_path: Path
) -> None:
    """As where there is no nvcc: the same functions, which say what is missing."""
    library = tmp_path / "libwithout.so"
    sources = [
        *sorted((ROOT / "kernels/cuda").glob("*.cpp")),
        ROOT / "kernels/cpu/create_message.cpp",
    ]
    options = ["-std=c++17", "-Wall", "-Wextra", "-Werror", "-fPIC", "-shared", f"-I{INCLUDE}"]
    run(build_tool("c++"), *options, *sources, "-ldl", "-o", library)
    without = ct.CDLL(str(library))
    for name in (name for name in _native.PROTOTYPES if name.startswith("jpegrt_cuda_")):
        assert hasattr(without, name)
    without.jpegrt_cuda_message.restype = ct.c_char_p
    monkeypatch.setenv("JPEGRT_CUDA_DRIVER", str(emulated_driver))
    handle = ct.c_void_p()
    assert without.jpegrt_cuda_create(ct.byref(handle)) == Status.OK
    assert without.jpegrt_cuda_attach(handle, 0) == Status.NO_DEVICE
    assert without.jpegrt_cuda_message(handle).startswith(b"built without CUDA kernels: ")
    without.jpegrt_cuda_destroy(handle)


def test_the_driver_is_declared_as_in_cuda_h() -> None:
    nvcc = require_nvcc()
    source = ROOT / "tests/cuda/driver_declarations.cpp"
    options = ["-std=c++17", "-Wall", "-Wextra", "-Werror", "-fsyntax-only"]
    run(build_tool("c++"), *options, f"-I{cuda_include(nvcc)}", source)
