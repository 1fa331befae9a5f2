from __future__ import annotations

import random
import threading
import time
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloudops.engine import job, logs

from .jobs import python


def write(directory: Path, **files: list[tuple[float, str]]) -> Path:
    (directory / "logs").mkdir(exist_ok=True, parents=True)
    for name, lines in files.items():
        text = "".join(f"{stamp:.6f} {line}\n" for stamp, line in lines)
        (directory / "logs" / f"{name.replace('_', '-')}.log").write_bytes(text.encode())
    return directory


def texts(records) -> list[str]:
    return [record.text for record in records]


def test_lines_of_all_ranks_come_by_time(tmp_path):
    write(tmp_path, rank_0=[(1.0, "a"), (3.0, "c")], rank_10=[(2.0, "b"), (4.0, "")], b_1=[(2.5, "other")])
    records = list(logs.read(tmp_path))
    assert texts(records) == ["a", "b", "other", "c", ""]
    assert [record.rank for record in records] == [0, 10, 0, 0, 10]
    assert [record.source for record in records] == ["rank-0", "rank-10", "b-1", "rank-0", "rank-10"]
    assert records[2].time == 2.5


def test_odd_lines_are_given_as_they_are(tmp_path):
    (tmp_path / "logs").mkdir()
    content = (
        b"1.5 tab\tand \xff bytes\r\n1.6 two  blanks \n1.7 line\xe2\x80\xa8separator\x0b\x0c\x1c.\nno stamp\n1.8 cut"
    )
    (tmp_path / "logs" / "rank-0.log").write_bytes(content)
    assert texts(logs.read(tmp_path)) == [
        "tab\tand � bytes\r",
        "two  blanks ",
        "line\u2028separator\x0b\x0c\x1c.",
        "no stamp",
        "cut",
    ]


LINES = st.lists(
    st.tuples(
        st.floats(1e9, 2e9).map(lambda value: round(value, 6)), st.sampled_from(["", "x", "é" * 40, "y" * 70000])
    ),
    max_size=40,
)


@settings(max_examples=60, deadline=None)
@given(LINES, LINES, st.integers(0, 90), st.floats(1e9, 2e9))
def test_tail_and_since_agree_with_reading_everything(tmp_path_factory, first, second, tail, since):
    folder = write(tmp_path_factory.mktemp("logs"), rank_0=sorted(first), rank_1=sorted(second))
    everything = list(logs.read(folder))
    assert len(everything) == len(first) + len(second)
    # Of equal times, which rank comes last is open; the times are not.
    wanted = everything[len(everything) - min(tail, len(everything)) :]
    assert [record.time for record in logs.read(folder, tail=tail)] == [record.time for record in wanted]
    late = [record for record in everything if record.time >= since]
    assert list(logs.read(folder, since=since)) == late
    assert [record.time for record in logs.read(folder, since=since, tail=tail)] == [
        record.time for record in late[len(late) - min(tail, len(late)) :]
    ]


def test_since_finds_lines_at_exactly_that_time(tmp_path):
    stamps = sorted(random.Random(1).choices(range(1000, 1010), k=200))
    write(tmp_path, rank_0=[(float(stamp), str(number)) for number, stamp in enumerate(stamps)])
    for since in range(999, 1012):
        assert texts(logs.read(tmp_path, since=since)) == [str(n) for n, stamp in enumerate(stamps) if stamp >= since]


def test_the_tail_of_a_large_log_is_read_from_its_end(tmp_path):
    # A sparse file of 4 GB: reading all of it would take far longer, and its holes would not be lines.
    (tmp_path / "logs").mkdir()
    with (tmp_path / "logs" / "rank-0.log").open("wb") as file:
        file.seek(4 << 30)
        file.write(b"\n" + b"".join(b"%d.0 line %d\n" % (number, number) for number in range(30)))
    began = time.perf_counter()
    assert texts(logs.read(tmp_path, tail=20)) == [f"line {number}" for number in range(10, 30)]
    assert time.perf_counter() - began < 1


