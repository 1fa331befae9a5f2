"""The state, without HTTP: objects that are files."""

from __future__ import annotations

import os
import random
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cloudops_vertex.emulator.storage.buckets import Buckets
from cloudops_vertex.emulator.storage.conditions import NONE
from cloudops_vertex.emulator.storage.errors import Conflict, Invalid, NotFound, PreconditionFailed, StorageError

from cloudops.offline.clock import Clock


@pytest.fixture
def buckets(tmp_path: Path) -> Iterator[Buckets]:
    made = Buckets(tmp_path / "state", Clock())
    made.create("box", project="demo")
    yield made
    made.close()


def _names(buckets: Buckets, prefix: str = "") -> list[str]:
    return [found.name for found in buckets.list("box", prefix)]


def test_what_is_put_is_a_file_at_once(buckets: Buckets) -> None:
    found = buckets.put("box", "a/b.txt", b"hello", content_type="text/plain", metadata={"k": "v"})
    assert (buckets.tree / "box/a/b.txt").read_bytes() == b"hello"
    assert (found.size, found.content_type, found.metadata) == (5, "text/plain", {"k": "v"})
    assert found.path.read_bytes() == buckets.read("box", "a/b.txt") == b"hello"
    assert _names(buckets) == ["a/b.txt"]


def test_what_a_process_writes_is_an_object(buckets: Buckets) -> None:
    (buckets.tree / "box/run").mkdir()
    (buckets.tree / "box/run/model.json").write_text("{}")
    assert _names(buckets) == ["run/", "run/model.json"]
    found = buckets.get("box", "run/model.json")
    assert (found.content_type, found.size, found.md5) == ("application/json", 2, "mZFLkyvTelC5g8XnyQrpOw==")
    assert buckets.get("box", "run/").size == 0


def test_a_file_that_a_process_has_open_is_not_yet_an_object(buckets: Buckets) -> None:
    with (buckets.tree / "box/large").open("wb") as file:
        file.write(b"half")
        file.flush()
        assert _names(buckets) == []
    assert buckets.read("box", "large") == b"half"


@pytest.mark.parametrize("how", ["over", "renamed", "same"])
def test_a_changed_file_is_a_new_generation_with_the_fields_of_the_old(buckets: Buckets, how: str) -> None:
    before = buckets.put("box", "a", b"one", content_type="text/csv", metadata={"k": "v"})
    file = buckets.tree / "box/a"
    if how == "renamed":
        file.with_name("b").write_bytes(b"two")
        file.with_name("b").replace(file)
    else:
        file.write_bytes(b"two" if how == "over" else b"one")
    after = buckets.get("box", "a")
    assert after.generation > before.generation
    assert (after.content_type, after.metadata, after.metageneration) == ("text/csv", {"k": "v"}, 1)
    assert buckets.get("box", "a") == buckets.get("box", "a")
    with pytest.raises(NotFound):
        buckets.get("box", "a", before.generation)


def test_content_that_changes_within_a_tick_is_seen(buckets: Buckets) -> None:
    file = buckets.tree / "box/a"
    seen = []
    for content in (b"a", b"b", b"c", b"d"):
        file.write_bytes(content)
        seen.append((buckets.read("box", "a"), buckets.get("box", "a").crc32c))
    assert [content for content, _ in seen] == [b"a", b"b", b"c", b"d"]
    assert len({crc32c for _, crc32c in seen}) == 4


def test_an_unsettled_file_keeps_its_generation(buckets: Buckets) -> None:
    (buckets.tree / "box/a").write_bytes(b"a")
    assert buckets.get("box", "a").generation == buckets.get("box", "a").generation


def test_a_removed_file_is_a_deleted_object(buckets: Buckets) -> None:
    buckets.put("box", "a/b", b"")
    (buckets.tree / "box/a/b").unlink()
    assert _names(buckets) == []
    with pytest.raises(NotFound, match="No such object: box/a/b"):
        buckets.get("box", "a/b")


