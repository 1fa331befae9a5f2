"""Inputs over HTTP from a real server: cached by version, complete or not there, refusals in one line."""

from __future__ import annotations

import base64
import hashlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from cloudops.errors import AuthError, ConfigError, InvalidRequest, NotFound, ProviderError, Throttled, Unavailable
from cloudops.store import web
from cloudops.store.fetch import fetch, version

from .servers import Server, Web, serving


@pytest.fixture(autouse=True)
def waited(monkeypatch: pytest.MonkeyPatch) -> None:
    """No waiting between attempts."""
    monkeypatch.setattr(web, "DELAYS", (0.0, 0.0))


@pytest.fixture
def server() -> Iterator[Server]:
    with serving(Web) as running:
        running.files["/data/train 1.csv"] = b"a,b\n1,2\n"
        yield running


def address(server: Server, path: str = "/data/train%201.csv") -> str:
    return server.url + path


@pytest.mark.parametrize("validators", [("ETag",), ("Last-Modified",), ("ETag", "Last-Modified")])
def test_an_unchanged_file_is_confirmed_and_not_fetched_again(
    server: Server, tmp_path: Path, validators: tuple[str, ...]
) -> None:
    server.validators = validators
    first = fetch(address(server), tmp_path)
    assert first.read_bytes() == b"a,b\n1,2\n"
    assert first.name == "train 1.csv"
    assert fetch(address(server), tmp_path) == first
    assert server.statuses == [200, 304]


def test_a_new_version_gets_a_new_path_and_the_old_one_stays(server: Server, tmp_path: Path) -> None:
    first = fetch(address(server), tmp_path)
    server.files["/data/train 1.csv"] = b"new"
    server.modified += 60
    second = fetch(address(server), tmp_path)
    assert (first.read_bytes(), second.read_bytes()) == (b"a,b\n1,2\n", b"new")


def test_without_validators_it_is_fetched_each_time(server: Server, tmp_path: Path) -> None:
    server.validators = ()
    assert fetch(address(server), tmp_path) == fetch(address(server), tmp_path)
    assert server.statuses == [200, 200]


def test_without_validators_the_version_is_the_digest(server: Server, tmp_path: Path) -> None:
    server.validators = ()
    first = version(address(server), tmp_path)
    assert first == f"sha256:{hashlib.sha256(server.files['/data/train 1.csv']).hexdigest()}"
    server.files["/data/train 1.csv"] = b"a,b\n1,3\n"
    assert version(address(server), tmp_path) != first
    server.cut = 3
    with pytest.raises(Unavailable):
        version(address(server), tmp_path)


@pytest.mark.parametrize("damage", ["cut file", "lost file", "no notes", "wrong notes"])
def test_a_damaged_cache_is_fetched_again(server: Server, tmp_path: Path, damage: str) -> None:
    path = fetch(address(server), tmp_path)
    (notes,) = tmp_path.rglob("latest.json")
    if damage == "cut file":
        path.write_bytes(b"a,b")
    elif damage == "lost file":
        path.unlink()
    else:
        notes.write_text("{" if damage == "no notes" else '["etag"]')
    assert fetch(address(server), tmp_path).read_bytes() == b"a,b\n1,2\n"
    assert server.statuses == [200, 200]


def test_versions_follow_the_content_and_fetch_nothing(server: Server, tmp_path: Path) -> None:
    first = version(address(server), tmp_path)
    assert first
    assert version(address(server, "/data/train%201.csv?signature=1"), tmp_path) == first
    server.files["/data/train 1.csv"] = b""
    assert version(address(server), tmp_path) not in ("", first)
    assert list(tmp_path.iterdir()) == []


def test_a_cut_connection_is_an_error_and_leaves_no_half_file(server: Server, tmp_path: Path) -> None:
    server.cut = 3
    with pytest.raises(Unavailable, match=r"train%201\.csv(: IncompleteRead| broke off after 5 of 8 bytes)"):
        fetch(address(server), tmp_path)
    assert len(server.requests) == 3
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_failure_that_passes_is_not_seen(server: Server, tmp_path: Path) -> None:
    server.answers = [503, 429]
    assert fetch(address(server), tmp_path).read_bytes() == b"a,b\n1,2\n"


