"""JPEGs as cameras and editors leave them, made by Pillow: with EXIF, a profile and XMP."""

import io
import struct

import numpy as np
from PIL import Image, ImageCms, ImageOps
from tests.kernels.images import Pixels

XMP = (
    b'<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF '
    b'xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#"><rdf:Description rdf:about="" '
    b'xmlns:tiff="http://ns.adobe.com/tiff/1.0/" tiff:Orientation="%d"/></rdf:RDF></x:xmpmeta>'
    b'<?xpacket end="w"?>'
)
_LAB_OF_INKS = bytes(
    value
    for inks in np.ndindex(2, 2, 2, 2)
    for value in (round(255 * (1 - sum(inks[:3]) / 6) * (1 - inks[3])), 128 + 40 * inks[1], 128)
)


def _ink_profile() -> bytes:
    """A printer's, of C, M, Y and K: one table (ICC.1:2010, 10.9) of two points along each."""
    matrix = struct.pack(">9i", *(65536 * np.eye(3, dtype=int)).ravel())
    straight = bytes(range(256))
    table = b"mft1" + bytes(4) + bytes((4, 3, 2, 0)) + matrix
    table += 4 * straight + _LAB_OF_INKS + 3 * straight
    size = 128 + 4 + 12 + len(table)
    header = struct.pack(">I4sI4s4s4s", size, b"lcms", 0x02400000, b"prtr", b"CMYK", b"Lab ")
    header += bytes(12) + b"acsp" + bytes(28) + struct.pack(">3i", 63190, 65536, 54061)
    return header.ljust(128, b"\0") + struct.pack(">I4sII", 1, b"A2B0", 144, len(table)) + table


INK_PROFILE = _ink_profile()
PROFILE = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


def exif_of(orientation: int, *, thumbnail: bytes = b"") -> bytes:
    """A TIFF structure with camera, exposure, maker's note and place."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    exif[0x010F] = "A maker of cameras"
    exif[0x9C9B] = "title".encode("utf-16le")  # in the first directory, and private
    camera = exif.get_ifd(0x8769)
    camera[0x829A] = 0.005  # seconds of exposure
    camera[0x9003] = "2024:05:06 07:08:09"
    camera[0x927C] = b"a maker's note" * 9
    camera[0xA005] = {1: "R98"}  # interoperability
    place = exif.get_ifd(0x8825)
    place[1], place[2] = "N", (48.0, 8.0, 15.0)
    block = exif.tobytes().removeprefix(b"Exif\0\0")
    return block + thumbnail


def photograph(
    pixels: Pixels,
    *,
    orientation: int = 1,
    dpi: tuple[int, int] | None = (300, 300),
    **more: object,
) -> bytes:
    options: dict[str, object] = {
        "quality": 90,
        "subsampling": 0,
        "exif": b"Exif\0\0" + exif_of(orientation),
        "icc_profile": PROFILE,
        "xmp": XMP % orientation,
        **more,
    }
    file = io.BytesIO()
    if dpi:
        options["dpi"] = dpi
    Image.fromarray(pixels).save(file, "JPEG", **options)
    return file.getvalue()


def with_segment(jpeg: bytes, marker: int, body: bytes) -> bytes:
    """The same file with one more segment before its others, JFIF's apart."""
    segment = bytes((0xFF, marker)) + (2 + len(body)).to_bytes(2, "big") + body
    return jpeg[:20] + segment + jpeg[20:]


def seen(image: Image.Image) -> Pixels:
    """As a viewer that honours EXIF's orientation shows it."""
    return np.asarray(ImageOps.exif_transpose(image))
