"""What is measured on a GPU beside the CPU's contenders, and what each of these needs.

None of this has been run on a GPU yet.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np

from jpegrt.kernels import NativeError, Pipeline
from jpegrt.kernels.cuda import Cuda
from jpegrt.runtime.bench.rounds import Contender
from jpegrt.runtime.bench.workload import GREY, Case


@dataclass(frozen=True)
class GpuContender:
    """package: what it needs to be importable. prepare: of a case, the call to time, which ends when
    its pixels are on the host."""

    name: str
    package: str
    prepare: Callable[[Case], Callable[[], None]]

    @property
    def installed(self) -> bool:
        parent = self.package.partition(".")[0]
        return find_spec(parent) is not None and find_spec(self.package) is not None


def device_missing() -> str | None:
    """Why there is no CUDA device to measure on; None if there is one."""
    try:
        Cuda()
    except NativeError as error:
        return str(error)
    return None


def _decode_by_kernels(case: Case) -> Callable[[], None]:
    pipeline = Pipeline(cuda=Cuda())
    pixels = np.empty(case.original.shape, np.uint8)

    def decode() -> None:
        pipeline.read(case.jpeg)
        pipeline.restore(pixels)

    return decode


def _decode_by_nvjpeg(case: Case) -> Callable[[], None]:
    from nvidia import nvimgcodec

    decoder = nvimgcodec.Decoder()
    colour = nvimgcodec.ColorSpec.GRAY if case.subsampling == GREY else nvimgcodec.ColorSpec.SRGB
    parameters = nvimgcodec.DecodeParams(color_spec=colour)

    def decode() -> None:
        decoder.decode(case.jpeg, parameters).cpu()

    return decode


CONTENDERS = (
    GpuContender("jpegrt on CUDA without a model", "jpegrt.kernels", _decode_by_kernels),
    GpuContender("nvImageCodec (nvJPEG)", "nvidia.nvimgcodec", _decode_by_nvjpeg),
)


def prepare(case: Case) -> Iterator[Contender]:
    """Of those that are installed."""
    for contender in CONTENDERS:
        if contender.installed:
            yield Contender(contender.name, contender.prepare(case))
