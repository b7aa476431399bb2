"""runtime/examples: built outside the tree against an installed prefix, and run."""

import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from tests.kernels.c_programs import INCLUDE, ROOT, Libjpeg, build_tool, compile_c
from tests.kernels.images import synthetic
from tests.runtime.command_line import CommandLine
from tests.runtime.embedding import (
    EXAMPLES,
    HEADERS,
    Installation,
    attempt,
    compile_example,
    onnxruntime_headers,
    onnxruntime_library,
    run,
)

from jpegrt.kernels import GraphSpec, ModelSpec, Pipeline, Tensors

EXAMPLE = ROOT / "scripts/example/example.jpg"
ENVIRONMENT = {"JPEGRT_ONNXRUNTIME": str(onnxruntime_library())}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def restore(installation: Installation, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """restore.c, built with pkg-config."""
    folder = tmp_path_factory.mktemp("pkg_config")
    return compile_example(installation, "restore", folder / "restore")


@pytest.fixture(scope="module")
def own_engine(installation: Installation, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pkg_config")
    return compile_example(installation, "own_engine", folder / "own_engine")


def pixels(path: Path) -> NDArray[np.uint8]:
    with Image.open(path) as image:
        return np.asarray(image)


def test_libraries_export_only_their_abi(installation: Installation) -> None:
    def exported(library: Path) -> set[str]:
        lines = run("nm", "-D", "--defined-only", library).splitlines()
        return {line.split()[-1] for line in lines}

    header = (INCLUDE / "jpegrt.h").read_text()
    assert exported(installation.library) == set(
        re.findall(r"^JPEGRT_API[^;(]*?(jpegrt_\w+)\(", header, re.MULTILINE)
    )
    assert exported(installation.module) == {"jpegrt_engine_module_open"}


def test_libraries_need_no_engine(installation: Installation) -> None:
    for library in (installation.library, installation.module):
        needed = [line for line in run("readelf", "-d", library).splitlines() if "NEEDED" in line]
        assert needed
        assert not [line for line in needed if "onnxruntime" in line or "cuda" in line]


def test_restore_gives_the_command_lines_pixels(
    restore: Path, installation: Installation, jpegrt: CommandLine, tmp_path: Path
) -> None:
    run(restore, installation.bundle, EXAMPLE, tmp_path / "c.ppm", environment=ENVIRONMENT)
    command = ("restore", EXAMPLE, "-o", tmp_path / "py.png", "--model", "cellnet")
    assert jpegrt(*command, "--engine", "onnxruntime").code == 0
    from_c, from_python = pixels(tmp_path / "c.ppm"), pixels(tmp_path / "py.png")
    assert from_c.shape == (384, 512, 3)
    np.testing.assert_array_equal(from_c, from_python)
    plain = jpegrt("restore", EXAMPLE, "-o", tmp_path / "plain.png", "--model", "none")
    assert plain.code == 0
    assert (from_c != pixels(tmp_path / "plain.png")).any()


def test_restore_of_a_grey_image_with_a_module_by_path(
    restore: Path,
    installation: Installation,
    jpegrt: CommandLine,
    libjpeg: Libjpeg,
    tmp_path: Path,
) -> None:
    (tmp_path / "grey.jpg").write_bytes(libjpeg.encode(synthetic(37, 51, 1), quality=20))
    command = [restore, installation.bundle, tmp_path / "grey.jpg", tmp_path / "c.pgm"]
    run(*command, installation.module, environment=ENVIRONMENT)
    arguments = ("-o", tmp_path / "py.png", "--model", "cellnet", "--engine", "onnxruntime")
    assert jpegrt("restore", tmp_path / "grey.jpg", *arguments).code == 0
    np.testing.assert_array_equal(pixels(tmp_path / "c.pgm"), pixels(tmp_path / "py.png"))


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ([], 2, "usage: "),
        (["{bundle}", "{jpeg}", "{out}", "onnxruntime", "more"], 2, "usage: "),
        (["{tmp}", "{jpeg}", "{out}"], 2, "manifest.json cannot be read (No such file"),
        (["{bundle}", "{jpeg}", "{out}", "nonesuch"], 2, "engine module nonesuch cannot be opened"),
        (["{bundle}", "{tmp}/none.jpg", "{out}"], 1, "none.jpg: No such file"),
        (["{bundle}", "{tmp}", "{out}"], 1, "Is a directory"),
        (["{bundle}", "{bundle}/manifest.json", "{out}"], 1, "not a JPEG"),
        (["{bundle}", "{jpeg}", "{tmp}/none/out.ppm"], 1, "out.ppm: No such file"),
        (["{bundle}", "{jpeg}", "/dev/full"], 1, "/dev/full: No space left"),
    ],
)
def test_restore_fails_in_one_line(
    restore: Path,
    installation: Installation,
    tmp_path: Path,
    arguments: list[str],
    code: int,
    said: str,
) -> None:
    names = {
        "bundle": installation.bundle,
        "jpeg": EXAMPLE,
        "tmp": tmp_path,
        "out": tmp_path / "out.ppm",
    }
    filled = [argument.format(**names) for argument in arguments]
    result = attempt(restore, *filled, environment=ENVIRONMENT)
    assert (result.returncode, result.stdout) == (code, "")
    (line,) = result.stderr.splitlines()
    assert said in line
    assert not list(tmp_path.iterdir())
    assert Path("/dev/full").is_char_device()


