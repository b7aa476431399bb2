"""Bundles: a model as export hands it to the runtime.

A bundle is a folder: `manifest.json` and one ONNX file for each graph and precision. Tensors that
several graphs have in common are in one more file, which the manifest calls `weights`, as ONNX's
external data. The manifest lists every file with its SHA-256; a file that does not match is refused.
Of a network that deblocks and then enlarges, `deblocking` names one more graph, its first part alone.
"""

import hashlib
import json
import os
import re
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np

from jpegrt.kernels import GraphSpec, ModelSpec
from jpegrt.runtime.errors import UsageError
from jpegrt.runtime.external_tensors import GraphError, with_tensors_inside

FORMATS = (1, 2)  # graphs of the second may share weights
MANIFEST = "manifest.json"
_GRAPH_KEYS = {"name", "components", "chroma_h", "chroma_v"}
# Of input_scale, which the native core has in float32.
_LEAST_SCALE, _LARGEST_SCALE = (float(each) for each in (np.finfo("f4").tiny, np.finfo("f4").max))


@dataclass(frozen=True)
class Bundle:
    """A bundle's folder and manifest; `read` gives its files, checked."""

    folder: Path
    manifest: dict[str, Any]

    @property
    def name(self) -> str:
        return str(self.manifest["model"])

    @property
    def precisions(self) -> tuple[str, ...]:
        return tuple(self.manifest["precisions"])

    @property
    def default_precision(self) -> str:
        return str(self.manifest["default_precision"])

    @cached_property
    def spec(self) -> ModelSpec:
        """What the native pipeline has to know."""
        return ModelSpec(
            self.manifest["cell_px"],
            self.manifest["input_scale"],
            [GraphSpec(**graph) for graph in self.manifest["graphs"]],
            self.manifest.get("domain", "cells"),
            self.manifest.get("scale", 1),
            self.manifest.get("size_rule", {}).get("minimum_px", 1),
            self.manifest.get("size_rule", {}).get("multiple_px", 1),
            self.manifest.get("unfoldings", 0),
            self.manifest.get("window_px", 0),
            self.manifest.get("size_rule", {}).get("receptive_field_px"),
        )

    @property
    def deblocking_graph(self) -> str | None:
        """The graph that is the part of an enlarging model before it enlarges: from the image to the
        deblocked one, `image` to `image_restored`, beside the graphs of `spec`. None if there is none.
        """
        return self.manifest.get("deblocking")

    def choose_precision(self, precision: str | None) -> str:
        """`precision`, or the default one. Raises UsageError if the bundle has none such."""
        chosen = precision or self.default_precision
        if chosen not in self.precisions:
            raise UsageError(
                f"model {self.name} has no precision {chosen}: "
                f"choose one of {', '.join(self.precisions)}"
            )
        return chosen

    def read_graph(self, graph: str, precision: str) -> bytes:
        """One graph as ONNX, with the weights that it shares with others in it.

        Raises UsageError if a file is missing or was changed, or if a tensor is elsewhere.
        """
        name = self.manifest["precisions"][precision]["files"][graph]
        content = self._read_listed(name)
        weights = self.manifest.get("weights")
        try:
            return with_tensors_inside(
                content, weights, b"" if weights is None else self._read_listed(weights)
            )
        except GraphError as error:
            raise UsageError(
                f"{self.folder / name} {error}; export or install the model again"
            ) from error

    @property
    def files_sha256(self) -> str:
        """Of the checksums of all files that it lists: other graphs or weights have another."""
        files = {name: facts["sha256"] for name, facts in self.manifest["files"].items()}
        return hashlib.sha256(json.dumps(files, sort_keys=True).encode()).hexdigest()

    def _read_listed(self, name: str) -> bytes:
        path = self.folder / name
        try:
            content = path.read_bytes()
        except OSError as error:
            raise UsageError(
                f"{path}: {error.strerror}; export or install the model again"
            ) from error
        if hashlib.sha256(content).hexdigest() != self.manifest["files"][name]["sha256"]:
            raise UsageError(
                f"{path} is not the file that {MANIFEST} lists (its SHA-256 differs); "
                "export or install the model again"
            )
        return content


def shipped_bundles() -> Path:
    """The folder of the bundles that come with the package."""
    return Path(str(resources.files("jpegrt.runtime") / "bundles"))


def fetched_bundles() -> Path:
    """The folder of the bundles that the user fetched: JPEGRT_MODELS, or one of the user's data."""
    if chosen := os.environ.get("JPEGRT_MODELS"):
        return Path(chosen)
    data = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(data) / "jpegrt" / "models"


