"""Bundles of networks that take pixels, small enough to be made in a test."""

import hashlib
import json
from pathlib import Path

import onnx
from onnx import TensorProto, helper

from jpegrt.runtime.bundle import MANIFEST


def write_pixel_bundle(
    folder: Path,
    *,
    domain: str = "rgb",
    scale: int = 1,
    minimum_px: int = 1,
    multiple_px: int = 1,
) -> Path:
    """A network that enlarges by repeating pixels, and makes all of them a fifth more contrasty."""
    channels = 1 if domain == "luma" else 3
    model = _network(channels, scale).SerializeToString()
    folder.mkdir(parents=True)
    (folder / "only.onnx").write_bytes(model)
    manifest = {
        "format": 1,
        "model": f"small-{domain}-x{scale}",
        "domain": domain,
        "scale": scale,
        "cell_px": 1,
        "input_scale": 1 / 255,
        "size_rule": {"minimum_px": minimum_px, "multiple_px": multiple_px},
        "graphs": [{"name": "only", "components": channels, "chroma_h": 1, "chroma_v": 1}],
        "precisions": {"fp32": {"files": {"only": "only.onnx"}}},
        "default_precision": "fp32",
        "files": {"only.onnx": {"sha256": hashlib.sha256(model).hexdigest(), "bytes": len(model)}},
    }
    (folder / MANIFEST).write_text(json.dumps(manifest))
    return folder


def _network(channels: int, scale: int) -> onnx.ModelProto:
    sizes = [1.0, 1.0, float(scale), float(scale)]
    nodes = [
        helper.make_node(
            "Resize",
            ["image", "", "sizes"],
            ["enlarged"],
            mode="nearest",
            coordinate_transformation_mode="asymmetric",
            nearest_mode="floor",
        ),
        helper.make_node("Mul", ["enlarged", "gain"], ["image_restored"]),
    ]
    graph = helper.make_graph(
        nodes,
        "only",
        [helper.make_tensor_value_info("image", TensorProto.FLOAT, ["n", channels, "h", "w"])],
        [
            helper.make_tensor_value_info(
                "image_restored", TensorProto.FLOAT, ["n", channels, "rh", "rw"]
            )
        ],
        [
            helper.make_tensor("sizes", TensorProto.FLOAT, [4], sizes),
            helper.make_tensor("gain", TensorProto.FLOAT, [], [1.2]),
        ],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model)
    return model
