"""jpegrt.h, the library's exports and the ctypes declarations agree."""

import ctypes as ct
import re
import subprocess
import sys
from enum import IntEnum
from pathlib import Path
from typing import Any

import pytest
from tests.kernels.c_programs import INCLUDE, SOURCES, STRICT_C99, build_tool, compile_c

from jpegrt.kernels import Coding, Colour, Status, _native

HEADER = re.sub(r"/\*.*?\*/", "", (INCLUDE / "jpegrt.h").read_text(), flags=re.DOTALL)
PROTOTYPE = re.compile(r"^JPEGRT_API\s+([^;(]*?)(jpegrt_\w+)\(([^)]*)\);", re.MULTILINE)
STRUCT = re.compile(r"typedef struct (jpegrt_\w+) \{(.*?)\} \1;", re.DOTALL)
ENUM = re.compile(r"typedef enum (jpegrt_\w+) \{(.*?)\} \1;", re.DOTALL)

SCALARS = {
    "int32_t": ct.c_int32,
    "uint32_t": ct.c_uint32,
    "uint64_t": ct.c_uint64,
    "int64_t": ct.c_int64,
    "size_t": ct.c_size_t,
    "float": ct.c_float,
    "double": ct.c_double,
    **dict.fromkeys((name for name, _ in ENUM.findall(HEADER)), ct.c_int),
}


def ctypes_name(c_name: str) -> str:
    """jpegrt_read_options -> ReadOptions"""
    return c_name.removeprefix("jpegrt_").title().replace("_", "")


def structs() -> dict[str, type[ct.Structure]]:
    """Structs that jpegrt.h spells out, by their C name."""
    return {name: getattr(_native, ctypes_name(name)) for name, _ in STRUCT.findall(HEADER)}


def fields(body: str) -> dict[str, str]:
    """The fields of a struct, in order, and their types ('' for functions and arrays)."""
    found = {}
    for declaration in filter(None, (part.strip() for part in body.split(";"))):
        if function := re.search(r"\(\*(\w+)\)", declaration):
            found[function[1]] = ""
            continue
        c_type, names = re.fullmatch(r"((?:const )?\w+\*?)\s+(.*)", declaration).groups()  # type: ignore[union-attr]
        for name in names.split(","):
            found[name.split("[")[0].strip()] = "" if "[" in name else c_type
    return found


def assert_declared_as(declared: object, c_type: str, where: str) -> None:
    c_type = c_type.replace("const ", "").strip()
    if c_type == "void":
        assert declared is None, where
    elif not c_type.endswith("*"):
        assert declared is SCALARS[c_type], where
    else:
        target = structs().get(c_type.removesuffix("*"))
        pointers = (ct.c_void_p, ct.c_char_p) if target is None else (ct.POINTER(target),)
        if scalar := SCALARS.get(c_type.removesuffix("*")):
            pointers = (*pointers, ct.POINTER(scalar))
        opaque_out = target is None and c_type.endswith("**")
        assert declared in ((ct.POINTER(ct.c_void_p),) if opaque_out else pointers), where


def test_prototypes_match_header() -> None:
    found = PROTOTYPE.findall(HEADER)
    assert [name for _, name, _ in found] == list(_native.PROTOTYPES)
    assert HEADER.count("JPEGRT_API ") == len(found) + 3  # and three definitions of JPEGRT_API
    for result, name, parameters in found:
        declared_result, declared_parameters = _native.PROTOTYPES[name]
        assert_declared_as(declared_result, result, name)
        c_parameters = [] if parameters == "void" else parameters.split(",")
        assert len(declared_parameters) == len(c_parameters), name
        for declared, parameter in zip(declared_parameters, c_parameters, strict=True):
            c_type = re.sub(r"\w+$", "", " ".join(parameter.split()))
            assert_declared_as(declared, c_type, f"{name}({parameter})")


@pytest.mark.parametrize(
    ("name", "callback"),
    [
        ("run", _native.EngineRun),
        ("read_graph", _native.ReadGraph),
        ("file_sha256", _native.FileSha256),
    ],
)
def test_callbacks_match_header(name: str, callback: Any) -> None:
    found = re.search(rf"(?:int|jpegrt_status|const char\*) \(\*{name}\)\(([^)]*)\)", HEADER)
    assert found
    types = [re.sub(r"\w+$", "", " ".join(part.split())) for part in found[1].split(",")]
    declared = callback._argtypes_
    assert len(types) == len(declared)
    for kind, c_type in zip(declared, types, strict=True):
        if c_type.strip() == "char*":  # written to, so not a c_char_p
            assert kind is ct.POINTER(ct.c_char)
        else:
            assert_declared_as(kind, c_type, c_type)


