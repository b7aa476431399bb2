"""The C programs of tests/c: stock libjpeg to make JPEGs with, and to compare against."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from tests.kernels.images import Pixels

T = TypeVar("T", bound=np.generic)

ROOT = Path(__file__).parents[2]
SOURCES = ROOT / "tests/c"
INCLUDE = ROOT / "kernels/include"
STRICT_C99 = ["-std=c99", "-Wall", "-Wextra", "-pedantic", "-Werror"]


def build_tool(name: str) -> str:
    """A build tool of the system. Tests that need one fail without it, so that none goes unrun."""
    path = shutil.which(name)
    assert path, f"these tests need a C compiler and CMake: no `{name}` on the PATH"
    return path


def compile_c(source: Path, program: Path, *libraries: str) -> Path:
    command = [
        build_tool("cc"),
        *STRICT_C99,
        "-O1",
        f"-I{INCLUDE}",
        str(source),
        "-o",
        str(program),
    ]
    command += libraries
    result = subprocess.run(command, check=False, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return program


@dataclass(frozen=True)
class StockComponent:
    """One component as stock libjpeg reads it; arrays shaped as those of `kernels.Component`."""

    h: int
    v: int
    table: NDArray[np.uint16]
    blocks: NDArray[np.int16]


@dataclass(frozen=True)
class StockImage:
    width: int
    height: int
    progressive: bool
    arithmetic: bool
    restart_interval: int
    components: tuple[StockComponent, ...]


class Libjpeg:
    """Stock libjpeg, in processes of its own."""

    def __init__(self, folder: Path) -> None:
        self._encode, self._coefficients, self._samples = (
            compile_c(SOURCES / f"{name}.c", folder / name, "-ljpeg")
            for name in ("encode_jpeg", "dump_coefficients", "dump_samples")
        )

    def encode(
        self,
        pixels: Pixels,
        sampling: str = "",
        *flags: str,
        quality: int = 85,
        restart: int = 0,
    ) -> bytes:
        """pixels: (H, W) grey, (H, W, 3) RGB, or (H, W, 4) CMYK as it is to be stored.
        flags: progressive, arithmetic, optimise, rgb, ycck, unmarked, separate (see
        tests/c/encode_jpeg.c).
        """
        height, width = pixels.shape[:2]
        kind = {(): 5, (3,): 6, (4,): 8}[pixels.shape[2:]]
        header = f"P{kind} {width} {height} 255\n".encode()
        options = [f"quality={quality}", f"restart={restart}", *flags]
        if sampling:
            options.append(f"sampling={sampling}")
        return _run([self._encode, *options], header + pixels.tobytes())

    def coefficients(self, jpeg: bytes) -> StockImage:
        dump = _Dump(_run([self._coefficients], jpeg))
        width, height, count, progressive, arithmetic, restart = dump.take(np.uint32, 6).tolist()
        components = []
        for _ in range(count):
            h, v, rows, columns = dump.take(np.uint32, 4).tolist()
            table = dump.take(np.uint16, 64).reshape(8, 8)
            blocks = dump.take(np.int16, rows * columns * 64).reshape(rows, columns, 8, 8)
            components.append(StockComponent(h, v, table, blocks))
        dump.finish()
        return StockImage(
            width, height, bool(progressive), bool(arithmetic), restart, tuple(components)
        )

    def samples(self, jpeg: bytes, components: int) -> list[Pixels]:
        """Each component's samples before upsampling, padded to whole blocks."""
        dump = _Dump(_run([self._samples], jpeg))
        planes = []
        for _ in range(components):
            rows, columns = dump.take(np.uint32, 2).tolist()
            planes.append(dump.take(np.uint8, rows * columns).reshape(rows, columns))
        dump.finish()
        return planes


class _Dump:
    """Reads a program's binary output from front to back."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._offset = 0

    def take(self, dtype: type[T], count: int) -> NDArray[T]:
        array = np.frombuffer(self._data, dtype, count, self._offset)
        self._offset += array.nbytes
        return array

    def finish(self) -> None:
        assert self._offset == len(self._data)


def _run(command: list[Path | str], stdin: bytes) -> bytes:
    result = subprocess.run(command, check=False, input=stdin, capture_output=True)
    assert result.returncode == 0, result.stderr.decode()
    return result.stdout
