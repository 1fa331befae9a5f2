"""State that could not be written down is told, and never takes the place of what was kept before."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from pathlib import Path

import boto3
import psutil
import pytest

from cloudops.errors import CloudopsError
from cloudops.offline import OfflineCloud
from cloudops.offline.environment import BUNDLES, applied

CLIENTS = {
    "urllib": [sys.executable, "-c", "import urllib.request as r; r.urlopen('https://127.0.0.1:PORT/')"],
    "curl": ["curl", "-sS", "--noproxy", "*", "https://127.0.0.1:PORT/"],
    "git": ["git", "ls-remote", "https://127.0.0.1:PORT/a.git"],
}


def buckets() -> set[str]:
    return {one["Name"] for one in boto3.client("s3", region_name="us-east-1").list_buckets()["Buckets"]}


def make(name: str, content: bytes = b"") -> None:
    client = boto3.client("s3", region_name="us-east-1")
    client.create_bucket(Bucket=name)
    client.put_object(Bucket=name, Key="content", Body=content)


def test_a_full_disk_leaves_what_was_kept_before(tmp_path: Path) -> None:
    with OfflineCloud(data=tmp_path / "d") as cloud, cloud.active():
        make("first")
    cloud = OfflineCloud(data=tmp_path / "d").start()
    with cloud.active():
        make("second", b"x" * 3_000_000)
    pid = cloud._client.record.process.pid
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (100_000, 100_000))
    with pytest.raises(CloudopsError, match=r"what was made since the last start is not kept there"):
        cloud.stop()
    with OfflineCloud(data=tmp_path / "d") as cloud, cloud.active():
        assert any("what was made since the last start is not kept" in problem for problem in cloud.problems)
        assert buckets() == {"first"}
    with OfflineCloud(data=tmp_path / "d") as cloud:
        assert cloud.problems == []


def test_a_server_that_is_killed_leaves_what_was_kept_before(tmp_path: Path) -> None:
    with OfflineCloud(data=tmp_path / "d") as cloud, cloud.active():
        make("first")
    cloud = OfflineCloud(data=tmp_path / "d").start()
    with cloud.active():
        make("second")
    pid = cloud._client.record.process.pid
    with pytest.raises(CloudopsError, match=f"in use by another offline cloud, process {pid}"):
        OfflineCloud(data=tmp_path / "d").start()
    os.kill(pid, signal.SIGKILL)
    with pytest.raises(CloudopsError, match=r"is not kept there"):
        cloud.stop()
    assert not psutil.pid_exists(pid)
    with OfflineCloud(data=tmp_path / "d") as cloud, cloud.active():
        assert buckets() == {"first"}


@pytest.mark.parametrize("client", CLIENTS)
def test_clients_that_go_past_the_proxy_trust_no_other_authority(client: str, tmp_path: Path) -> None:
    """A server whose certificate this machine's folder of roots has: it is trusted outside, and not inside."""
    server = Path(__file__).with_name("trusted_server.py")
    roots = tmp_path / "roots"
    process = subprocess.Popen([sys.executable, str(server), str(roots)], stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        port = process.stdout.readline().strip()
        command = [word.replace("PORT", port) for word in CLIENTS[client]]
        past = {"NO_PROXY": "*", "no_proxy": "*"}
        outside = {name: value for name, value in os.environ.items() if name not in BUNDLES}
        environ = {**outside, **past, "SSL_CERT_DIR": str(roots), "GIT_SSL_CAPATH": str(roots)}
        if client != "git":  # what it says of the answer of this server is another error
            subprocess.run(command, env=environ, check=True, capture_output=True)
        with OfflineCloud() as cloud:
            inside = {**applied(cloud.environment, environ), **past}
            done = subprocess.run(command, env=inside, check=False, capture_output=True, text=True)
        assert done.returncode != 0
        assert "certificate" in done.stderr.lower()
    finally:
        process.terminate()
        process.wait()
