"""The papers' tables: what was published is consistent, and what is measured is what it says."""

import io
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from tests.kernels.images import synthetic

from jpegrt.runtime import metrics
from jpegrt.runtime.errors import RestoreError, UsageError
from jpegrt.runtime.papers import PAPERS
from jpegrt.runtime.papers.measure import Measurement, Plan
from jpegrt.runtime.papers.protocol import Compression, Pixels, Protocol, decode
from jpegrt.runtime.papers.published import Table, load_paper
from jpegrt.runtime.papers.report import Subject, closing, heading, markdown, to_json
from jpegrt.runtime.papers.sets import SETS, find_sets, load_image
from jpegrt.runtime.resize import enlarge, reduce

TABLES = [
    pytest.param(paper, table, id=f"{name} {table.name}")
    for name in PAPERS
    for paper in [load_paper(name)]
    for table in paper.tables
]
# Gains worked out by hand from the papers' texts: a figure in the wrong column would change them.
GAINS = {
    "jscnn": ("Table 2", ("LIVE1", "JPEG 10", 1), "JPEG", "JSCNN", 1.49),
    "hrcnn": ("Table II", ("LIVE1", "JPEG 50", 1), "JPEG", "HR-CNN", 1.28),
    "carsr": ("Table 3", ("Set5", "JPEG 10", 2), "Bicubic", "Proposed", 1.613),
    "cisr": ("Table 2", ("LIVE1", "JPEG 10", 2), "DnCNN + SAN", "CISR-PSI full", 0.43),
    "cjpgsr": ("Table 1", ("Set5", "JPEG 20", 4), "s-LWSR32", "C-JPG SR", 1.64),
}


def eight_bits(image: NDArray[np.float64]) -> Pixels:
    return np.clip(np.floor(image + 0.5), 0, 255).astype(np.uint8)


@pytest.mark.parametrize(("paper", "table"), TABLES)
def test_published_figures_are_possible(paper: object, table: Table) -> None:
    assert table.rows and table.protocols
    assert set(table.own) <= set(table.methods)
    assert table.baseline is None or table.baseline in table.methods
    for row in table.rows:
        assert row.set in SETS
        assert row.scale in (1, 2, 3, 4)
        assert set(table.own) <= set(row.published), "the paper's own networks are in every row"
        for figures in row.published.values():
            assert set(figures) == set(table.metrics)
            assert 20 < figures["psnr_db"] < 40
            assert 0.5 < figures.get("ssim", 0.9) < 1
            assert figures.get("psnr_b_db", 0) <= figures["psnr_db"]
    assert len({(r.set, r.image, r.scale, r.compression) for r in table.rows}) == len(table.rows)


@pytest.mark.parametrize(("paper", "table"), TABLES)
def test_own_networks_gain_and_higher_quality_is_better(paper: object, table: Table) -> None:
    for row in table.rows:
        if table.baseline:
            for own in table.own:
                gain = row.published[own]["psnr_db"] - row.published[table.baseline]["psnr_db"]
                assert 0 < gain < 4
    for method in table.methods:
        of: dict[tuple[object, ...], list[tuple[int, float]]] = {}
        for row in table.rows:
            if method in row.published and len(row.compressions) == 1:
                codec, quality = row.compressions[0].codec, row.compressions[0].quality or 0
                group = of.setdefault((row.set, row.image, row.scale, codec), [])
                group.append((quality, row.published[method]["psnr_db"]))
        for group in of.values():
            assert [psnr for _, psnr in sorted(group)] == sorted(psnr for _, psnr in group)


@pytest.mark.parametrize("name", PAPERS)
def test_gains(name: str) -> None:
    table_name, where, baseline, method, gain_db = GAINS[name]
    (table,) = (t for t in load_paper(name).tables if t.name == table_name)
    (row,) = (r for r in table.rows if (r.set, str(r.compressions[0]), r.scale) == where)
    found = row.published[method]["psnr_db"] - row.published[baseline]["psnr_db"]
    assert found == pytest.approx(gain_db, abs=1e-9)


