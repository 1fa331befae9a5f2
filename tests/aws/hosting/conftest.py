from __future__ import annotations

from collections.abc import Iterator

import pytest

from .rig import Cloud


@pytest.fixture
def cloud(tmp_path) -> Iterator[Cloud]:
    """An emulator of its own, behind HTTP on 127.0.0.1."""
    cloud = Cloud(tmp_path)
    yield cloud
    cloud.close()


@pytest.fixture(scope="module")
def shared_cloud(tmp_path_factory) -> Iterator[Cloud]:
    cloud = Cloud(tmp_path_factory.mktemp("cloud"))
    yield cloud
    cloud.close()
