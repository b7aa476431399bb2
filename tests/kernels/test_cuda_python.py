"""Arrays and streams of other Python packages, handed to the kernels on a GPU."""

import importlib
from collections.abc import Iterator
from types import ModuleType

import numpy as np
import pytest
from tests.kernels.devices import Device, open_gpu

from jpegrt.kernels import cells_from_blocks
from jpegrt.kernels._native import Layout
from jpegrt.kernels.cuda import CURRENT_CONTEXT, Cuda, DeviceArray, Unpacking

pytestmark = pytest.mark.gpu

BLOCKS = np.random.default_rng(0).integers(-40, 40, (5, 9, 8, 8)).astype(np.int16)
TABLE = np.full((8, 8), 3, np.uint16)
EXPECTED = cells_from_blocks(BLOCKS, TABLE, (2, 2))


@pytest.fixture
def gpu() -> Iterator[Device]:
    opened = open_gpu()
    yield opened
    opened.close()


def package(name: str) -> ModuleType:
    """An optional package; what needs it is skipped without it."""
    pytest.importorskip(name)
    return importlib.import_module(name)


def test_memory_and_stream_of_cuda_core(gpu: Device) -> None:
    core = package("cuda.core")
    device = core.Device()
    device.set_current()
    stream = device.create_stream()
    buffer = device.allocate(EXPECTED.nbytes, stream=stream)
    out = DeviceArray(int(buffer.handle), EXPECTED.shape, np.float32)
    unpacking = Unpacking(gpu.upload(BLOCKS), TABLE, out, (2, 2))
    gpu.kernels.unpack([unpacking], Layout.CELLS, stream=stream)
    stream.sync()
    np.testing.assert_array_equal(gpu.download(out), EXPECTED)


def test_arrays_and_stream_of_pycuda() -> None:
    open_gpu().close()
    package("pycuda.autoprimaryctx")
    driver, gpuarray = package("pycuda.driver"), package("pycuda.gpuarray")
    stream = driver.Stream()
    blocks, out = gpuarray.to_gpu(BLOCKS), gpuarray.empty(EXPECTED.shape, np.float32)
    kernels = Cuda(CURRENT_CONTEXT)
    kernels.unpack([Unpacking(blocks, TABLE, out, (2, 2))], Layout.CELLS, stream=stream)
    stream.synchronize()
    np.testing.assert_array_equal(out.get(), EXPECTED)
    kernels.close()


def test_tensors_and_stream_of_pytorch() -> None:
    open_gpu().close()
    torch = package("torch")
    if not torch.cuda.is_available():
        pytest.skip("this PyTorch is without CUDA")
    stream = torch.cuda.Stream()
    kernels = Cuda()
    with torch.cuda.stream(stream):
        blocks = torch.from_numpy(BLOCKS).cuda()
        out = torch.empty(EXPECTED.shape, device="cuda")
        kernels.unpack([Unpacking(blocks, TABLE, out, (2, 2))], Layout.CELLS, stream=stream)
        np.testing.assert_array_equal(out.cpu().numpy(), EXPECTED)
    stream.synchronize()
    kernels.close()
