"""What a shell completes; really asked for through its environment variables, and once by bash itself."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading

import pytest

from cloudops.cli import completing

from .conftest import CLI, Project


def completed(project: Project, line: str, **variables: str) -> list[str]:
    """What bash is told for a line; the cursor stands at its end.

    What takes more than two seconds is not offered; a machine that is busy with other tests may need that: asked again.
    """
    for _ in range(3):
        if found := _completed(project, line, **variables):
            return found
    return []


def _completed(project: Project, line: str, **variables: str) -> list[str]:
    done = subprocess.run(
        [CLI],
        cwd=project.folder,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
        env={**os.environ, "_CLOUDOPS_COMPLETE": "bash_complete", "COMP_LINE": line, **variables},
    )
    assert done.stderr == ""
    return done.stdout.split()


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("cloudops train -f ", "file,"),
        ("cloudops train --file=x", "file,x"),
        ("cloudops logs --file ", "file,"),
        ("cloudops predict --data ", "file,"),
        ("cloudops monitor --html r", "file,r"),
        ("cloudops init ", "dir,"),
        ("cloudops train --provider ", "plain,local plain,sagemaker plain,vertex"),
        ("cloudops providers lo", "plain,local"),
        ("cloudops train --target ", "plain,here plain,there"),
        ("cloudops train --target=th", "plain,there"),
        ("cloudops train -f other.yaml --target ", "plain,elsewhere"),
        ("cloudops train -f none.yaml --target ", ""),
        ("cloudops status -f none.yaml ", ""),
        ("cloudops status --provider none ", ""),
    ],
)
def test_files_and_names(project: Project, line: str, expected: str) -> None:
    targets = "targets: {here: {provider: local}, there: {provider: local}}\n"
    (project.folder / "cloudops.yaml").write_text("name: small\n" + targets)
    (project.folder / "other.yaml").write_text("targets: {elsewhere: {provider: local}}\n")
    assert completed(project, line) == expected.split()


def test_jobs_endpoints_and_their_uris(project: Project) -> None:
    job = project.json("train")["uri"]
    name = job.rpartition("/")[2]
    project.run("evaluate")
    endpoint = project.json("deploy")["uri"]
    for command in ("predict", "traffic", "rollback", "monitor"):
        assert completed(project, f"cloudops {command} ") == ["plain,small"]
    assert f"plain,{name}" in completed(project, "cloudops cancel ")
    assert "plain,small" not in completed(project, "cloudops cancel ")
    for command in ("status", "logs", "wait", "metrics"):
        found = completed(project, f"cloudops {command} ")
        assert {f"plain,{name}", "plain,small"} <= set(found)
    assert completed(project, f"cloudops status {name[:-1]}") == [f"plain,{name}"]
    assert completed(project, f"cloudops status {endpoint[:-2]}") == [f"plain,{endpoint}"]

    script = f"""
        PATH="{os.path.dirname(CLI)}:$PATH"
        eval "$(cloudops completion bash)"
        COMP_LINE="cloudops status {job[:-2]}"
        COMP_POINT=${{#COMP_LINE}}
        _cloudops_completion cloudops
        echo "${{COMPREPLY[@]}}"
    """
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("this system has no bash")
    done = subprocess.run(
        [bash, "--norc", "-c", script], cwd=project.folder, capture_output=True, text=True, timeout=30, check=False
    )
    assert (done.stdout, done.stderr) == (f"{job.partition(':')[2]}\n", "")


def test_what_takes_too_long_or_prints_is_not_waited_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    done = threading.Event()

    def slow() -> list[str]:
        print("a provider talks")
        done.wait(60)
        return ["late"]

    with monkeypatch.context() as impatient:
        impatient.setattr(completing, "PATIENCE", 0.05)
        assert completing._looked_up(slow, "") == []
    done.set()
    monkeypatch.setattr(completing, "PATIENCE", 60)
    assert completing._looked_up(lambda: 1 / 0, "") == []  # type: ignore[arg-type,return-value]
    assert [item.value for item in completing._looked_up(lambda: ["a", "ab", "b"], "a")] == ["a", "ab"]
    assert capsys.readouterr().out == ""
