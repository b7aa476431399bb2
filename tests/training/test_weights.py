"""Weights as files, and networks that grow out of smaller ones."""

import os
from pathlib import Path

import pytest
import torch

from jpegrt.training import weights
from jpegrt.training.average import WeightAverage
from jpegrt.training.networks.cellnet import CellNet
from jpegrt.training.weights import find_weights, load_grown, load_weights, save_weights


def network(channels: int = 6, blocks: int = 1, chroma_channels: int = 6) -> CellNet:
    made = CellNet(2, channels, blocks, chroma_channels, 1)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.uniform_(-0.3, 0.3)
    return made


def test_weights_survive_in_half_precision(tmp_path: Path) -> None:
    saved, loaded = network(), network()
    save_weights(saved, tmp_path / "a.safetensors")
    load_weights(loaded, tmp_path / "a.safetensors")
    assert os.listdir(tmp_path) == ["a.safetensors"]
    for one, other in zip(saved.parameters(), loaded.parameters(), strict=True):
        assert other.dtype == torch.float32
        assert torch.equal(one.half(), other.half())


def test_another_networks_weights_are_refused(tmp_path: Path) -> None:
    save_weights(network(channels=8), tmp_path / "a.safetensors")
    said = r"weights of recipe a .* do not fit this network: .* is 8.* in the file, 6"
    with pytest.raises(ValueError, match=said):
        load_weights(network(channels=6), tmp_path / "a.safetensors")
    with pytest.raises(ValueError, match=r"blocks\.1\..* is absent in the file"):
        load_weights(network(channels=8, blocks=2), tmp_path / "a.safetensors")


def test_a_network_cannot_grow_smaller(tmp_path: Path) -> None:
    save_weights(network(channels=8, blocks=2), tmp_path / "a.safetensors")
    said = "weights of recipe a .* do not fit this network"
    for smaller in (network(channels=6, blocks=2), network(channels=8, blocks=1)):
        with pytest.raises(ValueError, match=said):
            load_grown(smaller, tmp_path / "a.safetensors")


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").write_bytes(b"damaged")
    for load in (load_weights, load_grown):
        with pytest.raises(ValueError, match=r"a\.safetensors is no safetensors file"):
            load(network(), tmp_path / "a.safetensors")


@pytest.mark.parametrize(("channels", "blocks"), [(6, 1), (10, 1), (6, 3), (10, 3)])
def test_a_grown_network_answers_as_the_small_one(
    tmp_path: Path, channels: int, blocks: int
) -> None:
    small, grown = network(), CellNet(2, channels, blocks, 6, 1)
    save_weights(small, tmp_path / "a.safetensors")
    load_weights(small, tmp_path / "a.safetensors")  # rounded, as the grown one's are
    load_grown(grown, tmp_path / "a.safetensors")
    luma, chroma, steps = (
        torch.rand(1, 4, 8, 8) - 0.5,
        torch.rand(1, 2, 8, 8) - 0.5,
        1 + torch.rand(1, 192),
    )
    expected = small.forward_colour(luma, chroma, steps, "420")
    found = grown.forward_colour(luma, chroma, steps, "420")
    for one, other in zip(expected, found, strict=True):
        torch.testing.assert_close(other, one, atol=1e-5, rtol=0)


def test_a_runs_weights_come_before_shipped_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weights, "WEIGHTS", tmp_path / "shipped")
    shipped, own = (tmp_path / "shipped" / "a.safetensors", tmp_path / "a" / "a.safetensors")
    with pytest.raises(FileNotFoundError, match="jpegrt train a"):
        find_weights("a", tmp_path)
    for path in (shipped, own):
        path.parent.mkdir()
        path.touch()
        assert find_weights("a", tmp_path) == path


def test_the_average_follows_and_lags() -> None:
    followed = network()
    average = WeightAverage(followed, decay=0.5)
    first = followed.luma.stem.weight.detach().clone()
    with torch.no_grad():
        followed.luma.stem.weight.add_(1)
    average.update(followed, step=0)  # decay grows from 1 / 10
    torch.testing.assert_close(average.network.luma.stem.weight, first + 0.9)
    average.update(followed, step=1000)
    torch.testing.assert_close(average.network.luma.stem.weight, first + 0.95)
    assert not any(p.requires_grad for p in average.network.parameters())
