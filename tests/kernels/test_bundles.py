"""Bundles in the native core: read as Python reads them, and hostile ones refused in a sentence."""

import ctypes as ct
import hashlib
import json
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.kernels.c_programs import ROOT

from jpegrt.kernels import NativeError, Status, _native
from jpegrt.kernels._native import check_create, lib
from jpegrt.runtime.bundle import open_bundle, shipped_bundles
from jpegrt.runtime.errors import UsageError

CORPUS = ROOT / "tests/fuzz/corpus/manifest"
CONTENT = b"not looked into"
FILE = {"sha256": hashlib.sha256(CONTENT).hexdigest(), "bytes": len(CONTENT)}
GOOD: dict[str, Any] = {
    "format": 1,
    "model": "small",
    "cell_px": 2,
    "scale": 1,
    "domain": "cells",
    "size_rule": {"minimum_px": 1, "multiple_px": 1},
    "input_scale": 1 / 255,
    "graphs": [
        {"name": "grey", "components": 1, "chroma_h": 1, "chroma_v": 1},
        {"name": "420", "components": 3, "chroma_h": 2, "chroma_v": 2},
    ],
    "precisions": {
        "int8": {"files": {"grey": "grey.int8.onnx", "420": "420.int8.onnx"}},
        "fp32": {"files": {"grey": "grey.onnx", "420": "420.onnx"}, "verification": {}},
    },
    "default_precision": "fp32",
    "files": {name: FILE for name in ("grey.int8.onnx", "420.int8.onnx", "grey.onnx", "420.onnx")},
}


PIXELS: dict[str, Any] = {
    **GOOD,
    "cell_px": 1,
    "scale": 4,
    "domain": "rgb",
    "size_rule": {"minimum_px": 16, "multiple_px": 8},
    "graphs": [
        {"name": "grey", "components": 1, "chroma_h": 1, "chroma_v": 1},
        {"name": "420", "components": 3, "chroma_h": 1, "chroma_v": 1},
    ],
}

SPECTRAL: dict[str, Any] = {
    **GOOD,
    "cell_px": 1,
    "domain": "spectral",
    "graphs": [{"name": "grey", "components": 1, "chroma_h": 1, "chroma_v": 1}],
}

UNFOLDED: dict[str, Any] = {
    **PIXELS,
    "scale": 2,
    "unfoldings": 3,
    "window_px": 9,
    "graphs": [
        {"name": name, "components": 3, "chroma_h": 1, "chroma_v": 1}
        for name in ("arm", "arm_guide", "rem", "rem_guide")
    ],
    "precisions": {
        "fp32": {"files": {name: "grey.onnx" for name in ("arm", "arm_guide", "rem", "rem_guide")}}
    },
}


def fresh(value: Any) -> Any:
    """A copy that shares nothing, within itself either."""
    return json.loads(json.dumps(value))


@contextmanager
def native_bundle(folder: Path) -> Iterator[ct.c_void_p]:
    handle = ct.c_void_p()
    check_create(lib.jpegrt_bundle_open(str(folder).encode(), ct.byref(handle)))
    try:
        yield handle
    finally:
        lib.jpegrt_bundle_destroy(handle)


def write(folder: Path, manifest: object) -> Path:
    content = manifest if isinstance(manifest, bytes) else json.dumps(manifest).encode()
    (folder / "manifest.json").write_bytes(content)
    return folder


def refusal(folder: Path) -> str:
    """The sentence with which the native core refuses a folder."""
    with pytest.raises(NativeError) as caught, native_bundle(folder):
        pass
    assert caught.value.status is Status.BUNDLE
    sentence = str(caught.value)
    assert sentence.isprintable()
    return sentence


def read_graph(bundle: ct.c_void_p, graph: str, precision: str | None) -> bytes:
    """Raises NativeError."""
    address, size = ct.c_void_p(), ct.c_size_t()
    name = None if precision is None else precision.encode()
    status = lib.jpegrt_bundle_read_graph(
        bundle, graph.encode(), name, ct.byref(address), ct.byref(size)
    )
    if status:
        raise NativeError(status, lib.jpegrt_bundle_message(bundle).decode())
    return ct.string_at(address, size.value)


def precisions(bundle: ct.c_void_p) -> list[str]:
    found: list[str] = []
    while name := lib.jpegrt_bundle_precision(bundle, len(found)):
        found.append(name.decode())
    return found


