"""`jpegrt bench`: what it measures, refuses and writes. No figure of time is expected to be anything."""

import json
import time
from collections.abc import Callable, Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from tests.runtime.bench_reports import make_report
from tests.runtime.command_line import CommandLine

from jpegrt.kernels import Engine, Tensors
from jpegrt.runtime import RestoreError, Session, engines
from jpegrt.runtime.bench import (
    baselines,
    benchmark,
    by_hand,
    cases,
    extensions,
    gpu,
    restores,
    stages,
)
from jpegrt.runtime.bench.plan import BY_HAND, Plan
from jpegrt.runtime.bench.restores import Restores, Setup
from jpegrt.runtime.bench.rounds import Contender, Samples, measure
from jpegrt.runtime.bench.scaling import measure_sizes, measure_throughput
from jpegrt.runtime.bench.stages import STAGES
from jpegrt.runtime.bench.summary import stage_problems, summarise
from jpegrt.runtime.bench.workload import Picture, load_pictures, make_case, make_size
from jpegrt.runtime.bundle import find_bundle
from jpegrt.runtime.image_formats import ImageFormat
from jpegrt.runtime.verification import shipped_original

PICTURE = Picture("photograph", shipped_original()[:64, :96])
CASE = make_case(PICTURE, 50, "grey")
SETUP = Setup("cellnet", "int8", "onnxruntime", 1)
SLOW_S = 0.05