def test_folders_that_objects_implied_go_with_them(buckets: Buckets) -> None:
    buckets.put("box", "a/b/c", b"x")
    (buckets.tree / "box/own").mkdir()
    buckets.put("box", "own/c", b"x")
    buckets.delete("box", "a/b/c")
    buckets.delete("box", "own/c")
    assert os.listdir(buckets.tree / "box") == ["own"]
    assert _names(buckets) == ["own/"]


def test_a_folder_marker_is_a_folder(buckets: Buckets) -> None:
    buckets.put("box", "a/", b"")
    assert (buckets.tree / "box/a").is_dir()
    assert _names(buckets) == ["a/"]
    buckets.put("box", "a/b", b"x")
    buckets.delete("box", "a/")
    assert _names(buckets) == ["a/b"]
    buckets.delete("box", "a/b")
    assert not (buckets.tree / "box/a").exists()


def test_a_marker_whose_folder_a_process_removes_is_deleted(buckets: Buckets) -> None:
    buckets.put("box", "a/", b"content that no folder shows")
    assert buckets.read("box", "a/") == b"content that no folder shows"
    (buckets.tree / "box/a").rmdir()
    assert _names(buckets) == []


@pytest.mark.parametrize("name", ["a//b", "/a", "a/../b", "./a", "x" * 300, "a//", "nul\0"])
def test_names_that_cannot_be_files_are_objects(buckets: Buckets, name: str) -> None:
    buckets.put("box", name, b"x")
    assert buckets.read("box", name) == b"x"
    assert _names(buckets) == [name]
    assert os.listdir(buckets.tree / "box") == []
    buckets.put("box", name, b"y")
    assert buckets.read("box", name) == b"y"
    buckets.delete("box", name)
    assert _names(buckets) == []


@pytest.mark.parametrize("order", [("a", "a/b"), ("a/b", "a")])
@pytest.mark.parametrize("how", ["api", "process"])
def test_of_an_object_and_a_folder_of_its_name_the_folder_is_seen(
    buckets: Buckets, order: tuple[str, str], how: str
) -> None:
    made = [buckets.put("box", name, name.encode()) for name in order]
    assert (buckets.tree / "box/a/b").read_bytes() == b"a/b"
    assert {name: buckets.read("box", name) for name in _names(buckets)} == {"a": b"a", "a/b": b"a/b"}
    assert [buckets.get("box", one.name).generation for one in made] == [one.generation for one in made]
    if how == "api":
        buckets.delete("box", "a/b")
    else:
        shutil.rmtree(buckets.tree / "box/a")
        buckets.list("box")
    assert (buckets.tree / "box/a").read_bytes() == buckets.read("box", "a") == b"a"


def test_an_empty_object_that_was_hidden_is_a_file_of_its_own(buckets: Buckets) -> None:
    buckets.put("box", "a/", b"")
    for name in ("a", "other//"):
        buckets.put("box", name, b"")
    (buckets.tree / "box/a").rmdir()
    assert _names(buckets) == ["a", "other//"]
    (buckets.tree / "box/a").write_bytes(b"now it has some")
    assert buckets.read("box", "other//") == b""


def test_a_file_takes_the_place_of_an_object_that_was_hidden(buckets: Buckets) -> None:
    buckets.put("box", "a/b", b"x")
    buckets.put("box", "a", b"hidden")
    (buckets.tree / "box/a/b").unlink()
    (buckets.tree / "box/a").rmdir()
    (buckets.tree / "box/a").write_bytes(b"seen")
    assert {name: buckets.read("box", name) for name in _names(buckets)} == {"a": b"seen"}


