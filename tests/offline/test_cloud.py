"""The offline clouds as an object: environment, clock, state, and the ends of it."""

from __future__ import annotations

import json
import os
import signal
import stat
import time
import urllib.error
import urllib.request
from pathlib import Path

import psutil
import pytest
import requests

from cloudops.errors import CloudopsError, ConfigError, MissingDependency
from cloudops.offline import OfflineCloud
from cloudops.offline.control import Control

from .conftest import FAKE

URL = "https://api.fake.test/things"


def test_the_environment_is_there_for_the_block_and_then_as_before(
    server: OfflineCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FAKE_REAL_KEY", "real")
    monkeypatch.setenv("SSL_CERT_DIR", "/elsewhere")
    monkeypatch.setenv("https_proxy", "http://corporate.example")
    before = dict(os.environ)
    with server.active():
        assert os.environ["FAKE_KEY"] == "throw-away"
        assert Path(os.environ["FAKE_PROFILE"]).read_text() == "empty\n"
        assert os.environ["https_proxy"] == os.environ["HTTPS_PROXY"]
        assert os.environ["https_proxy"].endswith(server.url.removeprefix("http:/").removeprefix("/"))
        assert "FAKE_REAL_KEY" not in os.environ
        assert os.listdir(os.environ["SSL_CERT_DIR"]) == []
        assert Path(os.environ["AWS_CA_BUNDLE"]).read_text().count("BEGIN CERTIFICATE") == 1
        assert os.environ["CLOUDOPS_OFFLINE"] == server.url
    assert dict(os.environ) == before
    with pytest.raises(KeyError, match="mine"):
        _fail_within(server)
    assert dict(os.environ) == before


def _fail_within(cloud: OfflineCloud) -> None:
    with cloud.active():
        raise KeyError("mine")


def test_urllib_is_led_there_and_back_though_it_remembers_its_first_proxies(cloud: OfflineCloud) -> None:
    def things() -> dict[str, str]:
        with urllib.request.urlopen(URL) as answer:
            return json.load(answer)  # type: ignore[no-any-return]

    requests.put(f"{URL}/one", timeout=20)
    assert things() == {"one": "starting"}
    with OfflineCloud(emulators=[FAKE]) as other, other.active():
        assert things() == {}
    assert things() == {"one": "starting"}


def test_states_go_by_the_offline_clock(cloud: OfflineCloud) -> None:
    requests.put(f"{URL}/one", timeout=20)
    [thing] = cloud.resources()
    assert (thing.kind, thing.name, thing.state, thing.place) == ("thing", "one", "starting", "north")
    before = cloud.now()
    assert cloud.advance(61) >= before + 61
    [thing] = cloud.resources("fake")
    assert thing.state == "ready"
    assert thing.created is not None
    assert cloud.now() - thing.created >= 61
    assert cloud.resources("other") == []
    with pytest.raises(ConfigError, match="cannot advance by -1"):
        cloud.advance(-1)


def test_a_faster_clock_needs_no_moving() -> None:
    with OfflineCloud(emulators=[FAKE], speed=3600) as cloud, cloud.active():
        first = cloud.now()
        requests.put(f"{URL}/one", timeout=20)
        assert cloud.now() > first
        while requests.get(URL, timeout=20).json() != {"one": "ready"}:
            assert cloud.now() < first + 86400


def test_a_reset_leaves_nothing_but_the_time(cloud: OfflineCloud) -> None:
    requests.put(f"{URL}/one", timeout=20)
    cloud.fault("throttling", times=None)
    later = cloud.advance(1000)
    cloud.reset()
    assert (cloud.resources(), cloud.calls(), cloud.faults(), cloud.egress()) == ([], [], [], [])
    assert requests.get(URL, timeout=20).json() == {}
    assert cloud.now() >= later


def test_calls_are_told(cloud: OfflineCloud) -> None:
    requests.put(f"{URL}/one", timeout=20)
    assert cloud.calls() == [
        {"cloud": "fake", "operation": "fake:PutThings", "resource": "one", "principal": "caller", "status": 200}
    ]


def test_state_is_kept_where_a_folder_is_given(tmp_path: Path) -> None:
    data = tmp_path / "deep" / "data"
    with OfflineCloud(data=data, emulators=[FAKE]) as cloud, cloud.active():
        requests.put(f"{URL}/one", timeout=20)
        later = cloud.advance(100_000)
        with pytest.raises(ConfigError, match=r"data is in use by another offline cloud, process \d+; `kill"):
            OfflineCloud(data=data).start()
    assert stat.S_IMODE(data.stat().st_mode) == 0o700
    with OfflineCloud(data=data, emulators=[FAKE]) as cloud:
        assert cloud.now() >= later
        assert [thing.state for thing in cloud.resources()] == ["ready"]  # before anybody asked the emulator
        cloud.reset()
    with OfflineCloud(data=data, emulators=[FAKE]) as cloud:
        assert cloud.resources() == []


def test_without_a_folder_nothing_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    with OfflineCloud(emulators=[FAKE]) as cloud, cloud.active():
        requests.put(f"{URL}/one", timeout=20)
        [folder] = tmp_path.iterdir()
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert stat.S_IMODE((folder / "server.json").stat().st_mode) == 0o600
        assert stat.S_IMODE((folder / "ca" / "ca.key").stat().st_mode) == 0o600
        token = json.loads((folder / "server.json").read_text())["token"]
        assert not any(token in value for value in os.environ.values())
    assert list(tmp_path.iterdir()) == []


def test_two_at_once_know_nothing_of_each_other(cloud: OfflineCloud) -> None:
    with OfflineCloud(emulators=[FAKE]) as other, other.active():
        requests.put(f"{URL}/one", timeout=20)
        assert [one.name for one in other.resources()] == ["one"]
        assert cloud.resources() == []
    assert requests.get(URL, timeout=20).json() == {}


def test_the_server_knows_none_of_the_callers_credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_SECRET_ACCESS_KEY", "GOOGLE_APPLICATION_CREDENTIALS", "AZURE_CLIENT_SECRET", "MY_TOKEN"):
        monkeypatch.setenv(name, "precious")
    with OfflineCloud() as cloud:
        environments = [psutil.Process(_pid(cloud)).environ()]
        environments += [child.environ() for child in psutil.Process(_pid(cloud)).children(recursive=True)]
    assert not [environment for environment in environments if "precious" in environment.values()]


def test_nobody_without_the_token_is_heard(cloud: OfflineCloud) -> None:
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    for headers in ({}, {"Authorization": "Bearer guess"}):
        request = urllib.request.Request(f"{cloud.url}/cloudops/stop", b"{}", headers, method="POST")
        with pytest.raises(urllib.error.HTTPError, match="401"):
            direct.open(request)
    assert cloud.now()


def test_what_there_is_no_action_for_is_told() -> None:
    actions = {name for name, value in vars(Control).items() if callable(value) and not name.startswith("_")}
    from cloudops.offline.control import _ACTIONS

    assert actions == {action.__name__ for action in _ACTIONS.values()}


def test_one_that_does_not_run_says_so(server: OfflineCloud) -> None:
    with pytest.raises(CloudopsError, match=r"the offline cloud does not run; call start\(\)"):
        OfflineCloud().reset()
    cloud = OfflineCloud().start()
    cloud.stop()
    cloud.stop()
    with pytest.raises(CloudopsError, match="does not run"):
        _ = cloud.environment


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"speed": 0}, "speed 0: expected more than 0"),
        ({"speed": float("nan")}, "speed nan: expected more than 0"),
        ({"port": 70000}, "port 70000: expected 1 to 65535"),
        ({"images": ["nothing"]}, "--image nothing: expected PATTERN=PYTHON"),
        ({"images": {"*/x:*": "/no/such/python"}}, r"/no/such/python does not exist; expected a Python interpreter"),
        ({"images": {"*/x:*": __file__}}, r"cannot be run; expected a Python interpreter"),
        ({"data": Path(__file__).parent}, "is not empty and holds no state of offline clouds; name a new folder"),
        ({"data": __file__}, r"test_cloud.py is no folder; --data names the folder"),
        ({"emulators": ["nothing:Here"]}, "--emulator nothing:Here: ModuleNotFoundError"),
        ({"emulators": ["json:JSONDecoder"]}, "json:JSONDecoder is not an emulator; expected a subclass"),
    ],
)
def test_settings_that_cannot_be_met_are_one_line(given: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message) as refused:
        OfflineCloud(**given).start()  # type: ignore[arg-type]
    assert "\n" not in str(refused.value)


