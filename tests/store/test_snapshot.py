"""Digests, the stat cache behind them, and archives."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import subprocess
import sys
import tarfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cloudops.errors import CloudopsError, ConfigError
from cloudops.store import content
from cloudops.store.archive import end, header, padding, space
from cloudops.store.snapshot import digest_path, digest_tree, pack, unpack
from cloudops.store.statcache import StatCache
from cloudops.store.tree import Entry

#: Older than any clock tick, so that the stat cache trusts what it sees.
SETTLED = 0.08


@pytest.fixture
def code(tmp_path: Path) -> Path:
    root = tmp_path / "my code"
    (root / "sub").mkdir(parents=True)
    (root / "train.py").write_text("print('hello')\n")
    (root / "sub" / "données 1.csv").write_text("1,2\n")
    (root / "run.sh").write_text("#!/bin/sh\n")
    (root / "run.sh").chmod(0o755)
    (root / "empty").write_text("")
    (root / "big.bin").write_bytes(random.Random(1).randbytes(3 * content.CHUNK + 17))
    return root


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "store"


def settle() -> None:
    time.sleep(SETTLED)


def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The names of the files that are read from now on."""
    seen: list[str] = []
    read = content.pieces
    for module in ("content", "snapshot"):
        monkeypatch.setattr(f"cloudops.store.{module}.pieces", lambda entry: (seen.append(entry.name), read(entry))[1])
    return seen


def contents(root: Path) -> dict[str, tuple[bytes, bool]]:
    files = [path for path in root.rglob("*") if path.is_file()]
    return {str(p.relative_to(root)): (p.read_bytes(), os.access(p, os.X_OK)) for p in files}


def test_the_digest_depends_on_names_x_bits_and_contents_only(code: Path, store: Path, tmp_path: Path) -> None:
    first = digest_tree(code, store)
    copy = tmp_path / "elsewhere"
    shutil.copytree(code, copy, copy_function=shutil.copy)
    (copy / "run.sh").chmod(0o700)
    (copy / "train.py").chmod(0o600)
    (copy / "no files here").mkdir()
    assert digest_tree(copy, tmp_path / "other store") == first
    assert first.files == 5
    assert first.bytes == sum(path.stat().st_size for path in code.rglob("*") if path.is_file())


@pytest.mark.parametrize("change", ["content", "name", "mode", "more", "less"])
def test_any_change_changes_the_digest(code: Path, store: Path, change: str) -> None:
    before = digest_tree(code, store).digest
    if change == "content":
        (code / "train.py").write_text("print('hallo')\n")
    elif change == "name":
        (code / "train.py").rename(code / "train2.py")
    elif change == "mode":
        (code / "train.py").chmod(0o744)
    elif change == "more":
        (code / "more").write_text("")
    else:
        (code / "empty").unlink()
    assert digest_tree(code, store).digest != before


def test_the_digest_is_the_same_everywhere_and_in_every_release(tmp_path: Path, store: Path) -> None:
    root = tmp_path / "code"
    (root / "b").mkdir(parents=True)
    (root / "b" / "é.txt").write_bytes(b"abc")
    (root / "a.py").write_bytes(b"")
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    manifest = f"{empty} - 0 a.py\0{abc} - 3 b/é.txt\0"
    assert digest_tree(root, store).digest == hashlib.sha256(manifest.encode()).hexdigest()


