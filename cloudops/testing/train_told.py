"""What a job tells: its log, its metrics, its model and where that comes from."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import pytest

from cloudops.errors import NotFound
from cloudops.provider import Capability
from cloudops.refs import Phase

from .contract import Contract, requires
from .projects import job

if TYPE_CHECKING:
    from cloudops.refs import LogLine

    from .rig import Rig

_MEGABYTES = 100


class TrainTold(Contract):
    """See :class:`cloudops.testing.TrainContract`."""

    @pytest.fixture(scope="class")
    @classmethod
    def log(cls, rig: Rig) -> list[LogLine]:
        """The log of a job that prints what is hard to read."""
        return list(rig.train(rig.session(), job("lines")).logs())

    def test_a_log_is_complete_and_in_order(self, log: list[LogLine]) -> None:
        texts = [line.text for line in log]
        assert [text for text in texts if text.startswith("line ")] == [f"line {number}" for number in range(500)]
        assert "to standard error" in texts
        assert "the last line has no end" in texts

    def test_a_line_printed_in_parts_is_one_line(self, log: list[LogLine]) -> None:
        assert "half a line, half a é" in [line.text for line in log]

    def test_unicode_is_kept_and_what_is_no_text_does_no_harm(self, log: list[LogLine]) -> None:
        texts = [line.text for line in log]
        assert "unicode: é ü 漢字 🎈" in texts
        assert any(text.startswith("not ") and text.endswith(" UTF-8") for text in texts)

    def test_a_long_line_is_kept(self, log: list[LogLine]) -> None:
        assert sum(line.text.count("l" * 1000) for line in log) >= 50

    def test_lines_have_times_and_a_source(self, log: list[LogLine]) -> None:
        times = [line.time for line in log]
        assert times == sorted(times)
        assert all(abs(time.time() - each) < 3600 for each in times)
        assert {line.source for line in log} == {"rank-0"}

    def test_a_tail_is_the_end_of_the_log(self, rig: Rig) -> None:
        done = rig.train(rig.session(), job("lines"))
        texts = [line.text for line in done.logs()]
        assert [line.text for line in done.logs(tail=3)] == texts[-3:]
        assert [line.text for line in done.logs(tail=len(texts) + 10)] == texts

    @requires(Capability.LOG_FOLLOW)
    def test_following_shows_lines_while_the_job_runs(self, rig: Rig) -> None:
        running = rig.session().train(job("slow_lines"))
        arrived: dict[str, Phase] = {}
        for line in running.logs(follow=True):
            arrived[line.text] = running.status().phase
        assert arrived["first"] is Phase.RUNNING
        assert "last" in arrived
        assert rig.ended(running) is Phase.SUCCEEDED

    @requires(Capability.LOG_FOLLOW)
    def test_following_after_the_end_gives_all_and_ends(self, rig: Rig) -> None:
        done = rig.train(rig.session(), job("slow_lines"))
        assert [line.text for line in done.logs(follow=True)] == [line.text for line in done.logs()]

    def test_a_hundred_megabytes_of_log(self, rig: Rig) -> None:
        """Nothing is lost, and the end is found without reading all of it."""
        if not rig.big_logs:
            rig.cannot(f"take a log of {_MEGABYTES} MB")
        done = rig.train(rig.session(), job("much", str(_MEGABYTES)))
        begun = time.monotonic()
        assert [line.text for line in done.logs(tail=1)] == ["the end of it"]
        assert time.monotonic() - begun < 2
        assert sum(len(line.text) + 1 for line in done.logs()) >= _MEGABYTES * 1_000_000

    def test_metrics_come_in_order_with_their_steps(self, rig: Rig) -> None:
        done = rig.train(rig.session(), job("metrics"))
        rig.until(done.metrics, lambda points: len(points) == 6, "six metric points")
        points = done.metrics()
        assert [(p.step, p.value) for p in points if p.name == "loss"] == [(n, 1.0 / (n + 1)) for n in range(5)]
        assert done.final_metrics() == {"loss": 0.2, "accuracy": 0.9375}
        assert all(p.time is None or abs(time.time() - p.time) < 3600 for p in points)

    def test_a_model_knows_where_it_comes_from(self, rig: Rig) -> None:
        session = rig.session()
        spec = job("model", "${{params.scale}}", params={"scale": 4}, inputs={"table": "data/part-1.csv"})
        done = rig.train(session, spec)
        info = done.model().info()
        assert info.lineage["project"] == session.project
        assert dict(info.lineage["params"]) == {"scale": 4}
        assert set(info.lineage["data"]) == {"table"}
        assert {"code", "intent", "spec", "environment"} <= set(info.lineage)
        assert info.metrics == {"score": 0.4}
        assert info.ref is not None
        assert session.attach(str(info.ref)).ref == info.ref

    def test_a_version_follows_code_data_and_parameters(self, rig: Rig) -> None:
        """Each of them, changed, makes another job with another version of just that; changed back, the first job."""
        session = rig.session()
        table, script = session.root / "data" / "part-1.csv", session.root / "code" / "job.py"

        def lineage(scale: int) -> tuple[str, str, str]:
            spec = job("model", "${{params.scale}}", params={"scale": scale}, inputs={"table": "data/part-1.csv"})
            done = rig.train(session, spec)
            found = done.model().info().lineage
            return done.uri, found["code"], found["data"]["table"]

        first = lineage(4)
        other_params = lineage(5)
        before = table.read_text()
        table.write_text("x,y\n7,7\n")
        other_data = lineage(4)
        table.write_text(before)
        script.write_text(script.read_text() + "\n# changed\n")
        other_code = lineage(4)
        assert len({first[0], other_params[0], other_data[0], other_code[0]}) == 4
        assert first[1:] == other_params[1:]
        assert first[1] == other_data[1] != other_code[1]
        assert first[2] == other_code[2] != other_data[2]

    def test_jobs_and_models_are_listed_newest_first(self, rig: Rig) -> None:
        session = rig.session()
        first = rig.train(session, job("model", "1"))
        second = rig.train(session, job("model", "2"))
        third = rig.train(session, job("nothing"))
        assert [item.ref for item in session.jobs()] == [third.ref, second.ref, first.ref]
        assert {(item.project, item.step, item.phase) for item in session.jobs()} == {
            (session.project, "train", Phase.SUCCEEDED)
        }
        models = list(session.models())
        assert [model.ref for model in models] == [second.model().ref, first.model().ref]
        assert [model.metrics for model in models] == [{"score": 0.2}, {"score": 0.1}]

    def test_a_job_without_a_model_has_none(self, rig: Rig) -> None:
        done = rig.train(rig.session(), job("nothing"))
        with pytest.raises(NotFound):
            done.model()