@pytest.fixture(scope="module")
def photograph(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("originals") / "photograph.png"
    Image.fromarray(PICTURE.rgb).save(path)
    return path


@pytest.fixture(scope="module")
def report(photograph: Path) -> dict[str, Any]:
    """Of a small run in two samplings, one process a cold start."""
    plan = Plan(
        engines=("onnxruntime",),
        qualities=(50,),
        subsamplings=("grey", "420"),
        threads=(1, 2),
        batches=(1, 3),
        megapixels=(0.004, 0.016),
        rounds=3,
        seconds=0.001,
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(benchmark, "_COLD_STARTS", 1)
        made = benchmark.run(plan, load_pictures([photograph]))
    written: dict[str, Any] = json.loads(json.dumps(made, allow_nan=False))
    return written


def test_every_case_has_its_contenders(report: dict[str, Any]) -> None:
    setup = "cellnet int8 onnxruntime"
    common = {
        "libjpeg",
        "libjpeg again",
        "Pillow",
        "coefficients only",
        "jpegrt without a model",
        setup,
        f"{setup}, file to file",
        f"{setup}, by hand",
    }
    for subsampling, more in (("grey", set()), ("420", {"libjpeg, luma only"})):
        rows = [row for row in report["rows"] if row["subsampling"] == subsampling]
        assert {row["name"] for row in rows} == common | more
        for row in rows:
            assert row["latency_ms"]["p50"] <= row["latency_ms"]["p99"]
            assert row["ratio"]["low"] <= row["ratio"]["median"] <= row["ratio"]["high"]
            assert row["images_per_s"] > 0
        (restore,) = [row for row in rows if row["kind"] == cases.RESTORE]
        assert restore["ratio"]["median"] > 1
        assert restore["gain_db"] > 0.3
        assert restore["over_by_hand"]["median"] > 0
        (whole,) = [row for row in rows if row["kind"] == cases.FILE]
        assert list(whole["stages_ms"]) == [s for s in STAGES if s not in ("pack", "upload")]


def test_the_report_names_machine_decoders_and_what_is_left_out(report: dict[str, Any]) -> None:
    assert report["machine"]["clock"]["slowest"] >= 1 >= report["machine"]["clock"]["fastest"]
    assert {"jpegrt", "pillow"} < set(report["decoders"])
    assert report["versions"]["onnxruntime"]
    assert any("waits for a GPU" in reason for reason in report["left_out"])
    assert report["valid"] == (not report["problems"])
    assert "3 rounds are few" in report["warnings"][-1]
    assert report["control"]["interval"][0] <= report["control"]["ratio"]
    (model,) = report["models"]
    assert 0 < model["cold_start"]["imported_ms"] < model["cold_start"]["first_ms"]
    assert model["cold_start"]["peak_mib"] > report["plain_decoder"]["peak_mib"] > 10
    (throughput,) = report["throughput"].values()
    assert [(row["threads"], row["batch"]) for row in throughput] == [
        (1, 1),
        (1, 3),
        (2, 1),
        (2, 3),
    ]
    (sizes,) = report["sizes"].values()
    assert [row["megapixels"] for row in sizes] == sorted(row["megapixels"] for row in sizes)
    assert len(report["images"]) == 2


def test_a_bundle_s_folder_is_not_in_the_report(bundle_folder: Path) -> None:
    (setup,), _ = restores.find_setups([str(bundle_folder)], [], ["onnxruntime"], 1)
    assert setup.name == "cellnet int8 onnxruntime"
    assert setup.open().model_name == "cellnet"


def test_an_existing_report_is_drawn_again(
    jpegrt: CommandLine, report: dict[str, Any], tmp_path: Path
) -> None:
    """And the exit code tells whether it is valid."""
    source, html, markdown = (tmp_path / name for name in ("a.json", "a.html", "a.md"))
    source.write_text(json.dumps(report))
    outcome = jpegrt("bench", "--from", source, "--html", html, "--markdown", markdown)
    assert outcome.code == (0 if report["valid"] else 1)
    assert outcome.out.strip() == markdown.read_text().strip()
    assert html.read_text().startswith("<!doctype html>")
    source.write_text(json.dumps(make_report() | {"valid": False, "problems": ["it is bad"]}))
    refused = jpegrt("bench", "--from", source)
    assert refused.code == 1
    assert refused.out.startswith("**Not valid: it is bad")
    assert jpegrt("bench", "--from", source, "--html", html).code == 2  # it exists
    source.write_text("{}")
    assert "measure again" in jpegrt("bench", "--from", source).complaint


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_a_dry_run_measures_nothing(
    jpegrt: CommandLine, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(benchmark, "measure_case", None)
    monkeypatch.setattr(gpu, "device_missing", lambda: "no CUDA driver")
    outcome = jpegrt("bench", "--device", device, "--dry-run", "--models", "cellnet", "hrcnn")
    assert (outcome.code, outcome.err) == (0, "")
    assert "restore: hrcnn int8" in outcome.out
    assert ("on the GPU: jpegrt on CUDA" in outcome.out) == (device == "cuda")
    assert ("whole restores on a GPU: name an engine" in outcome.out) == (device == "cuda")
    waiting = "no CUDA driver" if device == "cuda" else "asked for with --device cuda"
    assert f"jpegrt on CUDA without a model: waits for a GPU ({waiting})" in outcome.out


def test_without_a_gpu_there_is_no_run_on_one(
    jpegrt: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(gpu, "device_missing", lambda: "no CUDA driver")
    outcome = jpegrt("bench", "--device", "cuda")
    assert outcome.code == 2
    assert "no CUDA driver; --dry-run shows" in outcome.complaint


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--models", "nonesuch"], "unknown model nonesuch"),
        (["--precision", "fp16"], "nothing to measure: cellnet fp16"),
        (["--baselines", "nonesuch"], "unknown baseline nonesuch"),
        (["--json", "/nonexistent/a.json"], "cannot be written"),
        (["--from", "/nonexistent/a.json"], "cannot be read"),
        (["/nonexistent"], "cannot be read"),
    ],
)
def test_refused_before_anything_is_measured(
    jpegrt: CommandLine, arguments: list[str], said: str
) -> None:
    outcome = jpegrt("bench", *arguments)
    assert outcome.code in (1, 2)
    assert said in outcome.complaint


@pytest.mark.parametrize(
    "option", ["--seconds=0", "--megapixels=2000", "--qualities=0", "--rounds=x"]
)
def test_options_that_make_no_sense(jpegrt: CommandLine, option: str) -> None:
    outcome = jpegrt("bench", option)
    assert outcome.code == 2
    assert option.partition("=")[0] in outcome.err


class Meddling:
    """An engine, and what is done to its answers."""

    def __init__(self, engine: Engine, meddle: Callable[[Tensors], None]) -> None:
        self._engine, self._meddle = engine, meddle

    def run(self, graph: str, inputs: Tensors, outputs: Tensors) -> None:
        self._engine.run(graph, inputs, outputs)
        self._meddle(outputs)


@pytest.fixture
def meddle(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Callable[[Tensors], None]]]:
    """What the engines of sessions do to their answers; those of references do as they should."""
    from jpegrt.runtime import session

    meddlers: list[Callable[[Tensors], None]] = []
    create = engines.create_engine

    def meddle(outputs: Tensors) -> None:
        for each in meddlers:
            each(outputs)

    def create_meddling(*arguments: Any, **options: Any) -> Meddling:
        return Meddling(create(*arguments, **options), meddle)

    monkeypatch.setattr(session, "create_engine", create_meddling)
    yield meddlers


def add_noise(outputs: Tensors) -> None:
    for array in outputs.values():
        array += np.random.default_rng(0).normal(0, 0.1, array.shape).astype(np.float32)


def test_a_wrong_answer_is_not_timed(meddle: list[Callable[[Tensors], None]]) -> None:
    one = Restores(SETUP)
    one.contender(CASE)
    meddle.append(add_noise)
    with pytest.raises(RestoreError, match="differs too much from its reference"):
        one.contender(CASE)


def test_an_answer_that_changes_is_not_timed(meddle: list[Callable[[Tensors], None]]) -> None:
    counts = iter(range(100))

    def drift(outputs: Tensors) -> None:
        for array in outputs.values():
            array += np.float32(0.01 * next(counts))

    meddle.append(drift)
    with pytest.raises(RestoreError, match="a second time"):
        Restores(SETUP).contender(CASE)


def test_a_decoder_with_other_pixels_is_not_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    decode = baselines.pillow_decode
    monkeypatch.setattr(baselines, "pillow_decode", lambda jpeg: decode(jpeg) ^ 1)
    with pytest.raises(RestoreError, match=r"Pillow, photograph, quality 50, grey, .*not timed"):
        baselines.plain_decodes(CASE, 1)


def test_an_engine_by_hand_has_to_answer_as_in_a_restore(monkeypatch: pytest.MonkeyPatch) -> None:
    def load_other(*arguments: Any) -> Any:
        bind = by_hand.load(*arguments)
        assert bind is not None
        return lambda inputs: lambda: {n: array + 1 for n, array in bind(inputs)().items()}

    monkeypatch.setattr(restores, "load", load_other)
    with pytest.raises(RestoreError, match="by hand does not answer"):
        list(Restores(SETUP).by_hand(CASE))


@pytest.mark.parametrize(
    ("engine", "subsampling"),
    [("onnxruntime", "grey"), ("onnxruntime", "420"), ("openvino", "grey")],
)
def test_engines_by_hand_answer_as_in_a_restore(engine: str, subsampling: str) -> None:
    setup = Setup("cellnet", "int8", engine, 1)
    (contender,) = Restores(setup).by_hand(make_case(PICTURE, 50, subsampling))
    assert contender.call() is None


def test_setups_have_the_precisions_of_their_engines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(restores, "resolve_engine", str)  # whatever is installed
    both, missing = restores.find_setups(["cellnet"], [], ["onnxruntime", "rtx"], 1)
    assert [setup.name for setup in both] == ["cellnet int8 onnxruntime", "cellnet fp16 rtx"]
    assert not missing
    both, missing = restores.find_setups(["cellnet"], ["fp16"], ["onnxruntime", "rtx"], 1)
    assert [setup.name for setup in both] == ["cellnet fp16 rtx"]
    assert "cellnet fp16 on onnxruntime: " in missing[0] and "fp32" in missing[0]


def test_precisions_are_compared_with_fp32() -> None:
    """Round by round, network and whole alike."""
    times_s = {
        "cellnet fp32 onnxruntime": [2.0, 4.0],
        "cellnet int8 onnxruntime": [1.0, 2.0],
        "cellnet int8 onnxruntime, by hand": [0.5, 1.0],
        "cellnet fp32 onnxruntime, by hand": [2.0, 4.0],
        "cellnet int8 openvino": [1.0, 1.0],
        "libjpeg": [1.0, 1.0],
    }
    samples = {name: Samples(1.0, blocks, blocks) for name, blocks in times_s.items()}
    entries = [
        cases.Entry(
            Contender(name, dict),
            cases.HAND if "hand" in name else cases.RESTORE,
            name.partition(",")[0] if "cellnet" in name else None,
        )
        for name in times_s
    ]
    rows = summarise([cases.CaseResult(CASE, entries, samples)])
    assert {row["name"]: row["times_fp32"]["median"] for row in rows if "times_fp32" in row} == {
        "cellnet int8 onnxruntime": 2.0,
        "cellnet int8 onnxruntime, by hand": 4.0,
    }


def test_an_engine_by_hand_on_a_gpu_is_one_more(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def load_on_cpu(engine: str, graph: bytes, threads: int, device: str) -> Any:
        asked.append(device)
        return by_hand.load(engine, graph, threads)

    monkeypatch.setattr(restores, "load", load_on_cpu)
    one = Restores(SETUP, "cuda")
    names = [contender.name for contender in one.by_hand(CASE)]
    assert names == [f"{SETUP.name}, by hand", f"{SETUP.name}, by hand on CUDA"]
    list(one.by_hand(CASE))
    assert asked == ["cpu", "cuda"]  # once each, whatever the number of images


def stage_rows(folder: Path) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The rows of a restore and of a file to a file, measured."""
    one = Restores(SETUP)
    entries = [
        cases.Entry(one.contender(CASE)[0], cases.RESTORE, SETUP.name),
        cases.Entry(one.file_contender(CASE, folder), cases.FILE, SETUP.name),
        *(cases.Entry(each, cases.DECODE) for each in baselines.plain_decodes(CASE, 1)[:1]),
    ]
    samples = measure([entry.contender for entry in entries], 3, 0.0)
    rows = summarise([cases.CaseResult(CASE, entries, samples)])
    return [r for r in rows if r["kind"] == cases.RESTORE], [
        r for r in rows if r["kind"] == cases.FILE
    ]


def slowest(row: dict[str, Any]) -> str:
    times: dict[str, float] = row["stages_ms"]
    return max(times, key=lambda stage: times[stage])


def test_a_slow_network_shows_in_its_stage(
    meddle: list[Callable[[Tensors], None]], tmp_path: Path
) -> None:
    meddle.append(lambda outputs: time.sleep(SLOW_S))
    (restore,), (whole,) = stage_rows(tmp_path)
    for row in (restore, whole):
        assert slowest(row) == "network"
        assert row["stages_ms"]["network"] >= 1e3 * SLOW_S
        assert not stage_problems([row])


class Clock:
    """Seconds that only tests let pass; in place of the module `time`."""

    def __init__(self) -> None:
        self.now = 0.0

    def perf_counter(self) -> float:
        return self.now


@pytest.mark.parametrize("slow", ["read", "encode"])
def test_slow_files_show_in_their_stage(
    slow: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beside hours of it, what the other stages take in this test is nothing."""
    clock = Clock()
    owner, method = {"read": (Path, "read_bytes"), "encode": (ImageFormat, "encode")}[slow]
    quick = getattr(owner, method)

    def work_slowly(*arguments: Any) -> Any:
        clock.now += 7200
        return quick(*arguments)

    contender = Restores(SETUP).file_contender(CASE, tmp_path)
    monkeypatch.setattr(stages, "time", clock)
    monkeypatch.setattr(owner, method, work_slowly)

    def decode() -> None:
        clock.now += 1

    entries = [
        cases.Entry(contender, cases.FILE, SETUP.name),
        cases.Entry(Contender(baselines.LIBJPEG, decode), cases.DECODE),
    ]
    samples = measure([entry.contender for entry in entries], 3, 0.0, clock=clock.perf_counter)
    whole, _ = summarise([cases.CaseResult(CASE, entries, samples)])
    assert whole["stages_ms"][slow] == 7.2e6
    assert sum(whole["stages_ms"].values()) < 7.3e6
    assert whole["ratio"]["median"] == 7200
    assert not stage_problems([whole])


def test_time_of_no_stage_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    restore = Session.restore_timed

    def restore_slowly(*arguments: Any) -> Any:
        time.sleep(SLOW_S)
        return restore(*arguments)

    monkeypatch.setattr(Session, "restore_timed", restore_slowly)
    (row,), (whole,) = stage_rows(tmp_path)
    assert row["stages_over_whole"] < 0.95 and whole["stages_over_whole"] < 0.95
    assert "add up to 0." in stage_problems([row])[0]


def test_batches_and_sizes_are_measured_of_the_images_asked_for(tmp_path: Path) -> None:
    said: list[str] = []
    rows = measure_throughput(SETUP, CASE, [2], [5], 3, tmp_path, said.append)
    assert [(row["threads"], row["batch"]) for row in rows] == [(2, 5)]
    sizes = [make_size(PICTURE, megapixels, 50, "grey") for megapixels in (0.01, 0.04)]
    assert [size.original.shape for size in sizes] == [(80, 128), (160, 240)]
    rows = measure_sizes(Restores(SETUP), sizes, 3, tmp_path, said.append)
    assert [row["megapixels"] for row in rows] == pytest.approx([0.01024, 0.0384], abs=1e-4)
    assert all(20 < row["peak_mib"] < 2000 for row in rows)
    assert len(said) == 2


def test_enlarging_mirrors_the_picture() -> None:
    large = PICTURE.enlarged_to(100, 200).rgb
    assert large.shape == (100, 200, 3)
    np.testing.assert_array_equal(large[:64, :96], PICTURE.rgb)
    np.testing.assert_array_equal(large[:64, 96:192], PICTURE.rgb[:, ::-1])
    np.testing.assert_array_equal(large[64:100, :96], PICTURE.rgb[::-1][:36])


def test_images_of_one_name_are_refused(photograph: Path) -> None:
    with pytest.raises(RestoreError, match="rename"):
        load_pictures([photograph, photograph.parent])


def test_what_the_side_measurements_take() -> None:
    assert Plan().side_quality == 50
    assert Plan(qualities=(10, 90, 40)).side_quality == 40
    assert BY_HAND in Plan().baselines


def registered(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    entry = EntryPoint("torch", value, extensions.GROUP)
    monkeypatch.setattr(extensions, "entry_points", lambda group: [entry])


def test_a_baseline_that_lacks_its_package_says_so(
    monkeypatch: pytest.MonkeyPatch, jpegrt: CommandLine
) -> None:
    registered(monkeypatch, "nonexistent_package.torch:prepare")
    outcome = jpegrt("bench", "--baselines", "torch", "--dry-run")
    assert outcome.code == 2
    assert "needs the package nonexistent_package: run pip install" in outcome.complaint


def test_a_baseline_is_a_contender_once_a_model(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def prepare(bundle: Any, case: Any, threads: int, device: str) -> Any:
        session = SETUP.open()
        return lambda: session.restore(case.jpeg)

    monkeypatch.setattr(extensions, "load", lambda name: prepare)
    one = Restores(SETUP)
    plan = Plan(rounds=1, seconds=0.001, baselines=("torch",))
    result = cases.measure_case(CASE, [one, one][:1], plan, tmp_path, None, lambda text: None)
    kinds = [entry.contender.name for entry in result.entries if entry.kind == cases.FRAMEWORK]
    assert kinds == ["cellnet torch"]
    assert result.samples["cellnet torch"].calls_s


def test_a_baseline_with_other_pixels_is_not_timed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    blank = np.zeros(CASE.original.shape, np.uint8)
    monkeypatch.setattr(extensions, "load", lambda name: lambda *_: lambda: blank)
    one = Restores(SETUP)
    with pytest.raises(RestoreError, match="cellnet torch, photograph"):
        cases.measure_case(
            CASE, [one], Plan(baselines=("torch",)), tmp_path, None, lambda text: None
        )


def test_options_become_the_plan(
    jpegrt: CommandLine, photograph: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    plans: list[Plan] = []

    def run(plan: Plan, pictures: list[Picture], say: Callable[[str], None]) -> dict[str, Any]:
        plans.append(plan)
        say("not shown where there is no terminal")
        assert [picture.name for picture in pictures] == ["photograph.png"]
        return make_report()

    monkeypatch.setattr(benchmark, "run", run)
    options = (
        "--models all --qualities 40 40 20 --subsampling 420 --threads 2 1 --batch 4 --rounds 3"
    )
    report = tmp_path / "report.json"
    outcome = jpegrt("bench", photograph, *options.split(), "--label", "here", "--json", report)
    assert (outcome.code, outcome.err) == (0, "")
    (plan,) = plans
    assert {"cellnet", "cellnet-large", "hrcnn", "jscnn"} <= set(plan.models)
    assert "jscnn-x2" not in plan.models
    assert (plan.qualities, plan.subsamplings, plan.threads) == ((40, 20), ("420",), (2, 1))
    assert (plan.batches, plan.rounds, plan.label) == ((4,), 3, "here")
    assert json.loads(report.read_text())["label"] == "A fast machine"


def test_decoders_on_a_gpu_are_checked_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def contender(pixels: np.ndarray[Any, Any]) -> gpu.GpuContender:
        return gpu.GpuContender("a decoder", "jpegrt.kernels", lambda case: lambda: pixels)

    decoded = baselines.pillow_decode(CASE.jpeg)
    absent = gpu.GpuContender("absent", "nonexistent_package.decoder", lambda case: lambda: decoded)
    monkeypatch.setattr(gpu, "CONTENDERS", (contender(decoded), absent))
    assert [each.name for each in gpu.prepare(CASE, decoded)] == ["a decoder"]
    monkeypatch.setattr(gpu, "CONTENDERS", (contender(255 - decoded),))
    with pytest.raises(RestoreError, match="a decoder, photograph"):
        list(gpu.prepare(CASE, decoded))


def test_onnx_runtime_on_cuda_does_not_fall_back_to_the_cpu(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import onnxruntime as ort

    bundle = find_bundle("cellnet")
    graph = bundle.read_graph("grey", "fp32")
    monkeypatch.setattr(ort, "get_available_providers", lambda: ["CPUExecutionProvider"])
    assert by_hand.load("onnxruntime", graph, 1, "cuda") is None
    assert by_hand.load("openvino", graph, 1, "cuda") is None
    assert by_hand.load("of somebody else", graph, 1) is None

    class FallenBack:
        def __init__(self, graph: bytes, options: object, providers: list[str]) -> None:
            assert providers == ["CUDAExecutionProvider"]

        def get_providers(self) -> list[str]:
            return ["CPUExecutionProvider"]

    monkeypatch.setattr(ort, "get_available_providers", lambda: ["CUDAExecutionProvider"])
    monkeypatch.setattr(ort, "InferenceSession", FallenBack)
    with pytest.raises(RestoreError, match="cannot use CUDAExecutionProvider"):
        by_hand.load("onnxruntime", graph, 1, "cuda")