@pytest.mark.parametrize(
    ("status", "kind", "attempts"),
    [
        (401, AuthError, 1),
        (403, AuthError, 1),
        (404, NotFound, 1),
        (410, NotFound, 1),
        (418, InvalidRequest, 1),
        (429, Throttled, 3),
        (500, Unavailable, 3),
        (503, Unavailable, 3),
    ],
)
def test_refusals_are_one_line_without_the_signature(
    server: Server, tmp_path: Path, status: int, kind: type[ProviderError], attempts: int
) -> None:
    server.answers = [status] * 9
    uri = f"http://me:secret@127.0.0.1:{server.server_port}/data/x.csv?X-Signature=secret#secret"
    with pytest.raises(kind) as caught:
        fetch(uri, tmp_path)
    message = str(caught.value)
    assert message.startswith(f"{server.url}/data/x.csv?...: HTTP {status} ")
    assert "secret" not in message
    assert "\n" not in message
    assert caught.value.code == str(status)
    assert len(server.requests) == attempts


def test_credentials_in_the_address_are_sent_and_not_to_where_it_redirects(server: Server, tmp_path: Path) -> None:
    uri = f"http://me:p%40ss@127.0.0.1:{server.server_port}/data/train%201.csv"
    fetch(uri, tmp_path)
    assert server.requests[0][1]["Authorization"] == "Basic " + base64.b64encode(b"me:p@ss").decode()
    with serving(Web) as other:
        other.files["/x"] = b"x"
        server.location = f"{other.url}/x"
        assert fetch(uri, tmp_path / "again").read_bytes() == b"x"
        assert "Authorization" not in other.requests[0][1]


def test_names_that_need_quoting(server: Server, tmp_path: Path) -> None:
    server.files["/données/zu g.csv"] = b"1"
    assert fetch(address(server, "/données/zu g.csv"), tmp_path).name == "zu g.csv"
    assert fetch(address(server, "/donn%C3%A9es/zu%20g.csv"), tmp_path).read_bytes() == b"1"
    server.files["/.."] = b"2"
    odd = fetch(address(server, "/%2e%2e"), tmp_path)
    assert odd.name == "data"
    assert tmp_path in odd.parents


def test_a_host_that_does_not_exist(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match=r"the host no-such-host\.invalid is not known .*; check the spelling"):
        fetch("https://no-such-host.invalid/x.csv?key=secret", tmp_path)


def test_nobody_listens(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        with pytest.raises(Unavailable, match="Connection refused"):
            fetch(f"http://127.0.0.1:{taken.getsockname()[1]}/x", tmp_path)


def test_a_server_that_is_silent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web, "TIMEOUT", 0.1)
    silently = pytest.raises(Unavailable, match=r"/x\?\.\.\.: no answer within 0\.1 s")
    with socket.create_server(("127.0.0.1", 0)) as silent, silently:
        fetch(f"http://127.0.0.1:{silent.getsockname()[1]}/x?key=secret", tmp_path)


def test_a_server_that_talks_nonsense(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as odd:

        def answer() -> None:
            for _ in range(3):
                connection, _ = odd.accept()
                with connection:
                    connection.recv(65536)
                    connection.sendall(b"SSH-2.0-OpenSSH\r\n\r\n")

        thread = threading.Thread(target=answer)
        thread.start()
        with pytest.raises(Unavailable, match=r"SSH-2\.0"):
            fetch(f"http://127.0.0.1:{odd.getsockname()[1]}/x", tmp_path)
        thread.join()


def test_a_redirect_must_not_leave_encryption() -> None:
    import urllib.error
    import urllib.request
    from email.message import Message

    request = urllib.request.Request("https://host/x?key=secret")
    with pytest.raises(urllib.error.URLError, match="without encryption"):
        web._Redirects().redirect_request(request, None, 302, "Found", Message(), "http://host/x")  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("uri", "says"),
    [
        ("https://host/data/", "is a folder, which https cannot list; name one file"),
        ("https://host/data/*.csv", "has a wildcard, which https cannot expand; name one file"),
        ("https:///x.csv", "is not a valid address; expected https://HOST/PATH"),
        ("https://[::1/x?key=secret", "is not a valid address"),
        ("https://host:port/x", "is not a valid address"),
    ],
)
def test_addresses_that_cannot_be_fetched(tmp_path: Path, uri: str, says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        fetch(uri, tmp_path)
    assert says in str(caught.value)
    assert "secret" not in str(caught.value)