@pytest.fixture(scope="module")
def layout(tmp_path_factory: pytest.TempPathFactory) -> dict[str, int]:
    """sizeof every struct, and the offset and size of every field, as the C build_tool has them."""
    lines = []
    for name, body in STRUCT.findall(HEADER):
        lines.append(f'printf("{name} %zu\\n", sizeof({name}));')
        for field in fields(body):
            lines.append(f'printf("{name}.{field} %zu\\n", offsetof({name}, {field}));')
            lines.append(f'printf("{name}.{field}:size %zu\\n", sizeof((({name}*)0)->{field}));')
    folder = tmp_path_factory.mktemp("layout")
    source = folder / "layout.c"
    source.write_text(
        "#include <jpegrt.h>\n#include <stdio.h>\nint main(void) {\n"
        + "\n".join(lines)
        + "\nreturn 0;\n}\n"
    )
    program = compile_c(source, folder / "layout")
    output = subprocess.run([program], check=True, capture_output=True, text=True).stdout
    return {key: int(value) for key, value in (line.split() for line in output.splitlines())}


def test_structs_match_header(layout: dict[str, int]) -> None:
    bodies = dict(STRUCT.findall(HEADER))
    handles = re.findall(r"typedef struct (jpegrt_\w+) \1;", HEADER)
    assert len(bodies) + len(handles) == HEADER.count("typedef struct")
    for name, structure in structs().items():
        c_types = fields(bodies[name])
        assert [field[0] for field in structure._fields_] == list(c_types), name
        assert ct.sizeof(structure) == layout[name], name
        for field, kind in (entry[:2] for entry in structure._fields_):
            if c_types[field] in SCALARS:
                assert kind is SCALARS[c_types[field]], f"{name}.{field}"
            descriptor = getattr(structure, field)
            assert descriptor.offset == layout[f"{name}.{field}"], f"{name}.{field}"
            assert descriptor.size == layout[f"{name}.{field}:size"], f"{name}.{field}"


@pytest.mark.parametrize(
    ("c_name", "prefix", "python"),
    [
        ("jpegrt_status", r"JPEGRT_(?:ERR_)?", Status),
        ("jpegrt_colour", r"JPEGRT_COLOUR_", Colour),
        ("jpegrt_coding", r"JPEGRT_CODING_", Coding),
        ("jpegrt_dtype", r"JPEGRT_", _native.Dtype),
        ("jpegrt_device", r"JPEGRT_DEVICE_", _native.Device),
        ("jpegrt_domain", r"JPEGRT_DOMAIN_", _native.Domain),
        ("jpegrt_layout", r"JPEGRT_LAYOUT_", _native.Layout),
    ],
)
def test_enums_match_header(c_name: str, prefix: str, python: type[IntEnum]) -> None:
    body = dict(ENUM.findall(HEADER))[c_name]
    found = {name: int(value) for name, value in re.findall(rf"{prefix}(\w+) = (\d+)", body)}
    assert found == {member.name: member.value for member in python}


def test_constants_match_header() -> None:
    for name in ("MAX_COMPONENTS", "MAX_RANK"):
        found = re.search(rf"#define JPEGRT_{name} (\d+)", HEADER)
        assert found
        assert getattr(_native, name) == int(found[1])


def test_versions_agree() -> None:
    parts = re.findall(r"#define JPEGRT_VERSION_(?:MAJOR|MINOR|PATCH) (\d+)", HEADER)
    major, minor, patch = map(int, parts)
    assert _native.lib.jpegrt_version() == major * 1_000_000 + minor * 1_000 + patch


def test_library_exports_only_what_the_header_declares() -> None:
    command = ["nm", "-D", "--defined-only", _native.lib._name]
    output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    exported = {line.split()[-1] for line in output.splitlines()}
    assert exported == set(_native.PROTOTYPES)


@pytest.mark.parametrize(
    "command", [["cc", *STRICT_C99, "-xc"], ["c++", "-std=c++17", *STRICT_C99[1:], "-xc++"]]
)
def test_header_stands_alone(command: list[str]) -> None:
    result = subprocess.run(
        [build_tool(command[0]), *command[1:], f"-I{INCLUDE}", "-fsyntax-only", "-"],
        check=False,
        input="#include <jpegrt.h>\n",
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr


def test_c_program_uses_the_library(tmp_path: Path) -> None:
    library = Path(_native.lib._name).resolve()
    program = compile_c(
        SOURCES / "smoke.c", tmp_path / "smoke", str(library), f"-Wl,-rpath,{library.parent}"
    )
    result = subprocess.run([program], check=False, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def test_import_is_lean() -> None:
    code = (
        "import sys, jpegrt.kernels;"
        "print(*{'torch', 'onnx', 'onnxruntime', 'tensorrt', 'PIL'} & set(sys.modules))"
    )
    output = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    assert output.stdout.strip() == b""
