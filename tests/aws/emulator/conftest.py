from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator

import pytest

from .rig import Rig


@pytest.fixture(scope="module")
def _current(tmp_path_factory) -> Iterator[Callable[[], Rig]]:
    """The emulator of these tests: a new one where another test had one, as moto's state is one for the process."""
    made: list[tuple[Rig, str]] = []

    def current() -> Rig:
        if not made or made[-1][1] not in {one["Name"] for one in made[-1][0].s3.list_buckets()["Buckets"]}:
            made.append((Rig(tmp_path_factory.mktemp("sagemaker")), f"mark-{uuid.uuid4().hex}"))
            made[-1][0].s3.create_bucket(Bucket=made[-1][1])
        return made[-1][0]

    yield current
    for rig, _ in made:
        rig.close()


@pytest.fixture
def rig(_current: Callable[[], Rig]) -> Iterator[Rig]:
    """The emulator; what a test leaves of faults is taken back."""
    found = _current()
    yield found
    found.faults.clear()
