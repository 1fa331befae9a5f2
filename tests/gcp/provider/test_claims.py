"""A job is created once, whoever asks for it, however often, and whoever dies in between."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cloudops_vertex import names
from cloudops_vertex.claims import LEASE
from cloudops_vertex.errors import Answered, Refused
from cloudops_vertex.trainer import VertexTrainer

from cloudops.errors import InvalidRequest, ProviderError, Throttled

from .google import BUCKET, FakeClient, Google
from .requests import job

NAME = "small-train-0123456789"
CLAIM = f"gs://{BUCKET}/cloudops/small/jobs/{NAME}/claim.json"


def refused(code: str, http: int) -> Refused:
    return Refused(Answered(code, f"{code} it is", http))


def ended_connection() -> Exception:
    import requests

    return requests.ConnectionError("Remote end closed connection without response")


@pytest.fixture
def google() -> Google:
    return Google()


def submit(google: Google, tmp_path: Path) -> FakeClient:
    client = FakeClient(google)
    VertexTrainer(client).submit(job(folder=tmp_path))
    return client


def claimed(google: Google) -> dict[str, Any]:
    return dict(json.loads(google.objects()[CLAIM]))


def test_the_same_name_again_is_the_same_job(google: Google, tmp_path: Path) -> None:
    for _ in range(3):
        submit(google, tmp_path)
    assert len(google.jobs) == 1
    assert claimed(google) == {"job": next(iter(google.jobs))}


def test_of_many_at_once_one_creates_it(google: Google, tmp_path: Path) -> None:
    request = job(folder=tmp_path)
    clients = [FakeClient(google) for _ in range(8)]
    threads = [threading.Thread(target=VertexTrainer(client).submit, args=(request,)) for client in clients]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(google.jobs) == 1


def test_a_claim_whose_owner_died_is_taken_over_after_a_while(google: Google, tmp_path: Path) -> None:
    google.put(CLAIM, b'{"owner": "dead"}')
    client = submit(google, tmp_path)
    assert client.slept == pytest.approx(LEASE)
    assert claimed(google) == {"job": next(iter(google.jobs))}


def test_an_owner_that_died_after_creating_is_found_at_once(google: Google, tmp_path: Path) -> None:
    submit(google, tmp_path)
    google.put(CLAIM, b'{"owner": "dead"}')
    client = submit(google, tmp_path)
    assert (len(google.jobs), client.slept) == (1, 0.0)


def test_a_lost_claim_is_made_again_for_the_job_that_there_is(google: Google, tmp_path: Path) -> None:
    submit(google, tmp_path)
    del google.buckets[BUCKET][CLAIM.partition(f"{BUCKET}/")[2]]
    submit(google, tmp_path)
    assert len(google.jobs) == 1
    assert claimed(google) == {"job": next(iter(google.jobs))}


def test_a_claim_on_a_job_that_was_deleted_is_taken_over_at_once(google: Google, tmp_path: Path) -> None:
    submit(google, tmp_path)
    first = google.jobs.popitem()[0]
    client = submit(google, tmp_path)
    assert list(google.jobs) != [first]
    assert (len(google.jobs), client.slept) == (1, 0.0)


def test_a_claim_whose_answer_was_lost_is_ours(google: Google, tmp_path: Path) -> None:
    class Client(FakeClient):
        lost = False

        def request(self, call: str, method: str, url: str, **given: Any) -> Any:
            answer = super().request(call, method, url, **given)
            if "ifGenerationMatch" in given.get("params", {}) and not self.lost:
                self.lost = True
                raise ended_connection()
            return answer

    client = Client(google)
    VertexTrainer(client).submit(job(folder=tmp_path))
    assert (len(google.jobs), client.slept, client.lost) == (1, 0.0, True)


def test_a_creation_whose_answer_was_lost_is_not_repeated(google: Google, tmp_path: Path) -> None:
    client = FakeClient(google)
    client.fake.lost.append(ended_connection())
    VertexTrainer(client).submit(job(folder=tmp_path))
    assert len(google.jobs) == 1


@pytest.mark.parametrize("error", [ended_connection, lambda: refused("UNAVAILABLE", 503)])
def test_a_creation_that_never_arrived_is_repeated(
    error: Callable[[], Exception], google: Google, tmp_path: Path
) -> None:
    client = FakeClient(google)
    original = client.fake.create
    failures = [error()]

    def create(native: Any) -> Any:
        if failures:
            raise failures.pop()
        return original(native)

    client.fake.create = create  # type: ignore[method-assign]
    VertexTrainer(client).submit(job(folder=tmp_path))
    assert len(google.jobs) == 1


@pytest.mark.parametrize(
    ("error", "kind"),
    [(refused("INVALID_ARGUMENT", 400), InvalidRequest), (refused("RESOURCE_EXHAUSTED", 429), Throttled)],
)
def test_a_refused_creation_leaves_no_claim(
    error: Exception, kind: type[ProviderError], google: Google, tmp_path: Path
) -> None:
    client = FakeClient(google)

    def create(native: Any) -> Any:
        raise error

    client.fake.create = create  # type: ignore[method-assign]
    with pytest.raises(kind):
        VertexTrainer(client).submit(job(folder=tmp_path))
    assert CLAIM not in google.objects()
    assert submit(google, tmp_path).slept == 0.0


def test_an_owner_that_was_only_slow_withdraws_its_job(google: Google, tmp_path: Path) -> None:
    slow = FakeClient(google)
    original = slow.fake.create

    def create(native: Any) -> Any:
        google.put(CLAIM, b'{"owner": "somebody"}')  # taken over, while we sleep
        other = FakeClient(google).fake.create(native)
        google.put(CLAIM, json.dumps({"job": other["name"]}).encode())
        return original(native)

    slow.fake.create = create  # type: ignore[method-assign]
    trainer = VertexTrainer(slow)
    ref = trainer.submit(job(folder=tmp_path))
    assert len(google.jobs) == 1
    assert claimed(google) == {"job": next(iter(google.jobs))}
    assert trainer.status(ref).details["name"] == next(iter(google.jobs))


def test_of_two_jobs_of_one_name_the_claimed_one_counts(google: Google, tmp_path: Path) -> None:
    client = submit(google, tmp_path)
    second = client.fake.create(next(iter(google.jobs.values())))
    assert second["labels"][names.NAME] == NAME
    reader = VertexTrainer(FakeClient(google))
    ref = client.ref("jobs", NAME)
    first = next(iter(google.jobs))
    assert reader.status(ref).details["name"] == first
    google.put(CLAIM, json.dumps({"job": second["name"]}).encode())
    assert VertexTrainer(FakeClient(google)).status(ref).details["name"] == second["name"]


def test_both_of_two_jobs_of_one_name_are_deleted(google: Google, tmp_path: Path) -> None:
    client = submit(google, tmp_path)
    client.fake.create(next(iter(google.jobs.values())))
    VertexTrainer(FakeClient(google)).delete(client.ref("jobs", NAME))
    assert google.jobs == {}


def test_finding_is_one_call(google: Google, tmp_path: Path) -> None:
    submit(google, tmp_path)
    trainer = VertexTrainer(FakeClient(google))
    before = len(google.calls)
    assert trainer.find(NAME) is not None
    assert google.calls[before:] == ["list"]
    assert trainer.status(FakeClient(google).ref("jobs", NAME))
    assert google.calls[before:] == ["list", "get"]
