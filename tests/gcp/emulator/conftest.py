from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from .rig import Cloud


@pytest.fixture
def cloud(tmp_path: Path) -> Iterator[Cloud]:
    found = Cloud(tmp_path / "cloud")
    yield found
    found.close()
