"""An endpoint from its first deployment to its end."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from cloudops.engine import service
from cloudops.engine.service import Policy, Rollout, ServiceConflict

from .service_rig import FAST, Endpoint, bad, endpoint, spec, until


@pytest.fixture
def one(tmp_path: Path) -> Iterator[Endpoint]:
    # Every test lives with a path that is long, spaced and not ASCII.
    with endpoint(tmp_path / ("an endpoint ü %41 '\"$x" + "/deep" * 20)) as made:
        yield made


def test_first_version_serves_with_its_environment(one: Endpoint) -> None:
    state = one.up(spec("v1", env={"COLOUR": "blue"}, capture_sample=0.25))
    assert (state.phase, state.reason) == ("ready", "")
    assert state.url == f"http://127.0.0.1:{state.port}"
    answer = one.ask(body=b'{"x": 1}')
    assert (answer.status, answer.version) == (200, "v1")
    seen = answer.value["environment"]
    assert seen["COLOUR"] == "blue"
    assert seen["CLOUDOPS_CAPTURE_SAMPLE"] == "0.25"
    assert Path(seen["CLOUDOPS_CAPTURE_DIR"]) == Path(os.path.realpath(one.directory)) / "capture" / "v1"
    assert Path(seen["CLOUDOPS_CAPTURE_DIR"]).is_dir()
    assert seen["CUDA_VISIBLE_DEVICES"] == ""
    [replica] = state.version("v1").replicas
    assert replica.pid == answer.value["pid"]
    assert abs(replica.started - time.time()) < 20


def test_same_version_again_changes_nothing(one: Endpoint) -> None:
    before = one.up(spec("v1"))
    assert service.deploy(one.directory, spec("v1"), policy=FAST) == before.generation
    after = one.state
    assert after.version("v1").replicas == before.version("v1").replicas
    with pytest.raises(ServiceConflict, match="v1 is deployed already and differs"):
        service.deploy(one.directory, spec("v1", env={"COLOUR": "red"}))


def test_delete_ends_everything_and_twice_is_fine(one: Endpoint) -> None:
    state = one.up(spec("v1"))
    service.delete(one.directory)
    assert one.state.phase == "deleted"
    assert one.processes() == []
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", state.port), timeout=5)
    service.delete(one.directory)
    assert one.state.phase == "deleted"
    with pytest.raises(LookupError, match="was deleted"):
        service.rollback(one.directory)


def test_deploy_after_delete_begins_anew(one: Endpoint) -> None:
    first = one.up(spec("v1"))
    service.delete(one.directory)
    again = one.up(spec("v1", env={"COLOUR": "red"}))
    assert again.phase == "ready"
    assert again.generation > first.generation
    assert one.ask().value["environment"]["COLOUR"] == "red"
    with pytest.raises(ServiceConflict, match="no version was live before v1"):
        service.rollback(one.directory)


def test_delete_while_it_is_being_created(one: Endpoint) -> None:
    service.deploy(one.directory, spec("v1", env={"NEVER_READY": "1"}), policy=FAST)
    until(lambda: len(one.processes()) == 3)
    service.delete(one.directory)
    assert (one.state.phase, one.processes()) == ("deleted", [])


def test_refused_version_may_come_back_as_something_else(one: Endpoint) -> None:
    one.up(spec("v1"))
    assert one.up(spec("v2", env={"EXIT": "1"})).version("v2").state == "failed"
    assert one.up(spec("v2")).version("v2").traffic == 100
    with pytest.raises(ServiceConflict, match="v2 is deployed already and differs"):
        service.deploy(one.directory, spec("v2", env={"EXIT": "1"}))


def test_delete_finishes_open_requests(one: Endpoint) -> None:
    one.up(spec("v1"))
    answers = []
    client = threading.Thread(target=lambda: answers.append(one.ask("/sleep", b"1.0")))
    client.start()
    time.sleep(0.3)
    service.delete(one.directory)
    client.join()
    assert [answer.status for answer in answers] == [200]


def test_nothing_there(tmp_path: Path) -> None:
    missing = tmp_path / "missing"
    service.delete(missing)
    for call in (service.read, service.rollback, service.resume, service.metrics):
        with pytest.raises(LookupError, match="no endpoint in"):
            call(missing)
    assert not missing.exists()


def test_port_in_use_by_another_program_is_named_and_leaves_nothing(tmp_path: Path) -> None:
    directory = tmp_path / "endpoint"
    with socket.create_server(("127.0.0.1", 0)) as foreign:
        port = foreign.getsockname()[1]
        with pytest.raises(OSError, match=f"port {port} on 127.0.0.1 is in use"):
            service.deploy(directory, spec("v1"), port=port)
    assert not directory.exists()
    with endpoint(directory) as one:
        assert one.up(spec("v1"), port=port).port == port
        with pytest.raises(ServiceConflict, match=f"listens on port {port}"):
            service.deploy(directory, spec("v2"), port=port + 1)


def test_two_first_deploys_at_once_make_one_endpoint(one: Endpoint) -> None:
    results: list[object] = []

    def deploy(name: str) -> None:
        try:
            results.append(service.deploy(one.directory, spec(name), policy=FAST))
        except Exception as error:
            results.append(error)

    threads = [threading.Thread(target=deploy, args=(name,)) for name in ("v1", "v1", "v2")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(isinstance(result, int) for result in results), results
    state = service.wait(one.directory, max(results), timeout=30)
    assert state.phase == "ready"
    until(lambda: len(one.processes()) == 3, what="a supervisor, a router and one replica")


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="one core cannot be shared out")
def test_replicas_are_bound_to_different_cores(one: Endpoint) -> None:
    state = one.up(spec("v1", cpus=1.0, min_replicas=2, max_replicas=2))
    cores = [os.sched_getaffinity(replica.pid or 0) for replica in state.version("v1").replicas]
    assert [len(own) for own in cores] == [1, 1]
    assert one.ask().value["environment"]["OMP_NUM_THREADS"] == "1"


def test_first_version_that_fails_leaves_nothing_running(one: Endpoint) -> None:
    state = one.up(spec("v1", env={"EXIT": "1"}))
    assert state.phase == "failed"
    assert state.reason == (
        "version v1 ended 3 times before it was ready: exit code 1: RuntimeError: the model file is damaged"
    )
    assert state.version("v1").state == "failed"
    until(lambda: not one.processes(), what="its processes end")
    assert one.state == replace(state, supervisor=None, router=None, versions=one.state.versions)
    # Another version has its chance, at the same port.
    assert one.up(spec("v2")).port == state.port
    assert one.ask().version == "v2"


def test_first_version_that_is_never_ready(one: Endpoint) -> None:
    state = one.up(spec("v1", env={"NEVER_READY": "1"}, readiness_timeout=1.0))
    assert state.phase == "failed"
    assert state.reason == "version v1 did not become ready in 1 s: serving ü"
    until(lambda: not one.processes(), what="its processes end")
    state = one.up(spec("v1", env={"NEVER_READY": "1"}, readiness_timeout=1.0))
    assert (state.phase, state.observed_generation) == ("failed", 2), "a refused version can be tried again"


def test_program_that_does_not_exist(one: Endpoint) -> None:
    state = one.up(spec("v1", argv=("/no/such/program", "--x")))
    assert state.phase == "failed"
    assert "cannot start /no/such/program: No such file or directory" in state.reason


def test_setup_runs_once_before_the_replicas(one: Endpoint) -> None:
    script = "import os, pathlib; p = pathlib.Path(os.environ['MARK']); p.write_text(p.read_text() + 'x'); print('ok')"
    mark = one.directory.parent.parent / "mark"
    mark.parent.mkdir(parents=True, exist_ok=True)
    mark.write_text("")
    command = (sys.executable, "-c", script)
    one.up(spec("v1", env={"MARK": str(mark)}, setup=(command, command), min_replicas=2, max_replicas=2))
    assert mark.read_text() == "xx"
    sources = Counter(record.source for record in service.logs(one.directory) if record.text == "ok")
    assert sources == {"v1-setup": 2}


def test_program_that_was_removed_is_set_up_again(one: Endpoint, tmp_path: Path) -> None:
    program = tmp_path / "python"
    setup = ("ln", "-sfn", os.path.realpath(sys.executable), str(program))
    server = str(Path(__file__).with_name("service_server.py"))
    pid = one.up(spec("v1", argv=(str(program), server), setup=(setup,))).version("v1").replicas[0].pid
    program.unlink()
    one.kill(pid)
    until(lambda: one.state.phase == "ready" and one.ask().value["pid"] != pid, what="it heals")
    assert program.exists()


def test_set_up_that_fails_later_is_told_and_tried_again(one: Endpoint, tmp_path: Path) -> None:
    program, broken = tmp_path / "python", tmp_path / "broken"
    script = f"test ! -e '{broken}' || {{ echo 'no such index'; exit 3; }}; ln -sfn '{sys.executable}' '{program}'"
    server, policy = str(Path(__file__).with_name("service_server.py")), replace(FAST, backoff_max=0.5)
    version = spec("v1", argv=(str(program), server), setup=(("sh", "-c", script),))
    pid = one.up(version, policy=policy).version("v1").replicas[0].pid
    broken.touch()
    program.unlink()
    one.kill(pid)
    state = until(lambda: (found := one.state).phase == "down" and found)
    assert "version v1: could not be set up: exit code 3: no such index" in state.reason
    broken.unlink()
    until(lambda: one.state.phase == "ready" and one.ask().status == 200, what="it heals")


def test_failing_setup_is_told(one: Endpoint) -> None:
    command = (sys.executable, "-c", "raise SystemExit('no package called left-pad')")
    state = one.up(spec("v1", setup=(command,)))
    assert state.phase == "failed"
    assert state.reason == "version v1 could not be set up: exit code 1: no package called left-pad"


def test_token(one: Endpoint) -> None:
    one.up(spec("v1"), token="sesame")
    refused = one.ask()
    assert refused.status == 401
    assert refused.headers["WWW-Authenticate"].startswith("Bearer")
    assert one.ask(headers={"Authorization": "Bearer wrong"}).status == 401
    assert one.ask(headers={"Authorization": "Basic sesame"}).status == 401
    assert one.ask("/ping", None).status == 401
    assert one.ask("/-/healthz", None).status == 200
    allowed = one.ask(headers={"Authorization": "Bearer sesame"})
    assert allowed.status == 200
    assert "authorization" not in allowed.value["headers"], "the token is the router's business"
    service.deploy(one.directory, spec("v1"), token="open", policy=FAST)
    until(lambda: one.ask(headers={"Authorization": "Bearer open"}).status == 200, what="a new token is taken")
    assert one.ask(headers={"Authorization": "Bearer sesame"}).status == 401


def test_secrets_reach_replicas_and_no_file(one: Endpoint) -> None:
    one.up(spec("v1"), secrets={"SECRET": "hunter2-first"}, token="hunter2-token")
    headers = {"Authorization": "Bearer hunter2-token"}
    assert one.ask(headers=headers).value["environment"]["SECRET"] == "hunter2-first"
    # To an endpoint that runs already they go over its socket; the supervisor's successor has them too.
    one.up(spec("v2"), secrets={"SECRET": "hunter2-second"})
    one.kill(one.state.supervisor)
    one.kill(until(lambda: one.ask(headers=headers)).value["pid"])
    answer = until(lambda: (found := one.ask(headers=headers)).status == 200 and found)
    assert answer.value["environment"]["SECRET"] == "hunter2-second"
    assert "CLOUDOPS_SERVICE_SECRETS" not in answer.value["environment"]
    for path in one.directory.rglob("*"):
        if path.is_file():
            assert b"hunter2" not in path.read_bytes(), path
    assert "serving ü ***" in [record.text for record in service.logs(one.directory)]


def test_router_shows_replicas_a_key_that_no_client_sees_or_sets(one: Endpoint) -> None:
    show = (sys.executable, "-c", "import os; print('set up with', os.environ.get('CLOUDOPS_REQUEST_KEY'))")
    one.up(spec("v1", setup=(show,)))
    forged = {"X-Cloudops-Key": "forged", "Connection": "x-cloudops-key"}
    answer = one.ask(headers=forged)
    key = answer.value["environment"]["CLOUDOPS_REQUEST_KEY"]
    assert len(key) >= 43
    assert answer.value["headers"]["x-cloudops-key"] == key
    assert "x-cloudops-key" not in answer.headers
    assert "set up with None" in [record.text for record in service.logs(one.directory)]
    assert not [path for path in one.directory.rglob("*") if path.is_file() and key.encode() in path.read_bytes()]
    before = one.state
    one.kill(before.supervisor)
    until(lambda: one.state.supervisor not in (None, before.supervisor))
    one.kill(one.state.router)
    one.kill(answer.value["pid"])
    again = until(lambda: (found := one.ask()).status == 200 and found)
    assert again.value["pid"] != answer.value["pid"]
    assert again.value["environment"]["CLOUDOPS_REQUEST_KEY"] == again.value["headers"]["x-cloudops-key"] == key


def test_lost_endpoint_is_seen_and_resumed(one: Endpoint) -> None:
    state = one.up(spec("v1"), token="sesame")
    for process in (state.router, state.supervisor):
        os.kill(process, signal.SIGSTOP)  # so that neither replaces the other
    for process in (state.router, state.supervisor):
        one.kill(process)
    lost = until(lambda: (found := one.state).phase == "failed" and found)
    assert lost.reason.startswith("lost: its processes are gone")
    with pytest.raises(ServiceConflict, match="does not run"):
        service.set_traffic(one.directory, {"v1": 100})
    with pytest.raises(ValueError, match=r"has a token.*give it again"):
        service.resume(one.directory)
    again = service.wait(one.directory, service.resume(one.directory, token="sesame"), timeout=30)
    assert (again.phase, again.port) == ("ready", state.port)
    assert again.version("v1").replicas[0].pid == state.version("v1").replicas[0].pid, "what lived was adopted"
    answer = one.ask(headers={"Authorization": "Bearer sesame"})
    assert answer.status == 200
    assert answer.value["headers"]["x-cloudops-key"] == answer.value["environment"]["CLOUDOPS_REQUEST_KEY"]
    assert service.resume(one.directory) == again.generation, "what runs is left alone"


def test_lost_endpoint_is_deleted_with_its_replicas(one: Endpoint) -> None:
    state = one.up(spec("v1"))
    for process in (state.router, state.supervisor):
        os.kill(process, signal.SIGSTOP)
    for process in (state.router, state.supervisor):
        one.kill(process)
    until(lambda: one.state.phase == "failed")
    assert len(one.processes()) == 1
    service.delete(one.directory)
    assert (one.state.phase, one.processes()) == ("deleted", [])


def test_client_may_die(one: Endpoint) -> None:
    script = f"""
