"""gRPC, and HTTP/2 in general, through the proxy: the real grpcio, a client of HTTP/2, and one made by hand."""

from __future__ import annotations

import hashlib
import os
import socket
import ssl
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import grpc
import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.settings
import httpx
import pytest

from cloudops.offline import OfflineCloud, exchange
from cloudops.offline.environment import applied

from .conftest import FAKE
from .test_deaths import until
from .test_proxy import credentials

TARGET = "api.rpc.test:443"
LARGE = 20 << 20
OPTIONS = [
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.enable_retries", 0),
]


@pytest.fixture(scope="module")
def rpc_server() -> Iterator[OfflineCloud]:
    with OfflineCloud(emulators=[FAKE, "offline.rpcfake:RpcCloud"]) as cloud:
        yield cloud


@pytest.fixture
def cloud(rpc_server: OfflineCloud) -> Iterator[OfflineCloud]:
    rpc_server.reset()
    with rpc_server.active():
        yield rpc_server


@pytest.fixture
def channel(cloud: OfflineCloud) -> Iterator[grpc.Channel]:
    with connect() as made:
        yield made


def connect(target: str = TARGET) -> grpc.Channel:
    with open(os.environ["GRPC_DEFAULT_SSL_ROOTS_FILE_PATH"], "rb") as file:
        return grpc.secure_channel(target, grpc.ssl_channel_credentials(file.read()), OPTIONS)


def call(channel: grpc.Channel, method: str, message: bytes = b"", timeout: float = 30) -> bytes:
    answer: bytes = channel.unary_unary(f"/fake.Rpc/{method}")(message, timeout=timeout)
    return answer


def operations(cloud: OfflineCloud) -> list[str]:
    return [one["operation"].removeprefix("rpc:") for one in cloud.calls("rpc")]


def test_the_unmodified_client_needs_no_more_than_its_environment(rpc_server: OfflineCloud) -> None:
    code = f"""
import grpc
with grpc.secure_channel({TARGET!r}, grpc.ssl_channel_credentials()) as channel:
    print(channel.unary_unary("/fake.Rpc/Echo")(b"hello", timeout=20).decode())
"""
    environ = applied(rpc_server.environment, {**os.environ, "grpc_proxy": "http://127.0.0.1:9", "no_grpc_proxy": "*"})
    done = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=False)
    assert (done.stdout, done.returncode) == ("hello\n", 0), done.stderr


def test_a_call_has_headers_a_message_and_trailers(channel: grpc.Channel) -> None:
    answer, about = channel.unary_unary("/fake.Rpc/Echo").with_call(b"hello", metadata=[("x-mine", "1")], timeout=20)
    assert answer == b"hello"
    headers = dict(about.initial_metadata())
    assert (headers["x-host"], headers["x-protocol"]) == ("api.rpc.test", "HTTP/2")
    assert dict(about.trailing_metadata())["x-mine"] == "1"


def test_a_warm_call_is_quick(channel: grpc.Channel) -> None:
    took = []
    for _ in range(200):
        begun = time.perf_counter()
        call(channel, "Echo", b"hello")
        took.append(time.perf_counter() - begun)
    assert statistics.median(took) < 0.01  # 0.7 ms on a machine that does nothing else


@pytest.mark.parametrize(
    ("method", "code", "text"),
    [
        ("Refuse", grpc.StatusCode.NOT_FOUND, "no such thing"),
        ("Nothing", grpc.StatusCode.FAILED_PRECONDITION, "not yet"),
        (
            "Fail",
            grpc.StatusCode.INTERNAL,
            "cloudops offline: rpc failed: RuntimeError: a bug of the fake, 100 % sure",
        ),
        (
            "Twice",
            grpc.StatusCode.INTERNAL,
            "cloudops offline: rpc failed: RuntimeError: cloudops.trailers has been called twice",
        ),
    ],
)
def test_errors_are_in_the_trailers(channel: grpc.Channel, method: str, code: grpc.StatusCode, text: str) -> None:
    with pytest.raises(grpc.RpcError) as raised:
        call(channel, method)
    assert (raised.value.code(), raised.value.details()) == (code, text)
    assert call(channel, "Echo", b"again") == b"again"


