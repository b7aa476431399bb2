"""jpegrt as a C program has it: built by CMake, installed into a prefix of its own."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from tests.kernels.c_programs import ROOT, build_tool

EXAMPLES = ROOT / "runtime/examples"
HEADERS = ROOT / "build/onnxruntime/usr/include/onnxruntime"
SYSTEM_HEADERS = Path("/usr/include/onnxruntime")


def run(
    *command: str | Path, cwd: Path | None = None, environment: Mapping[str, str] | None = None
) -> str:
    """What a command that must succeed prints on stdout."""
    result = attempt(*command, cwd=cwd, environment=environment)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def attempt(
    *command: str | Path, cwd: Path | None = None, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """environment: what is added to this process's own."""
    return subprocess.run(
        [str(part) for part in command],
        check=False,
        capture_output=True,
        text=True,
        cwd=cwd,
        env={**os.environ, **(environment or {})},
    )


def onnxruntime_library() -> Path:
    """The wheel's libonnxruntime, found without importing it."""
    spec = find_spec("onnxruntime")
    assert spec and spec.submodule_search_locations, "these tests need onnxruntime: jpegrt[cpu]"
    folder = Path(spec.submodule_search_locations[0]) / "capi"
    (library,) = folder.glob("libonnxruntime.so.*")
    return library


def onnxruntime_headers() -> Path:
    for folder in (HEADERS, SYSTEM_HEADERS):
        if (folder / "onnxruntime_c_api.h").exists():
            return folder
    raise AssertionError("no onnxruntime_c_api.h: run scripts/fetch_onnxruntime_headers.sh")


@dataclass(frozen=True)
class Installation:
    """A build and its prefix."""

    build: Path
    prefix: Path

    @property
    def library(self) -> Path:
        return self.prefix / "lib/libjpegrt.so"

    @property
    def module(self) -> Path:
        return self.prefix / "lib/libjpegrt_onnxruntime.so"

    @property
    def bundle(self) -> Path:
        return self.prefix / "share/jpegrt/bundles/cellnet"

    def pkg_config(self, *arguments: str) -> list[str]:
        environment = {"PKG_CONFIG_PATH": str(self.prefix / "lib/pkgconfig")}
        tool = build_tool("pkg-config")
        return run(tool, *arguments, "jpegrt", environment=environment).split()


def install(folder: Path) -> Installation:
    cmake, made = build_tool("cmake"), Installation(folder / "build", folder / "prefix")
    headers = f"-DJPEGRT_ONNXRUNTIME_INCLUDE={onnxruntime_headers()}"
    libdir = "-DCMAKE_INSTALL_LIBDIR=lib"
    run(cmake, "-S", ROOT, "-B", made.build, "-DJPEGRT_TESTS=ON", headers, libdir)
    run(cmake, "--build", made.build, "--parallel", "2")
    run(cmake, "--install", made.build, "--prefix", made.prefix)
    return made


def compile_example(installation: Installation, name: str, program: Path) -> Path:
    """One of runtime/examples, with pkg-config, outside the tree."""
    sources = [
        shutil.copy(EXAMPLES / file, program.parent) for file in (f"{name}.c", "files.c", "files.h")
    ]
    libdir = installation.prefix / "lib"
    run(
        build_tool("cc"),
        *("-std=c99", "-Wall", "-Wextra", "-pedantic", "-Werror"),
        *(source for source in sources if str(source).endswith(".c")),
        *installation.pkg_config("--cflags", "--libs"),
        *(f"-Wl,-rpath,{libdir}", "-lm", "-o", program),
    )
    return program
