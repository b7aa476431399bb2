"""Cards say what manifests say, and every shipped bundle has what a card needs."""

import re
from typing import Any

import pytest
from tests.runtime.command_line import CommandLine

from jpegrt.runtime.bundle import list_bundles
from jpegrt.runtime.model_card import model_card

SHIPPED = {bundle.name: bundle for bundle in list_bundles()}


def small(**changes: Any) -> dict[str, Any]:
    def losses(luma: float, chroma: float) -> dict[str, Any]:
        return {"psnr_loss_db": {"luma": {"10": 0.001, "40": luma}, "chroma": {"10": chroma}}}

    manifest: dict[str, Any] = {
        "model": "small",
        "summary": "a network",
        "network": "two layers",
        "licence": "CC0",
        "scale": 2,
        "domain": "luma",
        "parameters": 12345,
        "multiply_adds_per_px": 6789,
        "training": {
            "images": ["photos: 3, CC0", "more: 2, Unsplash"],
            "recipes": ["small-best"],
            "steps": 4000,
            "minutes": 12.5,
            "hardware": "one core",
            "history": "in one go",
        },
        "default_precision": "fp32",
        "precisions": {"fp32": {"verification": {"onnxruntime": {"luma": losses(-1e-7, 0.0004)}}}},
        "rejected_precisions": {
            "int8": {
                "verification": {
                    "openvino": {"luma": losses(0.0712, 0.02), "other": losses(0.01, 0.031)}
                }
            }
        },
        "quality": [
            {
                "set": "Set5",
                "source": "as a paper's Table 3",
                "engine": "onnxruntime",
                "qualities": [40, None],
                "jpeg_psnr_db": [29.98, 33.65],
                "psnr_db": [30.9, 34.0],
                "worst_gain_db": [0.25, -0.125],
                "published": {"TheirNet": [31.68, None]},
            }
        ],
        "limits": "it is small",
        "precisions_on_sets": [
            {
                "precision": "int8-symmetric",
                "engine": "float16 rounded",
                "set": "live1",
                "images": 29,
                "crop_px": 256,
                "qualities": [10, 40],
                "passed": False,
                "loss_db": 0.12345,
                "tolerance_db": 0.1,
                "largest_bias": 0.0206,
            }
        ],
    }
    return manifest | changes


def test_a_card_says_it_all() -> None:
    card = model_card(small())
    for line in (
        "# small",
        "A network.",
        "| network | two layers |",
        "| takes | luma, enlarges 2 times; small rule |",
        "| cost | 12,345 parameters, 6,789 multiply-adds a luma pixel of the input |",
        "| licence | CC0 |",
        "| images and their terms | photos: 3, CC0; more: 2, Unsplash |",
        "| recipes | small-best |",
        "| steps | 4,000 |",
        "| time | 12.5 minutes |",
        "| hardware | one core |",
        "In one go.",
        "| fp32 | onnxruntime | 0.001 | 0.000 | - | default |",
        "| int8 | openvino | 0.071 | 0.031 | - | failed: left out |",
        (
            "| int8-symmetric | float16 rounded | live1, 29 images | 256 x 256 | Q10 Q40 | 0.123 "
            "| 0.021 | fails: 0.1 allowed |"
        ),
        "| Set5 (as a paper's Table 3) | Q40 | uncompressed |",
        "| bicubic | 29.98 | 33.65 |",
        "| small, onnxruntime | 30.90 (+0.92) | 34.00 (+0.35) |",
        "| least gain of an image | +0.25 | -0.12 |",
        "| TheirNet, published | 31.68 | - |",
        "It is small.",
    ):
        assert line in model_card(small(colour_rule="small rule")).splitlines(), line
    assert card.splitlines()[-1] == "It is small."


def test_what_a_manifest_lacks_is_said() -> None:
    card = model_card(small(training={}, quality=[], limits=""))
    for fact in ("images and their terms", "steps", "time", "hardware"):
        assert f"| {fact} | not stated |" in card
    assert "## Figures\n\nNot stated." in card
    assert "Where it loses" not in card


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_bundles_have_what_a_card_needs(name: str) -> None:
    manifest = SHIPPED[name].manifest
    training = manifest["training"]
    for key in ("summary", "network", "licence", "limits", "quality"):
        assert manifest[key], key
    for key in ("images", "degradation", "recipes", "objective", "minutes", "hardware"):
        assert training[key], key
    assert training.get("steps") or "steps" in training["history"]
    for images in training["images"]:  # each set with its terms
        assert re.fullmatch(r"[\w-]+: .*(licence|Commons|CC0|domain).*", images), images


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_cards_are_those_of_their_manifests(jpegrt: CommandLine, name: str) -> None:
    """Written by jpegrt models NAME --card > .../NAME/README.md"""
    outcome = jpegrt("models", name, "--card")
    assert (outcome.code, outcome.err) == (0, "")
    assert (SHIPPED[name].folder / "README.md").read_text() == outcome.out
    assert "not stated" not in outcome.out.replace("| steps | not stated |", "")


PUBLISHED = {
    "jscnn": ("jscnn's Table 2", "JSCNN"),
    "jscnn-x2": ("jscnn's Table 3", "JSCNN"),
    "jscnn-x3": ("jscnn's Table 3", "JSCNN"),
    "jscnn-x4": ("jscnn's Table 3", "JSCNN"),
    "hrcnn": ("hrcnn's Table II", "HR-CNN"),
    "cjpgsr-x4": ("cjpgsr's Table 1", "C-JPG SR"),
    "carsr-x2": ("carsr's Table 3", "Proposed"),
    "cisr-tiny-x2": ("cisr's Table 2", "CISR-PSI tiny"),
}


def test_every_published_network_is_known() -> None:
    assert set(PUBLISHED) == {name for name in SHIPPED if not name.startswith("cellnet")}


@pytest.mark.parametrize("name", PUBLISHED)
def test_cards_of_published_networks_have_the_paper_s_figures(name: str) -> None:
    table, network = PUBLISHED[name]
    card = model_card(SHIPPED[name].manifest)
    assert f"as {table}" in card
    assert f"| {network}, published |" in card
