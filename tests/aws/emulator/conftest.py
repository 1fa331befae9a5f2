from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from .rig import Rig


@pytest.fixture(scope="module")
def _current(tmp_path_factory) -> Iterator[Callable[[], Rig]]:
    """The emulator of these tests. moto's state is one for the process: where a test had another emulator, a new one."""
    made: list[Rig] = []

    def current() -> Rig:
        if not made or not any(one["Name"] == "data" for one in made[-1].s3.list_buckets()["Buckets"]):
            made.append(Rig(tmp_path_factory.mktemp("sagemaker")))
        return made[-1]

    yield current
    for rig in made:
        rig.close()


@pytest.fixture
def rig(_current: Callable[[], Rig]) -> Iterator[Rig]:
    """The emulator; what a test leaves of faults is taken back."""
    found = _current()
    yield found
    found.faults.clear()
