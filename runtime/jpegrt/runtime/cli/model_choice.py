"""Which model `jpegrt restore` runs."""

from jpegrt.runtime.bundle import find_bundle, list_bundles
from jpegrt.runtime.errors import UsageError

DEFAULT_MODEL = "cellnet"
SCALES = (1, 2, 3, 4)


def choose_model(name: str | None, scale: int | None) -> str:
    """The model named, or a shipped one that enlarges `scale` times; None leaves it to the other.

    Raises UsageError if the named model enlarges differently, or none is shipped that does so.
    """
    if name is None:
        return DEFAULT_MODEL if scale in (None, 1) else _shipped_for(scale)
    if scale is not None:
        found = 1 if name == "none" else find_bundle(name).spec.enlargement
        if found != scale:
            raise UsageError(
                f"model {name} enlarges {found} times, not {scale}: leave --model or --scale out"
            )
    return name


def _shipped_for(scale: int | None) -> str:
    by_scale = {bundle.spec.enlargement: bundle.name for bundle in list_bundles()}
    if scale not in by_scale:
        raise UsageError(
            f"no shipped model enlarges {scale} times: name the folder of one with --model"
        )
    return by_scale[scale]
