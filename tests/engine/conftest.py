from __future__ import annotations

import pytest

from .jobs import Jobs


@pytest.fixture
def jobs(tmp_path):
    made = Jobs(tmp_path)
    yield made
    made.end()