import sys; sys.path[:0] = {sys.path!r}
from {__package__}.service_rig import spec, FAST
from pathlib import Path
from cloudops.engine import service
service.deploy(Path({str(one.directory)!r}), spec("v1"), policy=FAST)
"""
    subprocess.run([sys.executable, "-c", script], check=True, timeout=30)
    assert service.wait(one.directory, 1, timeout=30).phase == "ready"


def test_damaged_state_is_written_again(one: Endpoint) -> None:
    state = one.up(spec("v1"))
    (one.directory / "observed.json").write_text("{")
    until(lambda: _readable(one), what="the supervisor rewrites its file")
    assert one.state.supervisor == state.supervisor, "it went on"
    assert one.ask().status == 200


def _readable(one: Endpoint) -> bool:
    try:
        return one.state.phase == "ready"
    except ValueError:
        return False


def test_replica_over_its_memory_is_replaced(one: Endpoint) -> None:
    state = one.up(spec("v1", memory=120 << 20))
    one.ask("/grow")
    replaced = until(lambda: (found := one.state).version("v1").replicas[0].restarts == 1 and found)
    until(lambda: one.state.phase == "ready")
    assert replaced.version("v1").replicas[0].pid != state.version("v1").replicas[0].pid
    assert one.ask().status == 200


def test_sick_replica_is_replaced(one: Endpoint) -> None:
    sick = one.directory.parent / "sick"
    state = one.up(spec("v1", env={"SICK": str(sick)}), policy=replace(FAST, health_period=0.05))
    sick.touch()
    until(lambda: one.state.version("v1").replicas[0].restarts >= 1)
    degraded = one.state
    assert (degraded.phase, degraded.version("v1").state) == ("recovering", "live")
    sick.unlink()
    until(lambda: one.state.phase == "ready")
    assert one.ask().value["pid"] != state.version("v1").replicas[0].pid


def test_crash_loop_backs_off_and_says_why(one: Endpoint, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    program = f"import os, sys, runpy\nif os.path.exists({str(broken)!r}): sys.exit('the licence has expired')\n"
    server = Path(__file__).with_name("service_server.py")
    program += f"sys.argv = [{str(server)!r}]\nrunpy.run_path({str(server)!r}, run_name='__main__')\n"
    one.up(spec("v1", argv=(sys.executable, "-c", program)))
    broken.touch()
    one.kill(one.ask().value["pid"])
    state = until(lambda: (found := one.state).phase == "down" and "4 times" in found.reason and found)
    assert "version v1: replica 0 ended 4 times in a row (exit code 1: the licence has expired)" in state.reason
    broken.unlink()
    until(lambda: one.state.phase == "ready", what="it recovers by itself")


def test_crash_that_is_made_up_for_is_never_seen_as_an_endpoint_that_is_down(one: Endpoint) -> None:
    pid = one.up(spec("v1", env={"START_DELAY": "0.3"})).version("v1").replicas[0].pid
    one.kill(pid)
    seen = set()
    until(lambda: seen.add(one.state.phase) or one.state.version("v1").replicas[0].restarts == 1)
    until(lambda: seen.add(one.state.phase) or one.state.phase == "ready")
    assert seen == {"ready", "recovering"}


def test_endpoint_that_is_down_is_tried_at_once_when_it_is_deployed_again(one: Endpoint, tmp_path: Path) -> None:
    broken, slow = tmp_path / "broken", replace(FAST, backoff=60.0, backoff_max=60.0)
    version = spec("v1", env={"EXIT_FILE": str(broken)})
    pid = one.up(version, policy=slow).version("v1").replicas[0].pid
    broken.touch()
    one.kill(pid)
    state = until(lambda: (found := one.state).phase == "down" and found)
    assert "version v1: replica 0 ended 2 times in a row (exit code 1" in state.reason
    assert one.up(version, policy=replace(slow, backoff=0.1)).phase == "down", "it is still broken"
    broken.unlink()
    assert one.up(version, policy=replace(slow, backoff=0.1)).phase == "ready"
    assert one.ask().status == 200


def test_router_that_cannot_start_is_told(one: Endpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "aiohttp.py").write_text("raise ImportError('aiohttp is not for this Python')")
    monkeypatch.setenv("PYTHONPATH", str(broken))
    service.deploy(one.directory, spec("v1"), policy=FAST)
    state = until(lambda: (found := one.state).phase == "down" and found)
    assert state.reason == f"the router does not start; see {Path(os.path.realpath(one.directory)) / 'router.log'}"
    (broken / "aiohttp.py").unlink()
    assert until(lambda: one.state.phase == "ready" and one.ask()).status == 200, "mended without a restart"


def test_replicas_follow_the_load(one: Endpoint) -> None:
    policy = replace(FAST, target_concurrency=1.0)
    one.up(spec("v1", env={"SLEEP": "0.05"}, max_replicas=2), policy=policy)
    with one.asked(threads=4) as answers:
        until(lambda: len({answer.value["pid"] for answer in answers if answer.status == 200}) == 2, what="it grows")
        assert len(one.state.version("v1").replicas) == 2
    until(lambda: len(one.state.version("v1").replicas) == 1, what="it shrinks")
    assert bad(answers) == []


def test_metrics_count_what_was_answered(one: Endpoint) -> None:
    one.up(spec("v1", env={"SLEEP": "0.02"}))
    for _ in range(20):
        assert one.ask().status == 200
    [found] = until(lambda: (now := service.metrics(one.directory)) and now[0].requests == 20 and now)
    assert (found.version, found.errors, found.client_errors) == ("v1", 0, 0)
    assert 0.02 <= found.latency_p50 <= found.latency_p90 <= found.latency_p99 < 2
    assert service.metrics(one.directory, since=time.time() + 10) == []


def test_logs_have_times_and_sources(one: Endpoint) -> None:
    before = time.time()
    one.up(spec("v1", min_replicas=2, max_replicas=2))
    records = [record for record in service.logs(one.directory) if record.text.startswith("serving")]
    assert {record.source for record in records} == {"v1-0", "v1-1"}
    assert all(before - 1 <= record.time <= time.time() for record in records)
    followed = service.logs(one.directory, follow=True, tail=1)
    assert next(followed).text
    service.delete(one.directory)
    assert "drained" in [record.text for record in followed]


def test_observed_state_is_plain_json(one: Endpoint) -> None:
    one.up(spec("v1"), Rollout(canary=0.1, bake=5), policy=Policy())
    value = json.loads((one.directory / "observed.json").read_text())
    assert value["phase"] == "ready"
    assert json.loads((one.directory / "desired.json").read_text())["rollout"]["canary"] == 0.1
