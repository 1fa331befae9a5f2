from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cloudops.engine.log_writer import LINE_LIMIT, AppendFile, Lines, Log, Mask, last_words


def lines_of(*chunks: bytes, mask: Mask | None = None, step: float = 0.0) -> list[bytes]:
    """The lines that a process which wrote those chunks, ``step`` seconds apart, gets."""
    lines = Lines(mask or Mask())
    found = b"".join(lines.feed(chunk, number * step) for number, chunk in enumerate(chunks)) + lines.close()
    assert found == b"" or found.endswith(b"\n")
    return found.split(b"\n")[:-1]


def test_lines_are_whole_wherever_they_were_cut():
    assert lines_of(b"on", b"e\ntwo\nth", b"ree") == [b"one", b"two", b"three"]
    assert lines_of(b"a\n", b"\n", b"b\n") == [b"a", b"", b"b"]
    assert lines_of() == []


def test_characters_that_were_cut_in_half_are_whole_again():
    assert b"\n".join(lines_of(*[bytes([byte]) for byte in "naïve – 漢字\n".encode()])).decode() == "naïve – 漢字"


def test_windows_line_ends_are_line_ends():
    assert lines_of(b"a\r\nb\r", b"\nc\r\n") == [b"a", b"b", b"c"]


def test_of_a_progress_bar_one_state_a_second_is_kept_and_its_last():
    bar = [b"\r%3d%%|#" % percent for percent in range(101)]
    assert lines_of(*bar, b"\n", step=0.001) == [b"  0%|#", b"100%|#"]
    seconds = lines_of(*bar, b"\nend\n", step=0.1)
    assert seconds[-2:] == [b"100%|#", b"end"]
    assert 9 <= len(seconds) <= 13
    assert seconds[:-1] == sorted(seconds[:-1])


def test_a_progress_bar_that_returns_after_each_state():
    bar = [b"%3d%%\r" % percent for percent in range(101)]
    assert lines_of(*bar, step=0.001)[-1] == b"100%"
    assert lines_of(*bar, b"\n", step=0.001)[-1] == b"100%"
    assert lines_of(b"".join(bar) + b"\n") == [b"100%"]
    assert lines_of(b"10%\r20%\r\r\n30%\n") == [b"20%", b"30%"]


def test_a_progress_bar_that_stands_still_is_shown():
    lines = Lines(Mask())
    assert lines.feed(b"\r10%\r20%\r30%", 0.0) == b"20%\n"
    assert lines.feed(b"\r40%\r50%", 0.3) == b""
    assert lines.idle(0.9) == b""
    assert lines.idle(1.1) == b"40%\n"
    assert lines.idle(9.0) == b""
    assert lines.close() == b"50%\n"


def test_long_lines_are_split_between_characters():
    text = ("é" * LINE_LIMIT).encode()
    for chunks in (
        [text[i : i + LINE_LIMIT] for i in range(0, len(text), LINE_LIMIT)],
        [text[:70000], text[70000:] + b"\n"],
    ):
        found = lines_of(*chunks)
        assert b"".join(found) == text
        assert max(map(len, found)) <= LINE_LIMIT
        assert all(line.decode() for line in found)
    bytes_only = b"\x80" * 200_000
    assert b"".join(lines_of(bytes_only[:65536], bytes_only[65536:131072], bytes_only[131072:])) == bytes_only


SECRET = "s3cr3t-välue"


@given(st.lists(st.sampled_from(["plain text", "\n", SECRET, "\r\n", "é"]), max_size=30), st.data())
def test_no_way_of_cutting_changes_the_lines_or_shows_a_secret(parts, data):
    content = "".join(parts).encode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(content)), max_size=8)))
    chunks = [content[start:end] for start, end in zip([0, *cuts], [*cuts, len(content)], strict=True)]
    mask = Mask([SECRET, "s3cr"])
    found = lines_of(*(chunk for chunk in chunks if chunk), mask=mask)
    expected = content.decode().replace(SECRET, "***").replace("\r\n", "\n").split("\n")
    assert b"\n".join(found).decode() == "\n".join(expected[:-1] if expected[-1] == "" else expected)


def test_secrets_that_fill_a_line_without_end_do_not_hang():
    mask = Mask(["abcd"])
    assert b"".join(lines_of(*[b"abcd" * 16384] * 5, mask=mask)) == b"***" * (16384 * 5)


def test_stamped_lines_never_go_back_in_time(tmp_path):
    log = Log(tmp_path / "log")
    log.lines(b"a\nb\n", 5.0)
    assert log.lines(b"c\n", 3.0) == 5.0
    log.note("said\ntwice")
    log.close()
    lines = (tmp_path / "log").read_bytes().split(b"\n")
    assert lines[:3] == [b"5.000000 a", b"5.000000 b", b"5.000000 c"]
    assert lines[3].endswith(b" [cloudops] said twice")


def test_a_log_is_continued(tmp_path):
    for text in (b"a\n", b"b\n"):
        log = Log(tmp_path / "log")
        log.lines(text, 1.0)
        log.close()
    assert (tmp_path / "log").read_bytes() == b"1.000000 a\n1.000000 b\n"


def test_lines_that_cannot_be_written_are_counted_and_mentioned_later(tmp_path):
    log = Log(tmp_path / "not yet" / "log")
    log.lines(b"a\nb\n", 1.0)
    assert (log.lost, log.problem) == (2, "No such file or directory")
    (tmp_path / "not yet").mkdir()
    log.lines(b"c\n", 2.0)
    log.lines(b"d\n", 3.0)
    log.close()
    assert (tmp_path / "not yet" / "log").read_text().splitlines() == [
        "2.000000 [cloudops] 2 lines are missing here: No such file or directory",
        "2.000000 c",
        "3.000000 d",
    ]


def test_a_failed_append_leaves_the_file_as_it_was():
    # /dev/full refuses every write, after it was opened without complaint.
    file = AppendFile(__import__("pathlib").Path("/dev/full"))
    problem = file.append(b"x\n")
    assert problem is not None
    assert problem.strerror == "No space left on device"
    file.close()
    file.close()


@pytest.mark.parametrize(
    ("output", "words"),
    [
        ("", ""),
        ("\n\n", ""),
        ("a\nb\n", "b"),
        ("a\nb\n[cloudops] metric name=a value=1\n", "b"),
        ("Traceback (most recent call last):\n  File\nValueError: bad\n", "ValueError: bad"),
        ("mymod.sub.BadInputError: x\nshutting down\nbye\n", "mymod.sub.BadInputError: x"),
        ("KeyboardInterrupt\n", "KeyboardInterrupt"),
        ("ValueError: first\nRuntimeError: then\ncleaning up\n", "RuntimeError: then"),
        ("ValueError: long ago\n" + "fine\n" * 30, "fine"),
        ("INFO no Error here at all\nlast\n", "last"),
        ("[cloudops] error: CLOUDOPS_PORT is 'x'\n", "CLOUDOPS_PORT is 'x'"),
        ("OSError: disk\n[cloudops] error: the model is gone\n[cloudops] ended\n", "the model is gone"),
        ("ValueError: bad\n[cloudops] the command ended with exit code 1: x\n", "ValueError: bad"),
        ("[cloudops] error: long ago\n" + "fine\n" * 30, "fine"),
        ("sh: 1: nope: not found\n", "sh: 1: nope: not found"),
        ("x" * 1000, "x" * 300),
    ],
)
def test_last_words(output, words):
    assert last_words(output.encode()) == words
