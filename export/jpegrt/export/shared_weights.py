"""Weights, each stored once: what the graphs of a bundle, or of several, have in common."""

import hashlib
import os
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import onnx
from onnx import TensorProto

from jpegrt.runtime.bundle import Bundle
from jpegrt.runtime.external_tensors import with_tensors_inside

# A smaller tensor saves little more than its place in the file takes to be told.
_LEAST_BYTES = 512
_ALIGNMENT = 64


def share_weights(bundles: Mapping[Path, dict[str, Any]]) -> None:
    """Moves every tensor that the bundles' files have more than once into a file of its own, as
    ONNX's external data, and lists what has changed in the manifests. Without such a tensor nothing
    changes.

    bundles: folders and their manifests. What they shared before they share anew. The first gets the file;
    the others, which must be its neighbours wherever they go as folders, get symbolic links to it.
    The file's name has its content's hash, so that a graph's own SHA-256 stands for all its weights.
    """
    graphs: dict[Path, onnx.ModelProto] = {}
    for folder, manifest in bundles.items():
        graphs |= _graphs(Bundle(folder, manifest))
    counts = Counter(tensor.raw_data for graph in graphs.values() for tensor in _large(graph))
    offsets: dict[bytes, int] = {}
    weights = bytearray()
    for content, count in counts.items():
        if count > 1:
            weights += bytes(-len(weights) % _ALIGNMENT)
            offsets[content] = len(weights)
            weights += content
    if not offsets:
        return
    for folder, manifest in bundles.items():
        if former := manifest.pop("weights", None):
            del manifest["files"][former]
            (folder / former).unlink()
    file = f"weights-{hashlib.sha256(weights).hexdigest()[:16]}.bin"
    first = next(iter(bundles)) / file
    first.write_bytes(weights)
    for folder, manifest in bundles.items():
        if folder / file != first:
            (folder / file).symlink_to(os.path.relpath(first, folder))
        manifest["files"][file] = _facts(weights)
        manifest.update(format=2, weights=file)
    for path, graph in graphs.items():
        shared = onnx.ModelProto()
        shared.CopyFrom(graph)
        for tensor in _large(shared):
            if tensor.raw_data in offsets:
                _refer(tensor, file, offsets[tensor.raw_data])
        content = shared.SerializeToString()
        # What was verified, as every engine will get it.
        assert onnx.load_from_string(with_tensors_inside(content, file, bytes(weights))) == graph
        path.write_bytes(content)
        bundles[path.parent]["files"][path.name] = _facts(content)


def _graphs(bundle: Bundle) -> dict[Path, onnx.ModelProto]:
    """All graphs, with every tensor inside, by file, once each."""
    graphs = {}
    for precision, entry in bundle.manifest["precisions"].items():
        for graph, file in entry["files"].items():
            model = onnx.load_from_string(bundle.read_graph(graph, precision))
            for tensor in model.graph.initializer:
                tensor.ClearField("data_location")  # some say that theirs is the default one
            graphs[bundle.folder / file] = model
    return graphs


def _large(graph: onnx.ModelProto) -> list[TensorProto]:
    return [t for t in graph.graph.initializer if len(t.raw_data) >= _LEAST_BYTES]


def _refer(tensor: TensorProto, file: str, offset: int) -> None:
    """Leaves in the graph where the tensor is, instead of the tensor."""
    place = {"location": file, "offset": offset, "length": len(tensor.raw_data)}
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in place.items():
        tensor.external_data.add(key=key, value=str(value))


def _facts(content: bytes | bytearray) -> dict[str, Any]:
    """As manifests list a file."""
    return {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
