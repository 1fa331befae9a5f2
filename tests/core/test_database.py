"""Small databases that several clients meet at once, before any of them has made the file."""

from __future__ import annotations

import sqlite3
import threading
from pathlib import Path

from cloudops.database import transaction

SCHEMA = "create table t (a text)"


def add(path: Path, failures: list[Exception]) -> None:
    def failed(error: Exception) -> Exception:
        failures.append(error)
        return error

    with transaction(path, SCHEMA, failed) as connection:
        connection.execute("insert into t values ('x')")


def test_a_file_that_another_client_is_just_making_is_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "new.db"
    other = sqlite3.connect(path)
    other.execute("create view first as select 1 as a")
    other.execute("begin")
    assert list(other.execute("select * from first")) == [(1,)]  # holds the file, and it is not in WAL mode yet
    failures: list[Exception] = []
    client = threading.Thread(target=add, args=(path, failures))
    client.start()
    client.join(0.3)
    assert client.is_alive(), "it gave up at once"
    other.rollback()
    client.join(20)
    assert not failures
    assert list(other.execute("select a from t")) == [("x",)]
    other.close()


def test_many_clients_at_once_make_one_file(tmp_path: Path) -> None:
    for number in range(20):
        path = tmp_path / str(number) / "new.db"
        failures: list[Exception] = []
        clients = [threading.Thread(target=add, args=(path, failures)) for _ in range(4)]
        for client in clients:
            client.start()
        for client in clients:
            client.join()
        assert not failures
        with sqlite3.connect(path) as connection:
            assert list(connection.execute("select count(*) from t")) == [(4,)]