def test_files_that_have_not_changed_are_not_read_again(
    code: Path, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settle()
    first = digest_tree(code, store)
    seen = opened(monkeypatch)
    assert digest_tree(code, store) == first
    assert seen == []
    (code / "train.py").write_text("print('changed')\n")
    assert digest_tree(code, store) != first
    assert seen == ["train.py"]


def test_an_edit_that_keeps_size_and_times_is_seen(code: Path, store: Path) -> None:
    settle()
    file = code / "train.py"
    before, first = file.stat(), digest_tree(code, store)
    file.write_text("print('HELLO')\n")
    os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    after = file.stat()
    assert (after.st_size, after.st_mtime_ns, after.st_ino) == (before.st_size, before.st_mtime_ns, before.st_ino)
    assert digest_tree(code, store) != first


@pytest.mark.parametrize(
    ("age", "whole_seconds", "kept"),
    [(0.0, False, False), (0.03, False, False), (0.5, False, True), (0.5, True, False), (10.0, True, True)],
)
def test_a_file_that_may_change_within_a_tick_of_the_clock_is_read_again(
    store: Path, age: float, whole_seconds: bool, kept: bool
) -> None:
    changed = time.time_ns() - int(age * 1e9)
    changed -= changed % 10**9 if whole_seconds else not changed % 10**9
    status = SimpleNamespace(st_size=1, st_mtime_ns=0, st_ctime_ns=changed, st_ino=1)
    entry = Entry("x.py", "/x.py", cast("os.stat_result", status))
    StatCache(store, "/").save([entry], ["0" * 64])
    assert StatCache(store, "/").digests([entry]) == ["0" * 64 if kept else None]


@pytest.mark.parametrize("damage", [b"", b"garbage", b"0" * 64 + b"\n{}", None])
def test_a_damaged_cache_is_ignored_and_replaced(
    code: Path, store: Path, damage: bytes | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    settle()
    first = digest_tree(code, store)
    (cache,) = (store / "stat").iterdir()
    whole = cache.read_bytes()
    cache.write_bytes(whole[:-40].replace(b"train.py", b"brain.py") if damage is None else damage)
    assert digest_tree(code, store) == first
    assert cache.read_bytes() == whole
    seen = opened(monkeypatch)
    digest_tree(code, store)
    assert seen == []


def test_a_cache_that_cannot_be_written_is_done_without(code: Path, tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("")
    assert digest_tree(code, blocked) == digest_tree(code, tmp_path / "store")


def test_packing_and_unpacking_give_the_same_files_back(code: Path, store: Path, tmp_path: Path) -> None:
    packed = pack(code, store)
    assert packed.archive == store / "code" / f"{packed.digest}.tar"
    assert packed.digest == digest_tree(code, store).digest
    target = tmp_path / "unpacked here"
    unpack(packed.archive, target)
    assert contents(target) == contents(code)
    assert digest_tree(target, tmp_path / "other").digest == packed.digest


def test_gnu_tar_reads_the_archive(code: Path, store: Path, tmp_path: Path) -> None:
    deep = code / ("d" * 90) / ("é" * 60)
    deep.mkdir(parents=True)
    (deep / "long name.txt").write_text("deep")
    with open(os.fsencode(code) + b"/latin-\xe9.txt", "w") as file:
        file.write("old")
    target = tmp_path / "by tar"
    target.mkdir()
    tar = ["tar", "--extract", "--file", str(pack(code, store).archive), "--directory", str(target)]
    done = subprocess.run(tar, check=True, capture_output=True, env={**os.environ, "LC_ALL": "C.UTF-8"})
    assert done.stderr == b""
    assert contents(target) == contents(code)
    ours = tmp_path / "by us"
    unpack(pack(code, store).archive, ours)
    assert contents(ours) == contents(code)


def test_an_archive_does_not_depend_on_where_when_and_who(code: Path, store: Path, tmp_path: Path) -> None:
    copy = tmp_path / "elsewhere"
    shutil.copytree(code, copy, copy_function=shutil.copy)
    (copy / "train.py").chmod(0o666)
    one, other = pack(code, store), pack(copy, tmp_path / "other")
    assert one.archive.read_bytes() == other.archive.read_bytes()
    with tarfile.open(one.archive) as tar:
        assert {(member.uid, member.gid, member.uname, member.mtime) for member in tar} == {(0, 0, "", 315532800)}


def test_an_unchanged_folder_is_not_read_or_written_again(
    code: Path, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settle()
    first = pack(code, store)
    before = {path: path.stat().st_mtime_ns for path in store.rglob("*")}
    seen = opened(monkeypatch)
    assert pack(code, store) == first
    assert seen == []
    assert {path: path.stat().st_mtime_ns for path in store.rglob("*")} == before


def test_a_content_that_was_packed_before_is_not_packed_again(code: Path, store: Path) -> None:
    settle()
    first = pack(code, store)
    written = first.archive.stat().st_ino
    text = (code / "train.py").read_text()
    (code / "train.py").write_text("print('other')\n")
    assert pack(code, store) != first
    (code / "train.py").write_text(text)
    assert pack(code, store) == first
    assert first.archive.stat().st_ino == written


@pytest.mark.parametrize("damage", ["gone", "short"])
def test_a_missing_or_cut_archive_is_written_again(code: Path, store: Path, damage: str) -> None:
    settle()
    packed = pack(code, store)
    whole = packed.archive.read_bytes()
    if damage == "gone":
        packed.archive.unlink()
    else:
        packed.archive.write_bytes(whole[:-2048])
    assert pack(code, store) == packed
    assert packed.archive.read_bytes() == whole


def test_processes_that_pack_at_once_do_not_disturb_each_other(code: Path, store: Path) -> None:
    with ProcessPoolExecutor(3) as pool:
        jobs = [pool.submit(pack, code, store) for _ in range(9)]
        results = {job.result() for job in jobs}
    (packed,) = results
    assert [path.name for path in (store / "code").iterdir()] == [packed.archive.name]
    with tarfile.open(packed.archive) as tar:
        assert len(tar.getnames()) == packed.files


def test_a_file_that_shrinks_while_it_is_packed_is_an_error(
    code: Path, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = content.pieces

    def shrinking(entry: content.Entry):  # type: ignore[no-untyped-def]
        for piece in read(entry):
            if entry.name == "big.bin":
                os.truncate(entry.path, content.CHUNK)
            yield piece

    monkeypatch.setattr("cloudops.store.snapshot.pieces", shrinking)
    with pytest.raises(ConfigError, match=r"big\.bin changed while it was read; run again"):
        pack(code, store)
    assert list((store / "code").iterdir()) == []


def test_a_file_that_grows_while_it_is_packed_is_packed_as_it_was(
    code: Path, store: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    size = (code / "big.bin").stat().st_size
    read = content.pieces

    def growing(entry: content.Entry):  # type: ignore[no-untyped-def]
        for piece in read(entry):
            if entry.name == "big.bin" and os.path.getsize(entry.path) == size:
                with open(entry.path, "ab") as file:
                    file.write(b"more")
            yield piece

    monkeypatch.setattr("cloudops.store.snapshot.pieces", growing)
    with tarfile.open(pack(code, store).archive) as tar:
        assert tar.getmember("big.bin").size == size
        assert len(tar.getnames()) == 5


def test_what_a_killed_process_left_is_swept_away(code: Path, store: Path) -> None:
    pack(code, store)
    old, fresh = store / "code" / ".tmp-old", store / "code" / ".tmp-fresh"
    for path in (old, fresh):
        path.write_text("half")
    os.utime(old, (1, 1))
    (code / "train.py").write_text("changed")
    pack(code, store)
    assert not old.exists()
    assert fresh.exists()


FULL = """
import sys
from pathlib import Path
from cloudops.store.snapshot import pack
try:
    pack(Path(sys.argv[1]), Path(sys.argv[2]))
except Exception as error:
    print(type(error).__name__, error)
print(sorted(path.name for path in Path(sys.argv[2]).rglob(".tmp-*")))
"""


def test_a_full_disk_is_one_clear_line_and_leaves_nothing(code: Path, tmp_path: Path) -> None:
    disk = tmp_path / "small disk"
    disk.mkdir()
    mount = 'mount -t tmpfs -o size=1m tmpfs "$1" && exec "$2" -c "$3" "$4" "$1/store"'
    command = ["unshare", "-rm", "sh", "-c", mount, "sh", str(disk), sys.executable, FULL, str(code)]
    probe = ["unshare", "-rm", "true"]
    if shutil.which("unshare") is None or subprocess.run(probe, check=False, capture_output=True).returncode:
        pytest.skip("this machine lets nobody mount a small disk")
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    line, left = done.stdout.splitlines()
    expected = f"cannot write to {disk}/store/code: No space left on device; free some space and run again"
    assert line == f"CloudopsError {expected}"
    assert left == "[]"


def test_unpacking_refuses_to_write_outside(tmp_path: Path) -> None:
    evil = tmp_path / "evil.tar"
    evil.write_bytes(header("../evil.txt", 3, executable=False) + b"bad" + padding(3) + end(1024))
    with pytest.raises(ConfigError, match=r"evil\.tar cannot be unpacked: '\.\./evil\.txt' would be extracted to"):
        unpack(evil, tmp_path / "target")
    assert not (tmp_path / "evil.txt").exists()


@pytest.mark.parametrize(("content", "says"), [(None, "is missing"), (b"not a tar" * 200, "cannot be unpacked")])
def test_unpacking_what_is_no_archive(tmp_path: Path, content: bytes | None, says: str) -> None:
    archive = tmp_path / "x.tar"
    if content is not None:
        archive.write_bytes(content)
    with pytest.raises(ConfigError, match=says):
        unpack(archive, tmp_path / "target")


def test_unpacking_where_nothing_can_be_written(code: Path, store: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CloudopsError, match=r"cannot write to .*file/target"):
        unpack(pack(code, store).archive, tmp_path / "file" / "target")


file_names = st.text(st.characters(exclude_characters="/\0", exclude_categories=()), min_size=1, max_size=150)


@given(name=file_names.filter(lambda name: name.strip(".")), size=st.sampled_from([0, 1, 511, 512, 8**11, 8**12]))
@settings(deadline=None)
def test_tarfile_understands_every_header(name: str, size: int) -> None:
    try:
        os.fsencode(name)
    except UnicodeEncodeError:
        return  # no file can have this name
    data = header(name, size, executable=True)
    assert len(data) + size + len(padding(size)) == space(name, size)
    first = tarfile.TarInfo.frombuf(data[:512], "utf-8", "surrogateescape")
    if len(data) == 512:
        found = first
    else:
        with tarfile.open(fileobj=_Sparse(data)) as tar:  # type: ignore[call-overload]
            found = tar.next()
    assert (found.name, found.size, found.mode) == (name.rstrip("/"), size, 0o755)


class _Sparse:
    """A header as a seekable file, its content left out."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    def read(self, size: int) -> bytes:
        piece = self._data[self._at : self._at + size]
        self._at += len(piece)
        return piece

    def seek(self, position: int) -> None:
        self._at = position

    def tell(self) -> int:
        return self._at


def test_the_digest_of_data(tmp_path: Path, store: Path) -> None:
    data = tmp_path / "data"
    (data / "more").mkdir(parents=True)
    for name, text in (("a.csv", "1"), ("b.csv", "2"), ("more/c.csv", "3"), ("notes.txt", "4")):
        (data / name).write_text(text)
    assert digest_path(data / "a.csv", store) == "6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b"
    (tmp_path / "renamed").write_text("1")
    assert digest_path(tmp_path / "renamed", store) == digest_path(str(data / "a.csv"), store)
    digests = [digest_path(data / pattern, store) for pattern in ("", "*.csv", "**/*.csv", "[a]*.csv")]
    assert len(set(digests)) == 4
    (data / "notes.txt").write_text("5")
    changed = [digest_path(data / pattern, store) for pattern in ("", "*.csv", "**/*.csv", "[a]*.csv")]
    assert changed[0] != digests[0]
    assert changed[1:] == digests[1:]


def test_the_digest_of_a_large_file_is_remembered(tmp_path: Path, store: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "big.parquet"
    file.write_bytes(b"x" * 5_000_000)
    settle()
    first = digest_path(file, store)
    seen = opened(monkeypatch)
    assert digest_path(file, store) == first
    assert seen == []


@pytest.mark.parametrize(
    ("path", "says"), [("nothing", "cannot be read: No such file"), ("*.csv", r"no file matches .*\*\.csv")]
)
def test_the_digest_of_nothing(tmp_path: Path, store: Path, path: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        digest_path(tmp_path / path, store)


def test_one_file_may_be_left_out_wherever_it_is(tmp_path: Path) -> None:
    code, store = tmp_path / "code", tmp_path / "store"
    (code / "deeper").mkdir(parents=True)
    (code / "train.py").write_text("x")
    (code / "deeper" / "project.yaml").write_text("a: 1")
    alone = pack(code, store, without=code / "deeper" / "project.yaml")
    assert alone.files == 1
    (code / "deeper" / "project.yaml").write_text("a: 2")
    assert pack(code, store, without=code / "deeper" / "project.yaml") == alone
    assert digest_tree(code, store, without=code / "deeper" / "project.yaml").digest == alone.digest
    assert pack(code, store, without=tmp_path / "gone.yaml").files == 2