def test_restore_leaves_no_part_of_a_file(
    restore: Path, installation: Installation, tmp_path: Path
) -> None:
    limited = "trap '' XFSZ; ulimit -f 4; exec \"$@\""  # files of 4 KiB
    command = [restore, installation.bundle, EXAMPLE, tmp_path / "out.ppm"]
    result = attempt("bash", "-c", limited, "-", *command, environment=ENVIRONMENT)
    assert result.returncode == 1
    assert result.stderr == f"{tmp_path}/out.ppm: File too large\n"
    assert not list(tmp_path.iterdir())


def test_restore_without_onnxruntime_says_what_to_do(
    restore: Path, installation: Installation, tmp_path: Path
) -> None:
    nowhere = str(tmp_path / "libonnxruntime.so")
    command = [restore, installation.bundle, EXAMPLE, tmp_path / "out.ppm"]
    result = attempt(*command, environment={"JPEGRT_ONNXRUNTIME": nowhere})
    assert result.returncode == 2
    (line,) = result.stderr.splitlines()
    assert line.startswith(f"ONNX Runtime cannot be opened ({nowhere}: ")
    assert "install it, and name its libonnxruntime in JPEGRT_ONNXRUNTIME" in line


class Deblocker:
    """own_engine.c in NumPy."""

    def run(self, graph: str, inputs: Tensors, outputs: Tensors) -> None:
        plane = outputs["luma_restored"][0, 0]
        plane[:] = inputs["luma"][0, 0]
        largest_step = inputs["steps"][0, 0] / 8
        for lines in (plane.T, plane):  # across vertical edges, then across horizontal ones
            before, after = lines[7:-1:8], lines[8::8]
            step = after - before
            step[np.abs(step) > largest_step] = 0
            lines[6:-2:8] += step / 8
            before += step * 3 / 8
            after -= step * 3 / 8
            lines[9::8] -= step / 8


@pytest.mark.parametrize("channels", [1, 3])
def test_own_engine(own_engine: Path, libjpeg: Libjpeg, tmp_path: Path, channels: int) -> None:
    jpeg = libjpeg.encode(synthetic(40, 61, channels), quality=10)
    (tmp_path / "in.jpg").write_bytes(jpeg)
    result = attempt(own_engine, tmp_path / "in.jpg", tmp_path / "out.pnm")
    assert result.returncode == 0
    found = re.fullmatch(r"(\d+) edges smoothed\n", result.stderr)
    assert found and int(found[1]) > 100
    pipeline = Pipeline(ModelSpec(1, 1, [GraphSpec("grey", 1)]), Deblocker())
    expected = np.empty(pipeline.read(jpeg), np.uint8)
    pipeline.restore(expected)
    np.testing.assert_array_equal(pixels(tmp_path / "out.pnm"), expected)


def test_own_engine_refuses_what_is_no_jpeg(own_engine: Path, tmp_path: Path) -> None:
    (tmp_path / "in.jpg").write_bytes(b"text")
    result = attempt(own_engine, tmp_path / "in.jpg", tmp_path / "out.pnm")
    assert result.returncode == 1
    assert "in.jpg: not a JPEG" in result.stderr
    assert not (tmp_path / "out.pnm").exists()


