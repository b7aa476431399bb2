"""Sampling factors (component by component, HxV) and entropy codings that the tests go through."""

SAMPLINGS = {
    "4:4:4": "1x1,1x1,1x1",
    "4:2:2": "2x1,1x1,1x1",
    "4:4:0": "1x2,1x1,1x1",
    "4:2:0": "2x2,1x1,1x1",
    "4:1:1": "4x1,1x1,1x1",
    "4:1:0": "4x2,1x1,1x1",
    "4:4:4, written as 2x1": "2x1,2x1,2x1",
    "chroma unlike": "2x2,2x1,1x2",
    "luma subsampled": "1x1,2x2,2x2",
    "thirds": "3x1,1x1,1x1",
}

# Flags of `Libjpeg.encode`.
CODINGS: dict[str, tuple[str, ...]] = {
    "baseline": (),
    "optimised": ("optimise",),
    "progressive": ("progressive",),
    "arithmetic": ("arithmetic",),
    "arithmetic progressive": ("arithmetic", "progressive"),
    "separate scans": ("separate",),
    "arithmetic separate scans": ("arithmetic", "separate"),
}
