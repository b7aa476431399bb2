"""The baseline of `jpegrt bench` in ncnn: what `torch_baseline` does, the network in ncnn.

pnnx, ncnn's own converter, makes it of the traced module, in float32. The quantisation steps become
constants of the network, so that ncnn sees one image and no arithmetic on tables.
"""

import subprocess
import tempfile
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path

import ncnn
import numpy as np
import pnnx
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from jpegrt.export.torch_baseline import prepare_with
from jpegrt.runtime.bench.workload import Case
from jpegrt.runtime.bundle import Bundle
from jpegrt.runtime.errors import RestoreError, one_line

# Networks by model, threads, image size and steps: to convert one takes seconds.
_networks: dict[tuple[object, ...], ncnn.Net] = {}


def prepare(
    bundle: Bundle, case: Case, threads: int, device: str
) -> Callable[[], NDArray[np.uint8]] | None:
    """As `torch_baseline.prepare`, on the CPU alone."""
    if device != "cpu":
        return None
    return prepare_with(bundle, case, threads, device, partial(_InNcnn, bundle.name, threads))


class _InNcnn:
    """A module whose first argument is the image; it is converted when first called.

    Raises RestoreError if pnnx or ncnn cannot take it.
    """

    def __init__(self, model: str, threads: int, module: nn.Module) -> None:
        self._model, self._threads, self._module = model, threads, module

    def __call__(self, image: Tensor, *constants: Tensor) -> Tensor:
        values = tuple(constant.numpy().tobytes() for constant in constants)
        key = (self._model, self._threads, image.shape, *values)
        if key not in _networks:
            _networks[key] = _convert(_Folded(self._module, constants), image, self._threads)
        with _networks[key].create_extractor() as extractor:
            extractor.input("in0", ncnn.Mat(image[0].numpy()))
            status, output = extractor.extract("out0")
            if status:
                raise RestoreError(f"ncnn failed on {self._model}: leave out the baseline ncnn")
            return torch.from_numpy(np.array(output))[None]


class _Folded(nn.Module):
    """A module's first output, of an image alone."""

    def __init__(self, module: nn.Module, constants: tuple[Tensor, ...]) -> None:
        super().__init__()
        self.module, self.names = module, [f"constant_{i}" for i in range(len(constants))]
        for name, constant in zip(self.names, constants, strict=True):
            self.register_buffer(name, constant)

    def forward(self, image: Tensor) -> Tensor:
        output = self.module(image, *(getattr(self, name) for name in self.names))
        first: Tensor = output[0] if isinstance(output, tuple) else output
        return first


def _convert(module: nn.Module, image: Tensor, threads: int) -> ncnn.Net:
    with tempfile.TemporaryDirectory() as folder:
        traced = Path(folder) / "network.pt"
        with warnings.catch_warnings():
            # Deprecated, but TorchScript is what pnnx reads.
            warnings.simplefilter("ignore", DeprecationWarning)
            torch.jit.trace(module, (image,), check_trace=False).save(str(traced))  # type: ignore[no-untyped-call]
        shape = ",".join(map(str, image.shape))
        command = [pnnx.EXEC_PATH, str(traced), f"inputshape=[{shape}]f32", "fp16=0"]
        run = subprocess.run(command, check=False, capture_output=True, text=True, cwd=folder)
        network = ncnn.Net()
        options = network.opt
        options.num_threads = threads
        # It would otherwise compute in half precision where the processor can.
        options.use_fp16_packed = options.use_fp16_storage = options.use_fp16_arithmetic = False
        options.use_bf16_storage = False
        if (
            run.returncode
            or network.load_param(str(traced.with_suffix(".ncnn.param")))
            or network.load_model(str(traced.with_suffix(".ncnn.bin")))
        ):
            raise RestoreError(
                f"pnnx cannot convert this network, leave out the baseline ncnn: "
                f"{one_line(run.stderr)[-200:]}"
            )
    return network
