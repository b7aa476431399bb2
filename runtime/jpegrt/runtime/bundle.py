"""Bundles: a model as export hands it to the runtime.

A bundle is a folder: `manifest.json` and one ONNX file for each graph and precision. The manifest
lists every file with its SHA-256; a file that does not match is refused.
"""

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from importlib import resources
from pathlib import Path
from typing import Any

from jpegrt.kernels import GraphSpec, ModelSpec
from jpegrt.runtime.errors import UsageError

FORMAT = 1
MANIFEST = "manifest.json"


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
        )

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
        """The ONNX file of one graph. Raises UsageError if it is missing or was changed."""
        name = self.manifest["precisions"][precision]["files"][graph]
        path = self.folder / str(name)
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


def list_bundles() -> list[Bundle]:
    """The shipped bundles, by name."""
    return [open_bundle(file.parent) for file in sorted(shipped_bundles().glob(f"*/{MANIFEST}"))]


def find_bundle(model: str) -> Bundle:
    """A shipped model by name, or a bundle by its folder. Raises UsageError if there is none."""
    if (shipped := shipped_bundles() / model / MANIFEST).exists():
        return open_bundle(shipped.parent)
    if (Path(model) / MANIFEST).exists():
        return open_bundle(Path(model))
    names = ", ".join(bundle.name for bundle in list_bundles())
    raise UsageError(f"unknown model {model}: choose one of {names}, none, or a bundle's folder")


def open_bundle(folder: Path) -> Bundle:
    """Reads and checks a manifest. Raises UsageError."""
    path = folder / MANIFEST
    try:
        manifest = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise UsageError(f"{path} cannot be read ({error}); export the model again") from error
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        found = manifest.get("format") if isinstance(manifest, dict) else None
        raise UsageError(
            f"{path} has format {found}, this version of jpegrt reads {FORMAT}: "
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
    return Bundle(folder, manifest)
