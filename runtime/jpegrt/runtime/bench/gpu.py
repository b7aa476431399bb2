"""What is measured on a GPU beside the CPU's contenders, and what each of these needs.

None of this has been run on a GPU yet.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec

import numpy as np

from jpegrt.kernels import NativeError, Pipeline
from jpegrt.kernels.cuda import Cuda
from jpegrt.runtime.bench.checks import check_near
from jpegrt.runtime.bench.rounds import Contender, silent
from jpegrt.runtime.bench.workload import GREY, Case, Pixels


@dataclass(frozen=True)
class GpuContender:
    """package: what it needs to be importable. prepare: of a case, the call to time, whose answer are
    the pixels, on the host."""

    name: str
    package: str
    prepare: Callable[[Case], Callable[[], Pixels]]

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


def _decode_by_kernels(case: Case) -> Callable[[], Pixels]:
    pipeline = Pipeline(cuda=Cuda())
    pixels = np.empty(case.original.shape, np.uint8)

    def decode() -> Pixels:
        pipeline.read(case.jpeg)
        pipeline.restore(pixels)
        return pixels

    return decode


def _decode_by_nvjpeg(case: Case) -> Callable[[], Pixels]:
    from nvidia import nvimgcodec

    decoder = nvimgcodec.Decoder()
    colour = nvimgcodec.ColorSpec.GRAY if case.subsampling == GREY else nvimgcodec.ColorSpec.SRGB
    parameters = nvimgcodec.DecodeParams(color_spec=colour)

    def decode() -> Pixels:
        decoded = np.asarray(decoder.decode(case.jpeg, parameters).cpu())
        return decoded.reshape(case.original.shape)

    return decode


CONTENDERS = (
    GpuContender("jpegrt on CUDA without a model", "jpegrt.kernels", _decode_by_kernels),
    GpuContender("nvImageCodec (nvJPEG)", "nvidia.nvimgcodec", _decode_by_nvjpeg),
)


def prepare(case: Case, expected: Pixels) -> Iterator[Contender]:
    """Of those that are installed. expected: libjpeg's pixels. Raises RestoreError."""
    for contender in CONTENDERS:
        if contender.installed:
            call = contender.prepare(case)
            check_near(f"{contender.name}, {case.name},", call(), expected)
            yield Contender(contender.name, silent(call))
