"""Real clients through the proxy: real host names, bodies of every kind, and refusals."""

from __future__ import annotations

import base64
import hashlib
import http.client
import json
import os
import socket
import ssl
import statistics
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from cloudops.offline import OfflineCloud
from cloudops.store.fetch import fetch


def credentials() -> dict[str, str]:
    """What the environment's proxy variables say, as a header."""
    user, _, password = urlsplit(os.environ["HTTPS_PROXY"]).netloc.rpartition("@")[0].partition(":")
    return {"Proxy-Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


def tunnel(cloud: OfflineCloud, host: str = "api.fake.test") -> http.client.HTTPSConnection:
    """A connection as clients keep it open."""
    context = ssl.create_default_context()
    port = int(cloud.url.rpartition(":")[2])
    connection = http.client.HTTPSConnection("127.0.0.1", port, context=context, timeout=20)
    connection.set_tunnel(host, 443, credentials())
    return connection


def test_an_unmodified_client_reaches_the_emulator_by_its_real_name(cloud: OfflineCloud) -> None:
    request = urllib.request.Request("https://api.fake.test/echo/a%2Fb//c?x=%20y", data=b"body", method="POST")
    with urllib.request.urlopen(request) as response:
        seen = json.load(response)
    assert seen == {
        "REQUEST_METHOD": "POST",
        "PATH_INFO": "/echo/a/b//c",
        "QUERY_STRING": "x=%20y",
        "RAW_URI": "/echo/a%2Fb//c?x=%20y",
        "HTTP_HOST": "api.fake.test",
        "wsgi.url_scheme": "https",
        "body": "body",
    }


def test_plain_http_reaches_it_too(cloud: OfflineCloud) -> None:
    seen = requests.get("http://Other.Fake.test:8080//echo?q", timeout=20).json()
    assert (seen["HTTP_HOST"], seen["wsgi.url_scheme"]) == ("other.fake.test:8080", "http")
    assert seen["RAW_URI"].startswith("//echo?q")


def test_plain_http_behind_connect_reaches_it_too(cloud: OfflineCloud) -> None:
    done = subprocess.run(
        ["curl", "-sS", "--proxytunnel", "http://api.fake.test/echo"], capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout)["wsgi.url_scheme"] == "http"


def test_many_requests_share_a_connection_and_are_quick(cloud: OfflineCloud) -> None:
    connection = tunnel(cloud)
    took = []
    for _ in range(200):
        begun = time.perf_counter()
        connection.request("GET", "/echo")
        assert connection.getresponse().read()
        took.append(time.perf_counter() - begun)
    assert statistics.median(took) < 0.005  # 0.3 ms on a machine that does nothing else


@pytest.mark.skipif(not hasattr(socket, "TCP_QUICKACK"), reason="only Linux can be told to acknowledge at once")
def test_a_client_that_waits_for_acknowledgements_is_not_kept_waiting(cloud: OfflineCloud) -> None:
    took = []
    with requests.Session() as session:  # behind a proxy it sends the body only when the head was acknowledged
        for _ in range(20):
            begun = time.perf_counter()
            session.post("https://api.fake.test/echo", data=b"body", timeout=20).raise_for_status()
            took.append(time.perf_counter() - begun)
    assert statistics.median(took) < 0.02  # 1 ms, or 41 ms


@pytest.mark.parametrize("path", ["/ignored", "/echo"])
def test_a_connection_goes_on_whether_the_body_was_wanted_or_not(cloud: OfflineCloud, path: str) -> None:
    connection = tunnel(cloud)
    for body in (b"x" * 300_000, iter([b"a" * 70_000, b"b"])):
        connection.request("POST", path, body=body)  # type: ignore[arg-type]
        response = connection.getresponse()
        response.read()
        assert (response.status, response.getheader("Connection")) == (200, "keep-alive")
        kept = connection.sock
        connection.request("GET", "/echo")
        assert json.loads(connection.getresponse().read())["body"] == ""
        assert connection.sock is kept


def test_large_bodies_stream(cloud: OfflineCloud) -> None:
    data = os.urandom(1 << 20) * 64
    digest = hashlib.sha256(data).hexdigest()

    def pieces() -> Iterator[bytes]:
        yield from (data[start : start + 100_001] for start in range(0, len(data), 100_001))

    for body in (data, pieces()):
        begun = time.perf_counter()
        seen = requests.put("https://api.fake.test/upload/x", data=body, timeout=60).json()
        assert seen == {"size": len(data), "sha256": digest}
        assert time.perf_counter() - begun < 10


def test_an_answer_of_unknown_length_comes_in_pieces(cloud: OfflineCloud) -> None:
    assert requests.get("https://api.fake.test/pieces/1000", timeout=20).text == "".join(f"{n}," for n in range(1000))


def test_who_waits_to_be_told_to_go_on_is_told(cloud: OfflineCloud) -> None:
    connection = tunnel(cloud)
    connection.connect()
    raw = connection.sock
    raw.sendall(b"PUT /echo HTTP/1.1\r\nHost: api.fake.test\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n")
    assert raw.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
    raw.sendall(b"body")
    assert b'"body": "body"' in raw.recv(4096)


def test_who_waits_in_vain_gets_the_answer_and_the_end(cloud: OfflineCloud) -> None:
    connection = tunnel(cloud)
    connection.connect()
    raw = connection.sock
    raw.sendall(b"PUT /ignored HTTP/1.1\r\nHost: api.fake.test\r\nContent-Length: 4\r\nExpect: 100-continue\r\n\r\n")
    said = b"".join(iter(lambda: raw.recv(4096), b""))
    assert said.startswith(b"HTTP/1.1 200 OK")
    assert b"Connection: close" in said


def test_head_has_no_body(cloud: OfflineCloud) -> None:
    connection = tunnel(cloud)
    for _ in range(2):
        connection.request("HEAD", "/echo")
        assert connection.getresponse().read() == b""


@pytest.mark.parametrize(
    "garbage", [b"\x00\x01\x02\r\n\r\n", b"GET\r\n\r\n", b"CONNECT nothing HTTP/1.1\r\n\r\n", b"x" * 99_999]
)
def test_garbage_harms_nobody(cloud: OfflineCloud, garbage: bytes) -> None:
    with socket.create_connection(("127.0.0.1", int(cloud.url.rpartition(":")[2])), timeout=20) as raw:
        raw.sendall(garbage)
        raw.shutdown(socket.SHUT_WR)
        while raw.recv(4096):
            pass
    assert requests.get("https://api.fake.test/echo", timeout=20).status_code == 200


def test_another_host_is_refused_and_listed(cloud: OfflineCloud) -> None:
    for _ in range(2):
        with pytest.raises(OSError, match="403"):
            urllib.request.urlopen("https://pypi.example/simple")
    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen("http://100.100.100.200/latest/meta-data")
    assert b"100.100.100.200 is refused: no offline cloud answers for it" in refused.value.read()
    found = cloud.egress()
    assert [(one["host"], one["port"], one["count"]) for one in found] == [
        ("pypi.example", 443, 2),
        ("100.100.100.200", 80, 1),
    ]
    assert time.time() - 60 < found[0]["first"] < found[0]["last"] <= time.time()
    cloud.reset()
    assert cloud.egress() == []


def test_an_emulator_that_cannot_start_says_why_in_a_line(cloud: OfflineCloud) -> None:
    answer = requests.get("https://api.broken.test/", timeout=20)
    assert answer.status_code == 502
    assert answer.text == "cloudops offline: the offline cloud broken cannot be started: RuntimeError: no luck today\n"


def test_an_emulator_that_fails_says_why_and_the_connection_goes_on(cloud: OfflineCloud) -> None:
    session = requests.Session()
    answer = session.get("https://api.fake.test/fail", timeout=20)
    assert (answer.status_code, answer.text) == (
        500,
        "cloudops offline: fake failed: RuntimeError: a bug of the fake\n",
    )
    assert session.get("https://api.fake.test/echo", timeout=20).status_code == 200


def test_another_user_of_this_machine_is_not_served(cloud: OfflineCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    """The loopback is everybody's; a job in an offline cloud would be code that runs as us."""
    for address in (cloud.url, cloud.url.replace("//", "//cloudops:guess@")):
        for name in ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy"):
            monkeypatch.setenv(name, address)
        with pytest.raises(requests.exceptions.ProxyError, match="407"):
            requests.get("https://api.fake.test/echo", timeout=20)
        answer = requests.get("http://api.fake.test/echo", timeout=20)
        assert answer.status_code == 407
        assert "this proxy is for the processes that were led to it" in answer.text
    assert (cloud.calls(), cloud.egress()) == ([], [])


def test_nobody_who_was_not_told_trusts_it(cloud: OfflineCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(urllib.error.URLError, match="CERTIFICATE_VERIFY_FAILED"):
        urllib.request.urlopen("https://api.fake.test/echo")


def test_botocore_speaks_to_s3_by_its_real_name(cloud: OfflineCloud) -> None:
    import boto3

    client: Any = boto3.Session(region_name="eu-west-1").client("s3")
    assert client.get_object(Bucket="bucket", Key="a/b")["Body"].read() == b"bucket.s3.eu-west-1.amazonaws.com/a/b"
    put = client.put_object(Bucket="bucket", Key="a", Body=b"x" * 2_000_000)
    assert int(put["ResponseMetadata"]["HTTPHeaders"]["x-seen"]) >= 2_000_000
    assert cloud.egress() == []


def test_inputs_in_s3_come_from_the_offline_cloud(cloud: OfflineCloud, tmp_path: Path) -> None:
    assert fetch("s3://bucket/a/b.txt", tmp_path).read_bytes() == b"s3.eu-west-1.amazonaws.com/bucket/a/b.txt"
