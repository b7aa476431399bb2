"""JPEGs that are hard to treat well: what cameras, scanners, old programs and bad luck leave."""

import io
import struct
from collections.abc import Callable
from functools import partial

import numpy as np
from PIL import Image
from tests.kernels.c_programs import Libjpeg
from tests.kernels.images import synthetic
from tests.kernels.samplings import CODINGS, SAMPLINGS
from tests.runtime.jpegs import claiming, encode
from tests.runtime.photographs import INK_PROFILE, PROFILE, XMP, exif_of, photograph, with_segment

Maker = Callable[[Libjpeg], bytes]

SIZE = (40, 56)
PIXELS, GREY, INKS = synthetic(*SIZE), synthetic(*SIZE, 1), synthetic(*SIZE, 4)
SOS, EOI = b"\xff\xda", b"\xff\xd9"

# Of the 1998 colour space's kind: RGB, but not sRGB. Readers keep it byte by byte.
WIDE_PROFILE = PROFILE[:84] + bytes(16) + PROFILE[100:]
GREY_PROFILE = PROFILE[:16] + b"GRAY" + PROFILE[20:]
LARGE_PROFILE = PROFILE + np.random.default_rng(0).bytes(150_000)


def _stock(*arguments: str, grey: bool = False, restart: int = 0, quality: int = 60) -> Maker:
    pixels = GREY if grey else PIXELS
    return lambda libjpeg: libjpeg.encode(pixels, *arguments, restart=restart, quality=quality)


def _of_size(height: int, width: int, channels: int) -> Maker:
    pixels = synthetic(height, width, channels)
    return lambda libjpeg: libjpeg.encode(pixels, SAMPLINGS["4:2:0"] if channels == 3 else "")


def _made(make: Callable[..., bytes], *arguments: object, **options: object) -> Maker:
    return lambda _: make(*arguments, **options)


def _with_tables(*tables: list[int]) -> Maker:
    return _made(encode, PIXELS, subsampling="4:4:4", quality=-1, qtables=list(tables))


def _changed(make: Maker, change: Callable[[bytes], bytes]) -> Maker:
    return lambda libjpeg: change(make(libjpeg))


def _cmyk(arguments: str = "", *flags: str) -> Maker:
    return lambda libjpeg: libjpeg.encode(255 - INKS, arguments, *flags, quality=60)


def _photograph_in_cmyk() -> bytes:
    file = io.BytesIO()
    exif = b"Exif\0\0" + exif_of(6)
    options = {"quality": 60, "icc_profile": INK_PROFILE, "exif": exif, "xmp": XMP % 6}
    Image.fromarray(PIXELS).convert("CMYK").save(file, "JPEG", **options)
    return file.getvalue()


def _several_frames() -> bytes:
    file = io.BytesIO()
    first, second = Image.fromarray(PIXELS), Image.fromarray(synthetic(*SIZE, seed=1))
    first.save(file, "MPO", save_all=True, append_images=[second])
    return file.getvalue()


def _exif_with_thumbnail() -> bytes:
    """A second directory after the first (EXIF 2.32, 4.5.4), and the thumbnail after that."""
    thumbnail = encode(synthetic(12, 16), quality=50)
    exif = bytearray(exif_of(6))
    order = ">" if exif[:2] == b"MM" else "<"
    (first,) = struct.unpack_from(order + "I", exif, 4)
    (tags,) = struct.unpack_from(order + "H", exif, first)
    start = len(exif)
    struct.pack_into(order + "I", exif, first + 2 + 12 * tags, start)
    directory = struct.pack(order + "H", 2)
    after = start + 2 + 2 * 12 + 4
    for tag, value in ((0x0201, after), (0x0202, len(thumbnail))):
        directory += struct.pack(order + "HHII", tag, 4, 1, value)
    return bytes(exif) + directory + bytes(4) + thumbnail


def _with_exif(exif: bytes) -> Maker:
    return _made(photograph, PIXELS, exif=b"Exif\0\0" + exif, xmp=b"")


