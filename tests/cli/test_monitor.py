"""``cloudops monitor`` of an endpoint's URI, with a project file and without one."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from .conftest import CLI, Project


@pytest.fixture
def uri(project: Project) -> str:
    """An endpoint that has captured some requests."""
    endpoint: str = project.json("run")["deploy"]["uri"]
    return endpoint


def test_an_endpoint_is_checked_from_a_folder_without_a_project(project: Project, uri: str, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "known.csv").write_text((project.folder / "reference.csv").read_text())
    (elsewhere / "moved.csv").write_text("x\n" + "\n".join(str(number + 1000) for number in range(500)))

    def monitor(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [CLI, "monitor", uri, *arguments]
        return subprocess.run(command, cwd=elsewhere, capture_output=True, text=True, timeout=60, check=False)

    found = monitor("--reference", "known.csv", "--window", "1h", "-o", "json")
    assert found.returncode == 0, found.stderr
    report = json.loads(found.stdout)
    assert report["verdict"] == "ok"
    assert [period["label"] for period in report["periods"]] == ["last 1h"]
    assert Path(report["report"]).parent == elsewhere / ".cloudops" / "reports"
    assert monitor("--reference", str(elsewhere / "moved.csv")).returncode == 1

    for arguments, message in [
        ((), "error: there is no project file here, so nothing says what to compare with\n  give one with --reference"),
        (("--reference", "none.csv"), "error: monitor.reference: "),
        (("--reference", "known.csv", "--window", "soon"), "error: invalid value for --window: "),
        (("--reference", "known.csv", "--set", "monitor.window=1h"), "error: cloudops.yaml: no such file"),
    ]:
        refused = monitor(*arguments)
        assert refused.returncode == 2
        assert message in refused.stderr


def test_flags_go_before_the_project_file(project: Project, uri: str) -> None:
    (project.folder / "below").mkdir()
    (project.folder / "below" / "moved.csv").write_text("x\n" + "\n".join(str(n + 1000) for n in range(500)))
    file = str(project.folder / "cloudops.yaml")
    command = [CLI, "monitor", "--reference", "moved.csv", "-f", file, "-o", "json"]
    done = subprocess.run(
        command, cwd=project.folder / "below", capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1
    assert json.loads(done.stdout)["drifted"] == ["x"]
    assert [period["label"] for period in project.json("monitor", uri, "--window", "90m")["periods"]] == ["last 90m"]
    project.edit("monitor:\n  reference: reference.csv\n  replay: {today: today.csv}\n", "")
    assert project.json("monitor", "--reference", "reference.csv")["verdict"] == "ok"
    assert "has no monitor" in project.run("monitor", code=2).stderr
    assert (
        "monitor: expected something to check: a reference" in project.run("monitor", "--window", "1h", code=2).stderr
    )


def test_a_check_that_fails_fails_though_nobody_reads_it(project: Project, uri: str) -> None:
    (project.folder / "moved.csv").write_text("x\n" + "\n".join(str(number + 1000) for number in range(500)))
    command = [CLI, "monitor", uri, "--reference", "moved.csv", "--window", "1h"]
    with subprocess.Popen(command, cwd=project.folder, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        process.stdout.close()
        assert process.wait(60) == 1