def list_bundles(folder: Path | None = None) -> list[Bundle]:
    """The bundles in a folder (None: the shipped ones), by name."""
    files = sorted((folder or shipped_bundles()).glob(f"[!.]*/{MANIFEST}"))
    return [open_bundle(file.parent) for file in files]


def find_bundle(model: str) -> Bundle:
    """A shipped or a fetched model by name, or a bundle by its folder.

    Raises UsageError if there is none.
    """
    if folder := find_bundle_folder(model):
        return open_bundle(folder)
    names = [file.parent.name for file in sorted(shipped_bundles().glob(f"*/{MANIFEST}"))]
    names += [file.parent.name for file in sorted(fetched_bundles().glob(f"[!.]*/{MANIFEST}"))]
    raise UsageError(
        f"unknown model {model}: choose one of {', '.join(names)}, auto, none, or a bundle's folder"
    )


def name_of_scale(network: str, scale: int) -> str:
    """What the bundle of a network is called that enlarges so often."""
    return network if scale == 1 else f"{network}-x{scale}"


def find_bundle_folder(model: str) -> Path | None:
    """Where `find_bundle` finds a model; None if there is none. Raises UsageError."""
    for folder in (shipped_bundles() / model, fetched_bundles() / model, Path(model)):
        try:
            if (folder / MANIFEST).exists():
                return folder
        except OSError as error:
            raise UsageError(f"model {model} cannot be read: {error.strerror}") from error
    return None


def open_bundle(folder: Path) -> Bundle:
    """Reads and checks a manifest. Raises UsageError."""
    path = folder / MANIFEST
    try:
        manifest = json.loads(path.read_text())
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"{path} cannot be read ({error}); export the model again") from error
    if not isinstance(manifest, dict) or manifest.get("format") not in FORMATS:
        found = manifest.get("format") if isinstance(manifest, dict) else None
        raise UsageError(
            f"{path} has format {found}, this version of jpegrt reads 1 and 2: "
            "upgrade jpegrt, or export the model again with this version"
        )
    required = {
        "model",
        "cell_px",
        "input_scale",
        "graphs",
        "precisions",
        "default_precision",
        "files",
    }
    if missing := required - set(manifest):
        raise UsageError(f"{path} lacks {', '.join(sorted(missing))}; export the model again")
    try:
        _check(manifest)
    except ValueError as error:
        raise UsageError(f"{path} is not valid: {error}; export the model again") from error
    return Bundle(folder, manifest)


def _check(manifest: dict[str, Any]) -> None:
    """Raises ValueError, which says what is wrong with what the runtime needs of a manifest."""
    _require(isinstance(manifest["model"], str), "model is no name")
    cell_px, scale = manifest["cell_px"], manifest["input_scale"]
    _require(_is_integer(cell_px) and cell_px in (1, 2, 4, 8), "cell_px is not 1, 2, 4 or 8")
    fits = type(scale) in (int, float) and _LEAST_SCALE < scale < _LARGEST_SCALE
    _require(fits, "input_scale is not above 0")

    _check_domain(manifest)
    _check_unfolding(manifest)
    graphs = manifest["graphs"]
    _require(isinstance(graphs, list) and bool(graphs), "graphs is no list of graphs")
    for graph in graphs:
        _require(isinstance(graph, dict) and set(graph) == _GRAPH_KEYS, "a graph's keys are wrong")
        _require(_is_plain_name(graph["name"]), "a graph has no name")
        _require(
            _is_integer(graph["components"]) and graph["components"] in (1, 3),
            f"graph {graph['name']} has neither 1 nor 3 components",
        )
        for factor in (graph["chroma_h"], graph["chroma_v"]):
            _require(
                _is_integer(factor) and factor > 0 and cell_px % factor == 0,
                f"the chroma factors of graph {graph['name']} do not divide cell_px",
            )
    if "unfoldings" in manifest:
        _check_unfolded_graphs(graphs)
    else:
        _check_graphs(manifest.get("domain", "cells"), [graph["components"] for graph in graphs])
    names = {graph["name"] for graph in graphs}
    _require(len(names) == len(graphs), "two graphs share a name")
    if "deblocking" in manifest:
        _check_deblocking(manifest, names)
        names.add(manifest["deblocking"])

    precisions, listed = manifest["precisions"], manifest["files"]
    _require(isinstance(precisions, dict), "precisions is no table")
    _require(isinstance(listed, dict), "files is no table")
    for precision, entry in precisions.items():
        files = entry.get("files") if isinstance(entry, dict) else None
        files = files if isinstance(files, dict) else {}
        _require(names <= set(files), f"precision {precision} lacks the file of a graph")
        for file in files.values():
            _require(_is_plain_name(file), f"precision {precision} has a file without a plain name")
            _check_listed(listed, file)
    if "weights" in manifest:
        _require(_is_plain_name(manifest["weights"]), "weights is no file with a plain name")
        _check_listed(listed, manifest["weights"])
    default = manifest["default_precision"]
    _require(
        isinstance(default, str) and default in precisions,
        "default_precision is none of precisions",
    )


