"""The example distributions, built, installed and used as a stranger's would be, without a network."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from cloudops.testing.projects import configure, deployment, job, write_project

EXAMPLES = Path(__file__).parents[2] / "examples"
PROVIDER = EXAMPLES / "third_party_provider"
Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with both example distributions installed from their wheels."""
    site = tmp_path_factory.mktemp("site")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--no-build-isolation"]
    sources = [str(_copied(EXAMPLES / name, tmp_path_factory)) for name in (PROVIDER.name, "observer_plugin")]
    subprocess.run([*pip, "--target", str(site), *sources], check=True, timeout=120)
    return site


def _copied(source: Path, factory: pytest.TempPathFactory) -> Path:
    """A copy, so that a build leaves nothing in the source."""
    import shutil

    return Path(shutil.copytree(source, factory.mktemp("source") / source.name, ignore=shutil.ignore_patterns(".*")))


@pytest.fixture
def run(site: Path, tmp_path: Path) -> Run:
    """Run a command in a folder of its own, with what is installed in ``site``."""

    def run(*argv: str, environment: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        given = {**os.environ, "PYTHONPATH": str(site), "PYTEST_ADDOPTS": "", **(environment or {})}
        return subprocess.run(argv, cwd=tmp_path, env=given, capture_output=True, text=True, timeout=280, check=False)

    return run


CLI = str(Path(sys.executable).with_name("cloudops"))


#: Contract to the number of its tests that must at least have run and passed here.
CONTRACTS = {"TestTrain": 33, "TestDeploy": 22, "TestMonitor": 2, "TestErrors": 22, "TestLifecycle": 17}


@pytest.mark.parametrize("contract", CONTRACTS)
def test_it_passes_the_shipped_contracts(run: Run, contract: str) -> None:
    tests = PROVIDER / "tests" / "test_contracts.py"
    config = ["-c", str(PROVIDER / "pyproject.toml"), "-p", "no:cacheprovider", "-p", "no:xdist", "--tb=short"]
    done = run(sys.executable, "-m", "pytest", "-q", "-rs", *config, f"{tests}::{contract}")
    assert done.returncode == 0, done.stdout + done.stderr
    counts = {word: int(number) for number, word in re.findall(r"(\d+) (passed|failed|error|skipped)", done.stdout)}
    assert counts["passed"] >= CONTRACTS[contract]
    assert not {"failed", "error"} & set(counts)


def test_its_own_tests_pass_on_the_installed_code(run: Run, site: Path) -> None:
    """Killed processes; and the code under test is that of the wheel, not that of the source folder."""
    tests = str(PROVIDER / "tests" / "test_killed.py")
    done = run(
        sys.executable, "-m", "pytest", "-q", "-c", str(PROVIDER / "pyproject.toml"), "-p", "no:cacheprovider", tests
    )
    assert done.returncode == 0, done.stdout + done.stderr
    where = run(sys.executable, "-c", "import cloudops_sandbox; print(cloudops_sandbox.__file__)").stdout.strip()
    assert Path(where).is_relative_to(site)


def test_skips_give_the_declared_reason(run: Run) -> None:
    tests = PROVIDER / "tests" / "test_contracts.py"
    done = run(
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-rs",
        "-c",
        str(PROVIDER / "pyproject.toml"),
        "-p",
        "no:cacheprovider",
        str(tests),
        "-k",
        "ranks_meet",
    )
    assert "sandbox declares no multi_node: a job is one process" in done.stdout


def test_it_is_listed_beside_the_others(run: Run) -> None:
    found = json.loads(run(CLI, "providers", "-o", "json").stdout)
    listed = {provider["name"]: provider for provider in found["providers"]}
    assert {"local", "sandbox"} <= set(listed)
    assert listed["sandbox"]["version"] == "0.1.0"
    assert listed["sandbox"]["capabilities"]["canary"] == {
        "ok": False,
        "reason": "one version serves at a time",
        "hint": "use local",
    }
    assert found["plugins"] == ["endpoint-guard"]


def test_its_options_are_checked_and_shown(run: Run, tmp_path: Path) -> None:
    write_project(tmp_path / "p")
    train = job("nothing").model_dump(mode="json", exclude_unset=True)
    file = configure(tmp_path / "p", name="options", train=train, overrides={"sandbox": {"train": {"nice": 5}}})
    plan = json.loads(run(CLI, "plan", "-f", str(file), "--provider", "sandbox", "-o", "json").stdout)
    assert any("overrides.sandbox.train.nice: 5" in note for note in plan["train"]["notes"])
    configure(tmp_path / "p", name="options", train=train, overrides={"sandbox": {"train": {"nicer": 5}}})
    refused = run(CLI, "plan", "-f", str(file), "--provider", "sandbox")
    assert refused.returncode == 2
    assert "nicer" in refused.stderr
    assert "nice" in refused.stderr


def test_an_observer_vetoes_before_anything_is_created(run: Run, tmp_path: Path) -> None:
    write_project(tmp_path / "p")
    deploy = deployment("guarded").model_dump(mode="json", exclude_unset=True)
    file = str(configure(tmp_path / "p", name="guarded", provider="sandbox", deploy=deploy))
    refused = run(CLI, "deploy", "-f", file, environment={"CLOUDOPS_ALLOWED_ENDPOINTS": "another, third"})
    assert refused.returncode == 1
    assert "the endpoint guarded may not be deployed to" in refused.stderr
    assert "another, third" in refused.stderr
    assert not (tmp_path / "p" / ".sandbox").exists()
    allowed = {"CLOUDOPS_ALLOWED_ENDPOINTS": "guarded"}
    try:
        assert run(CLI, "deploy", "-f", file, environment=allowed).returncode == 0
        kept = run(CLI, "down", "-f", file, "--yes", environment={"CLOUDOPS_ALLOWED_ENDPOINTS": ""})
        assert "the endpoint guarded may not be deleted" in kept.stderr
    finally:
        assert run(CLI, "down", "-f", file, "--yes", environment=allowed).returncode == 0
