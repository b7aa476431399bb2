"""GPUs to run kernels on: a real one, or the CPU behind an emulated driver."""

import ctypes as ct
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tests.kernels.c_programs import ROOT, build_tool

from jpegrt.kernels import NativeError, Status
from jpegrt.kernels.cuda import Cuda, DeviceArray

REQUIRE_GPU = os.environ.get("JPEGRT_REQUIRE_GPU") == "1"
REAL_DRIVER = "libcuda.so.1"


def build_emulated_driver(folder: Path) -> Path:
    """tests/cuda/emulated_driver.cpp, with every undefined behaviour an error."""
    library = folder / "emulated_driver.so"
    command = [
        *(build_tool("c++"), "-std=c++17", "-O2", "-Wall", "-Wextra", "-Werror"),
        *("-fPIC", "-shared", "-ffp-contract=off"),
        *("-fsanitize=undefined", "-fno-sanitize-recover=all"),
        *(str(ROOT / "tests/cuda/emulated_driver.cpp"), "-o", str(library)),
    ]
    result = subprocess.run(command, check=False, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return library


class Device:
    """One device: its kernels, and memory and a stream of its own to use them with."""

    def __init__(self, driver: Path | str) -> None:
        self.emulated = driver != REAL_DRIVER
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("JPEGRT_CUDA_DRIVER", str(driver))
            self.kernels = Cuda()
        self._driver = ct.CDLL(str(driver))
        self._find = self._driver.cuGetProcAddress_v2
        if not self.emulated:
            context = ct.c_void_p()
            self._call("cuDevicePrimaryCtxRetain", ct.byref(context), ct.c_int(0))
            self._call("cuCtxPushCurrent", context)
        self._memory: list[int] = []
        stream = ct.c_void_p()
        self._call("cuStreamCreate", ct.byref(stream), ct.c_uint(1))  # waits for no other stream
        self.stream = stream.value or 0

    def close(self) -> None:
        for pointer in self._memory:
            self._call("cuMemFree", ct.c_uint64(pointer))
        self._memory.clear()
        self._call("cuStreamDestroy", ct.c_void_p(self.stream))
        self.kernels.close()

    def empty(self, shape: tuple[int, ...], dtype: Any) -> DeviceArray:
        """Uninitialised memory; it ends where the array does, as far as alignment lets it."""
        array = DeviceArray(0, shape, dtype)
        pointer = ct.c_uint64()
        self._call("cuMemAlloc", ct.byref(pointer), ct.c_size_t(array.nbytes))
        array.pointer = pointer.value
        self._memory.append(pointer.value)
        return array

    def upload(self, array: NDArray[Any]) -> DeviceArray:
        copy = self.empty(array.shape, array.dtype)
        self.write(copy, array)
        return copy

    def write(self, to: DeviceArray, array: NDArray[Any]) -> None:
        """Into contiguous memory."""
        array = np.ascontiguousarray(array)
        self._call(
            "cuMemcpyHtoDAsync",
            ct.c_uint64(to.pointer),
            ct.c_void_p(array.ctypes.data),
            ct.c_size_t(array.nbytes),
            ct.c_void_p(self.stream),
        )
        self.synchronise()  # `array` may not live longer

    def filled(self, shape: tuple[int, ...], dtype: Any, value: float) -> DeviceArray:
        return self.upload(np.full(shape, value, dtype))

    def download(self, array: DeviceArray) -> NDArray[Any]:
        """A contiguous array's content, once the stream got there."""
        assert array.is_contiguous
        copy = np.empty(array.shape, array.dtype)
        self._call(
            "cuMemcpyDtoHAsync",
            ct.c_void_p(copy.ctypes.data),
            ct.c_uint64(array.pointer),
            ct.c_size_t(array.nbytes),
            ct.c_void_p(self.stream),
        )
        self.synchronise()
        return copy

    def synchronise(self, stream: int | None = None) -> None:
        """Waits for a stream, this device's own if none is given."""
        handle = self.stream if stream is None else stream
        self._call("cuStreamSynchronize", ct.c_void_p(handle))

    @property
    def launches(self) -> int:
        """Kernels launched so far, by an emulated driver."""
        return int(self._driver.emulated_launches())

    @property
    def held(self) -> int:
        """Allocations, contexts and modules that were not given back, by an emulated driver."""
        return int(self._driver.emulated_held())

    @property
    def waits(self) -> int:
        """How often a call found work that it had to wait for, in an emulated driver."""
        return int(self._driver.emulated_waits())

    @property
    def most_pool_bytes(self) -> int:
        """The most that an emulated driver's pool had lent out at once since this was last read."""
        most = self._driver.emulated_most_pool_bytes
        most.restype = ct.c_size_t
        return int(most())

    @contextmanager
    def deferring(self) -> Iterator[None]:
        """An emulated driver puts work off until somebody waits; a GPU does as it likes."""
        if self.emulated:
            self._driver.emulated_defer(1)
        try:
            yield
        finally:
            if self.emulated:
                self._driver.emulated_defer(0)

    @contextmanager
    def failing(self, call: str, after: int = 0) -> Iterator[None]:
        """One call of an emulated driver fails, after it went well `after` times."""
        self._driver.emulated_fail(call.encode(), after)
        try:
            yield
        finally:
            self._driver.emulated_fail(b"", 0)

    def copy(self, source: int, to: int, size: int, stream: int) -> None:
        """Enqueues a copy of bytes on the device."""
        self._call(
            "cuMemcpyDtoDAsync",
            ct.c_uint64(to),
            ct.c_uint64(source),
            ct.c_size_t(size),
            ct.c_void_p(stream),
        )

    def _call(self, name: str, *arguments: Any) -> None:
        function = ct.c_void_p()
        status = self._find(
            name.encode(), ct.byref(function), ct.c_int(12000), ct.c_uint64(0), ct.c_void_p()
        )
        assert status == 0 and function.value, name
        result = ct.CFUNCTYPE(ct.c_int)(function.value)(*arguments)
        assert result == 0, f"{name} returned {result}"


def open_gpu() -> Device:
    """The machine's GPU. Without one the test is skipped, unless JPEGRT_REQUIRE_GPU=1."""
    try:
        return Device(REAL_DRIVER)
    except NativeError as error:
        if error.status == Status.NO_DEVICE and not REQUIRE_GPU:
            pytest.skip(str(error))
        raise


def open_emulated(driver: Path) -> Device:
    """The CPU. A library without kernels cannot launch any, which nvcc's absence alone excuses."""
    try:
        return Device(driver)
    except NativeError as error:
        if "built without CUDA kernels" in str(error) and not find_nvcc():
            pytest.skip(str(error))
        raise


def find_nvcc() -> Path | None:
    """Where nvcc is, as CMake finds it by default; None if it is not."""
    found = shutil.which(
        "nvcc", path=os.environ.get("PATH", "") + os.pathsep + "/usr/local/cuda/bin"
    )
    return Path(found) if found else None


def require_nvcc() -> Path:
    """For tests of what only the CUDA toolkit can do; without it there is nothing to test."""
    nvcc = find_nvcc()
    if not nvcc:
        pytest.skip("no nvcc")
    return nvcc


def cuda_include(nvcc: Path) -> Path:
    """Where the toolkit's headers are."""
    output = subprocess.run(
        [nvcc, "--dryrun", "-E", "-x", "cu", os.devnull], check=True, capture_output=True, text=True
    ).stderr
    (top,) = (line for line in output.splitlines() if line.startswith("#$ TOP="))
    return Path(top.removeprefix("#$ TOP=")) / "include"
