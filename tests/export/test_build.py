"""`jpegrt build`: engines are built once, whole, for who asked; everything else is one sentence."""

import json
import random
import shutil
import sys
import threading
import time
from hashlib import sha256
from pathlib import Path
from typing import Any

import onnx
import pytest
from tests.export.fake_tensorrt import FakeTensorRt
from tests.runtime.command_line import CommandLine, Outcome, finish, start
from tests.runtime.fake_tensorrt_runtime import MAGIC

from jpegrt.export import build as build_module
from jpegrt.export import builder
from jpegrt.export.build import BuildRequest, build
from jpegrt.export.engine_graphs import DerivationError
from jpegrt.export.half_precision import to_half
from jpegrt.export.inspection import inspect_graph
from jpegrt.export.profiles import DEFAULT_PROFILES, tensor_shape
from jpegrt.export.symmetric import integer_layers
from jpegrt.runtime.bundle import Bundle, find_bundle, open_bundle, shipped_bundles
from jpegrt.runtime.engine_files import (
    engine_cache,
    read_engine,
    read_facts,
    read_whole,
    sidecar_of,
)
from jpegrt.runtime.errors import UsageError
from jpegrt.runtime.verification import Comparison, Verification

RTX = {"flavour": "rtx", "version": "1.7.1", "target": "sm86"}


@pytest.fixture
def rtx(monkeypatch: pytest.MonkeyPatch) -> FakeTensorRt:
    module = FakeTensorRt("rtx")
    monkeypatch.setitem(sys.modules, "tensorrt_rtx", module)
    return module


@pytest.fixture
def jpegrt(capsys: pytest.CaptureFixture[str]) -> CommandLine:
    return CommandLine(capsys)


@pytest.fixture
def bundle(tmp_path: Path) -> Bundle:
    """A copy of the shipped one, to be changed."""
    return open_bundle(Path(shutil.copytree(shipped_bundles() / "cellnet", tmp_path / "cellnet")))


@pytest.fixture
def engine(bundle: Bundle, rtx: FakeTensorRt, tmp_path: Path) -> Path:
    """Of grey in fp32 for sm86."""
    return build_grey(bundle, tmp_path / "engines")


def build_grey(bundle: Bundle, folder: Path) -> Path:
    request = BuildRequest(
        bundle, folder, ["sm86"], ["fp32"], DEFAULT_PROFILES, "rtx", graphs=["grey"]
    )
    (built,) = build(request, lambda line: None)
    assert built.facts is not None
    return built.engine


def refusal(engine: Path, bundle: Bundle, **changed: str) -> str:
    with pytest.raises(UsageError) as caught:
        read_engine(engine, bundle, **{**RTX, **changed})
    message = str(caught.value)
    assert len(message.splitlines()) == 1
    return message


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def test_every_graph_precision_and_target(
    jpegrt: CommandLine, rtx: FakeTensorRt, tmp_path: Path
) -> None:
    command = ("build", "cellnet", "-o", tmp_path / "e", "--target", "sm75", "sm86")
    outcome = jpegrt(*command, "--precision", "fp16", "int8")
    assert outcome.code == 0
    graphs = [graph.name for graph in find_bundle("cellnet").spec.graphs]
    expected = {
        f"{graph}.{precision}.rtx-1.7.1.{target}.engine"
        for graph in graphs
        for precision in ("fp16", "int8")
        for target in ("sm75", "sm86")
    }
    assert names(tmp_path / "e") == expected | {f"{name}.json" for name in expected}
    assert rtx.builds == len(expected) == 20
    assert len(outcome.out.splitlines()) == 2 + 20  # the table
    facts = read_facts(tmp_path / "e" / "420.int8.rtx-1.7.1.sm86.engine")
    assert (facts.source, facts.precision, facts.target) == ("420.int8.onnx", "int8", "sm86")
    assert set(facts.profiles) == {"small", "tile", "batch"}
    again = jpegrt(*command, "--precision", "fp16", "int8")
    assert (again.code, rtx.builds) == (0, 20)
    assert again.err.count("up to date") == 20