def test_an_answer_that_breaks_off_is_no_answer(channel: grpc.Channel) -> None:
    answers = channel.unary_stream("/fake.Rpc/Half")(b"", timeout=20)
    assert next(answers) == b"half"
    with pytest.raises(grpc.RpcError) as raised:
        next(answers)
    assert raised.value.code() is grpc.StatusCode.INTERNAL
    assert call(channel, "Echo", b"again") == b"again"


def test_a_stream_of_answers(channel: grpc.Channel) -> None:
    answers = channel.unary_stream("/fake.Rpc/Count")(b"1000 0", timeout=20)
    assert [int(one.rstrip(b".")) for one in answers] == list(range(1000))
    answers = channel.unary_stream("/fake.Rpc/Count")(b"3 10", timeout=20)
    seen = []
    with pytest.raises(grpc.RpcError) as raised:
        seen.extend(answers)
    assert (len(seen), raised.value.code(), raised.value.details()) == (3, grpc.StatusCode.ABORTED, "at the end")


def test_both_sides_speak_in_turns(channel: grpc.Channel) -> None:
    heard = threading.Semaphore(0)

    def questions() -> Iterator[bytes]:
        for number in range(20):
            yield b"%d" % number
            assert heard.acquire(timeout=20)

    answers = channel.stream_stream("/fake.Rpc/Chat")(questions(), timeout=20)
    for number in range(20):
        assert next(answers) == b"heard %d" % number
        heard.release()
    assert list(answers) == []


def test_large_messages_go_both_ways(channel: grpc.Channel) -> None:
    data = os.urandom(LARGE)
    begun = time.perf_counter()
    assert call(channel, "Echo", data) == data
    assert time.perf_counter() - begun < 10
    pieces = (data[start : start + 1_000_003] for start in range(0, LARGE, 1_000_003))
    assert channel.stream_unary("/fake.Rpc/Digest")(pieces, timeout=30) == hashlib.sha256(data).digest()
    sizes = [len(one) for one in channel.unary_stream("/fake.Rpc/Count")(b"20 1048576", timeout=30)]
    assert sum(sizes) == 10 * 1 + 10 * 2 + LARGE


def test_a_large_message_that_nobody_reads_hinders_nobody(channel: grpc.Channel) -> None:
    assert call(channel, "Unread", bytes(LARGE)) == b"I have not looked"
    assert call(channel, "Echo", b"again") == b"again"


def test_many_calls_share_a_connection(cloud: OfflineCloud, channel: grpc.Channel) -> None:
    waiting = [channel.unary_unary("/fake.Rpc/Wait").future(b"", timeout=30) for _ in range(50)]
    until(lambda: operations(cloud).count("Wait") == 50)
    assert call(channel, "Go")
    assert [one.result() for one in waiting] == [b"went on"] * 50
    large = [b"%d " % number * 100_000 for number in range(50)]
    calls = [channel.unary_unary("/fake.Rpc/Echo").future(one, timeout=60) for one in large]
    assert [one.result() for one in calls] == large


def test_more_calls_than_a_connection_takes_wait_for_their_turn(channel: grpc.Channel) -> None:
    calls = [channel.unary_unary("/fake.Rpc/Echo").future(b"%d" % number, timeout=60) for number in range(500)]
    assert [one.result() for one in calls] == [b"%d" % number for number in range(500)]


def test_a_deadline_ends_the_work(cloud: OfflineCloud, channel: grpc.Channel) -> None:
    with pytest.raises(grpc.RpcError) as raised:
        call(channel, "Wait", timeout=0.3)
    assert raised.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    until(lambda: operations(cloud) == ["Wait", "Closed"])
    assert call(channel, "Echo", b"again") == b"again"


def test_a_cancelled_call_ends_the_work(cloud: OfflineCloud, channel: grpc.Channel) -> None:
    waiting = channel.unary_unary("/fake.Rpc/Wait").future(b"")
    until(lambda: operations(cloud) == ["Wait"])
    waiting.cancel()
    until(lambda: operations(cloud) == ["Wait", "Closed"])