def assert_same_model(bundle: ct.c_void_p, folder: Path) -> None:
    """The native core and Python make the same model of a folder."""
    expected = open_bundle(folder).spec
    model = lib.jpegrt_bundle_model(bundle).contents
    assert model.struct_size == ct.sizeof(_native.Model)
    assert model.cell_px == expected.cell_px
    assert model.scale == pytest.approx(expected.scale, rel=1e-7)
    assert _native.Domain(model.domain).name.lower() == expected.domain
    assert (model.unfoldings, model.window_px) == (expected.unfoldings, expected.window_px)
    assert (model.enlargement, model.minimum_px, model.multiple_px) == (
        expected.enlargement,
        expected.minimum_px,
        expected.multiple_px,
    )
    assert model.receptive_field_px == (expected.receptive_field_px or 0)
    graphs = model.graphs[: model.n_graphs]
    assert [(g.name.decode(), g.components, g.chroma_h, g.chroma_v) for g in graphs] == [
        (g.name, g.components, g.chroma_h, g.chroma_v) for g in expected.graphs
    ]


def test_shipped_bundles_are_read_as_python_reads_them() -> None:
    folders = [file.parent for file in shipped_bundles().glob("*/manifest.json")]
    assert folders
    for folder in folders:
        expected = open_bundle(folder)
        with native_bundle(folder) as bundle:
            assert lib.jpegrt_bundle_model_name(bundle).decode() == expected.name
            assert tuple(precisions(bundle)) == expected.precisions
            default = lib.jpegrt_bundle_default_precision(bundle).decode()
            assert default == expected.default_precision
            assert_same_model(bundle, folder)
            for precision in expected.precisions:
                for graph in expected.spec.graphs:
                    content = read_graph(bundle, graph.name, precision)
                    assert content == expected.read_graph(graph.name, precision)
            for graph in expected.spec.graphs:
                content = read_graph(bundle, graph.name, None)
                assert content == expected.read_graph(graph.name, default)


def onnx_of(size: int) -> bytes:
    """What may be an ONNX file: one field, of a number that ONNX does not use."""
    for digits in (1, 2, 3):
        length = size - 1 - digits
        if 0 <= length < 1 << 7 * digits:
            low = [length >> 7 * i & 0x7F | 0x80 for i in range(digits - 1)]
            content = bytes(i * 37 % 251 for i in range(length))
            return bytes([15 << 3 | 2, *low, length >> 7 * (digits - 1)]) + content
    return b""


# From nothing to several blocks, and around where the padding takes one block more.
@pytest.mark.parametrize("size", [0, 2, 55, 56, 57, 63, 64, 65, 119, 120, 128, 1_000_003])
def test_checksums(tmp_path: Path, size: int) -> None:
    content = onnx_of(size)
    assert len(content) == size
    manifest = fresh(GOOD)
    manifest["files"]["grey.onnx"] = {"sha256": hashlib.sha256(content).hexdigest()}
    (tmp_path / "grey.onnx").write_bytes(content)
    with native_bundle(write(tmp_path, manifest)) as bundle:
        assert read_graph(bundle, "grey", "fp32") == content
        (tmp_path / "grey.onnx").write_bytes(content + b"\0")
        with pytest.raises(NativeError) as caught:
            read_graph(bundle, "grey", "fp32")
    assert caught.value.status is Status.BUNDLE
    expected = "grey.onnx is not the file that manifest.json lists (its SHA-256 differs); export or"
    assert expected in str(caught.value)


def test_files_and_names_that_are_not_there(tmp_path: Path) -> None:
    assert "manifest.json cannot be read (No such file or directory); export" in refusal(tmp_path)
    (tmp_path / "manifest.json").mkdir()
    assert "manifest.json cannot be read (Is a directory); export" in refusal(tmp_path)
    (tmp_path / "manifest.json").rmdir()
    with native_bundle(write(tmp_path, GOOD)) as bundle:
        for graph, precision, status, said in (
            ("grey", None, Status.BUNDLE, "grey.onnx: No such file or directory; export or"),
            ("422", None, Status.INVALID_ARGUMENT, "model small has no graph 422 in fp32"),
            ("grey", "fp8", Status.INVALID_ARGUMENT, "no precision fp8: choose one of int8, fp32"),
        ):
            with pytest.raises(NativeError) as caught:
                read_graph(bundle, graph, precision)
            assert caught.value.status is status
            assert said in str(caught.value)


def test_a_bundle_may_be_renamed_in_utf8(tmp_path: Path) -> None:
    folder = tmp_path / "größer 模型"
    folder.mkdir()
    with native_bundle(write(folder, GOOD)) as bundle:
        assert lib.jpegrt_bundle_model_name(bundle) == b"small"


def test_the_message_is_the_threads_own(tmp_path: Path) -> None:
    assert "cannot be read" in refusal(tmp_path)
    said: list[bytes] = []
    thread = threading.Thread(target=lambda: said.append(lib.jpegrt_create_message()))
    thread.start()
    thread.join()
    assert said == [b""]
    assert b"cannot be read" in lib.jpegrt_create_message()
    with native_bundle(write(tmp_path, GOOD)):
        assert lib.jpegrt_create_message() == b""


