from __future__ import annotations

import re
import subprocess
import sys
import threading
import zipfile
from pathlib import Path

import pytest

from cloudops.engine import environments, job
from cloudops.engine.environments import RequirementError, build, environment, find_uv

from .jobs import python, running, until

UV = pytest.param("uv", marks=pytest.mark.skipif(find_uv() is None, reason="uv is not installed"))


@pytest.fixture(params=[UV, pytest.param("pip", marks=pytest.mark.slow)])
def installer(request, monkeypatch):
    if request.param == "pip":
        monkeypatch.setattr(environments, "find_uv", lambda: None)


@pytest.fixture
def offline(tmp_path):
    """Options that know two packages, ``tiny-one`` (1.0 and 2.0) and ``tiny-two``, and no package index."""
    wheels = tmp_path / "the wheels"
    wheels.mkdir()
    for version in ("1.0", "2.0"):
        wheel(wheels, "tiny_one", version)
    wheel(wheels, "tiny_two", "1.0")
    # A blank in a path has to be escaped in a requirements file.
    link = tmp_path / "wheels"
    link.symlink_to(wheels)
    return ["--no-index", f"--find-links {link}"]


def wheel(folder: Path, name: str, version: str) -> Path:
    path = folder / f"{name}-{version}-py3-none-any.whl"
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr(f"{name}.py", f"VERSION = '{version}'\n")
        file.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        file.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        file.writestr(f"{info}/RECORD", f"{name}.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n")
    return path


def version_in(built: environments.Environment) -> str:
    command = [str(built.python), "-c", "import tiny_one; print(tiny_one.VERSION)"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def test_an_environment_is_built_once_and_isolated(tmp_path, offline, installer):
    wanted = environment([*offline, "tiny-one==1.0"], tmp_path / "cäche dir")
    assert not wanted.ready()
    build(wanted)
    assert wanted.ready()
    subprocess.run(wanted.setup()[0], check=True, timeout=60)  # nothing to do, and no index is asked
    assert version_in(wanted) == "1.0"
    marked = wanted.complete.stat().st_mtime_ns
    build(wanted)
    assert wanted.complete.stat().st_mtime_ns == marked
    probe = "import importlib.util, sys; print(importlib.util.find_spec('psutil'), sys.prefix != sys.base_prefix)"
    seen = subprocess.run([str(wanted.python), "-c", probe], capture_output=True, text=True, check=True).stdout
    assert seen == "None True\n"
    assert sorted(path.name for path in wanted.path.parent.iterdir()) == [wanted.key, f"{wanted.key}.lock"]


def test_the_requirement_that_fails_is_named(tmp_path, offline, installer):
    wanted = environment([*offline, "tiny-one==3.0"], tmp_path)
    with pytest.raises(RequirementError, match=r"cannot install tiny-one==3\.0: .+"):
        build(wanted)
    assert not wanted.path.exists()


@pytest.mark.parametrize("requirement", ["no-such.package_of_ours>=1", "tiny-one ==== 1", "three @ file:///nowhere"])
def test_of_several_requirements_the_one_that_fails_is_named(tmp_path, offline, requirement):
    with pytest.raises(RequirementError, match=f"cannot install {re.escape(requirement)}: .+"):
        build(environment([*offline, "tiny-two", requirement], tmp_path))


def test_what_makes_two_environments_the_same(tmp_path):
    one = environment(["a==1", "b"], tmp_path)
    assert environment(["b", "", "# a comment", "a==1  # why", "b"], tmp_path) == one
    assert environment(["a==2", "b"], tmp_path).key != one.key
    assert environment(["--no-index", "a==1", "b"], tmp_path).key != one.key
    assert environment(["a @ https://host/a#egg=a"], tmp_path).requirements == ("a @ https://host/a#egg=a",)


def test_another_interpreter_makes_another_environment(tmp_path):
    same = environment(["a"], tmp_path, sys.executable)
    other = tmp_path / "python"
    other.write_text(f'#!/bin/sh\n[ "$1" = -c ] && shift && exec {sys.executable} -c "${{1}}; print(\'other\')"\n')
    other.chmod(0o755)
    assert environment(["a"], tmp_path, str(other)).key != same.key


@pytest.mark.parametrize("line", ["-r more.txt", "-c limits.txt", "-e .", "./here", "../there", "--requirement=x", "."])
def test_lines_that_point_to_files_are_refused(tmp_path, line):
    with pytest.raises(ValueError, match="points to another file; put what that file says in its place"):
        environment(["six", line], tmp_path)


def test_an_interpreter_that_does_not_run_is_named(tmp_path):
    with pytest.raises(OSError, match="/bin/false is not a Python interpreter that runs"):
        environment(["six"], tmp_path, "/bin/false")
    with pytest.raises(FileNotFoundError):
        environment(["six"], tmp_path, "/no/such/python")


def test_a_half_built_environment_is_built_anew(tmp_path, offline):
    wanted = environment([*offline, "tiny-one"], tmp_path)
    wanted.path.mkdir(parents=True)
    (wanted.path / "left over").touch()
    build(wanted)
    assert wanted.ready()
    assert not (wanted.path / "left over").exists()
    wanted.python.unlink()  # as if its interpreter had been removed from the machine
    assert not wanted.ready()
    assert wanted.setup() != ()
    build(wanted)
    assert version_in(wanted) == "2.0"


def test_of_many_builders_one_builds(tmp_path, offline):
    wanted = environment([*offline, "tiny-one"], tmp_path)
    (command,) = wanted.setup()
    builders = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(3)]
    outputs = [builder.communicate(timeout=60)[0] for builder in builders]
    assert [builder.returncode for builder in builders] == [0, 0, 0]
    assert sorted(bool(output) for output in outputs) == [False, False, True]
    assert version_in(wanted) == "2.0"


def test_a_job_prepares_its_environment_and_runs_in_it(jobs, tmp_path, offline):
    wanted = environment([*offline, "tiny-one==1.0"], tmp_path / "cache")
    argv = (str(wanted.python), "-c", "import tiny_one; print('has', tiny_one.VERSION)")
    state = jobs.run(argv, setup=wanted.setup())
    assert state.phase == "succeeded", state.reason
    assert job.log_tail(jobs.root / "job")[-1] == "has 1.0"


def test_a_job_whose_environment_cannot_be_built_says_why(jobs, tmp_path, offline):
    wanted = environment([*offline, "tiny-one==3.0"], tmp_path / "cache")
    state = jobs.run(("never",), setup=wanted.setup())
    assert state.phase == "failed"
    assert state.reason.startswith("setup: exit code 1: RequirementError: cannot install tiny-one==3.0: ")


def test_the_build_of_a_cancelled_job_frees_the_lock(jobs, tmp_path, offline, monkeypatch):
    wanted = environment([*offline, "tiny-one"], tmp_path / "cache")
    lock = wanted.path.with_name(f"{wanted.key}.lock")
    lock.parent.mkdir(parents=True)
    holding = python(
        "import fcntl, sys, time; f = open(sys.argv[1], 'w'); fcntl.flock(f, 2); print('up'); time.sleep(60)"
    )
    folder = jobs.start(("true",), setup=((*holding, str(lock)),))
    running(folder, "up")
    builder = threading.Thread(target=build, args=(wanted,))
    builder.start()
    job.cancel(folder, wait=10)
    builder.join(30)
    assert until(wanted.ready)
