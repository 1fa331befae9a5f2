"""What is not a project file at all: wrong YAML, wrong bytes, and YAML that is made to break its reader."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from cloudops.config import load
from cloudops.errors import ConfigError

from .documents import SMALL
from .loading import accepted, refused

pytestmark = pytest.mark.usefixtures("folder")

BAD = {
    "- a\n- b": "1: expected a mapping of keys such as name, train and deploy, got a list",
    "just text": "1: expected a mapping of keys such as name, train and deploy, got a string",
    "5": "1: expected a mapping of keys such as name, train and deploy, got an integer",
    "name: x\n\ttrain: y": "2: not valid YAML: ",
    "train:\n  a: b\n\tc: d": "3: not valid YAML: a tab in the indentation; use spaces",
    "name: a: b": "1: not valid YAML: a ':' where no key can stand; quote the value, or mend the indentation",
    "name: x\ntrain\n  b: c": "3: not valid YAML: a key without ':' (begun in line 2)",
    "name: 'x\nb: c": "2: not valid YAML: the file ends within a quoted string; close the quote (begun in line 1)",
    "name: [a,\nb: c": "3: not valid YAML: did not find expected ',' or ']' (begun in line 1)",
    "name: *nobody": "1: not valid YAML: an alias (*) without its anchor (&)",
    "name: @x": "1: not valid YAML: a value cannot begin with this character; quote it",
    'name: "\\q"': "1: not valid YAML: found unknown escape character",
    'name: "\\uD800"': "1: not valid YAML: found invalid Unicode character escape code",
    "%YAML 9.9\n---\nname: x": "1: not valid YAML: found incompatible YAML document",
    "name: x\n---\nname: y": "2: not valid YAML: a second document (---); a project file is one document",
    "name: x\nname: y": "2: name: the key occurs twice, first in line 1",
    "name: x\ntrain:\n  envs:\n    A: b\n    A: c": "5: train.envs.A: the key occurs twice, first in line 4",
    "5: x": "1: the key '5' is an integer, expected a string (quote it)",
    "1.5: x": "1: the key '1.5' is a number, expected a string (quote it)",
    "name: x\ntrain:\n  envs: {on: x}": "3: train.envs: the key 'on' is true or false, expected a string (quote it)",
    "~: x": "1: the key '~' is nothing, expected a string (quote it)",
    "2020-01-01: x": "1: 2020-01-01: YAML reads this as a date; quote it to make it a string",
    "[a, b]: x": "1: a key that is a list, expected a string",
    "{a: b}: x": "1: a key that is a mapping, expected a string",
    "name: 2020-01-01": "1: name: YAML reads this as a date; quote it to make it a string",
    "name: 2020-01-01 10:00:00": "1: name: YAML reads this as a datetime; quote it",
    "name: 2020-13-01": "1: name: '2020-13-01' is no valid timestamp (month must be in 1..12); quote it",
    "name: !!binary aGk=": "1: name: YAML reads this as binary data; quote it to make it a string",
    "name: !!int x": "1: name: 'x' is no valid int; quote it to make it a string",
    "name: !!int ''": "1: name: '' is no valid int",
    "name: !!float x": "1: name: 'x' is no valid float",
    "name: !!bool x": "1: name: 'x' is no valid bool",
    "name: !!timestamp x": "1: name: 'x' is no valid timestamp; quote it",
    "name: !mine x": "1: name: the tag !mine means nothing here",
    "train: !mine {a: b}": "1: train: the tag !mine means nothing here",
    "train: !!set {a}": "1: train: the tag tag:yaml.org,2002:set means nothing here",
    "train: !!omap [a: b]": "1: train: the tag tag:yaml.org,2002:omap means nothing here",
    "name: !!python/object/apply:os.system [id]": "1: name: the tag tag:yaml.org,2002:python/object/apply:os.system",
    "name: !!python/name:os.system x": "1: name: the tag tag:yaml.org,2002:python/name:os.system means nothing here",
    "name: .nan": "1: name: '.nan' is not a finite number",
    "name: -.INF": "1: name: '-.INF' is not a finite number",
    "name: 1e999": "1: name: '1e999' is not a finite number",
    f"name: {1 << 64}": "1: name: an integer of more than 64 bits",
    f"name: 0x{'f' * 5000}": "1: name: an integer of more than 64 bits",
    f"name: {'9' * 5000}": "1: name: '999999999999999999999999999999999999999999999999999999999999' is no valid int",
    'name: "a\\0b"': "1: name: a string with a NUL character",
    "name: x\ntrain: &t\n  <<: *t": "3: train: merge keys (<<) are not read; write the keys out",
    "name: x\ntrain: &t {envs: *t}": "2: train: an alias that contains itself",
    "name: &n [*n]": "1: name: an alias that contains itself",
    "name: \x07": "1: the character U+0007 is not allowed in YAML",
    "name: x\ntrain: \x00": "2: the character U+0000 is not allowed in YAML",
}


@pytest.mark.parametrize(("text", "line"), [pytest.param(*case, id=str(i)) for i, case in enumerate(BAD.items())])
def test_bad_yaml_is_one_line(text: str, line: str) -> None:
    assert refused(text).startswith(f"cloudops.yaml:{line}")


@pytest.mark.parametrize(
    ("data", "line"),
    [
        (b"name: x\ntrain: \xff", "2: not UTF-8 text (byte 0xff)"),
        ("name: x".encode("utf-16"), "1: not UTF-8 text (byte 0xff)"),
        ("name: é".encode("latin-1"), "1: not UTF-8 text (byte 0xe9)"),
        (b"PK\x03\x04\x14\x00\x08", "1: the character U+0003 is not allowed in YAML"),
        (b"\x7fELF\x02\x01", "1: the character U+007F is not allowed in YAML"),
    ],
)
def test_bytes_that_are_no_text_are_one_line(data: bytes, line: str) -> None:
    assert refused(data).startswith(f"cloudops.yaml:{line}")


def test_a_byte_order_mark_and_windows_line_ends_are_fine() -> None:
    config = accepted(b"\xef\xbb\xbf" + SMALL.replace("\n", "\r\n").encode())
    assert config.origin(("train", "command")) == "cloudops.yaml:3"


LAUGHS = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]\n" for i in range(1, 20)
)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        (LAUGHS, ":5: a4: more than 50000 values; are there aliases of aliases?"),
        ("name: " + "[" * 40, ":1: nested more than 32 levels deep"),
        ("name: " + "[" * 500_000, ":1: nested more than 32 levels deep"),
        ("a: " + "{a: " * 200_000, ":1: nested more than 32 levels deep"),
        ("- " * 500_000, ":1: nested more than 32 levels deep"),
        ("".join("\n" + " " * i + "a:" for i in range(1200)), ":34: nested more than 32 levels deep"),
        ("- 1\n" * 50_001, ":50000: [49999]: more than 50000 values; are there aliases of aliases?"),
        ("a: [" + "1," * 120_000 + "]", ":1: too many values"),
        ("# " + "x" * (1 << 20), ": larger than 1 MiB, so it is hardly a project file"),
    ],
)
def test_what_is_made_to_exhaust_the_reader_is_refused_at_once(text: str, line: str) -> None:
    started = time.process_time()
    assert refused(text) == f"cloudops.yaml{line}"
    assert time.process_time() - started < 5


def test_deep_nesting_is_refused_in_a_thread_with_a_small_stack() -> None:
    """libyaml composes by recursion in C: without a check before it, the process would die of a signal."""
    lines: list[str] = []
    previous = threading.stack_size(256 << 10)
    try:
        thread = threading.Thread(target=lambda: lines.append(refused("name: " + "[" * 300_000)))
        thread.start()
    finally:
        threading.stack_size(previous)
    thread.join()
    assert lines == ["cloudops.yaml:1: nested more than 32 levels deep"]


def test_aliases_that_end_are_fine() -> None:
    project = accepted(SMALL + "  envs: &e {A: b}\n  params: {x: 1}\nevaluate: {command: a, envs: *e}").project
    assert project.evaluate is not None
    assert project.evaluate.envs == {"A": "b"}


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("none.yaml", "none.yaml: no such file; name it with -f, or make one with `cloudops init`"),
        (".", ".: cannot be read: Is a directory"),
        ("a\x00b", "a\\x00b: cannot be read: embedded null byte"),
        ("new\nline.yaml", "new\\nline.yaml: no such file"),
        ("/dev/zero", "/dev/zero: cannot be read: not a regular file"),
        ("x/" * 3000, "x/x/"),
    ],
)
def test_a_path_that_cannot_be_read_is_one_line(path: str, line: str) -> None:
    with pytest.raises(ConfigError) as caught:
        load(path, environ={})
    assert str(caught.value).startswith(line)
    assert str(caught.value).isprintable()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission_is_one_line() -> None:
    Path("cloudops.yaml").write_text(SMALL)
    Path("cloudops.yaml").chmod(0)
    with pytest.raises(ConfigError, match=r"^cloudops\.yaml: cannot be read: Permission denied$"):
        load(environ={})


def test_a_pipe_can_be_the_file() -> None:
    """As in ``cloudops plan -f <(generate)``."""
    taking, giving = os.pipe()
    os.write(giving, SMALL.encode())
    os.close(giving)
    try:
        assert load(f"/dev/fd/{taking}", environ={}).project.name == "x"
    finally:
        os.close(taking)


def test_a_pipe_that_nobody_may_write_to_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ConfigError, match="not a regular file"):
        load(tmp_path / "pipe", environ={})


@pytest.mark.parametrize("text", [SMALL, "name: X", "name: [", SMALL + "  code: not/there\n  inputs: {a: nor/this}"])
def test_loading_creates_nothing(folder: Path, text: str) -> None:
    Path("cloudops.yaml").write_text(text)
    folder.chmod(0o500)
    try:
        load(environ={})
    except ConfigError:
        pass
    finally:
        folder.chmod(0o700)
    assert os.listdir(folder) == ["cloudops.yaml"]
