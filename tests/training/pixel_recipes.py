"""Recipes that train a small network on pixels in seconds."""

from pathlib import Path

RECIPE = """
[network]
architecture = "jscnn"
channels = 16
units = 1
activation = "{activation}"

[data]
sets = ["meadows", "streets"]
patch_px = 32
validation_every = 4

[degradation]
scales = {scales}
quality = [10, 30]
uncompressed = {uncompressed}

[schedule]
steps = 8
batch = 4
learning_rate = 5e-3
warmup_steps = 3
ema = 0.9
optimizer = "{optimizer}"
loss = "{loss}"
"""


def write_pixel_recipe(
    folder: Path,
    *,
    activation: str = "before",
    scales: tuple[int, ...] = (1, 2, 3),
    uncompressed: float = 0.2,
    optimizer: str = "adam",
    loss: str = "log",
) -> Path:
    path = folder / "small-pixels.toml"
    path.write_text(
        RECIPE.format(
            activation=activation,
            scales=list(scales),
            uncompressed=uncompressed,
            optimizer=optimizer,
            loss=loss,
        )
    )
    return path
