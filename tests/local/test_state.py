"""The index is made again of the folders beside it where it was lost."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from cloudops_local.layout import Layout

from cloudops.errors import NotFound, ProviderError
from cloudops.refs import Phase
from cloudops.session import Session
from cloudops.testing.projects import deployment, job


def lose(layout: Layout) -> None:
    for path in layout.base.glob("state.db*"):
        path.unlink()


def test_what_runs_is_still_there_when_the_index_is_lost(connect: Callable[[], Session], layout: Layout) -> None:
    session = connect()
    done = session.train(job("model", "2"))
    done.wait()
    endpoint = session.deploy(deployment("small"))
    endpoint.wait()
    before = [(item.ref, item.phase, item.project, item.step) for item in session.created()]
    assert len(before) == 2
    lose(layout)
    assert [(item.ref, item.phase, item.project, item.step) for item in connect().created()] == before
    lose(layout)
    assert connect().train(job("model", "2")) == done
    lose(layout)
    assert endpoint.status().phase is Phase.READY
    lose(layout)
    connect().down()
    assert connect().created() == []
    with pytest.raises(NotFound):
        endpoint.status()
    assert not layout.endpoint("small").exists()


def test_a_new_job_does_not_hide_those_that_were_lost(connect: Callable[[], Session], layout: Layout) -> None:
    first = connect().train(job("nothing"))
    first.wait()
    lose(layout)
    second = connect().train(job("model", "3"))
    assert {item.ref for item in connect().jobs()} == {first.ref, second.ref}


def test_a_damaged_index_that_is_moved_away_comes_back(connect: Callable[[], Session], layout: Layout) -> None:
    made = connect().train(job("nothing"))
    made.wait()
    lose(layout)
    layout.database.write_text("not a database, " * 100)
    with pytest.raises(ProviderError, match=r"is damaged: .*; move it away: it is made again") as caught:
        list(connect().jobs())
    assert caught.value.exit_code == 3
    layout.database.unlink()
    assert [item.ref for item in connect().jobs()] == [made.ref]