def test_a_link_is_an_object_that_says_where_it_leads(buckets: Buckets, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/secret").write_text("s")
    (buckets.tree / "box/link").symlink_to(tmp_path / "outside")
    assert _names(buckets) == ["link"]
    found = buckets.get("box", "link")
    assert (found.size, found.metadata) == (0, {"gcsfuse_symlink_target": str(tmp_path / "outside")})
    with pytest.raises(NotFound):
        buckets.get("box", "link/secret")
    buckets.put("box", "link/mine", b"x")
    assert os.listdir(tmp_path / "outside") == ["secret"]
    assert _names(buckets) == ["link", "link/mine"]


def test_listing_looks_only_where_the_prefix_leads(buckets: Buckets) -> None:
    for name in ("a/1", "a/2", "ab", "b/a/3"):
        (buckets.tree / "box" / name).parent.mkdir(parents=True, exist_ok=True)
        (buckets.tree / "box" / name).write_text(name)
    assert _names(buckets, "a") == ["a/", "a/1", "a/2", "ab"]
    assert _names(buckets, "a/") == ["a/", "a/1", "a/2"]
    assert _names(buckets, "b/a/3") == ["b/a/3"]
    assert _names(buckets, "b//") == _names(buckets, "../") == []


def test_conditions_are_on_what_is_there_now(buckets: Buckets) -> None:
    first = buckets.put("box", "a", b"1", if_generation_match=0)
    with pytest.raises(PreconditionFailed):
        buckets.put("box", "a", b"2", if_generation_match=0)
    second = buckets.put("box", "a", b"2", if_generation_match=first.generation)
    with pytest.raises(PreconditionFailed):
        buckets.put("box", "a", b"3", if_generation_match=first.generation)
    (buckets.tree / "box/a").write_bytes(b"by a process")
    with pytest.raises(PreconditionFailed):
        buckets.put("box", "a", b"3", if_generation_match=second.generation)


def test_one_of_many_threads_wins(buckets: Buckets) -> None:
    won, barrier = [], threading.Barrier(8)

    def race(number: int) -> None:
        barrier.wait()
        try:
            buckets.put("box", "lock", str(number).encode(), if_generation_match=0)
        except PreconditionFailed:
            return
        won.append(number)

    threads = [threading.Thread(target=race, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [str(number).encode() for number in won] == [buckets.read("box", "lock")]


_NAMES = ("a", "a/b", "a/b/c", "a/", "b", "b//c", "a/b/", "d/e", "d", "d/e/f")


def _as_a_client(buckets: Buckets, chance: random.Random) -> None:
    name, other = chance.choice(_NAMES), chance.choice(_NAMES)
    what = chance.randrange(6)
    if what < 2:
        buckets.put("box", name, os.urandom(chance.randrange(50)))
    elif what == 2:
        buckets.delete("box", name)
    elif what == 3:
        buckets.move("box", name, other)
    elif what == 4:
        buckets.list("box", name[:1])
    else:
        buckets.compose("box", other, [(name, None, NONE)] * 2, {})


def _as_a_process(buckets: Buckets, chance: random.Random) -> None:
    path, other = (buckets.tree / "box" / chance.choice(_NAMES) for _ in range(2))
    what = chance.randrange(4)
    if what == 0:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(os.urandom(5))
    elif what == 1:
        shutil.rmtree(path)
    elif what == 2:
        path.mkdir(parents=True)
    else:
        path.rename(other)


def test_whatever_clients_and_processes_do_at_once_leaves_it_consistent(buckets: Buckets) -> None:
    failed: list[BaseException] = []

    def work(step: Callable[[Buckets, random.Random], None], seed: int, usual: type[Exception]) -> None:
        chance = random.Random(seed)
        for _ in range(300):
            try:
                step(buckets, chance)
            except usual:
                continue
            except BaseException as error:
                failed.append(error)

    threads = [threading.Thread(target=work, args=(_as_a_client, seed, StorageError)) for seed in range(3)]
    threads += [threading.Thread(target=work, args=(_as_a_process, seed, OSError)) for seed in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    there = buckets.list("box")
    assert [len(buckets.read("box", one.name)) for one in there] == [one.size for one in there]
    files = {str(path.relative_to(buckets.tree / "box")) for path in buckets.tree.rglob("*") if path.is_file()}
    assert {one.name for one in there if one.visible and not one.name.endswith("/")} == files
    for one in there:
        buckets.delete("box", one.name)
    assert _names(buckets) == [path for path in buckets.tree.rglob("*") if not path.is_dir()] == []
    assert os.listdir(buckets.tree.parent / "apart") == ["-"]


def test_it_is_all_there_after_a_restart(tmp_path: Path) -> None:
    buckets = Buckets(tmp_path / "state", Clock(ahead=3600))
    buckets.create("box", project="demo", location="us-central1", settings={"labels": {"a": "b"}})
    made = [buckets.put("box", name, name.encode(), metadata={"k": "v"}) for name in ("a", "a/b", "c//d", "e/")]
    buckets.close()
    (tmp_path / "state/tree/box/a/new").write_text("while nothing ran")
    again = Buckets(tmp_path / "state", Clock())
    assert again.bucket("box").settings == {"labels": {"a": "b"}, "location": "US-CENTRAL1"}  # type: ignore[union-attr]
    assert [again.get("box", one.name).generation for one in made] == [one.generation for one in made]
    assert _names(again) == ["a", "a/b", "a/new", "c//d", "e/"]
    assert again.read("box", "c//d") == b"c//d"
    assert again.put("box", "a", b"").generation > max(one.generation for one in made)
    again.close()


def test_reset_forgets_everything_and_leaves_the_mounted_folder(buckets: Buckets) -> None:
    inode = buckets.tree.stat().st_ino
    buckets.put("box", "a/b", b"x")
    buckets.put("box", "a//b", b"x")
    buckets.reset()
    assert (buckets.tree.stat().st_ino, os.listdir(buckets.tree), buckets.buckets()) == (inode, [], [])
    buckets.create("box", project="demo")
    assert _names(buckets) == []


@pytest.mark.parametrize(
    "name", ["ab", "Box", "-box", "box-", "a" * 64, "192.168.1.1", "goog-box", "my-google", "a..b"]
)
def test_names_that_no_bucket_can_have(buckets: Buckets, name: str) -> None:
    with pytest.raises(Invalid, match=r"[Bb]ucket name"):
        buckets.create(name, project="demo")


@pytest.mark.parametrize("name", ["", ".", "..", "a\nb", "x" * 1025, ".well-known/acme-challenge/x"])
def test_names_that_no_object_can_have(buckets: Buckets, name: str) -> None:
    with pytest.raises(StorageError):
        buckets.put("box", name, b"")


def test_buckets_are_unique_and_removed_only_when_empty(buckets: Buckets) -> None:
    with pytest.raises(Conflict, match="you already own it"):
        buckets.create("box", project="demo")
    with pytest.raises(Conflict, match="not available"):
        buckets.create("box", project="other")
    (buckets.tree / "box/a").write_text("by a process")
    with pytest.raises(Conflict, match="not empty"):
        buckets.remove_bucket("box")
    (buckets.tree / "box/a").unlink()
    buckets.remove_bucket("box")
    assert not (buckets.tree / "box").exists()
    with pytest.raises(NotFound, match="bucket does not exist"):
        buckets.list("box")


def test_a_moved_object_keeps_what_it_has(buckets: Buckets) -> None:
    buckets.put("box", "a", b"x", content_type="text/plain")
    for target in ("b", "b/c", "b//c", "d"):
        source = _names(buckets)[0]
        moved = buckets.move("box", source, target)
        assert (_names(buckets), buckets.read("box", target), moved.content_type) == ([target], b"x", "text/plain")
    assert os.listdir(buckets.tree / "box") == ["d"]
    buckets.put("box", "empty//", b"")
    buckets.move("box", "empty//", "empty")
    (buckets.tree / "box/empty").write_bytes(b"now it has some")
    buckets.put("box", "other//", b"")
    assert buckets.read("box", "other//") == b""


def test_an_object_is_put_together_of_others(buckets: Buckets) -> None:
    for name in ("a", "b"):
        buckets.put("box", name, name.encode())
    conditions = [("a", None, NONE), ("b", None, NONE)]
    made = buckets.compose("box", "c", conditions, {"contentType": "text/plain"})
    assert (buckets.read("box", "c"), made.md5, made.components) == (b"ab", None, 2)


def test_a_reader_keeps_the_bytes_that_it_has_opened(buckets: Buckets) -> None:
    buckets.put("box", "a", b"old")
    found, stream = buckets.open("box", "a")
    buckets.put("box", "a", b"new")
    with stream:
        assert (stream.read(), found.size) == (b"old", 3)