def _with_jfif_thumbnail(jpeg: bytes) -> bytes:
    """RGB, in JFIF's own segment (ITU-T T.871, 10.1)."""
    width, height = 4, 3
    body = jpeg[6:18] + bytes([width, height]) + bytes(range(3 * width * height))
    return jpeg[:4] + struct.pack(">H", 2 + len(body)) + body + jpeg[20:]


def _without_jfif(jpeg: bytes) -> bytes:
    return jpeg[:2] + jpeg[20:]


def _without_adobe_marker(jpeg: bytes) -> bytes:
    """Whose last byte tells the colours (Adobe's technical note 5116); here 0, as they are."""
    at = jpeg.index(b"\xff\xee\0\x0eAdobe")
    return jpeg[:at] + jpeg[at + 16 :]


def _with_fill_bytes(jpeg: bytes) -> bytes:
    """Any marker may be preceded by any number of FF (T.81, B.1.1.2)."""
    at = jpeg.index(b"\xff\xdb")
    return jpeg[:at] + b"\xff\xff\xff" + jpeg[at:]


def _with_aspect(jpeg: bytes) -> bytes:
    return jpeg[:13] + struct.pack(">BHH", 0, 2, 1) + jpeg[18:]


def _with_sampling_of_luma(jpeg: bytes, factors: int) -> bytes:
    at = jpeg.index(b"\xff\xc0") + 11
    return jpeg[:at] + bytes([factors]) + jpeg[at + 1 :]


def _with_frame(jpeg: bytes, at: int, value: int) -> bytes:
    """Another byte in the frame header, `at` bytes after its marker's first one."""
    at += jpeg.index(b"\xff\xc0")
    return jpeg[:at] + bytes([value]) + jpeg[at + 1 :]


_COLOUR = _stock(SAMPLINGS["4:2:0"])
_PHOTOGRAPH = _made(photograph, PIXELS, orientation=6)

# What is restored.
GOOD: dict[str, Maker] = {
    **{f"sampled {name}": _stock(factors, quality=50) for name, factors in SAMPLINGS.items()},
    **{f"colour, {name}": _stock(SAMPLINGS["4:2:0"], *flags) for name, flags in CODINGS.items()},
    **{
        f"grey, {name}": _stock("", *CODINGS[name], grey=True)
        for name in ("baseline", "progressive", "arithmetic")
    },
    "grey, sampled 2x2": _stock("2x2", grey=True),
    **{f"restart every {n}": _stock(SAMPLINGS["4:2:0"], restart=n) for n in (1, 3, 7)},
    "restart, progressive": _stock(SAMPLINGS["4:2:2"], "progressive", restart=2),
    "restart, arithmetic": _stock(SAMPLINGS["4:4:4"], "arithmetic", restart=2),
    **{f"colour, {n} x {n}": _of_size(n, n, 3) for n in range(1, 10)},
    **{f"grey, {10 - n} x {n}": _of_size(n, 10 - n, 1) for n in range(1, 10)},
    "a row": _of_size(1, 70, 3),
    "a column": _of_size(70, 1, 3),
    "finest table": _with_tables([1] * 64),
    "coarse flat table": _with_tables([40] * 64),
    "rising table": _with_tables(list(range(1, 65)), list(range(64, 0, -1))),
    "16-bit table": _with_tables([8] * 32 + [300] * 32),
    "quality 100": _stock(SAMPLINGS["4:4:4"], quality=100),
    "RGB, Adobe's marker": _stock(SAMPLINGS["4:4:4"], "rgb"),
    "RGB, by its components' names": _changed(
        _stock(SAMPLINGS["4:4:4"], "rgb"), _without_adobe_marker
    ),
    "YCbCr, Adobe's marker": _changed(
        _COLOUR, partial(with_segment, marker=0xEE, body=b"Adobe\0\x64\0\0\0\0\1")
    ),
    "wide profile": _made(photograph, PIXELS, icc_profile=WIDE_PROFILE),
    "grey with profile": _made(photograph, GREY, icc_profile=GREY_PROFILE, subsampling=-1),
    "profile in three segments": _made(photograph, PIXELS, icc_profile=LARGE_PROFILE),
    **{
        f"orientation {n}": _made(photograph, PIXELS, orientation=n, quality=60)
        for n in range(1, 9)
    },
    "orientation 6, grey": _made(photograph, GREY, orientation=6, subsampling=-1),
    "orientation 0": _made(photograph, PIXELS, orientation=0),
    "EXIF with a thumbnail": _with_exif(_exif_with_thumbnail()),
    "damaged EXIF": _with_exif(b"MM\0*\0\0\0\x08\xff\xff"),
    "JFIF with a thumbnail": _changed(_COLOUR, _with_jfif_thumbnail),
    "JFIF extension": _changed(
        _COLOUR, partial(with_segment, marker=0xE0, body=b"JFXX\0\x10" + encode(synthetic(8, 8)))
    ),
    "no JFIF": _changed(_COLOUR, _without_jfif),
    "no JFIF but EXIF": _changed(_PHOTOGRAPH, _without_jfif),
    "pixels that are not square": _changed(_COLOUR, _with_aspect),
    "a long comment": _changed(_COLOUR, partial(with_segment, marker=0xFE, body=b"x" * 65533)),
    "fill bytes": _changed(_COLOUR, _with_fill_bytes),
    "trailing garbage": _changed(_PHOTOGRAPH, lambda jpeg: jpeg + b"garbage\xff\xd8\xff" * 99),
    "trailing zeros": _changed(_COLOUR, lambda jpeg: jpeg + bytes(5000)),
    "another JPEG after it": _changed(_PHOTOGRAPH, lambda jpeg: jpeg + encode(GREY)),
    "no end marker": _changed(_COLOUR, lambda jpeg: jpeg.removesuffix(EOI)),
    "padding before the end": _changed(_COLOUR, lambda jpeg: jpeg[:-2] + bytes(64) + EOI),
    "several frames": _made(_several_frames),
    "CMYK": _cmyk(),
    "CMYK, progressive": _cmyk("", "progressive"),
    "CMYK with EXIF and a profile": _made(_photograph_in_cmyk),
    "CMYK, C at full size": _cmyk("2x2,1x1,1x1,1x1"),
    **{
        f"YCCK, {name}": _cmyk(f"{SAMPLINGS[name]},{SAMPLINGS[name][:3]}", "ycck")
        for name in ("4:4:4", "4:2:2", "4:2:0", "4:1:1")
    },
    "YCCK, K subsampled": _cmyk("2x2,1x1,1x1,1x1", "ycck"),
    "YCCK, arithmetic": _cmyk("", "ycck", "arithmetic"),
}