def test_a_bundles_own_fp16_is_taken_as_it_is(
    bundle: Bundle, rtx: FakeTensorRt, tmp_path: Path
) -> None:
    files = {}
    for graph in bundle.spec.graphs:
        model = to_half(onnx.load_from_string(bundle.read_graph(graph.name, "fp32")))
        model.producer_name = "exported"  # so that it is not what would be derived
        content = model.SerializeToString()
        files[graph.name] = f"{graph.name}.fp16.onnx"
        (bundle.folder / files[graph.name]).write_bytes(content)
        bundle.manifest["files"][files[graph.name]] = {"sha256": sha256(content).hexdigest()}
    bundle.manifest["precisions"]["fp16"] = {"files": files}
    lines: list[str] = []
    request = BuildRequest(bundle, tmp_path / "e", ["sm86"], ["fp16"], DEFAULT_PROFILES, "rtx")
    built = build(request, lines.append)
    assert not [line for line in lines if "deriving" in line]
    for row in built:
        assert row.facts is not None and row.facts.source == files[row.facts.graph]
        assert row.facts.source_sha256 == row.facts.onnx_sha256


def test_a_manifest_of_the_future(jpegrt: CommandLine, bundle: Bundle, rtx: FakeTensorRt) -> None:
    path = bundle.folder / "manifest.json"
    path.write_text(json.dumps({**bundle.manifest, "format": 3}))
    outcome = jpegrt("build", bundle.folder, "--target", "sm86")
    assert outcome.code == 2
    assert "has format 3" in outcome.complaint and "upgrade jpegrt" in outcome.complaint


def test_sizes_of_ones_own(jpegrt: CommandLine, rtx: FakeTensorRt, tmp_path: Path) -> None:
    command: list[str | Path] = [
        "build",
        "cellnet",
        "-o",
        tmp_path,
        "--target",
        "sm86",
        "--precision",
        "fp32",
    ]
    command += ["--graph", "grey"]
    sizes = ["--min", "1x8x8", "--opt", "2x64x96", "--max", "4x128x128"]
    assert jpegrt(*command, *sizes).code == 0
    facts = read_facts(tmp_path / "grey.fp32.rtx-1.7.1.sm86.engine")
    assert facts.profiles == {
        "custom": {"min": [1, 8, 8], "opt": [2, 64, 96], "max": [4, 128, 128]}
    }
    assert jpegrt(*command).code == 0  # other profiles: another engine
    assert rtx.builds == 2
    assert "belong together" in jpegrt(*command, "--min", "1x8x8").complaint
    assert "must not exceed" in jpegrt(*command, *sizes[:-1], "1x64x64").complaint
    assert jpegrt(*command, "--min", "8x8").code == 2


def test_shapes_are_in_cells() -> None:
    spec = find_bundle("cellnet").spec
    assert tensor_shape("luma", (-1, 4, -1, -1), (2, 64, 97), spec) == (2, 4, 32, 49)
    assert tensor_shape("tables", (-1, 192), (2, 64, 97), spec) == (2, 192)


def test_what_is_enlarged_already_is_larger() -> None:
    spec = find_bundle("cisr-tiny-x2").spec
    assert tensor_shape("image", (-1, 3, -1, -1), (2, 64, 97), spec) == (2, 3, 64, 97)
    assert tensor_shape("high", (-1, 3, -1, -1), (2, 64, 97), spec) == (2, 3, 128, 194)


def test_an_unfolded_models_graphs_are_built(
    jpegrt: CommandLine, rtx: FakeTensorRt, tmp_path: Path
) -> None:
    command = ("build", "cisr-tiny-x2", "-o", tmp_path, "--target", "sm86", "--precision", "fp32")
    outcome = jpegrt(*command, "--graph", "arm_guide", "arm")
    assert outcome.code == 0, outcome.err
    assert rtx.builds == 2
    engine = tmp_path / "arm.fp32.rtx-1.7.1.sm86.engine"
    built_for = json.loads(engine.read_bytes().removeprefix(MAGIC).partition(b"\n")[0])
    small = dict(built_for[1][0])
    assert small["image"][1] == [1, 3, 512, 768]
    assert small["high"][1] == [1, 3, 1024, 1536]
    assert "cisr-tiny-x2 arm in fp32" in jpegrt("inspect", engine).out


