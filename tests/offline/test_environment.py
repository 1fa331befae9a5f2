"""The variables of clients and of jobs, and what jobs may reach directly."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import requests
from cloudops_local import mapping

from cloudops.offline import OfflineCloud, indexes
from cloudops.offline.emulator import Environment
from cloudops.offline.environment import BUNDLES, applied, client, for_server, network, outside, proxies

from .test_deaths import until

CERTIFICATE = Path("/ca.pem")


def test_all_spellings_of_the_proxy_are_set() -> None:
    found = proxies("http://127.0.0.1:1", ["pypi.org"])
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        assert found[name] == found[name.lower()] == "http://127.0.0.1:1"
    assert found["NO_PROXY"] == found["no_proxy"] == "127.0.0.1,localhost,::1,pypi.org"


def test_what_a_cloud_sets_is_not_unset_for_another() -> None:
    clouds = [Environment({"A": "1"}, ("B", "C")), Environment({"B": "2"}, ("C",))]
    found = client("http://me@127.0.0.1:1", "http://127.0.0.1:1", CERTIFICATE, Path("/record"), clouds)
    assert (found.variables["A"], found.variables["B"]) == ("1", "2")
    assert "B" not in found.unset
    assert found.unset.count("C") == 1
    base = {"C": "real", "SSL_CERT_DIR": "/real", "KEPT": "yes"}
    assert "C" not in applied(found, base)
    assert applied(found, base)["SSL_CERT_DIR"] == "/none"
    assert applied(found, base)["KEPT"] == "yes"


def test_a_job_gets_the_proxy_and_the_authority_alone() -> None:
    found = network("http://127.0.0.1:1", CERTIFICATE, Path("/owner"), {"PIP_CERT": "/both.pem"}, ["pypi.org"])
    assert set(found) - set(proxies("")) - set(BUNDLES) == {"CLOUDOPS_OFFLINE_OWNER", "PIP_CERT"}
    assert found["AWS_CA_BUNDLE"] == "/ca.pem"


def test_the_server_gets_what_it_needs_and_no_credentials() -> None:
    given = {"PATH": "/bin", "PIP_INDEX_URL": "https://i", "LC_ALL": "C", "AWS_PROFILE": "x", "HTTPS_PROXY": "y"}
    assert set(for_server(given)) == {"PATH", "PIP_INDEX_URL", "LC_ALL"}


def test_clouds_started_from_within_clouds_trust_what_was_trusted_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "roots.pem").write_text("# trusted before\n")
    monkeypatch.setenv("PIP_CERT", str(tmp_path / "roots.pem"))
    with OfflineCloud() as outer, outer.active(), OfflineCloud() as inner:
        both = Path(inner.environment.variables["AWS_CA_BUNDLE"]).with_name("with-roots.pem")
        assert both.read_text().endswith("# trusted before\n")


def test_a_server_takes_no_roots_from_clouds_that_it_was_started_within() -> None:
    within = {"CLOUDOPS_OFFLINE": "http://127.0.0.1:1", **dict.fromkeys(BUNDLES, "/theirs.pem")}
    assert for_server(within) == {}
    mine = {"SSL_CERT_FILE": "/mine.pem", "PIP_CERT": "/mine.pem"}
    assert for_server(within | {"CLOUDOPS_OFFLINE_ROOTS": "/mine.pem"}) == mine
    assert for_server({"SSL_CERT_FILE": "/mine.pem"}) == {"SSL_CERT_FILE": "/mine.pem"}


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, ["pypi.org", "files.pythonhosted.org"]),
        ({"PIP_INDEX_URL": "https://me:secret@index.example:8443/simple"}, ["index.example"]),
        ({"UV_DEFAULT_INDEX": "https://uv.example/simple"}, ["uv.example"]),
        (
            {"PIP_EXTRA_INDEX_URL": "https://one.example/ file:///opt/x http://two.example"},
            ["pypi.org", "files.pythonhosted.org", "one.example", "two.example"],
        ),
        (
            {"UV_INDEX": "mine=https://named.example/simple?a=b"},
            ["pypi.org", "files.pythonhosted.org", "named.example"],
        ),
    ],
)
def test_indexes_are_read_from_the_variables(tmp_path: Path, environ: dict[str, str], expected: list[str]) -> None:
    assert indexes.hosts({"HOME": str(tmp_path), "XDG_CONFIG_DIRS": str(tmp_path), **environ}) == expected


def test_indexes_are_read_from_the_files_of_pip_and_uv(tmp_path: Path) -> None:
    (tmp_path / "pip").mkdir()
    (tmp_path / "uv").mkdir()
    (tmp_path / "pip" / "pip.conf").write_text(
        "[global]\nindex-url = https://pip.example/s\n[install]\nfind-links =\n  https://l.example\n"
    )
    (tmp_path / "uv" / "uv.toml").write_text(
        '[[index]]\nurl = "https://uv.example/simple"\n[pip]\nextra-index-url = ["https://more.example"]\n'
    )
    environ = {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path), "XDG_CONFIG_DIRS": str(tmp_path / "none")}
    assert indexes.hosts(environ) == ["pip.example", "l.example", "uv.example", "more.example"]
    (tmp_path / "uv" / "uv.toml").write_text("not [toml")
    (tmp_path / "pip" / "pip.conf").write_text("neither")
    assert indexes.hosts(environ) == ["pypi.org", "files.pythonhosted.org"]


def test_pip_in_a_job_trusts_what_this_machine_trusts_and_the_offline_clouds(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("OURS\n")
    (tmp_path / "roots.pem").write_text("THEIRS\n")
    environ = {"SSL_CERT_FILE": str(tmp_path / "roots.pem"), "PIP_FIND_LINKS": "/opt/wheels", "AWS_PROFILE": "real"}
    found = indexes.variables(environ, tmp_path / "ca.pem", tmp_path / "both.pem")
    assert found["PIP_FIND_LINKS"] == "/opt/wheels"
    assert found["PIP_CERT"] == found["SSL_CERT_FILE"] == str(tmp_path / "both.pem")
    assert (tmp_path / "both.pem").read_text() == "OURS\nTHEIRS\n"
    assert "AWS_PROFILE" not in found


def test_clients_of_every_kind_within_a_job_reach_the_clouds(cloud: OfflineCloud) -> None:
    code = """