def test_null_pointers_are_refused() -> None:
    handle = ct.c_void_p()
    assert lib.jpegrt_bundle_open(None, ct.byref(handle)) == Status.INVALID_ARGUMENT
    assert lib.jpegrt_bundle_open(b"folder", None) == Status.INVALID_ARGUMENT
    assert lib.jpegrt_bundle_model_name(None) is None
    assert not lib.jpegrt_bundle_model(None)
    assert lib.jpegrt_bundle_precision(None, 0) is None
    assert lib.jpegrt_bundle_default_precision(None) is None
    assert lib.jpegrt_bundle_read_graph(None, None, None, None, None) == Status.INVALID_ARGUMENT
    lib.jpegrt_bundle_destroy(None)


# What an edit may put anywhere.
VALUES: list[Any] = [
    None,
    *(True, False, 0, 1, 2, 3, 4, 8, 16, -1, 1.0, 2.5, 2**70),
    *("luma", "rgb", "cells", "spectral"),
    *("", "grey", "420", "fp32", "grey.onnx", "..", "a/b", "a\\b", "a:b", "ü.onnx", "a b", "x\n"),
    *([], {}, [1], {"sha256": 1}, {"files": {}}, {"files": {"grey": "grey.onnx"}}),
    GOOD["graphs"][0],
    GOOD["graphs"][1],
]


