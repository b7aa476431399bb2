"""Fixtures that many tests of the native core share."""

import pytest
from tests.kernels.c_programs import Libjpeg


@pytest.fixture(scope="session")
def libjpeg(tmp_path_factory: pytest.TempPathFactory) -> Libjpeg:
    return Libjpeg(tmp_path_factory.mktemp("c_programs"))