def test_what_a_target_lacks_fails_alone(
    jpegrt: CommandLine, rtx: FakeTensorRt, tmp_path: Path
) -> None:
    command = ("build", "cellnet", "-o", tmp_path, "--target", "sm75", "sm86", "--graph", "grey")
    outcome = jpegrt(*command, "--precision", "fp32")
    assert outcome.code == 1
    assert "grey.fp32.rtx-1.7.1.sm75.engine: no engine could be built: FP32 GEMM is not" in (
        outcome.err
    )
    assert "1 of 2 engines could not be built" in outcome.err
    assert names(tmp_path) == {
        "grey.fp32.rtx-1.7.1.sm86.engine",
        "grey.fp32.rtx-1.7.1.sm86.engine.json",
    }


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--target", "sm90"], "no target sm90: choose one of sm75, sm86"),
        (["--target", "sm86", "--graph", "411"], "unknown graph 411: choose of grey, 420"),
        (["--target", "sm86", "-o", "/proc/none"], "choose another with -o"),
    ],
)
def test_mistakes_are_one_sentence(
    jpegrt: CommandLine, rtx: FakeTensorRt, options: list[str], complaint: str
) -> None:
    outcome = jpegrt("build", "cellnet", "--precision", "fp32", *options)
    assert (outcome.code, outcome.out, rtx.builds) == (2, "", 0)
    assert complaint in outcome.complaint


@pytest.mark.parametrize(
    ("flavour", "modules"),
    [("rtx", ["tensorrt_rtx", "tensorrt_rtx_bindings"]), ("tensorrt", ["tensorrt"])],
)
def test_a_missing_package_is_named(
    jpegrt: CommandLine, monkeypatch: pytest.MonkeyPatch, flavour: str, modules: list[str]
) -> None:
    for module in modules:
        monkeypatch.setitem(sys.modules, module, None)
    outcome = jpegrt("build", "cellnet", "--target", "sm86", "--flavour", flavour)
    assert outcome.code == 2
    assert f"pip install 'jpegrt[{flavour}]'" in outcome.complaint


