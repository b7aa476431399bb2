"""Sessions that choose what is best for every JPEG, by measurement: the model, how much of its
restoration to take, and whether to take an earlier compression into account."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import astuple, replace
from typing import Any

import numpy as np

from jpegrt.kernels import JpegImage, Timings
from jpegrt.kernels.coefficients import CoefficientReader
from jpegrt.runtime.amounts import Amount, amount_at, choose_amount
from jpegrt.runtime.double_quantisation import recentred_jpeg
from jpegrt.runtime.first_compression import can_go_back, first_jpeg, margin, replace_luma
from jpegrt.runtime.recompression import Recompression, find_recompression
from jpegrt.runtime.session import Account, Session, Source, content_of, is_jpeg
from jpegrt.runtime.strength import blend
from jpegrt.runtime.strips import Pixels, Strips
from jpegrt.runtime.tables import estimate_quality

AUTO = "auto"
_USUAL_QUALITY = 75
# Options of a session that are not the network's.
_OF_DECODING = ("threads", "allow_damaged", "max_pixels", "memory")

# Of larger images only the tables are looked at: coefficients take 3 bytes a pixel in 4:2:0.
_LOOK_PX = 1 << 25
_LOOK_BYTES = 4  # a sample: coefficients, and a copy of them
# What going back to the first compression holds, which is done to whole images.
_BACK_BYTES_PER_PX = 32


class AutoSession(Session):
    """Restores every JPEG with the model and the strength that `amounts` has for its tables.

    Files that every model would make worse are decoded plainly. Those that `recompression` finds
    to have been compressed before are restored from that, if its table was coarser, or with that in
    mind, if it was finer; and if the memory is enough to hold them whole. `account` tells what was
    done, and why. Threads may share it.

    strength: for all images, instead of what is best for each; such as no model restores stay
        plain decodes. options: those of `Session`.
    """

    def __init__(self, *, strength: float | None = None, **options: Any) -> None:
        self._models: dict[str, Session] = {}
        self._options = options
        self._fixed_strength = strength
        # Made at once and first, so that what it cannot do is refused at once and in its words.
        usual = self._usual = self._model(amount_at(_USUAL_QUALITY, "420").model)
        of_decoding = {name: options[name] for name in _OF_DECODING if name in options}
        super().__init__("none", strength=1.0 if strength is None else strength, **of_decoding)
        self.model_name, self.precision, self.engine_name = AUTO, usual.precision, usual.engine_name
        self._choosing = threading.Lock()
        self._timings: Callable[[], Timings] = lambda: self._pipeline.timings

    @contextmanager
    def strips(self, source: Source, depth: int = 8) -> Iterator[Strips]:
        """As those of a `Session`; an image that was compressed twice is one strip."""
        content = content_of(source)
        with self._choosing:
            amount = found = None
            if isinstance(content, bytes) and is_jpeg(content):
                with self._explained(content):
                    self._admit_jpeg(content, depth)
                    image = self._read(content)
                found = self._find_first(image)
                amount = choose_amount(image)
                if not found:
                    del image  # whose coefficients take much memory
            if found and isinstance(content, bytes):
                yield Strips.of(self._restore_first(content, image, found, depth))
                return
            session, strength = self._chosen(amount)
            with session.strips_at(strength, content, depth) as strips:
                self._account = replace(session.account, choice=_reason(amount) if amount else None)
                self._timings = lambda: session.timings
                yield strips

    @property
    def timings(self) -> Timings:
        """As a `Session`'s; of an image that was taken back, the sum of its parts."""
        return self._timings()

    def _read(self, content: bytes) -> JpegImage:
        """With its coefficients, unless they are too many to look at. Raises NativeError."""
        reader = CoefficientReader()
        header = reader.read_header(content, max_pixels=self._max_pixels)
        samples = sum(component.width * component.height for component in header.components)
        held = _LOOK_BYTES * samples
        is_large = header.width * header.height > _LOOK_PX or held > self._memory.bytes
        read = reader.read_packed if is_large else reader.read
        return read(content, allow_damaged=self._allow_damaged, max_pixels=self._max_pixels)

    def _find_first(self, image: JpegImage) -> Recompression | None:
        """An earlier compression to go back to."""
        held = _BACK_BYTES_PER_PX * image.width * image.height
        is_seen = (
            image.components[0].blocks is not None
            and len(image.components) < 4
            and held <= self._memory.bytes
        )
        if not is_seen or self._fixed_strength == 0:
            return None
        found = find_recompression(image)
        if not found or not can_go_back(image, found):
            return None
        if found.is_finer and (
            not self._of_luma(image, found)[0].takes_steps
            # It would hold the result to the intervals of the middles, which are narrow.
            or self._options.get("project") is not None
        ):
            return None
        if found.is_finer:
            more_down, more_across = -image.height % 8, -image.width % 8
        else:
            more_down, more_across = margin(found)
        first_px = (image.width + more_across) * (image.height + more_down)
        return found if first_px <= self._max_pixels else None

    def _chosen(self, amount: Amount | None) -> tuple[Session, float]:
        """What restores an image, and how much of that to take. amount: None for what is no JPEG."""
        if amount is None:
            return self._usual, 1.0
        if amount.model == "none":
            return self._usual, 0.0
        return self._model(amount.model), self._strength_of(amount)

    def _of_luma(self, image: JpegImage, found: Recompression) -> tuple[Session, float]:
        """What restores luma that was compressed twice, by the coarser table, and how much of it."""
        table = image.components[0].table
        assert table is not None
        quality = estimate_quality(table).quality if found.is_finer else found.quality
        return self._chosen(amount_at(quality, "grey"))

    def _restore_first(
        self, content: bytes, image: JpegImage, found: Recompression, depth: int
    ) -> Pixels:
        """Restored by what both of two compressions tell."""
        session, strength = self._of_luma(image, found)
        if found.is_finer:
            luma, timings = session.restore_told(*recentred_jpeg(image, found.table))
            restored = luma[: image.height, : image.width]
        else:
            above, before = margin(found)
            luma, timings = session.restore_timed(first_jpeg(image, found), 16)
            restored = luma[above:, before:]
        if len(image.components) > 1:
            of_colour, _ = self._chosen(choose_amount(image))
            rgb, of_whole = of_colour.restore_timed(content, 16)
            replace_luma(rgb, restored)
            restored = rgb
            timings = Timings(*map(sum, zip(astuple(timings), astuple(of_whole), strict=True)))
        with session.strips_at(0, content, depth) as strips:
            pixels = strips.joined()
        blend(pixels, np.ascontiguousarray(restored), strength)
        ran = session.model_name, session.precision, session.engine_name
        self._account = Account(*ran, strength, _way_back(found))
        self._timings = lambda: timings
        return pixels

    def _strength_of(self, amount: Amount) -> float:
        return amount.strength if self._fixed_strength is None else self._fixed_strength

    def _model(self, name: str) -> Session:
        if name not in self._models:
            all_or_none = 0.0 if self._fixed_strength == 0 else 1.0
            self._models[name] = Session(name, strength=all_or_none, **self._options)
        return self._models[name]


def _reason(amount: Amount) -> str:
    like = f"its tables are like those of quality {amount.quality}"
    return f"{like}, which no model makes better" if amount.model == "none" else like


def _way_back(found: Recompression) -> str:
    down, across = found.shift
    grid = f"shifted by {down}, {across}" if down or across else "on the same grid"
    before = f"compressed before at quality {found.quality} or so, {grid}"
    return f"{before}: restored from " + ("what both left" if found.is_finer else "that")


def open_session(model: str, *, strength: float | None = None, **options: Any) -> Session:
    """A session of a model, or an `AutoSession` for "auto".

    strength: None is all of the restoration, or what is best for each image for "auto"; options: those
    of `Session`. Raises UsageError.
    """
    if model == AUTO:
        return AutoSession(strength=strength, **options)
    return Session(model, strength=1.0 if strength is None else strength, **options)