def test_examples_find_the_package(installation: Installation, tmp_path: Path) -> None:
    source, build = shutil.copytree(EXAMPLES, tmp_path / "examples"), tmp_path / "build"
    cmake = build_tool("cmake")
    where = f"-DCMAKE_PREFIX_PATH={installation.prefix}"
    output = run(cmake, "-S", source, "-B", build, where, "-DCMAKE_C_FLAGS=-Wall -Wextra -Werror")
    assert f"jpegrt's models are in {installation.bundle.parent}" in output
    run(cmake, "--build", build)
    run(
        build / "restore",
        installation.bundle,
        EXAMPLE,
        tmp_path / "out.ppm",
        environment=ENVIRONMENT,
    )
    assert pixels(tmp_path / "out.ppm").shape == (384, 512, 3)
    assert attempt(build / "own_engine").returncode == 2


def test_another_minor_version_is_not_found(installation: Installation, tmp_path: Path) -> None:
    source = shutil.copytree(EXAMPLES, tmp_path / "examples")
    cmake_lists = source / "CMakeLists.txt"
    text = cmake_lists.read_text()
    wanted = text.replace("find_package(jpegrt 0.1 REQUIRED)", "find_package(jpegrt 0.9 REQUIRED)")
    assert wanted != text
    cmake_lists.write_text(wanted)
    where = f"-DCMAKE_PREFIX_PATH={installation.prefix}"
    result = attempt(build_tool("cmake"), "-S", source, "-B", tmp_path / "build", where)
    assert result.returncode != 0
    assert f"{installation.prefix}/lib/cmake/jpegrt/jpegrt-config.cmake, version: 0.1.0" in (
        result.stderr
    )


def test_a_prefix_can_be_moved(installation: Installation, tmp_path: Path) -> None:
    moved = Installation(
        installation.build, shutil.copytree(installation.prefix, tmp_path / "moved", symlinks=True)
    )
    (folder := tmp_path / "program").mkdir()
    program = compile_example(moved, "restore", folder / "restore")
    assert str(moved.prefix) in run("ldd", program)
    (bundles,) = moved.pkg_config("--variable=bundles")
    run(program, Path(bundles) / "cellnet", EXAMPLE, tmp_path / "out.ppm", environment=ENVIRONMENT)


def test_the_smoke_test_against_the_prefix(installation: Installation, tmp_path: Path) -> None:
    rpath = f"-Wl,-rpath,{installation.library.parent}"
    source = ROOT / "tests/c/smoke.c"
    run(compile_c(source, tmp_path / "smoke", str(installation.library), rpath))


def test_commands_of_the_readme(tmp_path: Path, jpegrt: CommandLine) -> None:
    """In a copy of the repository, with a home of its own."""
    section = re.search(
        r"^### Embed it in a C program\n(.*?)^##",
        (ROOT / "README.md").read_text(),
        re.MULTILINE | re.DOTALL,
    )
    assert section
    commands = "\n".join(line[4:] for line in section[1].splitlines() if line.startswith("    "))
    assert commands.count("cmake") >= 3
    copy = tmp_path / "jpegrt"
    for folder in ("kernels", "runtime", "scripts"):
        shutil.copytree(ROOT / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "CMakeLists.txt", copy)
    # What its environment and its first command would bring, nothing being downloaded in tests.
    shutil.copytree(onnxruntime_headers(), copy / HEADERS.relative_to(ROOT))
    library = onnxruntime_library()
    (packages := copy / ".venv/lib/python3/site-packages/onnxruntime/capi").mkdir(parents=True)
    (packages / library.name).symlink_to(library)
    run("bash", "-euo", "pipefail", "-c", commands, cwd=copy, environment={"HOME": str(tmp_path)})
    command = ("restore", EXAMPLE, "-o", tmp_path / "py.png", "--model", "cellnet")
    assert jpegrt(*command, "--engine", "onnxruntime").code == 0
    np.testing.assert_array_equal(pixels(copy / "example.ppm"), pixels(tmp_path / "py.png"))