def test_cisr_s_averages_are_those_of_its_compressions() -> None:
    """Table 1's PSNR is the mean of table 2's ten columns: no figure of either is mistyped."""
    averages, each = load_paper("cisr").tables
    for row in averages.rows:
        assert len(row.compressions) == 10
        columns = [r for r in each.rows if r.scale == row.scale]
        assert [r.compressions[0] for r in columns] == list(row.compressions)
        for method in averages.methods:
            mean = np.mean([r.published[method]["psnr_db"] for r in columns])
            assert row.published[method]["psnr_db"] == pytest.approx(mean, abs=0.011), method


def test_carsr_s_averages_are_those_of_its_images() -> None:
    sets, images, _ = load_paper("carsr").tables
    for quality in (10, 20, 30):
        chosen = Compression("JPEG", quality)
        (mean,) = (r for r in sets.rows if r.set == "Set5" and r.compressions == (chosen,))
        each = [r.published["Proposed"]["psnr_db"] for r in images.rows if chosen in r.compressions]
        assert len(each) == 5
        assert np.mean(each) == pytest.approx(mean.published["Proposed"]["psnr_db"], abs=1e-3)


def test_unknown_papers_are_refused() -> None:
    with pytest.raises(UsageError, match="choose one of jscnn, carsr, cjpgsr, cisr, hrcnn"):
        load_paper("srcnn")


# What of the image is compressed, what is scored, and how the plain code says the same.
LUMA = Protocol("luma", "luma", "uniform")
COLOUR = Protocol("rgb", "rgb", "gaussian")
COLOUR_ON_LUMA = Protocol("rgb", "luma", "gaussian")
GREEN = Protocol("green", "green", "gaussian")
LUMA_OF_COLOUR = Protocol("rgb", "luma", "gaussian", given="luma")
Q30 = Compression("JPEG", 30)


def plain_jpeg(image: Pixels, quality: int) -> Pixels:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer))


