from __future__ import annotations

import pytest
from cloudops_sagemaker.emulator import cloudwatch_layer

from .rig import Rig


@pytest.fixture(scope="session")
def _shared(tmp_path_factory):
    rig = Rig(tmp_path_factory.mktemp("sagemaker"))
    yield rig
    rig.close()


@pytest.fixture
def rig(_shared):
    """The emulator of this run; what a test leaves of faults is taken back."""
    cloudwatch_layer.install(_shared.emulator._site)  # moto's services belong to the emulator that was made last
    if "data" not in {
        one["Name"] for one in _shared.s3.list_buckets()["Buckets"]
    }:  # moto's state is one for the process: a test had a rig of its own
        _shared.s3.create_bucket(Bucket="data")
    yield _shared
    _shared.faults.clear()