import json, subprocess, urllib.request
seen = [json.load(urllib.request.urlopen("https://api.fake.test/echo"))["HTTP_HOST"]]
seen.append(json.loads(subprocess.check_output(["curl", "-sS", "https://api.fake.test/echo"]))["HTTP_HOST"])
import requests
seen.append(requests.get("https://api.fake.test/echo").json()["HTTP_HOST"])
json.dump(seen, open("seen", "w"))
"""
    answer = requests.post("https://api.fake.test/jobs/one", data=json.dumps(code), timeout=30)
    until(lambda: cloud.resources("fake")[-1].state in ("succeeded", "failed"))
    assert json.loads((Path(answer.json()["folder"]) / "work" / "seen").read_text()) == ["api.fake.test"] * 3


CLIENTS = {
    "urllib": "import urllib.request as r; r.urlopen(URL)",
    "requests": "import requests; requests.get(URL).raise_for_status()",
    "aiohttp": "import aiohttp, asyncio\nasync def f():\n async with aiohttp.ClientSession(trust_env=True) as s:\n"
    "  async with s.get(URL) as a: a.raise_for_status()\nasyncio.run(f())",
    "curl": "import subprocess; subprocess.run(['curl', '-sSf', URL], check=True)",
    "git": "import subprocess; subprocess.run(['git', 'ls-remote', URL])",  # what it makes of the answer is its own
}


@pytest.mark.parametrize("name", CLIENTS)
def test_unmodified_clients_reach_the_clouds_whatever_the_caller_trusts(
    server: OfflineCloud, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    for variable in (*BUNDLES, "SSL_CERT_DIR", "PIP_CERT"):
        monkeypatch.setenv(variable, "/etc/ssl/certs/ca-certificates.crt")
    server.reset()
    environ = applied(server.environment, os.environ)
    code = CLIENTS[name].replace("URL", repr("https://api.fake.test/echo"))
    done = subprocess.run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert server.calls("fake")


def test_jobs_of_this_machine_install_their_requirements_past_the_clouds() -> None:
    """With the local provider and ``--offline``: pip would be refused like any client."""
    led = client(
        "http://me:word@127.0.0.1:1", "http://127.0.0.1:1", CERTIFICATE, Path("/record"), [], Path("/mine.pem")
    )
    environ = applied(led, {"PIP_INDEX_URL": "https://index.example/simple", "HTTPS_PROXY": "http://mine"})
    found = outside(environ)
    assert found["PIP_CERT"] == found["SSL_CERT_FILE"] == "/mine.pem"
    assert found["PIP_INDEX_URL"] == "https://index.example/simple"
    assert not {"HTTPS_PROXY", "https_proxy", "AWS_CA_BUNDLE"} & set(found)
    assert outside({"HTTPS_PROXY": "http://mine"}) == {"HTTPS_PROXY": "http://mine"}
    building = mapping.base_environment(environ, "/usr/bin/python3", building=True)
    assert "/ca.pem" not in building.values()
    assert not mapping.index_credentials(environ)
