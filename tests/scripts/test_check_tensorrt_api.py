"""scripts/check_tensorrt_api.py: it finds drift, its list is whole, and there is none."""

import ast
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "scripts"))
import check_tensorrt_api as api

# Where TensorRT's modules are used.
SOURCES = [
    ROOT / "export/jpegrt/export/builder.py",
    *sorted((ROOT / "runtime/jpegrt/runtime").rglob("*tensor*rt*.py")),
]


def run(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, api.__file__, "--folder", str(folder)]
    return subprocess.run(command, check=False, capture_output=True, text=True)


@pytest.mark.parametrize(
    ("package", "version"),
    [(package, version) for package, versions in api.VERSIONS.items() for version in versions],
)
def test_bindings_have_what_we_use(package: str, version: str) -> None:
    folder = Path(os.environ.get("JPEGRT_TENSORRT_BINDINGS", api.FETCHED))
    found = [part for part in api.find_bindings(folder) if _is(part, package, version)]
    if not found:
        pytest.skip(f"no {package} {version}: run scripts/check_tensorrt_api.py --fetch")
    assert api.check(*found[0]) == 0


def _is(binding: tuple[Path, str], package: str, version: str) -> bool:
    folder, name = binding
    module = package.replace("_cu13", "")
    return name == module and (folder / f"{package}-{version}.dist-info").is_dir()


def test_a_symbol_that_is_gone_is_named(tmp_path: Path) -> None:
    package = tmp_path / "some/tensorrt_lean_bindings"
    package.mkdir(parents=True)
    lines = ["__version__ = '12.0'"]
    for owner, names in api.RUNNING.items():
        if owner == "IExecutionContext":
            names = tuple(name for name in names if name != "set_input_shape")
        if "." not in owner:
            body = ", ".join(f"{name}=type('', (), {{'ERROR': 0}})" for name in names)
            lines.append(f"{owner} = type('', (), dict({body}))" if owner else "float32 = 0")
    (package / "__init__.py").write_text("\n".join(lines))
    result = run(tmp_path)
    assert result.returncode == 1
    assert "tensorrt_lean_bindings 12.0: lacks IExecutionContext.set_input_shape\n" in result.stdout


def test_the_list_has_every_class_that_is_used() -> None:
    listed: set[str] = set()
    for groups in api.USED.values():
        for group in groups:
            listed |= {owner.split(".")[0] for owner in group} | set(group.get("", ()))
    used = {name for path in SOURCES for name in _names_of_the_module(path)}
    assert {"Builder", "Runtime", "OnnxParser"} <= used <= listed


def _names_of_the_module(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Attribute) and re.fullmatch(
            r"(self\.)?_?trt|self\.module", ast.unparse(node.value)
        ):
            yield node.attr


def test_the_list_has_every_function_that_is_used() -> None:
    """Whatever is called as something of the bindings is called, is on it."""
    bindings: Any = pytest.importorskip("tensorrt_rtx_bindings", exc_type=ImportError)
    listed = {
        name
        for groups in api.USED.values()
        for group in groups
        for n in group.values()
        for name in n
    }
    theirs = {name for name in _members(bindings) if not name.startswith("_")}
    used = {
        node.attr
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Attribute)
    }
    assert "create_network" in theirs & used
    assert not (theirs & used) - listed - OTHERS


# Of our own or Python's, under a name that the bindings have too.
OTHERS = {"append", "clear", "data", "nbytes", "read", "remove", "value"}


def _members(bindings: ModuleType) -> Iterator[str]:
    for found in vars(bindings).values():
        if isinstance(found, type):
            yield from vars(found)