# What is refused, with words of the message.
BAD: dict[str, tuple[Maker, str]] = {
    "CMYK, cut": (_changed(_cmyk(), lambda jpeg: jpeg[:-200]), "--allow-damaged"),
    "CMYK, too large": (
        _changed(_cmyk("", "ycck"), lambda jpeg: claiming(jpeg, 60000, 60000)),
        "more than the limit of 134217728",
    ),
    "empty": (lambda _: b"", "empty"),
    "text": (lambda _: b"no image at all\n" * 9, "not a JPEG"),
    "start marker alone": (lambda _: b"\xff\xd8", "damaged JPEG"),
    "header alone": (_changed(_COLOUR, lambda jpeg: jpeg[: jpeg.index(SOS)]), "damaged JPEG"),
    "cut": (_changed(_COLOUR, lambda jpeg: jpeg[:-200]), "--allow-damaged"),
    "progressive, no end marker": (
        _changed(_stock("", "progressive"), lambda jpeg: jpeg.removesuffix(EOI)),
        "--allow-damaged",
    ),
    "two and a half times the chroma": (
        _changed(_stock("2x1,2x1,1x1"), lambda jpeg: _with_sampling_of_luma(jpeg, 0x31)),
        "ratio that is not whole",
    ),
    "12 bits": (_changed(_COLOUR, lambda jpeg: _with_frame(jpeg, 4, 12)), "precision"),
    "lossless": (_changed(_COLOUR, lambda jpeg: _with_frame(jpeg, 1, 0xC3)), "SOF"),
    "no rows": (_changed(_COLOUR, lambda jpeg: claiming(jpeg, 0, 56)), "Empty JPEG"),
    "too large": (
        _changed(_COLOUR, lambda jpeg: claiming(jpeg, 60000, 60000)),
        "more than the limit of 134217728",
    ),
}
