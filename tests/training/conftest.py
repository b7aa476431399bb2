"""Fixtures that the training's tests share."""

from pathlib import Path

import pytest
import torch
from tests.kernels.c_programs import Libjpeg
from tests.training.photographs import write_photographs


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    """Sums of floats, and so results, depend on how many threads share the work."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def libjpeg(tmp_path_factory: pytest.TempPathFactory) -> Libjpeg:
    return Libjpeg(tmp_path_factory.mktemp("c_programs"))


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder of two sets; read only."""
    folder = tmp_path_factory.mktemp("data")
    write_photographs(folder / "meadows", 5)
    write_photographs(folder / "streets", 4, first_seed=20)
    return folder
