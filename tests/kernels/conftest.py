"""Fixtures that many tests of the native core share."""

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.kernels.c_programs import Libjpeg
from tests.kernels.devices import Device, build_emulated_driver, open_emulated, open_gpu


@pytest.fixture(scope="session")
def libjpeg(tmp_path_factory: pytest.TempPathFactory) -> Libjpeg:
    return Libjpeg(tmp_path_factory.mktemp("c_programs"))


@pytest.fixture(scope="session")
def emulated_driver(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_emulated_driver(tmp_path_factory.mktemp("emulated_driver"))


@pytest.fixture(params=["emulated", pytest.param("gpu", marks=pytest.mark.gpu)])
def device(request: pytest.FixtureRequest, emulated_driver: Path) -> Iterator[Device]:
    opened = open_gpu() if request.param == "gpu" else open_emulated(emulated_driver)
    yield opened
    gc.collect()  # pipelines that exceptions refer to
    opened.close()
    if opened.emulated:
        assert opened.held == 0
