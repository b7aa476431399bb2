"""Checks that TensorRT's Python bindings, in several versions, have what jpegrt uses of them.

    python scripts/check_tensorrt_api.py                # those installed, and those fetched before
    python scripts/check_tensorrt_api.py --fetch        # fetches the versions below with pip first

Bindings are of any use only with NVIDIA's libraries, but which symbols they have shows without
these: they are imported over stubs of them, each version in a process of its own. So no GPU is
needed, nor the libraries, which are hundreds of times as large.
"""

import argparse
import ctypes
import re
import shutil
import subprocess
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory

ROOT = Path(__file__).parents[1]
FETCHED = ROOT / "build/tensorrt_bindings"

# Package of the bindings -> versions to be checked, and the module that they are.
VERSIONS = {
    "tensorrt_cu13_bindings": ("10.16.1.11", "11.4.0.106"),
    "tensorrt_lean_cu13_bindings": ("11.4.0.106",),
    "tensorrt_rtx_cu13_bindings": ("1.7.1.116",),
}
MODULES = {"tensorrt_bindings", "tensorrt_lean_bindings", "tensorrt_rtx_bindings"}

Symbols = dict[str, tuple[str, ...]]

# Class, or "" for the module itself -> names. What runs engines, of all three:
RUNNING: Symbols = {
    "": ("__version__", "float32"),
    "ILogger": ("Severity", "log"),
    "ILogger.Severity": ("ERROR",),
    "Runtime": ("deserialize_cuda_engine",),
    "ICudaEngine": (
        "create_execution_context",
        "get_tensor_dtype",
        "get_tensor_mode",
        "get_tensor_name",
        "get_tensor_profile_shape",
        "num_io_tensors",
        "num_optimization_profiles",
    ),
    "TensorIOMode": ("INPUT",),
    "ExecutionContextAllocationStrategy": ("USER_MANAGED",),
    "IExecutionContext": (
        "execute_async_v3",
        "get_tensor_shape",
        "infer_shapes",
        "set_device_memory",
        "set_input_shape",
        "set_optimization_profile_async",
        "set_tensor_address",
        "update_device_memory_size_for_shapes",
    ),
}
# What builds and inspects them, of all but the lean one:
BUILDING: Symbols = {
    "Builder": (
        "build_serialized_network",
        "create_builder_config",
        "create_network",
        "create_optimization_profile",
    ),
    "NetworkDefinitionCreationFlag": ("STRONGLY_TYPED",),
    "INetworkDefinition": ("get_input", "num_inputs"),
    "ITensor": ("name", "shape"),
    "OnnxParser": ("get_error", "num_errors", "parse"),
    "ParserError": ("desc",),
    "IOptimizationProfile": ("set_shape",),
    "IBuilderConfig": ("add_optimization_profile", "profiling_verbosity"),
    "ProfilingVerbosity": ("DETAILED",),
    "ICudaEngine": ("create_engine_inspector", "get_device_memory_size_for_profile_v2"),
    "EngineInspector": ("get_engine_information",),
    "LayerInformationFormat": ("JSON", "ONELINE"),
}
# Of one flavour alone:
OF_TENSORRT: Symbols = {
    "IBuilderConfig": ("create_timing_cache", "get_timing_cache", "set_flag", "set_timing_cache"),
    "ITimingCache": ("serialize",),
    "BuilderFlag": ("EXCLUDE_LEAN_RUNTIME", "VERSION_COMPATIBLE"),
}
OF_RTX: Symbols = {
    "IBuilderConfig": ("num_compute_capabilities", "set_compute_capability"),
    "ComputeCapability": ("SM75", "SM80", "SM86", "SM89", "SM120", "__members__"),
    "IExecutionContext": ("is_stream_capturable",),
}
USED = {
    "tensorrt_bindings": (RUNNING, BUILDING, OF_TENSORRT),
    "tensorrt_lean_bindings": (RUNNING,),
    "tensorrt_rtx_bindings": (RUNNING, BUILDING, OF_RTX),
}