def _check_listed(listed: dict[str, Any], file: str) -> None:
    facts = listed.get(file)
    _require(
        isinstance(facts, dict) and isinstance(facts.get("sha256"), str),
        f"files lacks the sha256 of {file}",
    )


def _check_domain(manifest: dict[str, Any]) -> None:
    """What a model on pixels has beyond one on coefficients: all of it may be left out."""
    domain, scale = manifest.get("domain", "cells"), manifest.get("scale", 1)
    _require(
        domain in ("cells", "luma", "rgb", "spectral"), "domain is not cells, luma, rgb or spectral"
    )
    _require(_is_integer(scale) and 1 <= scale <= 4, "scale is not 1, 2, 3 or 4")
    rule = manifest.get("size_rule", {})
    _require(isinstance(rule, dict), "size_rule is no table")
    minimum, multiple = rule.get("minimum_px", 1), rule.get("multiple_px", 1)
    _require(_is_integer(minimum) and 1 <= minimum <= 4096, "minimum_px is not from 1 to 4096")
    _require(_is_integer(multiple) and 1 <= multiple <= 1024, "multiple_px is not from 1 to 1024")
    reach = rule.get("receptive_field_px")
    _require(
        reach is None or (_is_integer(reach) and 0 <= reach <= 65535),
        "receptive_field_px is neither null nor from 0 to 65535",
    )
    if domain in ("cells", "spectral"):
        _require(
            scale == minimum == multiple == 1,
            "a model on cells or spectra has a scale or a size rule other than 1",
        )
    _require(
        domain == "cells" or manifest["cell_px"] == 1,
        "cell_px of a model that takes no cells is not 1",
    )


def _check_unfolding(manifest: dict[str, Any]) -> None:
    """What an unfolded model has beyond one that is not."""
    for key, most in (("unfoldings", 64), ("window_px", 65535)):
        value = manifest.get(key, 1)
        _require(_is_integer(value) and 1 <= value <= most, f"{key} is not from 1 to {most}")
    if "unfoldings" in manifest:
        _require(manifest.get("domain") == "rgb", "an unfolded model's domain is not rgb")
    else:
        _require("window_px" not in manifest, "a model that is not unfolded has a window_px")


def _check_unfolded_graphs(graphs: list[dict[str, Any]]) -> None:
    names = {graph["name"] for graph in graphs if graph["components"] == 3}
    _require(
        len(graphs) == 4 and names == {"arm", "arm_guide", "rem", "rem_guide"},
        "an unfolded model's graphs are not arm, arm_guide, rem and rem_guide",
    )


def _check_deblocking(manifest: dict[str, Any], others: set[str]) -> None:
    graph = manifest["deblocking"]
    _require(_is_plain_name(graph) and graph not in others, "deblocking is no graph of its own")
    _require(
        manifest.get("scale", 1) > 1 and "unfoldings" not in manifest,
        "a model that does not enlarge, or is unfolded, has a graph for deblocking",
    )


def _check_graphs(domain: str, components: list[int]) -> None:
    """The graphs that the domain needs, and none beyond."""
    grey, colour = components.count(1), components.count(3)
    if domain == "cells":
        _require(grey > 0, "no graph is grey")
    elif domain != "rgb":
        _require((grey, colour) == (1, 0), "a luma or spectral model's graphs are not one, grey")
    else:
        _require(colour == 1 and grey <= 1, "an rgb model's graphs are not one, and one grey")


def _require(is_so: bool, otherwise: str) -> None:
    if not is_so:
        raise ValueError(otherwise)


def _is_integer(value: object) -> bool:
    return type(value) is int  # which True is not


def _is_plain_name(value: object) -> bool:
    """Of a file in the bundle's own folder, whatever the system."""
    return isinstance(value, str) and re.fullmatch(r"\w[\w.-]*", value) is not None
