"""cisr as one ONNX file, for runtimes that have no non-local operator of their own."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime as ort
import torch

from jpegrt.export.bundle_writer import VERIFICATION_QUALITIES, VerificationError
from jpegrt.export.unfolded_model import UnfoldedModel
from jpegrt.export.verify import LARGEST_FP32_ERROR
from jpegrt.kernels import find_blocking_edges
from jpegrt.runtime.errors import UsageError
from jpegrt.runtime.output import written_whole


@torch.no_grad()
def write_single_file(model: UnfoldedModel, output: Path, files: Sequence[Path]) -> float:
    """Verified on the images, in ONNX Runtime; returns the largest error, of full range.

    Raises VerificationError if it is too large, and UsageError if `output` cannot be written; then
    nothing is.
    """
    if output.is_dir() or not output.parent.is_dir():
        raise UsageError(f"{output} cannot be written: name a file in a folder that exists")
    content = model.export_single().SerializeToString()
    session = ort.InferenceSession(content, providers=["CPUExecutionProvider"])
    rem = model.specs[-1]
    largest = 0.0
    for example in model.examples_of_each_quality(files, rem, VERIFICATION_QUALITIES):
        image = example.inputs["image"]
        keys = find_blocking_edges(image)
        (found,) = session.run(None, {"image": image, "keys": keys.astype(np.float32)})
        expected = model.network(torch.from_numpy(image), torch.from_numpy(keys)).numpy()
        largest = max(largest, float(np.abs(found - expected).max()))
    if not largest <= LARGEST_FP32_ERROR:
        raise VerificationError(f"the file differs too much from PyTorch: by {largest:.1e}")
    with written_whole(output) as file:
        file.write(content)
    return largest