def test_tensorrt_builds_for_the_gpu_that_is_there(
    jpegrt: CommandLine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    module = FakeTensorRt("tensorrt", "10.16.1")
    monkeypatch.setitem(sys.modules, "tensorrt", module)
    command: list[str | Path] = [
        "build",
        "cellnet",
        "-o",
        tmp_path,
        "--flavour",
        "tensorrt",
        "--precision",
        "fp32",
    ]
    command += ["--graph", "grey", "420", "--target"]
    monkeypatch.setattr(builder, "device_target", lambda: None)
    assert "there is none here" in jpegrt(*command, "sm86").complaint
    monkeypatch.setattr(builder, "device_target", lambda: "sm89")
    assert "this machine's is sm89" in jpegrt(*command, "sm86").complaint
    assert jpegrt(*command, "sm89").code == 0
    # The second build starts from what the first has learnt.
    assert (tmp_path / "timing.tensorrt-10.16.1.sm89.cache").read_bytes() == b"learnt learnt "
    assert (tmp_path / "grey.fp32.tensorrt-10.16.1.sm89.engine").exists()


def test_the_lean_runtimes_engines_are_version_compatible(
    jpegrt: CommandLine, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt", FakeTensorRt("tensorrt", "10.16.1"))
    monkeypatch.setattr(builder, "device_target", lambda: "sm89")
    for flavour in ("lean", "tensorrt"):
        command = ("build", "cellnet", "-o", tmp_path, "--flavour", flavour, "--target", "sm89")
        assert jpegrt(*command, "--precision", "fp32", "--graph", "grey").code == 0
        engine = (tmp_path / f"grey.fp32.{flavour}-10.16.1.sm89.engine").read_bytes()
        assert (b"VERSION_COMPATIBLE" in engine) == (flavour == "lean")


def test_a_derived_precision_that_loses_too_much_is_not_built(
    jpegrt: CommandLine, rtx: FakeTensorRt, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jpegrt.export.engine_graphs._TOLERANCE_DB", {"int8-symmetric": 0.001})
    monkeypatch.setattr("jpegrt.export.engine_graphs._IN_HALF", ())
    outcome = jpegrt("build", "cellnet", "-o", tmp_path, "--target", "sm86", "--precision", "int8")
    assert outcome.code == 1
    assert "int8-symmetric cannot be derived for cellnet" in outcome.err
    assert (rtx.builds, names(tmp_path)) == (0, set())


@pytest.mark.parametrize(("loses_up_to", "in_half"), [(-1, 0), (1, 2), (9, None)])
def test_the_last_layers_are_in_half_if_that_is_what_it_takes(
    rtx: FakeTensorRt,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    loses_up_to: int,
    in_half: int | None,
) -> None:
    bundle = find_bundle("hrcnn")
    layers = integer_layers(onnx.load_from_string(bundle.read_graph("luma", "int8")))

    def left_out(graph: bytes) -> list[str]:
        return [name for name in layers if name not in integer_layers(onnx.load_from_string(graph))]

    def verify(bundle: Bundle, derived: Bundle, precision: str) -> Verification:
        names = left_out(derived.read_graph("luma", precision))
        assert names == layers[len(layers) - len(names) :]
        loss_db = 0.16 if len(names) <= loses_up_to else 0.14
        comparison = Comparison("luma", 40, -loss_db, 1.0, 0.1, (0.0,), True)
        return Verification((comparison,), 0.15)

    monkeypatch.setattr("jpegrt.export.engine_graphs._verify", verify)
    lines: list[str] = []
    request = BuildRequest(bundle, tmp_path, ["sm86"], ["int8"], DEFAULT_PROFILES, "rtx")
    if in_half is None:
        with pytest.raises(DerivationError, match=r"it would lose 0\.160 dB of 0\.15 allowed"):
            build(request, lines.append)
        return
    (built,) = build(request, lines.append)
    graph = built.engine.read_bytes().removeprefix(MAGIC).partition(b"\n")[2]
    assert left_out(graph) == layers[len(layers) - in_half :]
    assert any("the last 2 of its layers in fp16" in line for line in lines) == bool(in_half)


def test_two_at_once_build_once(bundle: Bundle, rtx: FakeTensorRt, tmp_path: Path) -> None:
    rtx.seconds = 0.5
    threads = [
        threading.Thread(target=build_grey, args=(bundle, tmp_path / "engines")) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert rtx.builds == 1
    assert len(names(tmp_path / "engines")) == 2


def test_a_whole_engine_is_read(engine: Path, bundle: Bundle) -> None:
    assert read_engine(engine, bundle, **RTX) == engine.read_bytes()


def test_engines_of_others_are_refused(engine: Path, bundle: Bundle) -> None:
    cure = "run jpegrt build cellnet --flavour rtx --target sm120 --precision fp32"
    message = refusal(engine, bundle, target="sm120")
    assert (
        message.endswith(f"{cure} -o {engine.parent}")
        and "was built for rtx 1.7.1 on sm86" in message
    )
    assert "this machine has rtx 1.8 on sm86" in refusal(engine, bundle, version="1.8")
    assert "this machine has tensorrt" in refusal(engine, bundle, flavour="tensorrt")


def test_the_cache_needs_no_output_option(
    rtx: FakeTensorRt, bundle: Bundle, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    cached = build_grey(bundle, engine_cache("cellnet"))
    cached.write_bytes(b"")
    assert refusal(cached, bundle).endswith("--target sm86 --precision fp32")


def test_damaged_engines_are_refused_and_built_again(
    engine: Path, bundle: Bundle, rtx: FakeTensorRt
) -> None:
    whole = engine.read_bytes()
    engine.write_bytes(whole[:-1])
    assert f"has {len(whole) - 1} bytes of {len(whole)}; run jpegrt build" in refusal(
        engine, bundle
    )
    build_grey(bundle, engine.parent)
    engine.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    assert "was changed after it was built" in refusal(engine, bundle)
    build_grey(bundle, engine.parent)
    engine.unlink()
    assert "No such file" in refusal(engine, bundle)
    build_grey(bundle, engine.parent)
    assert read_engine(engine, bundle, **RTX) == whole
    assert rtx.builds == 4


def test_sidecars_are_checked(engine: Path, bundle: Bundle, rtx: FakeTensorRt) -> None:
    sidecar = sidecar_of(engine)
    facts = json.loads(sidecar.read_text())
    sidecar.write_text(json.dumps({**facts, "format": 2}))
    assert "has format 2, this version of jpegrt reads 1" in refusal(engine, bundle)
    del facts["target"]
    sidecar.write_text(json.dumps(facts))
    assert "lacks target" in refusal(engine, bundle)
    for text in ("{", "[]"):
        sidecar.write_text(text)
        assert "run jpegrt build" in refusal(engine, bundle)
    sidecar.unlink()
    assert "cannot be read" in refusal(engine, bundle)
    build_grey(bundle, engine.parent)
    assert read_engine(engine, bundle, **RTX)
    assert rtx.builds == 2


def test_an_engine_of_another_graph_is_stale(
    engine: Path, bundle: Bundle, rtx: FakeTensorRt
) -> None:
    """The model was exported again."""
    shutil.copy(bundle.folder / "420.fp32.onnx", bundle.folder / "grey.fp32.onnx")
    with pytest.raises(UsageError, match="its SHA-256 differs"):  # a changed byte, seen first
        build_grey(bundle, engine.parent)
    files = bundle.manifest["files"]
    files["grey.fp32.onnx"] = files["420.fp32.onnx"]
    message = refusal(engine, bundle)
    assert "is stale: grey.fp32.onnx of the model cellnet is not what it was built from" in message
    build_grey(bundle, engine.parent)
    assert rtx.builds == 2
    assert read_engine(engine, bundle, **RTX)


def test_inspecting_an_engine(jpegrt: CommandLine, engine: Path) -> None:
    outcome = jpegrt("inspect", engine)
    assert outcome.code == 0
    assert "cellnet grey in fp32" in outcome.out and "sm86, rtx 1.7.1" in outcome.out
    assert "small: 1x16x16 to 1x1024x1024, best at 1x512x768" in outcome.out
    engine.write_bytes(b"")
    assert "run jpegrt build" in jpegrt("inspect", engine).complaint


def test_inspecting_an_engine_where_it_runs(
    jpegrt: CommandLine, engine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "shown where rtx 1.7.1 and sm86 are" in jpegrt("inspect", engine).out
    nothing = json.loads(jpegrt("inspect", engine, "--json").out)
    assert (nothing["layers"], nothing["profile_bytes"]) == (None, None)
    monkeypatch.setattr(builder, "device_target", lambda: "sm86")
    outcome = jpegrt("inspect", engine)
    assert "  layer     conv2d + relu\n  layer     conv2d_1\n" in outcome.out
    assert "tile: 1x16x16 to 1x4096x4096, best at 1x3008x4000, 48 MiB at most\n" in outcome.out
    details = json.loads(jpegrt("inspect", engine, "--json").out)
    assert details["layers"] == ["Layers:", "conv2d + relu", "conv2d_1"]
    assert details["profile_bytes"] == [7 << 20, 48 << 20, 1000 << 20]


def test_inspecting_an_engine_that_cannot_be_loaded(
    jpegrt: CommandLine, engine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(builder, "device_target", lambda: "sm86")
    content = json.loads(sidecar_of(engine).read_text())
    engine.write_bytes(b"x")
    changed = {"engine_bytes": 1, "engine_sha256": sha256(b"x").hexdigest()}
    sidecar_of(engine).write_text(json.dumps({**content, **changed}))
    outcome = jpegrt("inspect", engine)
    assert outcome.code == 2
    assert "cannot be loaded (magic tag does not match); build it again" in outcome.complaint


def test_inspecting_a_model(jpegrt: CommandLine) -> None:
    outcome = jpegrt("inspect", "cellnet", "--json")
    assert outcome.code == 0
    rows = {(r["graph"], r["precision"]): r for r in json.loads(outcome.out)["graphs"]}
    assert len(rows) == 10
    layers = {tuple(layer[:2]): layer[2] for layer in rows["grey", "fp32"]["layers"]}
    assert layers["Conv", "float"] == 18
    layers = {tuple(layer[:2]): layer[2] for layer in rows["grey", "int8"]["layers"]}
    assert layers["Conv", "int8"] == 18
    # At least the input and output features of a residual block, 32 channels at half resolution.
    assert rows["grey", "fp32"]["peak_bytes"] >= 2 * 32 * 512 * 512 * 4
    assert rows["grey", "fp32"]["inputs"]["luma"] == ["n", 4, "rows", "columns"]
    assert "grey fp32:" in jpegrt("inspect", "cellnet").out


def test_inspecting_an_unfolded_model() -> None:
    bundle = find_bundle("cisr-tiny-x2")
    graph = onnx.load_from_string(bundle.read_graph("arm_guide", "fp32"))
    # Its only input is the enlarged image: 3 planes of 2048 x 2048, and as many features at least.
    assert inspect_graph(graph, bundle.spec).peak_bytes >= 2 * 3 * 2048 * 2048 * 4


def real_build(model: str, folder: Path, *options: str) -> Outcome:
    process = start("build", model, "-o", folder, "--flavour", "rtx", *options)
    out, err = process.communicate(timeout=500)
    return Outcome(process.returncode, out, err)


@pytest.mark.slow
def test_tensorrt_for_rtx_takes_our_graphs(tmp_path: Path) -> None:
    """Its parser and compiler themselves, for a GPU that is not here, in processes of their own."""
    precisions = ("--precision", "fp16", "int8", "--graph", "grey", "420", "-j", "2")
    outcome = real_build("cellnet", tmp_path, "--target", "sm75", "sm89", *precisions)
    assert outcome.code == 0, outcome.err
    engines = sorted(tmp_path.glob("*.engine"))
    assert len(engines) == 8
    for engine in engines:
        assert len(read_whole(engine, read_facts(engine))) > 100_000


@pytest.mark.slow
def test_tensorrt_for_rtx_takes_images_of_two_sizes(tmp_path: Path) -> None:
    """It checks what each profile makes of every size in the graph."""
    options = ("--target", "sm89", "--precision", "fp32", "--graph", "arm")
    outcome = real_build("cisr-tiny-x2", tmp_path, *options)
    assert outcome.code == 0, outcome.err
    assert len(list(tmp_path.glob("*.engine"))) == 1


@pytest.mark.slow
def test_a_build_killed_at_any_moment_leaves_the_next_one_work_alone(tmp_path: Path) -> None:
    options = ("--target", "sm86", "sm89", "--precision", "fp32", "--graph", "grey", "444")
    moments = random.Random(0)
    killed = 0
    for _ in range(10):
        process = start("build", "cellnet", "-o", tmp_path, "--flavour", "rtx", *options)
        deadline = time.monotonic() + 60
        while not any(tmp_path.glob(".*.lock")) and process.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        time.sleep(moments.uniform(0, 1))
        process.kill()
        killed += finish(process).code < 0
        for engine in tmp_path.glob("*.engine"):  # one without its sidecar counts as none
            if sidecar_of(engine).exists():
                read_whole(engine, read_facts(engine))
        for path in tmp_path.glob("*.engine*"):
            if moments.random() < 0.5:  # so that the next has work, too
                path.unlink()
        for path in tmp_path.glob(".*.lock"):
            path.touch()  # what a dead process locked is free, and is used again
    assert killed >= 5
    outcome = real_build("cellnet", tmp_path, *options)
    assert outcome.code == 0, outcome.err
    engines = list(tmp_path.glob("*.engine"))
    assert len(engines) == 4
    for engine in engines:
        assert read_whole(engine, read_facts(engine))
    assert len(list(tmp_path.iterdir())) == 8  # neither locks nor parts are left


def test_a_lock_that_was_removed_locks_nothing(tmp_path: Path) -> None:
    """Its next holder makes a new one; one who waited for the old has to wait again."""
    path, inside, most = tmp_path / "lock", 0, 0

    def hold() -> None:
        nonlocal inside, most
        for _ in range(20):
            with build_module.locked(path):
                inside += 1
                most = max(most, inside)
                time.sleep(0.001)
                inside -= 1

    threads: list[Any] = [threading.Thread(target=hold) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1
    assert not path.exists()