def test_follow_gives_each_line_once_until_the_end(tmp_path):
    write(tmp_path, rank_0=[(1.0, "first"), (2.0, "second")])
    rounds = iter(range(100))
    steps = {
        0: lambda: _append(tmp_path, "rank-0", "3.0 third\n4.0 half"),
        1: lambda: _append(tmp_path, "rank-1", "3.5 another rank\n"),
        2: lambda: _append(tmp_path, "rank-0", " of it\n"),
        4: lambda: _append(tmp_path, "rank-0", "5.0 last, without an end"),
    }
    ended = []

    def sleep(_seconds: float) -> None:
        number = next(rounds)
        steps.get(number, lambda: None)()
        if number == 4:
            ended.append(True)

    followed = logs.follow(tmp_path, done=lambda: bool(ended), sleep=sleep)
    assert texts(followed) == ["first", "second", "third", "another rank", "half of it", "last, without an end"]


def _append(folder: Path, name: str, text: str) -> None:
    with (folder / "logs" / f"{name}.log").open("a") as file:
        file.write(text)


@pytest.mark.parametrize(("tail", "expected"), [(1, ["b", "c"]), (0, ["c"]), (None, ["a", "b", "c"])])
def test_follow_from_the_tail(tmp_path, tail, expected):
    write(tmp_path, rank_0=[(1.0, "a"), (2.0, "b")])
    ended = []

    def sleep(_seconds: float) -> None:
        _append(tmp_path, "rank-0", "3.0 c\n")
        ended.append(True)

    assert texts(logs.follow(tmp_path, tail=tail, done=lambda: bool(ended), sleep=sleep)) == expected


def test_follow_since_a_time(tmp_path):
    write(tmp_path, rank_0=[(1.0, "a"), (2.0, "b")])
    assert texts(logs.follow(tmp_path, since=1.5, done=lambda: True)) == ["b"]


def test_follow_starts_before_there_is_a_log(tmp_path):
    ended = []

    def sleep(_seconds: float) -> None:
        write(tmp_path, rank_0=[(1.0, "a")])
        ended.append(True)

    assert texts(logs.follow(tmp_path, done=lambda: bool(ended), sleep=sleep)) == ["a"]


def test_following_a_job_delivers_lines_as_they_come_and_all_of_them(jobs):
    code = """
        import time
        for i in range(20):
            print(i); time.sleep(0.02)
        print('last', end='')
    """
    folder = jobs.start(python(code))
    seen: list[tuple[str, float]] = []
    follower = threading.Thread(
        target=lambda: seen.extend(
            (record.text, time.time()) for record in logs.follow(folder, done=lambda: job.read(folder).final, poll=0.02)
        )
    )
    follower.start()
    follower.join(20)
    assert [text for text, _ in seen] == [*map(str, range(20)), "last"]
    assert seen[-1][1] - seen[0][1] > 0.1, "they came all at once"


def test_a_job_that_prints_100_mb_does_not_wait_for_its_log(jobs):
    # As scripts print: one line at a time, flushed when the pipe's buffer is full.
    code = """
        import sys
        line = 'epoch 12 step 3456 loss 0.123456 accuracy 0.987654 learning rate 0.000123 eta 01:23:45'
        for _ in range(100_000_000 // (len(line) + 1)):
            print(line)
        print('[cloudops] metric name=done value=1')
    """
    folder = jobs.start(python(code), env={"PYTHONUNBUFFERED": ""}, secrets={"TOKEN": "not in there at all"})
    state = job.wait(folder, 60, poll=0.02)
    assert state.phase == "succeeded"
    assert state.ended - state.started < 15
    assert (folder / "logs" / "rank-0.log").stat().st_size > 118_000_000
    assert texts(logs.read(folder, tail=1)) == ["[cloudops] metric name=done value=1"]
    assert [line.name for line in job.metrics(folder)] == ["done"]
    (folder / "logs" / "rank-0.log").unlink()
