"""What a walk makes of links, odd names, odd files and refusals."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from cloudops.errors import ConfigError
from cloudops.store.tree import code_files, data_files


def names(root: Path) -> list[str]:
    return [entry.name for entry in code_files(root)]


@contextmanager
def unprivileged() -> Iterator[None]:
    """Permissions mean nothing to root, so for the block the process is somebody else."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@pytest.fixture
def public() -> Iterator[Path]:
    """A folder that another user may enter, which ``tmp_path`` is not."""
    folder = Path(tempfile.mkdtemp(dir="/tmp"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


def test_links_inside_the_folder_are_followed(tmp_path: Path) -> None:
    (tmp_path / "common").mkdir()
    (tmp_path / "common" / "util.py").write_text("x = 1")
    (tmp_path / "linked").symlink_to("common")
    (tmp_path / "one.py").symlink_to("common/util.py")
    assert names(tmp_path) == ["common/util.py", "linked/util.py", "one.py"]
    assert {entry.status.st_size for entry in code_files(tmp_path)} == {5}


@pytest.mark.parametrize(
    ("target", "says"),
    [
        ("missing.py", "leads to 'missing.py': No such file"),
        ("../outside.py", "leads out of the folder, to"),
        (".", "leads in a circle, back to"),
        ("bad", "leads to 'bad': Too many levels"),
    ],
)
def test_a_bad_link_is_named_with_what_to_do(tmp_path: Path, target: str, says: str) -> None:
    (tmp_path / "outside.py").write_text("")
    root = tmp_path / "code"
    root.mkdir()
    (root / "bad").symlink_to(target)
    with pytest.raises(ConfigError) as caught:
        code_files(root)
    message = str(caught.value)
    assert f"{root}: the link 'bad' {says}" in message
    assert message.endswith("; replace it by a copy, or list it in .cloudopsignore")
    assert "\n" not in message


def test_links_between_folders_in_a_circle_are_refused(tmp_path: Path) -> None:
    for one, other in (("a", "b"), ("b", "a")):
        (tmp_path / one).mkdir()
        (tmp_path / one / "next").symlink_to(f"../{other}")
    with pytest.raises(ConfigError, match="in a circle"):
        code_files(tmp_path)


def test_an_ignored_bad_link_does_not_matter(tmp_path: Path) -> None:
    (tmp_path / "venv").symlink_to("/nowhere")
    (tmp_path / "out").symlink_to("/etc")
    (tmp_path / ".gitignore").write_text("venv/\nout/\n")
    assert names(tmp_path) == [".gitignore"]


def test_data_may_link_anywhere_and_is_not_subject_to_ignore_files(tmp_path: Path) -> None:
    (tmp_path / "big").mkdir()
    (tmp_path / "big" / "x.csv").write_text("1")
    root = tmp_path / "data"
    root.mkdir()
    (root / "all").symlink_to(tmp_path / "big")
    (root / ".gitignore").write_text("*")
    (root / ".cloudops").mkdir()
    (root / ".cloudops" / "state").write_text("")
    assert [entry.name for entry in data_files(root)] == [".gitignore", "all/x.csv"]


def test_names_of_any_kind(tmp_path: Path) -> None:
    odd = ["with space.py", "naïve-日本.py", "new\nline.py", "-dash", "quote'\".py"]
    for name in odd:
        (tmp_path / name).write_text("")
    with open(os.fsencode(tmp_path) + b"/latin-\xe9.py", "w"):
        pass
    assert names(tmp_path) == sorted([*odd, "latin-\udce9.py"])


def test_pipes_and_sockets_are_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    os.mkfifo("pipe")
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
        (tmp_path / "train.py").write_text("")
        assert names(tmp_path) == ["train.py"]


def test_an_unreadable_folder_is_one_clear_line(public: Path) -> None:
    secret = public / "secret"
    secret.mkdir(mode=0)
    with unprivileged(), pytest.raises(ConfigError) as caught:
        code_files(public)
    secret.chmod(0o700)
    expected = "'secret/' cannot be read: Permission denied; change its permissions, or list it in .cloudopsignore"
    assert str(caught.value) == f"{public}: {expected}"


def test_an_unreadable_ignore_file_is_one_clear_line(public: Path) -> None:
    (public / ".gitignore").write_text("*.log")
    (public / ".gitignore").chmod(0)
    with unprivileged(), pytest.raises(ConfigError, match=r"\.gitignore cannot be read: Permission denied; make it"):
        code_files(public)


def test_a_root_that_is_no_folder(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read: No such file or directory; name an existing folder"):
        code_files(tmp_path / "nowhere")
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="is not a folder"):
        code_files(tmp_path / "file")
