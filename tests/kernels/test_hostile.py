"""Files that are damaged, of another kind, or made to do harm."""

import io
import os
import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from tests.kernels.c_programs import Libjpeg
from tests.kernels.engines import Identity, full_model
from tests.kernels.images import Pixels, synthetic
from tests.kernels.samplings import CODINGS, SAMPLINGS

from jpegrt.kernels import (
    CoefficientReader,
    NativeError,
    Pipeline,
    Status,
    _native,
    read_coefficients,
)

START_OF_SCAN = b"\xff\xda"
END_OF_IMAGE = b"\xff\xd9"


def frame_header(jpeg: bytes) -> int:
    """Where the frame header's (SOF's) marker is."""
    at = 2
    while not (jpeg[at + 1] & 0xF0 == 0xC0 and jpeg[at + 1] not in (0xC4, 0xC8, 0xCC)):
        at += 2 + int.from_bytes(jpeg[at + 2 : at + 4])
    return at


def patched(jpeg: bytes, offset: int, value: bytes) -> bytes:
    return jpeg[:offset] + value + jpeg[offset + len(value) :]


def with_size(jpeg: bytes, width: int, height: int) -> bytes:
    size = height.to_bytes(2) + width.to_bytes(2)
    return patched(jpeg, frame_header(jpeg) + 5, size)


def with_sampling(jpeg: bytes, component: int, h: int, v: int) -> bytes:
    return patched(jpeg, frame_header(jpeg) + 11 + 3 * component, bytes([16 * h + v]))


def saved(image: Image.Image, kind: str) -> bytes:
    file = io.BytesIO()
    image.save(file, kind)
    return file.getvalue()


def assert_refused(jpeg: bytes, status: Status, words: str, *, allow_damaged: bool = False) -> None:
    with pytest.raises(NativeError, match=words) as caught:
        read_coefficients(jpeg, allow_damaged=allow_damaged)
    assert caught.value.status is status
    with pytest.raises(NativeError, match=words) as caught:
        Pipeline(allow_damaged=allow_damaged).read(jpeg)
    assert caught.value.status is status


@pytest.fixture(scope="module")
def jpeg(libjpeg: Libjpeg) -> bytes:
    return libjpeg.encode(synthetic(70, 90), SAMPLINGS["4:2:0"])


@pytest.mark.parametrize("allow_damaged", [False, True])
def test_what_is_not_a_jpeg(allow_damaged: bool) -> None:
    png = saved(Image.fromarray(synthetic(8, 8)), "PNG")
    for data, words in (
        (b"", "empty"),
        (b"\xff", "FF D8"),
        (png, "FF D8"),
        (b"GIF89a and then some", "FF D8"),
        (b"just some text\n" * 20, "FF D8"),
        (bytes(1000), "FF D8"),
    ):
        assert_refused(data, Status.NOT_JPEG, words, allow_damaged=allow_damaged)


@pytest.mark.parametrize("allow_damaged", [False, True])
def test_a_jpeg_without_an_image(jpeg: bytes, allow_damaged: bool) -> None:
    tables_only = jpeg[: frame_header(jpeg)] + END_OF_IMAGE
    header_only = jpeg[: jpeg.index(START_OF_SCAN)] + END_OF_IMAGE
    for data in (b"\xff\xd8", b"\xff\xd8\xff\xd9", tables_only, header_only, jpeg[:30]):
        assert_refused(data, Status.DAMAGED, "damaged JPEG", allow_damaged=allow_damaged)