def test_a_client_that_goes_ends_the_work(cloud: OfflineCloud) -> None:
    code = f"""
import grpc, os
channel = grpc.secure_channel({TARGET!r}, grpc.ssl_channel_credentials())
next(channel.unary_stream("/fake.Rpc/Forever")(b""))
os._exit(0)
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)
    until(lambda: operations(cloud) == ["Forever", "Closed"])


def test_a_slow_reader_holds_up_nobody_else(cloud: OfflineCloud, channel: grpc.Channel) -> None:
    answers = channel.unary_stream("/fake.Rpc/Forever")(b"")
    for _ in range(3):
        assert len(next(answers)) == 100_000
    assert call(channel, "Echo", bytes(LARGE)) == bytes(LARGE)
    answers.cancel()
    until(lambda: operations(cloud)[-1] == "Closed")


def test_faults_of_the_connection_break_it(cloud: OfflineCloud, channel: grpc.Channel) -> None:
    assert call(channel, "Echo", b"x")
    for kind, acted in (("dropped_before", ["Echo"]), ("dropped_after", ["Echo", "Unread"])):
        cloud.fault(kind, on="rpc:Unread")
        with pytest.raises(grpc.RpcError) as raised:
            call(channel, "Unread")
        assert raised.value.code() is grpc.StatusCode.UNAVAILABLE
        assert operations(cloud) == acted
    assert channel.unary_unary("/fake.Rpc/Echo")(b"y", timeout=30, wait_for_ready=True) == b"y"


def test_a_fault_takes_all_calls_of_the_connection_with_it(cloud: OfflineCloud, channel: grpc.Channel) -> None:
    waiting = channel.unary_unary("/fake.Rpc/Wait").future(b"", timeout=30)
    until(lambda: operations(cloud) == ["Wait"])
    cloud.fault("dropped_before", on="rpc:Echo")
    with pytest.raises(grpc.RpcError):
        call(channel, "Echo")
    assert waiting.exception().code() is grpc.StatusCode.UNAVAILABLE
    until(lambda: operations(cloud) == ["Wait", "Closed"])


def test_a_timeout_goes_by_the_offline_clock(cloud: OfflineCloud, channel: grpc.Channel) -> None:
    cloud.fault("timeout", seconds=3600, times=2)
    with pytest.raises(grpc.RpcError) as raised:
        call(channel, "Echo", timeout=0.3)
    assert raised.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
    waiting = channel.unary_unary("/fake.Rpc/Echo").future(b"", timeout=30)
    until(lambda: not cloud.faults())
    cloud.advance(3601)
    assert waiting.exception().code() is grpc.StatusCode.UNAVAILABLE
    assert operations(cloud) == []


def test_a_fault_that_is_an_answer_is_the_services_own(cloud: OfflineCloud, channel: grpc.Channel) -> None:
    cloud.fault("throttling", on="rpc:Echo")
    with pytest.raises(grpc.RpcError) as raised:
        call(channel, "Echo")
    assert (raised.value.code(), raised.value.details()) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "Fake throttling")
    assert call(channel, "Echo", b"again") == b"again"


def test_a_host_without_a_cloud_is_refused_and_listed(cloud: OfflineCloud) -> None:
    with connect("elsewhere.example:443") as channel, pytest.raises(grpc.RpcError) as raised:
        call(channel, "Echo")
    assert raised.value.code() is grpc.StatusCode.UNAVAILABLE
    assert [one["host"] for one in cloud.egress()] == ["elsewhere.example"]


def test_a_client_without_the_password_is_not_served(cloud: OfflineCloud, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("https_proxy", cloud.url)
    with connect() as channel, pytest.raises(grpc.RpcError) as raised:
        call(channel, "Echo")
    assert raised.value.code() is grpc.StatusCode.UNAVAILABLE
    assert operations(cloud) == []


def test_grpc_without_tls_is_served_behind_the_tunnel(cloud: OfflineCloud) -> None:
    with grpc.insecure_channel("api.rpc.test:80", OPTIONS) as channel:
        assert call(channel, "Echo", b"plain") == b"plain"


def test_who_can_speak_http_1_does(cloud: OfflineCloud) -> None:
    with httpx.Client(http2=True, verify=ssl.create_default_context()) as client:
        assert client.get("https://api.fake.test/echo").http_version == "HTTP/1.1"


def test_plain_requests_over_http_2(cloud: OfflineCloud) -> None:
    url = "https://api.fake.test"
    with httpx.Client(http2=True, http1=False, verify=ssl.create_default_context()) as client:
        seen = client.post(f"{url}/echo/a%2Fb//c?x=%20y", content=b"body")
        assert seen.http_version == "HTTP/2"
        assert seen.json() == {
            "REQUEST_METHOD": "POST",
            "PATH_INFO": "/echo/a/b//c",
            "QUERY_STRING": "x=%20y",
            "RAW_URI": "/echo/a%2Fb//c?x=%20y",
            "HTTP_HOST": "api.fake.test",
            "wsgi.url_scheme": "https",
            "body": "body",
        }
        assert int(seen.headers["content-length"]) == len(seen.content)
        assert client.head(f"{url}/echo").content == b""
        assert client.get(f"{url}/pieces/1000").text == "".join(f"{number}," for number in range(1000))
        data = os.urandom(LARGE // 4)
        assert client.put(f"{url}/upload/x", content=data).json()["sha256"] == hashlib.sha256(data).hexdigest()
        assert client.put(f"{url}/ignored", content=data).json() == {}
        failed = client.get(f"{url}/fail")
        assert (failed.status_code, failed.text) == (
            500,
            "cloudops offline: fake failed: RuntimeError: a bug of the fake\n",
        )
        assert client.put(f"{url}/echo", content=b"x", headers={"Expect": "100-continue"}).json()["body"] == "x"
    assert len(cloud.egress()) == 0


class ByHand:
    """A client of HTTP/2 that does as it is told."""

    def __init__(self, cloud: OfflineCloud) -> None:
        raw = socket.create_connection(("127.0.0.1", int(cloud.url.rpartition(":")[2])), timeout=20)
        asked = f"CONNECT {TARGET} HTTP/1.1\r\nProxy-Authorization: {credentials()['Proxy-Authorization']}\r\n\r\n"
        raw.sendall(asked.encode())
        assert raw.recv(4096).startswith(b"HTTP/1.1 200")
        context = ssl.create_default_context()
        context.set_alpn_protocols(["h2"])
        self.socket = context.wrap_socket(raw, server_hostname="api.rpc.test")
        self.h2 = h2.connection.H2Connection(h2.config.H2Configuration(header_encoding="utf-8"))
        self.h2.initiate_connection()

    def ask(self, path: str, *, end: bool = True) -> int:
        number: int = self.h2.get_next_available_stream_id()
        pseudo = [(":method", "POST"), (":scheme", "https"), (":authority", "api.rpc.test"), (":path", path)]
        self.h2.send_headers(number, pseudo, end_stream=end)
        self.send()
        return number

    def send(self) -> None:
        self.socket.sendall(self.h2.data_to_send())

    def events(self) -> Iterator[Any]:
        while data := self.socket.recv(65536):
            yield from self.h2.receive_data(data)
            self.send()

    def until(self, kind: type) -> Any:
        return next(event for event in self.events() if isinstance(event, kind))


@pytest.fixture
def client(cloud: OfflineCloud) -> Iterator[ByHand]:
    made = ByHand(cloud)
    yield made
    made.socket.close()
    until(lambda: sum(-1 if one == "Closed" else one in ("Wait", "Forever", "Stuck") for one in operations(cloud)) == 0)


def test_pings_are_answered_while_an_application_works(client: ByHand) -> None:
    client.ask("/fake.Rpc/Wait")
    client.h2.ping(b"12345678")
    client.send()
    assert client.until(h2.events.PingAckReceived).ping_data == b"12345678"


def test_a_window_that_is_small_is_kept_to(cloud: OfflineCloud, client: ByHand) -> None:
    client.h2.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 1000})
    client.send()
    number = client.ask("/fake.Rpc/Forever")
    sizes = []
    for event in client.events():
        if isinstance(event, h2.events.DataReceived):
            sizes.append(event.flow_controlled_length)
            if sum(sizes) == 10_000:
                break
            client.h2.acknowledge_received_data(event.flow_controlled_length, number)
            client.send()
    assert max(sizes) <= 1000
    client.h2.reset_stream(number, 8)
    client.send()
    until(lambda: operations(cloud)[-1] == "Closed")


def test_a_slow_reader_gets_no_more_than_it_takes(cloud: OfflineCloud, client: ByHand) -> None:
    number = client.ask("/fake.Rpc/Forever")
    came = 0
    for event in client.events():
        came += event.flow_controlled_length if isinstance(event, h2.events.DataReceived) else 0
        if came >= 65535:
            break
    client.h2.reset_stream(number, 8)
    client.send()
    until(lambda: operations(cloud)[-1] == "Closed")
    assert (came, cloud.calls("rpc")[-1]["resource"]) == (65535, "0")  # not one message of 100 kB has gone


def test_who_stops_reading_for_a_while_gets_the_rest_then(cloud: OfflineCloud, client: ByHand) -> None:
    client.h2.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 1 << 30})
    client.h2.increment_flow_control_window(1 << 30)
    came = {client.ask("/fake.Rpc/Forever"): 0 for _ in range(3)}
    with connect() as channel:  # as long as this takes
        assert call(channel, "Echo", bytes(LARGE))
    for event in client.events():
        if isinstance(event, h2.events.DataReceived):
            came[event.stream_id] += len(event.data)
            if min(came.values()) > 8 << 20:
                break
    client.socket.close()
    until(lambda: operations(cloud).count("Closed") == 3)


def test_the_end_of_a_body_that_nobody_reads_comes_with_the_next_call(client: ByHand) -> None:
    number = client.ask("/fake.Rpc/Unread", end=False)
    client.until(h2.events.StreamEnded)
    for size in [16384] * 15 + [16384 - 100]:
        client.h2.send_data(number, bytes(size))
        client.send()
    client.h2.send_data(number, bytes(100), end_stream=True)
    following = client.ask("/fake.Rpc/Unread")
    assert client.until(h2.events.StreamEnded).stream_id == following


def test_a_client_that_says_good_bye_gets_its_answer_before(cloud: OfflineCloud, client: ByHand) -> None:
    client.ask("/fake.Rpc/Wait")
    until(lambda: operations(cloud) == ["Wait"])
    goodbye = b"\x00\x00\x08\x07\x00\x00\x00\x00\x00" + bytes(8)
    client.h2.ping(b"12345678")
    client.socket.sendall(goodbye + client.h2.data_to_send())
    with connect() as channel:
        call(channel, "Go")
    assert b"went on" in client.until(h2.events.DataReceived).data
    trailers = client.until(h2.events.TrailersReceived)
    assert ("grpc-status", "0") in trailers.headers


def test_who_breaks_the_protocol_is_told_so(client: ByHand) -> None:
    client.send()
    client.socket.sendall(b"\x00\x00\x04\x08\x00\x00\x00\x00\x00" + bytes(4))  # a window that grows by nothing
    assert client.until(h2.events.ConnectionTerminated).error_code == 1
    with connect() as channel:
        assert call(channel, "Echo", b"others") == b"others"


def test_calls_that_were_given_up_and_still_work_are_not_too_many(cloud: OfflineCloud, client: ByHand) -> None:
    for _ in range(400):
        client.h2.reset_stream(client.ask("/fake.Rpc/Stuck"), 8)
    client.send()
    number = client.ask("/fake.Rpc/Echo")
    refused = client.until(h2.events.StreamReset)
    assert (refused.stream_id, refused.error_code) == (number, h2.errors.ErrorCodes.REFUSED_STREAM)
    with connect() as channel:
        call(channel, "Go")
    until(lambda: operations(cloud).count("Closed") == 400)
    client.ask("/fake.Rpc/Unread")
    assert client.until(h2.events.DataReceived)


def test_a_cookie_is_one_header() -> None:
    headers = [("cookie", "a=1"), ("cookie", "b=2"), ("x-a", "1"), ("x-a", "2")]
    environ = exchange.environment("GET", "/", headers, scheme="https", authority="api.fake.test")
    assert (environ["HTTP_COOKIE"], environ["HTTP_X_A"]) == ("a=1; b=2", "1,2")
