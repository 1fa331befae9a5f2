from __future__ import annotations

import json
import os
import random
from pathlib import Path

import pytest

from cloudops.engine import router_stats
from cloudops.engine.router_stats import Counts, Recorder, read, summary

HOUR = 3600
NOW = 500_000 * HOUR + 10


def test_percentiles_are_within_two_percent() -> None:
    source = random.Random(7)
    values = sorted(source.lognormvariate(-4, 2) for _ in range(20_000))
    counts = Counts()
    for value in values:
        counts.add(200, value)
    for share in (0.01, 0.5, 0.9, 0.99, 0.999, 1.0):
        exact = values[max(0, -int(-share * len(values) // 1) - 1)]
        assert counts.percentile(share) == pytest.approx(exact, rel=0.02)
    assert Counts().percentile(0.5) is None


def test_merging_is_counting_together() -> None:
    parts, whole = [Counts(), Counts()], Counts()
    for number in range(1000):
        parts[number % 2].add(200 + number % 400, number / 1000)
        whole.add(200 + number % 400, number / 1000)
    parts[0].merge(parts[1])
    assert parts[0] == whole
    assert Counts.from_json(json.loads(json.dumps(whole.to_json()))) == whole


def test_what_was_written_is_read_by_window_and_version(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path / "stats")
    for second in range(10):
        recorder.add(NOW + second + 0.5, "a", 200, 0.1)
        recorder.add(NOW + second + 0.5, "b", 500 if second % 2 else 404, 0.2)
        assert recorder.flush() is None
    a, b = summary(tmp_path / "stats", NOW + 2, NOW + 8)
    assert (a.version, a.requests, a.errors, a.client_errors, a.seconds) == ("a", 6, 0, 0, 6)
    assert (b.requests, b.errors, b.client_errors) == (6, 3, 3)
    assert a.latency_p50 == pytest.approx(0.1, rel=0.02)
    assert b.latency_p99 == pytest.approx(0.2, rel=0.02)
    assert summary(tmp_path / "stats", NOW + 100, NOW + 200) == []
    assert summary(tmp_path / "missing", 0, NOW) == []


def test_two_routers_in_one_second_add_up(tmp_path: Path) -> None:
    for _ in range(2):
        recorder = Recorder(tmp_path)
        recorder.add(NOW, "a", 200, 0.1)
        recorder.flush()
    assert summary(tmp_path, NOW, NOW + 1)[0].requests == 2


def test_past_hours_become_minutes_and_nothing_is_lost(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path)
    start = 500_000 * HOUR
    for second in range(0, 2 * HOUR, 7):
        recorder.add(start + second, "a", 200, 0.001 * (1 + second % 50))
        recorder.flush()
    total = len(range(0, 2 * HOUR, 7))
    assert summary(tmp_path, start, start + 2 * HOUR)[0].requests == total
    first, second = sorted(tmp_path.iterdir())
    assert len(first.read_text().splitlines()) == 60
    assert len(second.read_text().splitlines()) > 500


def test_old_files_go(tmp_path: Path) -> None:
    old = tmp_path / f"{500_000 - 91 * 24}.jsonl"
    recent = tmp_path / f"{500_000 - 89 * 24}.jsonl"
    for path in (old, recent):
        path.write_text('\n{"t": 1, "v": {}}')
    recorder = Recorder(tmp_path)
    recorder.add(NOW, "a", 200, 0.1)
    recorder.flush()
    assert not old.exists()
    assert recent.exists()


def test_torn_and_damaged_lines_are_passed_over(tmp_path: Path) -> None:
    recorder = Recorder(tmp_path)
    recorder.add(NOW, "a", 200, 0.1)
    recorder.flush()
    [path] = tmp_path.iterdir()
    with path.open("ab") as file:
        file.write(b'\n{"t": 1800000000, "v": {"a": [1, 0, 0, {"28')
    recorder.add(NOW + 1, "a", 200, 0.1)
    recorder.flush()
    with path.open("ab") as file:
        file.write(b"\n\xff\xfe\n[]\n7")
    assert summary(tmp_path, NOW, NOW + 10)[0].requests == 2


def test_full_disk_delays_and_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    room = 40
    write = os.write

    def scarce(descriptor: int, data: bytes) -> int:
        nonlocal room
        if room == 0:
            raise OSError(28, "No space left on device")
        done = write(descriptor, data[:room])
        room -= done
        return done

    recorder = Recorder(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(router_stats.os, "write", scarce)
        for second in range(300):
            recorder.add(NOW + second, "a", 200, 0.1)
            assert isinstance(recorder.flush(), OSError)
    assert recorder.flush() is None
    assert summary(tmp_path, NOW, NOW + 300)[0].requests == 300
    assert sum(1 for _ in read(tmp_path, NOW, NOW + 300)) <= 6, "held by the minute"
