from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from .serving import Server, client_of, serving


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with serving(tmp_path / "state") as found:
        found.buckets.create("box", project="demo")
        yield found


@pytest.fixture
def client(server: Server) -> Any:
    return client_of(server)


@pytest.fixture
def bucket(client: Any) -> Any:
    return client.bucket("box")