def tenths(data: bytes) -> list[bytes]:
    return [data[: len(data) * tenth // 10] for tenth in range(1, 10)]


@pytest.mark.parametrize("coding", CODINGS)
def test_truncated_files(libjpeg: Libjpeg, coding: str) -> None:
    jpeg = libjpeg.encode(synthetic(70, 90), SAMPLINGS["4:2:0"], *CODINGS[coding])
    whole = read_coefficients(jpeg)
    scan = jpeg.index(START_OF_SCAN) + 20
    for data in tenths(jpeg):
        assert_refused(data, Status.DAMAGED, "damaged JPEG")
        if len(data) < scan:
            continue
        image = read_coefficients(data, allow_damaged=True)
        assert image.warnings > 0
        assert (image.width, image.height) == (whole.width, whole.height)
        first, first_whole = image.components[0].blocks, whole.components[0].blocks
        assert first is not None
        assert first_whole is not None
        assert first.shape == first_whole.shape
        if coding in ("baseline", "optimised", "separate scans"):
            # What comes before the cut is what it was.
            assert np.array_equal(first[0, 0], first_whole[0, 0])


@pytest.mark.parametrize("coding", ["baseline", "progressive", "arithmetic", "separate scans"])
def test_every_truncation_is_survived(libjpeg: Libjpeg, coding: str) -> None:
    jpeg = libjpeg.encode(synthetic(17, 20), SAMPLINGS["4:2:0"], *CODINGS[coding])
    strict, lenient = CoefficientReader(), Pipeline(allow_damaged=True)
    for length in range(len(jpeg) - 2):
        with pytest.raises(NativeError):
            strict.read(jpeg[:length])
        restore_or_refuse(lenient, jpeg[:length])


def test_a_sequential_file_may_lack_its_end_marker(libjpeg: Libjpeg) -> None:
    """All of its blocks are there: cameras and downloads do lose those two bytes."""
    for coding, complete in (("baseline", True), ("progressive", False), ("arithmetic", False)):
        jpeg = libjpeg.encode(synthetic(30, 40), SAMPLINGS["4:2:0"], *CODINGS[coding])
        assert jpeg.endswith(END_OF_IMAGE)
        unfinished = jpeg.removesuffix(END_OF_IMAGE)
        if complete:
            assert read_coefficients(unfinished).warnings == 1
        else:
            assert_refused(unfinished, Status.DAMAGED, "damaged JPEG")
            assert read_coefficients(unfinished, allow_damaged=True).warnings == 1


def test_unread_blocks_are_grey_not_left_over(libjpeg: Libjpeg) -> None:
    """A reader's memory is reused: what the file does not reach must not show the last image."""
    previous = libjpeg.encode(synthetic(90, 90, seed=1), SAMPLINGS["4:2:0"], "progressive")
    jpeg = libjpeg.encode(synthetic(90, 90, seed=2), SAMPLINGS["4:2:0"], "progressive")
    second_scan = jpeg.index(START_OF_SCAN, jpeg.index(START_OF_SCAN) + 2)
    only_dc = jpeg[:second_scan] + END_OF_IMAGE
    reader = CoefficientReader()
    reader.read(previous)
    for component in reader.read(only_dc, allow_damaged=True).components:
        assert component.blocks is not None
        flat = component.blocks.reshape(-1, 64)
        assert flat[:, 0].any()
        assert not flat[:, 1:].any()

    baseline = libjpeg.encode(synthetic(90, 90, seed=3), SAMPLINGS["4:2:0"])
    undefined_tables = patched(baseline, baseline.index(START_OF_SCAN) + 6, b"\x33")
    reader.read(previous)
    for component in reader.read(undefined_tables, allow_damaged=True).components:
        assert component.blocks is not None
        assert not component.blocks.any()


@pytest.mark.parametrize("coding", ["baseline", "progressive", "arithmetic"])
def test_corrupt_entropy_coded_data(libjpeg: Libjpeg, coding: str) -> None:
    jpeg = libjpeg.encode(synthetic(70, 90), SAMPLINGS["4:2:0"], *CODINGS[coding])
    middle = (jpeg.index(START_OF_SCAN) + len(jpeg)) // 2
    # A marker out of place: sure to be noticed, unlike other values.
    data = patched(jpeg, middle, b"\xff\xd5")
    assert_refused(data, Status.DAMAGED, "damaged JPEG")
    assert read_coefficients(data, allow_damaged=True).warnings > 0


def test_corrupt_huffman_codes(libjpeg: Libjpeg) -> None:
    jpeg = libjpeg.encode(synthetic(70, 90), SAMPLINGS["4:2:0"])
    scan = jpeg.index(START_OF_SCAN) + 14
    noise = np.random.default_rng(0).integers(0, 255, len(jpeg) - scan - 2, np.uint8).tobytes()
    data = patched(jpeg, scan, noise)
    assert_refused(data, Status.DAMAGED, "damaged JPEG")
    restore_or_refuse(Pipeline(allow_damaged=True), data)


def test_the_reason_is_libjpegs(jpeg: bytes) -> None:
    assert_refused(jpeg[: len(jpeg) // 2], Status.DAMAGED, "libjpeg: Premature end")


LIMITED_MEMORY = """
import resource, sys
from jpegrt.kernels import CoefficientReader, NativeError, Pipeline
claim, honest = (open(path, "rb").read() for path in sys.argv[1:])
reader, pipeline = CoefficientReader(), Pipeline(threads=1)
pages = int(open("/proc/self/statm").read().split()[0])
limit = pages * resource.getpagesize() + (64 << 20)
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
for read in (reader.read, reader.read_header, pipeline.read):
    try:
        read(claim)
    except NativeError as error:
        print(error.status.name)
try:
    reader.read(claim, max_pixels=1 << 33)
except NativeError as error:
    print(error.status.name)
print(reader.read(honest).width)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits memory as Linux does")
def test_huge_claims_are_refused_without_memory(
    libjpeg: Libjpeg, tmp_path_factory: pytest.TempPathFactory
) -> None:
    honest = libjpeg.encode(synthetic(16, 24, channels=1))
    folder = tmp_path_factory.mktemp("huge")
    paths = [folder / "claim.jpg", folder / "honest.jpg"]
    paths[0].write_bytes(with_size(honest, 65500, 65500))
    paths[1].write_bytes(honest)
    result = subprocess.run(
        [sys.executable, "-c", LIMITED_MEMORY, *paths],
        check=True,
        capture_output=True,
        text=True,
        env=os.environ | {"OPENBLAS_NUM_THREADS": "1"},
    )
    assert result.stdout.split() == ["TOO_LARGE"] * 3 + ["NO_MEMORY", "24"]


def test_pixel_limit(jpeg: bytes) -> None:
    reader = CoefficientReader()
    assert reader.read(jpeg, max_pixels=70 * 90).width == 90
    with pytest.raises(NativeError, match="90x70 pixels are more than the limit of 6299") as caught:
        reader.read(jpeg, max_pixels=70 * 90 - 1)
    assert caught.value.status is Status.TOO_LARGE
    with pytest.raises(NativeError, match="limit"):
        reader.read_header(jpeg, max_pixels=1)
    with pytest.raises(NativeError, match="limit"):
        Pipeline(max_pixels=70 * 90 - 1).read(jpeg)


def test_default_pixel_limit(jpeg: bytes) -> None:
    reader, image = CoefficientReader(), _native.Image()
    for width, height, fits in ((8192, 16384, True), (8193, 16384, False)):  # 2^27
        data = with_size(jpeg, width, height)
        status = _native.lib.jpegrt_coefficients_read_header(
            reader._handle, data, len(data), None, image
        )
        assert status == (Status.OK if fits else Status.TOO_LARGE)
        if fits:
            assert reader.read_header(data).width == width
        else:
            with pytest.raises(NativeError, match="limit of 134217728"):
                reader.read_header(data)


@pytest.mark.parametrize("factors", [(3, 1, 2, 1), (1, 3, 1, 2), (4, 1, 3, 1), (3, 2, 2, 1)])
def test_fractional_sampling_ratios(jpeg: bytes, factors: tuple[int, int, int, int]) -> None:
    luma_h, luma_v, chroma_h, chroma_v = factors
    data = with_sampling(with_sampling(jpeg, 0, luma_h, luma_v), 1, chroma_h, chroma_v)
    assert_refused(data, Status.UNSUPPORTED, "ratio that is not whole")


@pytest.mark.parametrize("factors", [(0, 1), (1, 0), (5, 1), (1, 15)])
def test_impossible_sampling_factors(jpeg: bytes, factors: tuple[int, int]) -> None:
    data = with_sampling(jpeg, 0, *factors)
    assert_refused(data, Status.DAMAGED, "sampling", allow_damaged=True)


def test_two_components(libjpeg: Libjpeg) -> None:
    jpeg = libjpeg.encode(synthetic(8, 8, channels=1))
    at = frame_header(jpeg)
    two = (14).to_bytes(2) + jpeg[at + 4 : at + 9] + b"\x02\x01\x11\x00\x02\x11\x00"
    data = jpeg[: at + 2] + two + jpeg[at + 13 :]
    assert_refused(data, Status.UNSUPPORTED, "2 components")


def test_twelve_bits(jpeg: bytes) -> None:
    at = frame_header(jpeg)
    extended = patched(patched(jpeg, at + 1, b"\xc1"), at + 4, b"\x0c")
    assert_refused(extended, Status.UNSUPPORTED, "precision")


def test_other_processes(jpeg: bytes) -> None:
    for marker in (0xC3, 0xC5, 0xC6, 0xC7, 0xCB, 0xCD):  # lossless, hierarchical
        data = patched(jpeg, frame_header(jpeg) + 1, bytes([marker]))
        assert_refused(data, Status.UNSUPPORTED, "SOF")


@pytest.mark.parametrize("size", [(0, 8), (8, 0), (0, 0)])
def test_empty_images(jpeg: bytes, size: tuple[int, int]) -> None:
    assert_refused(
        with_size(jpeg, *size),
        Status.UNSUPPORTED,
        "Empty JPEG.*another program",
        allow_damaged=True,
    )


def test_sides_beyond_libjpegs_own_limit(libjpeg: Libjpeg) -> None:
    """Nothing that allow_damaged would help with."""
    jpeg = with_size(libjpeg.encode(synthetic(16, 16)), 65_535, 65_535)
    assert_refused(jpeg, Status.UNSUPPORTED, "dimension is 65500", allow_damaged=False)


@pytest.mark.parametrize("missing", [1, 2])
def test_a_component_without_data(libjpeg: Libjpeg, missing: int) -> None:
    jpeg = libjpeg.encode(synthetic(20, 30), SAMPLINGS["4:2:0"], "separate")
    at = -1
    for _ in range(missing + 1):
        at = jpeg.index(START_OF_SCAN, at + 1)
    data = jpeg[:at] + END_OF_IMAGE
    assert_refused(data, Status.DAMAGED, f"no data for component {missing + 1}")
    kept = read_coefficients(data, allow_damaged=True).components
    whole = read_coefficients(jpeg).components
    for index, (component, expected) in enumerate(zip(kept, whole, strict=True)):
        blocks = expected.blocks if index < missing else np.zeros_like(expected.blocks)
        np.testing.assert_array_equal(component.blocks, blocks)


def test_too_many_scans(libjpeg: Libjpeg) -> None:
    jpeg = libjpeg.encode(synthetic(8, 8), SAMPLINGS["4:4:4"], "separate")  # three scans
    last_scan = jpeg[jpeg.rindex(START_OF_SCAN) : -2]
    for more, refused in ((497, False), (498, True), (20_000, True)):
        data = jpeg[:-2] + last_scan * more + END_OF_IMAGE
        if refused:
            assert_refused(data, Status.UNSUPPORTED, "500 scans", allow_damaged=True)
        else:
            assert read_coefficients(data).warnings == 0


def test_what_came_before_a_fatal_error_is_kept(libjpeg: Libjpeg) -> None:
    jpeg = libjpeg.encode(synthetic(40, 50), SAMPLINGS["4:2:0"], "progressive")
    second_scan = jpeg.index(START_OF_SCAN, jpeg.index(START_OF_SCAN) + 2)
    no_such_component = patched(jpeg, second_scan + 5, b"\x77")
    assert_refused(no_such_component, Status.DAMAGED, "libjpeg: Invalid component")
    image = read_coefficients(no_such_component, allow_damaged=True)
    assert image.warnings == 1
    only_dc = read_coefficients(jpeg[:second_scan] + END_OF_IMAGE)
    for component, expected in zip(image.components, only_dc.components, strict=True):
        np.testing.assert_array_equal(component.blocks, expected.blocks)


def test_readers_recover(jpeg: bytes) -> None:
    reader, pipeline = CoefficientReader(), Pipeline(full_model(8), Identity())
    pixels = np.empty(pipeline.read(jpeg), np.uint8)
    pipeline.restore(pixels)
    blocks = reader.read(jpeg).components[0].blocks
    for bad in (
        b"",
        jpeg[:100],
        jpeg[: len(jpeg) // 2],
        with_size(jpeg, 65500, 65500),
        with_sampling(jpeg, 0, 3, 1),
        with_size(jpeg, 0, 0),
    ):
        with pytest.raises(NativeError):
            reader.read(bad)
        with pytest.raises(NativeError):
            pipeline.read(bad)
        np.testing.assert_array_equal(reader.read(jpeg).components[0].blocks, blocks)
        again = np.empty(pipeline.read(jpeg), np.uint8)
        pipeline.restore(again)
        np.testing.assert_array_equal(again, pixels)


def restore_or_refuse(pipeline: Pipeline, data: bytes) -> Pixels | None:
    try:
        shape = pipeline.read(data)
    except NativeError as error:
        assert error.status is not Status.INTERNAL
        assert str(error)
        return None
    pixels = np.zeros(shape, np.uint8)
    pipeline.restore(pixels)
    return pixels


@pytest.fixture(scope="module")
def mutable(libjpeg: Libjpeg) -> list[bytes]:
    files = [
        libjpeg.encode(synthetic(17, 20, seed=i), SAMPLINGS["4:2:0"], *flags, restart=i % 3)
        for i, flags in enumerate(CODINGS.values())
    ]
    return [*files, libjpeg.encode(synthetic(17, 20, channels=1))]


@pytest.fixture(scope="module")
def pipelines() -> list[Pipeline]:
    """Long-lived, so that what one file leaves behind meets the next."""
    makers: list[Callable[..., Pipeline]] = [
        Pipeline,
        lambda **options: Pipeline(full_model(8), Identity(), **options),
    ]
    return [
        make(threads=2, allow_damaged=allow_damaged, max_pixels=1 << 20)
        for make in makers
        for allow_damaged in (False, True)
    ]


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_mutated_files_are_survived(
    mutable: list[bytes], pipelines: list[Pipeline], data: st.DataObject
) -> None:
    jpeg = bytearray(data.draw(st.sampled_from(mutable)))
    for _ in range(data.draw(st.integers(1, 6))):
        position = data.draw(st.integers(2, len(jpeg) - 1))
        match data.draw(st.sampled_from(["set", "insert", "delete", "truncate"])):
            case "set":
                jpeg[position] = data.draw(st.integers(0, 255))
            case "insert":
                jpeg[position:position] = data.draw(st.binary(min_size=1, max_size=20))
            case "delete":
                del jpeg[position : position + data.draw(st.integers(1, 20))]
            case _ if position > 20:
                del jpeg[position:]
    for pipeline in pipelines:
        restore_or_refuse(pipeline, bytes(jpeg))
