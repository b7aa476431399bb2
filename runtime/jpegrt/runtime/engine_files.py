"""Engines that TensorRT built, as files: each has a sidecar in JSON that says what it is.

An engine belongs to one graph, one version of its builder and one kind of GPU, and says none of
that in a form that can be read safely. The sidecar does, and an engine is refused, with the command
that builds it anew, before a vendor's library sees a byte of it.
"""

import hashlib
import json
import os
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

from jpegrt.runtime.bundle import Bundle
from jpegrt.runtime.errors import UsageError

SIDECAR_FORMAT = 1


@dataclass(frozen=True)
class EngineFacts:
    """A sidecar.

    flavour: "tensorrt" or "rtx"; version: the builder's; target: "sm86" and so on; driver: CUDA's
        version of the driver on the machine that built it, or None where there was none.
    profiles: name -> "min", "opt" and "max" -> [images, height, width], in pixels.
    source, source_sha256: the bundle's file that the engine comes from; onnx_sha256: what was
        compiled, which is another where the precision was derived.
    """

    model: str
    graph: str
    precision: str
    flavour: str
    version: str
    target: str
    driver: str | None
    profiles: dict[str, dict[str, list[int]]]
    source: str
    source_sha256: str
    onnx_sha256: str
    engine_sha256: str
    engine_bytes: int
    build_seconds: float

    def rebuild_command(self, engine: Path, *, flavour: str = "", target: str = "") -> str:
        """What builds the engine of that file anew, or the one for another flavour or target."""
        elsewhere = engine.parent != engine_cache(self.model)
        return (
            f"jpegrt build {self.model} --flavour {flavour or self.flavour} "
            f"--target {target or self.target} --precision {self.precision}"
            + (f" -o {engine.parent}" if elsewhere else "")
        )

    def to_json(self) -> dict[str, Any]:
        return {"format": SIDECAR_FORMAT, **asdict(self)}


def engine_cache(model: str) -> Path:
    """Where a model's engines are kept unless the user names a folder."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "jpegrt" / "engines" / model


def engine_name(graph: str, precision: str, flavour: str, version: str, target: str) -> str:
    """The file of an engine; no two that differ in these share one."""
    return f"{graph}.{precision}.{flavour}-{version}.{target}.engine"


def sidecar_of(engine: Path) -> Path:
    return engine.with_name(f"{engine.name}.json")


def read_facts(engine: Path) -> EngineFacts:
    """An engine's sidecar. Raises UsageError."""
    path = sidecar_of(engine)
    try:
        content = json.loads(path.read_text())
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(
            f"{path}, which says what the engine is, cannot be read ({error}); "
            "run jpegrt build to make both again"
        ) from error
    found = content.get("format") if isinstance(content, dict) else None
    if found != SIDECAR_FORMAT:
        raise UsageError(
            f"{path} has format {found}, this version of jpegrt reads {SIDECAR_FORMAT}: "
            "upgrade jpegrt, or run jpegrt build to make the engine again"
        )
    try:
        facts = EngineFacts(**{field.name: content[field.name] for field in fields(EngineFacts)})
    except KeyError as error:
        raise UsageError(
            f"{path} lacks {error.args[0]}; run jpegrt build to make the engine again"
        ) from error
    return facts


def check_fresh(engine: Path, facts: EngineFacts, bundle: Bundle) -> None:
    """Raises UsageError if the bundle's graph is another than the engine was built from."""
    listed = bundle.manifest["files"].get(facts.source, {}).get("sha256")
    if bundle.name != facts.model or listed != facts.source_sha256:
        raise UsageError(
            f"{engine} is stale: {facts.source} of the model {bundle.name} is not what it was "
            f"built from; run {facts.rebuild_command(engine)}"
        )


def read_engine(engine: Path, bundle: Bundle, *, flavour: str, version: str, target: str) -> bytes:
    """An engine's bytes, for a runtime of that flavour and version and a GPU of that target.

    Raises UsageError if it was built for others, from other graphs, or is not whole.
    """
    facts = read_facts(engine)
    check_fresh(engine, facts, bundle)
    ours = f"{flavour} {version} on {target}"
    if (theirs := f"{facts.flavour} {facts.version} on {facts.target}") != ours:
        raise UsageError(
            f"{engine} was built for {theirs}, and this machine has {ours}; "
            f"run {facts.rebuild_command(engine, flavour=flavour, target=target)}"
        )
    return read_whole(engine, facts)


def read_whole(engine: Path, facts: EngineFacts) -> bytes:
    """Raises UsageError if the file is missing, truncated or changed."""
    try:
        content = engine.read_bytes()
    except OSError as error:
        raise UsageError(
            f"{engine}: {error.strerror}; run {facts.rebuild_command(engine)}"
        ) from error
    if len(content) != facts.engine_bytes:
        raise UsageError(
            f"{engine} has {len(content)} bytes of {facts.engine_bytes}; run {facts.rebuild_command(engine)}"
        )
    if hashlib.sha256(content).hexdigest() != facts.engine_sha256:
        raise UsageError(
            f"{engine} was changed after it was built (its SHA-256 differs); run {facts.rebuild_command(engine)}"
        )
    return content