def plain(
    protocol: Protocol, image: Pixels, scale: int, compression: Compression
) -> tuple[Pixels, Pixels]:
    """The interpolated image and what it is compared with, written out for each protocol."""
    image = image[: len(image) // scale * scale, : image.shape[1] // scale * scale]
    luma = metrics.luma_bt601
    source = {"luma": luma, "rgb": lambda x: x, "green": lambda x: x[..., 1]}
    small = eight_bits(reduce(source[protocol.compressed](image), scale))  # type: ignore[no-untyped-call]
    if compression.quality:
        small = plain_jpeg(small, compression.quality)
    if protocol is LUMA_OF_COLOUR:
        small = luma(small)
    large = eight_bits(enlarge(small, scale))
    if protocol is COLOUR_ON_LUMA:
        large = luma(large)
    return large, source[protocol.scored](image)  # type: ignore[no-untyped-call]


@pytest.mark.parametrize("scale", [1, 2, 3])
@pytest.mark.parametrize("compression", [Q30, Compression(None)])
@pytest.mark.parametrize("protocol", [LUMA, COLOUR, COLOUR_ON_LUMA, GREEN, LUMA_OF_COLOUR])
def test_baselines_are_what_plain_code_computes(
    protocol: Protocol, compression: Compression, scale: int
) -> None:
    image = synthetic(70, 83)
    large, original = plain(protocol, image, scale, compression)
    inside = slice(scale, -scale) if scale > 1 else slice(None)
    large, original = large[inside, inside], original[inside, inside]
    window = metrics.UNIFORM_WINDOW if protocol is LUMA else metrics.GAUSSIAN_WINDOW

    scores = protocol.baseline(image, scale, compression)

    assert scores.psnr_db == metrics.psnr(large, original)
    assert scores.ssim == metrics.ssim(large, original, window=window)
    assert scores.psnr_b_db == metrics.psnr_b(large, original)


def test_webp_is_compressed_too() -> None:
    buffer = io.BytesIO()
    Image.fromarray(synthetic(40, 40)).save(buffer, "WEBP", quality=20)
    assert Compression("WebP", 20).encode(synthetic(40, 40)) == buffer.getvalue()


@pytest.mark.parametrize(
    ("protocol", "shape"),
    [
        (LUMA, (35, 41)),
        (COLOUR_ON_LUMA, (35, 41, 3)),
        (GREEN, (35, 41)),
        (LUMA_OF_COLOUR, (35, 41)),
    ],
)
def test_what_a_network_gets(protocol: Protocol, shape: tuple[int, ...]) -> None:
    """The file itself, unless the protocol takes its luma; and its output is what is scored."""
    given: list[bytes | Pixels] = []

    def restore(source: bytes | Pixels) -> Pixels:
        given.append(source)
        return eight_bits(enlarge(decode(source), 2))

    image = synthetic(70, 82)
    assert protocol.score(image, 2, Q30, restore) == protocol.baseline(image, 2, Q30)
    assert isinstance(given[0], bytes) == (protocol.given is None)
    assert decode(given[0]).shape == shape


def test_grey_images_stay_grey() -> None:
    grey = np.ascontiguousarray(synthetic(40, 40)[..., 0])
    assert len({p.baseline(grey, 2, Q30).psnr_db for p in (COLOUR, COLOUR_ON_LUMA, GREEN)}) == 1


@pytest.fixture
def sets(tmp_path: Path) -> Path:
    for folder, names in (("Set5", ("baby", "bird")), ("LIVE1", ("a", "b")), ("BSD100", ("x",))):
        (tmp_path / folder).mkdir()
        for seed, name in enumerate(names):
            suffix = ".jpg" if folder == "BSD100" else ".png"
            Image.fromarray(synthetic(48 + 4 * seed, 60)).save(tmp_path / folder / (name + suffix))

    return tmp_path


def test_sets_are_found(sets: Path) -> None:

    found = find_sets(sets)
    assert {name: [p.name for p in files] for name, files in found.items()} == {
        "Set5": ["baby.png", "bird.png"],
        "B100": ["x.jpg"],
        "LIVE1": ["a.png", "b.png"],
    }
    assert [len(files) for files in find_sets(sets, 1).values()] == [1, 1, 1]
    assert list(find_sets(sets, only=["bsd100"])) == ["B100"]
    for only, said in ((["Set14"], "has no images in set14"), (["Set6"], "unknown set Set6")):
        with pytest.raises(UsageError, match=said):
            find_sets(sets, only=only)
    with pytest.raises(UsageError, match="holds none of the folders set5, set14"):
        find_sets(sets / "LIVE1")
    with pytest.raises(UsageError, match="is not a folder"):
        find_sets(sets / "missing")


class Interpolation:
    """A model that enlarges as the baseline does, and one level brighter."""

    model_name, precision, engine_name = "brighter", "fp32", "none"
    enlargement = 2

    def __init__(self) -> None:
        self.calls = 0

    def restore(self, source: bytes | Pixels) -> Pixels:
        self.calls += 1
        return np.minimum(eight_bits(enlarge(decode(source), 2)), 254) + np.uint8(1)


def test_a_table_is_the_mean_of_its_images(sets: Path) -> None:
    paper = load_paper("jscnn")
    plan = Plan(paper, {"Set5": sorted((sets / "Set5").glob("*.png"))}, frozenset({40}))
    model = Interpolation()
    steps: list[None] = []

    (table,) = Measurement(plan, {2: model}, lambda: steps.append(None)).tables()

    assert table.table.name == "Table 3"
    assert [(row.row.set, row.row.scale) for row in table.rows] == [("Set5", s) for s in (2, 3, 4)]
    assert {row.set for row in table.left_out} == {"LIVE1"}
    assert (len(steps), plan.count(), model.calls) == (6, 6, 2)
    protocol = table.protocol
    for row in table.rows:
        each = [
            protocol.baseline(load_image(path), row.row.scale, Compression("JPEG", 40))
            for path in plan.sets["Set5"]
        ]
        assert row.images == 2
        assert row.baseline.psnr_db == np.mean([scores.psnr_db for scores in each])
        assert row.baseline.ssim == np.mean([scores.ssim for scores in each])
    first, *others = table.rows
    assert (first.model, first.gain_db is not None) == ("brighter", True)
    assert [row.restored for row in others] == [None, None]


def test_rows_share_what_they_measure(sets: Path) -> None:
    """Table 1 of cisr averages the ten compressions of table 2: none is measured twice."""
    plan = Plan(load_paper("cisr"), find_sets(sets, 1, ["LIVE1"]))
    steps: list[None] = []
    averages, each = Measurement(plan, {}, lambda: steps.append(None)).tables()
    assert len(steps) == plan.count() == 30
    for row in averages.rows:
        columns = [r.baseline.psnr_db for r in each.rows if r.row.scale == row.row.scale]
        assert row.baseline.psnr_db == pytest.approx(np.mean(columns))


def test_rows_of_one_codec(sets: Path) -> None:
    plan = Plan(load_paper("cisr"), find_sets(sets, 1, ["LIVE1"]), frozenset({10, 20}), "WebP")
    rows = [row.row for table in Measurement(plan, {}).tables() for row in table.rows]
    assert {str(row.compression) for row in rows} == {"WebP 10", "WebP 20"}
    assert len(rows) == 6  # at three scales


def test_rows_of_one_image(sets: Path) -> None:
    plan = Plan(load_paper("carsr"), find_sets(sets, only=["set5"]), frozenset({20}))
    images = [t for t in Measurement(plan, {}).tables() if t.table.name == "Table 2"]
    assert [[row.row.image for row in table.rows] for table in images] == [["baby", "bird"]]


def test_failures_name_the_image(sets: Path) -> None:
    class Failing(Interpolation):
        def restore(self, source: bytes | Pixels) -> Pixels:
            raise RestoreError("the engine is tired")

    plan = Plan(load_paper("jscnn"), find_sets(sets, only=["live1"]), frozenset({40}))
    with pytest.raises(RestoreError, match=r"a\.png, JPEG 40: the engine is tired"):
        list(Measurement(plan, {2: Failing()}).tables())


def test_what_is_too_small_is_named(tmp_path: Path) -> None:
    path = tmp_path / "small.png"
    Image.fromarray(synthetic(16, 40)).save(path)
    plan = Plan(load_paper("cjpgsr"), {"Set5": [path]})
    with pytest.raises(RestoreError, match=r"small\.png, JPEG 20: too small to measure: 11 pixels"):
        list(Measurement(plan, {}).tables())


def test_reports(sets: Path) -> None:
    paper = load_paper("jscnn")
    plan = Plan(paper, {"Set5": sorted((sets / "Set5").glob("*.png"))}, frozenset({40}))
    models = {2: Interpolation()}
    subject = Subject(paper, "sets", None, models, {3: "There is none.", 4: "Nor here."})
    tables = list(Measurement(plan, models).tables())
    (table,) = tables
    row = table.rows[0]

    head = heading(subject)
    assert "x2: brighter, precision fp32" in head
    assert "x3: the baseline alone. There is none." in head
    assert "at most" not in head
    assert "Images of each set: 1 at most" in heading(replace(subject, limit=1))
    assert "Urban100" in closing(paper)

    text = markdown(table)
    assert "uniform 8 x 8" in text
    lines = [[cell.strip() for cell in line.split("|")[1:-1]] for line in text.splitlines()
             if line.startswith("|")]  # fmt: skip
    cells = dict(zip(lines[0], lines[2], strict=True))
    assert {len(line) for line in lines} == {len(lines[0])}
    assert cells["images"] == "Set5 x2 JPEG 40"
    assert cells["bicubic, here"] == f"{row.baseline.psnr_db:.2f} / {row.baseline.ssim:.4f}"
    assert cells["paper"] == "29.98 / 0.8559"
    assert cells["difference, dB"] == f"{row.baseline.psnr_db - 29.98:+.2f}"
    assert cells["model"] == "brighter"
    assert cells["gain, dB"] == f"{row.gain_db:+.2f}"
    assert cells["JSCNN's gain, dB"] == "+1.70"
    assert cells["SRCNN"] == "29.57 / 0.8408"
    assert lines[3][lines[0].index("model")] == "-"
    assert text.splitlines()[-1] == (
        "Not computed, since their images are not there: "
        "LIVE1 x2 JPEG 40, LIVE1 x3 JPEG 40, LIVE1 x4 JPEG 40."
    )

    document = json.loads(json.dumps(to_json(subject, tables), allow_nan=False))
    assert document["models"] == {"2": {"model": "brighter", "precision": "fp32", "engine": "none"}}
    assert document["missing_models"] == {"3": "There is none.", "4": "Nor here."}
    first = document["tables"][0]["rows"][0]
    assert first["baseline"]["psnr_db"] == row.baseline.psnr_db
    assert first["baseline_difference_db"] == row.baseline.psnr_db - 29.98
    assert first["published"]["JSCNN"] == {"psnr_db": 31.68, "ssim": 0.8941}
    assert document["versions"]["pillow"]
    assert document["left_out"]