def places(value: object, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The path of everything in a JSON value, itself left out."""
    if isinstance(value, dict):
        children: list[tuple[Any, Any]] = list(value.items())
    else:
        children = list(enumerate(value)) if isinstance(value, list) else []
    found = []
    for key, child in children:
        found += [(*path, key), *places(child, (*path, key))]
    return found


@st.composite
def edited_manifests(draw: st.DrawFn) -> object:
    manifest = fresh(draw(st.sampled_from([GOOD, PIXELS, SPECTRAL, UNFOLDED])))
    for _ in range(draw(st.integers(1, 3))):
        *path, last = draw(st.sampled_from([p for p in places(manifest) if p != ("format",)]))
        parent: Any = manifest
        for key in path:
            parent = parent[key]
        action = draw(st.sampled_from(["change", "drop", "add"]))
        value = fresh(draw(st.sampled_from(VALUES)))
        if action == "change":
            parent[last] = value
        elif action == "drop":
            del parent[last]
        elif isinstance(parent, dict):
            parent[draw(st.sampled_from(["more", "grey", "420", "weights"]))] = value
        else:
            parent.append(value)
    return manifest


@given(edited_manifests())
@example(PIXELS)
@example({**PIXELS, "domain": "luma"})
@example({**PIXELS, "domain": "luma", "graphs": PIXELS["graphs"][:1]})
@example({**PIXELS, "graphs": PIXELS["graphs"][:1]})
@example({key: value for key, value in PIXELS.items() if key not in ("scale", "size_rule")})
@example({**PIXELS, "scale": 5})
@example({**PIXELS, "cell_px": 2})
@example({**PIXELS, "size_rule": {"minimum_px": 4097}})
@example({**PIXELS, "size_rule": {"multiple_px": 1025}})
@example({**PIXELS, "size_rule": {"receptive_field_px": 65536}})
@example({**PIXELS, "size_rule": {"receptive_field_px": -1}})
@example({**PIXELS, "size_rule": {"receptive_field_px": 7.0}})
@example({**PIXELS, "size_rule": {"receptive_field_px": True}})
@example({**PIXELS, "size_rule": {"receptive_field_px": None}})
@example({**GOOD, "size_rule": {"receptive_field_px": 65535}})
@example(UNFOLDED)
@example({**UNFOLDED, "unfoldings": 0})
@example({**UNFOLDED, "unfoldings": 65})
@example({**UNFOLDED, "window_px": 65536})
@example({**UNFOLDED, "domain": "luma"})
@example({**UNFOLDED, "graphs": UNFOLDED["graphs"][:3]})
@example({**PIXELS, "window_px": 1})
@example(SPECTRAL)
@example({**SPECTRAL, "cell_px": 2})
@example({**SPECTRAL, "scale": 2})
@example({**SPECTRAL, "size_rule": {"minimum_px": 8, "multiple_px": 8}})
@example({**SPECTRAL, "graphs": PIXELS["graphs"]})
@example({**SPECTRAL, "graphs": PIXELS["graphs"][1:]})
@example({**GOOD, "scale": 2})
@example({**GOOD, "format": 3})
@example({**GOOD, "format": "1"})
@example({**GOOD, "format": 2, "weights": "grey.onnx"})
@example({**GOOD, "weights": "../grey.onnx"})
@example({**GOOD, "weights": "weights.bin"})
@example({**GOOD, "weights": None})
@example([])
@settings(max_examples=1000, deadline=None)
def test_the_same_manifests_are_refused_in_the_same_words(manifest: object) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = write(Path(name), manifest)
        try:
            open_bundle(folder)
        except UsageError as error:
            # On one line, as the command line shows it.
            assert refusal(folder) == str(error).replace("\n", " ")
        else:
            with native_bundle(folder) as bundle:
                assert_same_model(bundle, folder)


TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))
NUMBERS = st.integers() | st.floats(allow_nan=False, allow_infinity=False)
ANY_JSON = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
)


@given(TEXT, ANY_JSON, st.booleans(), st.sampled_from([None, 1, "\t"]))
@settings(deadline=None)
def test_any_json_is_read(model: str, more: object, ascii_only: bool, indent: Any) -> None:
    text = json.dumps(
        {**GOOD, "model": model, "more": more}, ensure_ascii=ascii_only, indent=indent
    )
    with (
        tempfile.TemporaryDirectory() as name,
        native_bundle(write(Path(name), text.encode())) as bundle,
    ):
        assert lib.jpegrt_bundle_model_name(bundle).decode() == model


@given(st.data())
@settings(deadline=None)
def test_what_is_no_json_is_refused_as_python_refuses_it(data: st.DataObject) -> None:
    text = json.dumps(GOOD)
    at = data.draw(st.integers(0, len(text) - 1))
    odd = data.draw(st.sampled_from([*'{}[]",:\\/-+.eE019 \n\ttnuf', "", '"":']))
    text = text[:at] + odd + text[at + data.draw(st.integers(0, 1)) :]
    with tempfile.TemporaryDirectory() as name:
        folder = write(Path(name), text.encode())
        try:
            open_bundle(folder)
        except UsageError as error:
            sentence = refusal(folder)
            # Python takes a number beyond every double for infinity.
            if "cannot be read" not in str(error) and "a number is out of range" not in sentence:
                assert sentence == str(error).replace("\n", " ")
        else:
            with native_bundle(folder):
                pass


# Attack -> what the refusal says.
ATTACKS = {
    "absolute_file.json": "precision fp32 has a file without a plain name",
    "arrays_nested.json": "cannot be read (nested too deeply at byte",
    "byte_order_mark.json": "cannot be read (not a value at byte 0)",
    "cell_px_zero.json": "cell_px is not 1, 2, 4 or 8",
    "chroma_not_a_divisor.json": "do not divide cell_px",
    "chroma_zero.json": "do not divide cell_px",
    "control_character.json": "cannot be read (a control character in a string at byte",
    "empty.json": "cannot be read (the text ends too early at byte 0)",
    "factor_of_2_to_32.json": "do not divide cell_px",
    "file_above_the_folder.json": "precision fp32 has a file without a plain name",
    "half_a_surrogate.json": "cannot be read (half a surrogate pair at byte",
    "later_duplicate_counts.json": "cell_px is not 1, 2, 4 or 8",
    "line_feed_in_file.json": "precision fp32 has a file without a plain name",
    "line_feed_in_precision.json": "precision fp 32 lacks the file of a graph",
    "many_members.json": "cannot be read (too many members at byte",
    "nan.json": "cannot be read (not a value at byte",
    "no_precisions.json": "default_precision is none of precisions",
    "nul.json": "cannot be read (a NUL in a string at byte",
    "number_out_of_range.json": "cannot be read (a number is out of range at byte",
    "objects_nested.json": "cannot be read (nested too deeply at byte",
    "overlong_utf8.json": "cannot be read (not UTF-8 at byte",
    "scale_denormal.json": "input_scale is not above 0",
    "surrogate_in_utf8.json": "cannot be read (not UTF-8 at byte",
    "truncated_escape.json": "cannot be read (an unknown escape at byte",
    "truncated_utf8.json": "cannot be read (not UTF-8 at byte",
    "two_values.json": "cannot be read (more than one value at byte",
    "windows_file.json": "precision fp32 has a file without a plain name",
}


def test_every_attack_is_listed() -> None:
    assert {path.name for path in CORPUS.iterdir()} == set(ATTACKS)


@pytest.mark.parametrize("name", ATTACKS)
def test_attacks_are_refused(tmp_path: Path, name: str) -> None:
    assert ATTACKS[name] in refusal(write(tmp_path, (CORPUS / name).read_bytes()))


def test_an_endless_manifest_is_refused(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").symlink_to("/dev/zero")
    assert "cannot be read (more than 1048576 bytes)" in refusal(tmp_path)
