"""The journal of intents: two processes at once, a crash in between, a damaged file."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from cloudops.errors import CloudopsError
from cloudops.journal import Journal


def intend(journal: Journal, name: str, intent: str = "i") -> None:
    journal.intend(name, provider="local", scope="s", step="train", intent=intent)


def rows(journal: Journal) -> list[tuple[str, str, str | None]]:
    with sqlite3.connect(journal.path) as connection:
        return list(connection.execute("select name, intent, uri from intents order by name"))


def test_an_intent_is_unresolved_until_its_handle_is_known(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    assert journal.unresolved() == []
    assert not journal.path.parent.exists()
    intend(journal, "a")
    intend(journal, "b")
    assert journal.unresolved() == ["a", "b"]
    journal.created("a", provider="local", scope="s", uri="cloudops://local/s/jobs/a")
    assert journal.unresolved() == ["b"]
    assert rows(journal)[0] == ("a", "i", "cloudops://local/s/jobs/a")


def test_a_repeated_intent_is_one_row_and_keeps_its_handle(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    intend(journal, "a")
    journal.created("a", provider="local", scope="s", uri="u")
    intend(journal, "a", "later")
    assert rows(journal) == [("a", "i", "u")]
    assert journal.unresolved() == []


def test_the_same_name_elsewhere_is_another_intent(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    for provider, scope in (("local", "s"), ("local", "t"), ("vertex", "s")):
        journal.intend("a", provider=provider, scope=scope, step="train", intent="i")
    journal.created("a", provider="local", scope="t", uri="u")
    assert journal.unresolved() == ["a", "a"]


WRITER = """
import sys
from pathlib import Path
from cloudops.journal import Journal
journal = Journal(Path(sys.argv[1]))
for i in range(15):
    name = f"{sys.argv[2]}-{i:02}"
    journal.intend(name, provider="local", scope="s", step="train", intent="i")
    journal.intend(f"shared-{i:02}", provider="local", scope="s", step="train", intent="i")
    journal.created(name, provider="local", scope="s", uri=name)
"""


def test_processes_write_at_once(tmp_path: Path) -> None:
    """From the first moment on, when none of them has made the file yet."""
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path), str(i)], stderr=subprocess.PIPE, text=True)
        for i in range(4)
    ]
    for writer in writers:
        _, errors = writer.communicate(timeout=60)
        assert writer.returncode == 0, errors
    journal = Journal(tmp_path)
    assert len(rows(journal)) == 4 * 15 + 15
    assert journal.unresolved() == [f"shared-{i:02}" for i in range(15)]


KILLED = """
import os, signal, sys
from pathlib import Path
from cloudops.journal import Journal
journal = Journal(Path(sys.argv[1]))
journal.intend("done", provider="local", scope="s", step="train", intent="i")
journal.created("done", provider="local", scope="s", uri="u")
journal.intend("lost", provider="local", scope="s", step="train", intent="i")
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_crash_between_intent_and_handle_leaves_the_intent(tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], check=False, timeout=60)
    assert done.returncode == -signal.SIGKILL
    journal = Journal(tmp_path)
    assert journal.unresolved() == ["lost"]
    intend(journal, "lost")
    journal.created("lost", provider="local", scope="s", uri="found")
    assert journal.unresolved() == []


def _pages(path: Path) -> None:
    """A file that begins as a database and is garbage after its first page."""
    intend(Journal(path.parent.parent), "a")
    data = path.read_bytes()
    path.write_bytes(data[:100] + b"\xff" * (len(data) - 100))


DAMAGES = {
    "text": lambda path: path.write_text("this is no database, " * 100),
    "garbage": _pages,
}


@pytest.mark.parametrize("how", DAMAGES)
def test_a_damaged_journal_is_put_aside(tmp_path: Path, how: str) -> None:
    journal = Journal(tmp_path)
    journal.path.parent.mkdir()
    DAMAGES[how](journal.path)
    damaged = journal.path.read_bytes()
    intend(journal, "b")
    assert journal.unresolved() == ["b"]
    assert journal.path.with_name("journal.db.damaged").read_bytes() == damaged


def test_a_file_in_the_way_of_the_folder_is_told(tmp_path: Path) -> None:
    (tmp_path / ".cloudops").write_text("")
    with pytest.raises(CloudopsError, match=r"journal\.db cannot be written: .*; free some disk space or fix its perm"):
        intend(Journal(tmp_path), "a")


def test_paths_with_spaces_and_other_scripts(tmp_path: Path) -> None:
    root = tmp_path / "mein Projekt 漢?#%20"
    root.mkdir()
    intend(Journal(root), "a")
    assert Journal(root).unresolved() == ["a"]