def test_a_port_in_use_is_one_line(cloud: OfflineCloud) -> None:
    with pytest.raises(ConfigError, match=r"port \d+ of 127.0.0.1 cannot be had: Address already in use; leave --port"):
        OfflineCloud(port=int(cloud.url.rpartition(":")[2])).start()


def test_a_missing_extra_names_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "trustme.py").write_text("raise ModuleNotFoundError('No module named trustme', name='trustme')")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(MissingDependency, match=r"need the package trustme; pip install 'cloudops-ml\[offline\]'"):
        OfflineCloud().start()


def test_images_reach_the_emulators_as_absolute_paths(tmp_path: Path) -> None:
    from cloudops.offline.settings import settings

    found = settings(images=["registry.example/a=b:*=python3"]).images
    [(pattern, python)] = found.items()
    assert pattern == "registry.example/a=b:*"
    assert os.path.isabs(python)
    assert os.access(python, os.X_OK)


def _pid(cloud: OfflineCloud) -> int:
    return json.loads((Path(cloud.environment.variables["CLOUDOPS_OFFLINE_RECORD"])).read_text())["process"]["pid"]  # type: ignore[no-any-return]


def test_kept_state_that_cannot_be_read_is_told_and_a_reset_forgets_it(tmp_path: Path) -> None:
    with OfflineCloud(data=tmp_path / "d", emulators=[FAKE]) as cloud, cloud.active():
        requests.put("https://api.fake.test/things/one", timeout=10)
    (tmp_path / "d" / "fake" / "cloud" / "things.json").write_text("}{")
    with OfflineCloud(data=tmp_path / "d", emulators=[FAKE]) as cloud, cloud.active():
        refused = requests.get("https://api.fake.test/things/one", timeout=10)
        assert "with the state that --data kept; `cloudops offline reset` forgets it" in refused.text
        cloud.reset()
        requests.put("https://api.fake.test/things/two", timeout=10)
        assert [thing.name for thing in cloud.resources("fake")] == ["two"]


def test_the_clock_was_moved_on_for_a_server_that_is_killed_too(tmp_path: Path) -> None:
    cloud = OfflineCloud(data=tmp_path / "d").start()
    later = cloud.advance(100_000)
    os.kill(_pid(cloud), signal.SIGKILL)
    with pytest.raises(CloudopsError, match="is not kept there"):
        cloud.stop()
    with OfflineCloud(data=tmp_path / "d") as cloud:
        assert cloud.now() >= later


@pytest.mark.parametrize("kept", ["1e400", '"x"', "-5", "NaN"])
def test_a_kept_clock_that_makes_no_sense_is_none(tmp_path: Path, kept: str) -> None:
    (tmp_path / "server.log").touch()
    (tmp_path / "clock.json").write_text(f'{{"ahead": {kept}}}')
    with OfflineCloud(data=tmp_path) as cloud:
        assert abs(cloud.now() - time.time()) < 5
