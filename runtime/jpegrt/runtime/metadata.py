"""What an image file says about its picture beside the pixels, as it came and as it is kept."""

import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace

from PIL import PngImagePlugin, WebPImagePlugin

from jpegrt.runtime.orientation import EXIF_PREFIX, orientation_of_exif, without_orientation

_APP0, _APP1, _APP2, _APP13, _COM = 0xE0, 0xE1, 0xE2, 0xED, 0xFE
_SOS, _EOI = 0xDA, 0xD9
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}  # SOF markers; those are DHT, JPG and DAC

XMP_PREFIX = b"http://ns.adobe.com/xap/1.0/\0"
_EXTENDED_XMP = b"http://ns.adobe.com/xmp/extension/\0"
ICC_PREFIX = b"ICC_PROFILE\0"
_PHOTOSHOP = b"Photoshop 3.0\0"  # which holds IPTC


@dataclass(frozen=True)
class Density:
    """Pixels across and down, each per `unit`, as JFIF counts: 0 none (a ratio), 1 inch, 2 cm."""

    x: int
    y: int
    unit: int


@dataclass(frozen=True)
class Metadata:
    """Blocks as they stand in the file.

    size: (width, height) in pixels as the header claims, or None.
    exif: a TIFF structure, without the prefix that JPEGs put before it.
    segments: marker and body of what only another JPEG can hold: extended XMP, IPTC, comments.
    """

    size: tuple[int, int] | None = None
    exif: bytes = b""
    icc: bytes = b""
    xmp: bytes = b""
    density: Density | None = None
    segments: tuple[tuple[int, bytes], ...] = ()

    @property
    def orientation(self) -> int:
        """From 1 (upright) to 8, as EXIF numbers them."""
        return orientation_of_exif(self.exif)

    def turned_upright(self) -> "Metadata":
        """Of the same picture after its pixels were turned, so that nobody turns them again."""
        density = self.density
        if density and self.orientation >= 5:
            density = Density(density.y, density.x, density.unit)
        exif, xmp = without_orientation(self.exif, self.xmp)
        return replace(self, exif=exif, xmp=xmp, density=density)

    def stripped(self) -> "Metadata":
        """Only what changes how the picture looks: its profile, and the shape of its pixels."""
        density = self.density
        if density and density.x == density.y:
            density = None
        return Metadata(self.size, icc=self.icc, density=density)


def read_metadata(content: bytes) -> Metadata:
    """Of a JPEG, PNG or WebP, without decoding it; empty for any other file.

    What is damaged is left out. Bytes after a JPEG's image are not looked at, nor pictures there.
    """
    if content.startswith(b"\xff\xd8"):
        return _of_jpeg(content)
    if content.startswith(b"\x89PNG"):
        return _of_pillow(PngImagePlugin.PngImageFile, content)
    if content[8:12] == b"WEBP":
        return _of_pillow(WebPImagePlugin.WebPImageFile, content)
    return Metadata()


def _segments(jpeg: bytes) -> Iterator[tuple[int, bytes]]:
    """Marker and body of each segment before the first scan."""
    at = 2
    while (at := jpeg.find(b"\xff", at)) >= 0 and at + 4 <= len(jpeg):
        marker = jpeg[at + 1]
        if marker in (_SOS, _EOI):
            return
        if marker in (0x00, 0x01, 0xFF) or 0xD0 <= marker <= 0xD8:  # fill, and markers alone
            at += 1
            continue
        end = at + 2 + int.from_bytes(jpeg[at + 2 : at + 4], "big")
        if end > len(jpeg):
            return
        yield marker, jpeg[at + 4 : end]
        at = end


def _of_jpeg(jpeg: bytes) -> Metadata:
    size = density = None
    exif = xmp = b""
    profile: dict[int, bytes] = {}
    parts = 0
    others = []
    for marker, body in _segments(jpeg):
        if marker == _APP0 and body.startswith(b"JFIF\0") and len(body) >= 12:
            density = _jfif_density(body)
        elif marker == _APP1 and body.startswith(EXIF_PREFIX):
            block = body[len(EXIF_PREFIX) :]
            if not exif or not block.startswith((b"II*\0", b"MM\0*")):  # else another one begins
                exif += block
        elif marker == _APP1 and body.startswith(XMP_PREFIX):
            xmp = xmp or body[len(XMP_PREFIX) :]
        elif marker == _APP2 and body.startswith(ICC_PREFIX) and len(body) > 14:
            parts = body[13]
            profile.setdefault(body[12], body[14:])
        elif marker in _FRAMES and len(body) >= 5:
            height, width = struct.unpack_from(">HH", body, 1)
            size = (width, height)
        elif (
            marker == _COM
            or (marker == _APP1 and body.startswith(_EXTENDED_XMP))
            or (marker == _APP13 and body.startswith(_PHOTOSHOP))
        ):
            others.append((marker, body))
    whole = sorted(profile) == list(range(1, parts + 1))
    icc = b"".join(profile[number] for number in sorted(profile)) if whole else b""
    return Metadata(size, exif, icc, xmp, density, tuple(others))


def _jfif_density(body: bytes) -> Density | None:
    unit, x, y = struct.unpack_from(">BHH", body, 7)
    says_something = unit in (1, 2) or (unit == 0 and x != y)
    return Density(x, y, unit) if says_something and x and y else None


def _of_pillow(
    plugin: type[PngImagePlugin.PngImageFile] | type[WebPImagePlugin.WebPImageFile], content: bytes
) -> Metadata:
    try:
        # The plugin itself: Image.open warns of sizes that a session may allow.
        with plugin(io.BytesIO(content)) as image:
            info = image.info
            exif = bytes(info.get("exif", b"")).removeprefix(EXIF_PREFIX)
            xmp = info.get("xmp", info.get("XML:com.adobe.xmp", b""))
            dpi = info.get("dpi")
            return Metadata(
                image.size,
                exif,
                bytes(info.get("icc_profile") or b""),
                xmp.encode() if isinstance(xmp, str) else bytes(xmp),
                Density(round(dpi[0]), round(dpi[1]), 1) if dpi and min(dpi) >= 1 else None,
            )
    except (OSError, SyntaxError, ValueError, EOFError):  # the session says what is wrong
        return Metadata()