def missing(module: object, name: str) -> list[str]:
    """Of what we use, what `module`, those bindings, lacks: "Class.name"."""
    lacking = []
    for group in USED[name]:
        for owner, names in group.items():
            found = module
            for part in filter(None, owner.split(".")):
                found = getattr(found, part, None)
            lacking += [f"{owner}.{n}".lstrip(".") for n in names if not hasattr(found, n)]
    return lacking


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--fetch", action="store_true", help="install the versions with pip first")
    parser.add_argument("--folder", type=Path, default=FETCHED, help="where those are")
    parser.add_argument(
        "--import", dest="one", nargs=2, metavar=("FOLDER", "MODULE"), help=argparse.SUPPRESS
    )
    chosen = parser.parse_args(arguments)
    if chosen.one:
        return _check_here(Path(chosen.one[0]), chosen.one[1])
    if chosen.fetch:
        fetch(chosen.folder)
    bindings = find_bindings(chosen.folder)
    if not bindings:
        print("no bindings are installed: run it with --fetch", file=sys.stderr)
        return 1
    return max(check(folder, name) for folder, name in bindings)


def check(folder: Path, name: str) -> int:
    """In a process of its own: two versions of a module do not share one."""
    command = [sys.executable, __file__, "--import", str(folder), name]
    return subprocess.run(command, check=False).returncode


def fetch(folder: Path) -> None:
    """With pip, without what they depend on: 6 MB each, and for this version of Python."""
    for package, versions in VERSIONS.items():
        for version in versions:
            target = folder / f"{package}-{version}"
            if target.exists():
                continue
            pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps"]
            subprocess.run([*pip, "--target", target, f"{package}=={version}"], check=True)


def find_bindings(folder: Path) -> list[tuple[Path, str]]:
    """Folders for sys.path, each with the module in it: those fetched, then those installed."""
    found = [
        (path.parent, path.name)
        for path in sorted(folder.glob("*/*_bindings"))
        if path.name in MODULES
    ]
    for name in sorted(MODULES):
        if (spec := find_spec(name)) and spec.origin:
            found.append((Path(spec.origin).parents[1], name))
    return found


def _check_here(folder: Path, name: str) -> int:
    sys.path.insert(0, str(folder))
    with TemporaryDirectory() as scratch:
        load_stubs(folder / name, Path(scratch))
        module = import_module(name)
    lacking = missing(module, name)
    print(
        f"{name} {module.__version__}: " + (f"lacks {', '.join(lacking)}" if lacking else "has all")
    )
    return 1 if lacking else 0


def load_stubs(package: Path, scratch: Path) -> None:
    """Libraries by the names of those that the bindings are linked with, and with their functions,
    all of which return NULL. The loader takes what is in memory for what it would search."""
    for binding in package.glob("*.so"):
        needed = re.findall(
            r"NEEDED.*\[(lib(?:nv|tensorrt)[^]]*)\]", _output("readelf", "-dW", binding)
        )
        undefined = re.findall(r" U (\w+)$", _output("nm", "-D", binding), re.MULTILINE)
        wanted = [f for f in undefined if not re.match("_*Py", f)]
        source = scratch / "stubs.c"
        source.write_text(
            "".join(f"void* {function}(void) {{ return 0; }}\n" for function in wanted)
        )
        for library in needed:
            stub = scratch / library
            _output("cc", "-shared", "-fPIC", "-w", f"-Wl,-soname,{library}", source, "-o", stub)
            ctypes.CDLL(str(stub), ctypes.RTLD_GLOBAL)


def _output(tool: str, *arguments: str | Path) -> str:
    path = shutil.which(tool)
    if not path:
        raise SystemExit(f"there is no {tool}: install a C compiler and binutils")
    return subprocess.run([path, *arguments], check=True, capture_output=True, text=True).stdout


if __name__ == "__main__":
    sys.exit(main())
