"""Small synthetic photographs as files, and recipes that train on them in seconds."""

from pathlib import Path

from PIL import Image
from tests.kernels.images import synthetic

RECIPE = """
[network]
architecture = "cellnet"
cell_px = 2
channels = 16
blocks = 1
chroma_channels = 8
chroma_blocks = 1

[data]
sets = ["meadows", "streets"]
patch_px = 32
validation_every = 4

[degradation]
quality = [10, 80]
samplings = {samplings}

[schedule]
part = "{part}"
start_from = "{start_from}"
batch = 4
learning_rate = 5e-3
warmup_steps = 3
ema = 0.9
"""


def write_photographs(folder: Path, count: int, first_seed: int = 0) -> None:
    folder.mkdir()
    for n in range(count):
        large = synthetic(4 * (48 + 8 * n), 4 * 64, seed=first_seed + n)
        # Reduced, so that its noise, which no network can restore, is small.
        Image.fromarray(large).reduce(4).save(folder / f"{n:02}.png")


def write_recipe(folder: Path, *, part: str = "luma", start_from: str = "") -> Path:
    path = folder / f"small-{part}.toml"
    samplings = '["grey"]' if part == "luma" else '["420", "444", "422", "440"]'
    path.write_text(RECIPE.format(part=part, start_from=start_from, samplings=samplings))
    return path
