"""Which model `jpegrt restore` runs."""

from jpegrt.runtime.auto_session import AUTO
from jpegrt.runtime.bundle import find_bundle, find_bundle_folder, name_of_scale
from jpegrt.runtime.errors import UsageError

DEFAULT_MODEL = AUTO
ENLARGING_MODEL = "jscnn"
SCALES = (1, 2, 3, 4)


def choose_model(name: str | None, scale: int | None) -> str:
    """A model that enlarges `scale` times: the one named, or that of its name and the scale, such as
    jscnn-x2 for jscnn; the default one of the scale if none is named, or AUTO is; None leaves the
    scale to it.

    Raises UsageError if the named model enlarges differently, or there is none that does so.
    """
    if name is None or name == AUTO:
        return DEFAULT_MODEL if scale is None or scale == 1 else _default_of(scale)
    if scale is None:
        return name
    if scale > 1 and find_bundle_folder(of_scale := name_of_scale(name, scale)):
        return of_scale
    found = 1 if name == "none" else find_bundle(name).spec.enlargement
    if found != scale:
        raise UsageError(
            f"model {name} enlarges {found} times, not {scale}: leave --model or --scale out"
        )
    return name


def _default_of(scale: int) -> str:
    name = name_of_scale(ENLARGING_MODEL, scale)
    if not find_bundle_folder(name):
        raise UsageError(
            f"no shipped model enlarges {scale} times: name the folder of one with --model"
        )
    return name
