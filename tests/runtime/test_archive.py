from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
import zipfile
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path

import pytest

import cloudops
import cloudops.runtime
from cloudops.runtime.archive import build

from .rig import python39

PACKAGE = Path(cloudops.runtime.__file__).parent
# What the runtime may use when it is there: imported late, inside the function that needs it.
OPTIONAL = {
    "httptools",
    "joblib",
    "mlflow",
    "numpy",
    "onnxruntime",
    "pandas",
    "torch",
    "uvicorn",
    "uvloop",
    "xgboost",
}


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("arc hive"))


def run(*argv: object, **environ: str) -> str:
    env = {"PATH": os.environ["PATH"], **environ}
    result = subprocess.run([str(each) for each in argv], env=env, cwd="/", check=False, capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    return result.stdout


def test_building_twice_gives_the_same_bytes(archive: Path, tmp_path: Path) -> None:
    again = build(tmp_path / "not yet there")
    assert again.name == archive.name
    assert again.read_bytes() == archive.read_bytes()
    before = again.stat()
    assert build(again.parent) == again
    assert again.stat() == before


def test_building_in_several_processes_at_once(tmp_path: Path) -> None:
    with ProcessPoolExecutor(4, get_context("spawn")) as pool:
        paths = set(pool.map(build, [tmp_path] * 8))
    assert list(tmp_path.iterdir()) == list(paths)


def test_a_failing_build_leaves_nothing_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(OSError, match="No space left"):
        build(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_what_is_in_it(archive: Path) -> None:
    names = zipfile.ZipFile(archive).namelist()
    assert {"__main__.py", "cloudops/__init__.py", "cloudops/runtime/train.py"} <= set(names)
    assert "cloudops/runtime/archive.py" not in names
    assert all(name.endswith(".py") for name in names)


@pytest.mark.parametrize("python", ["this", "3.9"])
def test_a_job_runs_from_it(archive: Path, tmp_path: Path, python: str) -> None:
    interpreter = sys.executable if python == "this" else python39()
    code = "from cloudops.runtime import log_metric, params; log_metric('loss', params()['x'])"
    command = f"{json.dumps(interpreter)} -c {json.dumps(code)}"
    (tmp_path / "JOB.json").write_text(json.dumps({"command": command, "params": {"x": 0.25}, "code": str(tmp_path)}))
    output = run("env", "-C", tmp_path, interpreter, "-S", archive, "train", "JOB.json")
    assert output == "[cloudops] metric name=loss value=0.25\n"


def test_every_module_is_python39(archive: Path) -> None:
    """Not only parsed but imported, by a Python 3.9 with nothing installed."""
    code = """
import importlib, sys, zipfile
names = [n[:-3].replace("/", ".") for n in zipfile.ZipFile(sys.argv[1]).namelist() if n.startswith("cloudops/runtime")]
for name in names:
    if not name.endswith("__main__"):
        importlib.import_module(name.replace(".__init__", ""))
import typing, dataclasses
for module in [m for n, m in sys.modules.items() if n.startswith("cloudops.")]:
    for value in list(vars(module).values()):
        if dataclasses.is_dataclass(value):
            dataclasses.fields(value)
print(len(names))
"""
    assert int(run(python39(), "-S", "-E", "-c", "import sys; sys.path.insert(0, sys.argv[1])\n" + code, archive)) > 10


def test_an_installed_cloudops_stays_importable(archive: Path) -> None:
    code = """
import cloudops, cloudops.runtime.job, cloudops.quantities
from cloudops import CloudopsError
print(cloudops.runtime.job.__file__)
print(cloudops.quantities.__file__)
print(cloudops.__version__, CloudopsError.__module__)
try:
    cloudops.no_such_name
except AttributeError as error:
    print("AttributeError")
"""
    runtime, quantities, names, error = run(sys.executable, "-c", code, PYTHONPATH=str(archive)).splitlines()
    assert runtime.startswith(str(archive))
    assert quantities == str(PACKAGE.parent / "quantities.py")
    assert names == f"{cloudops.__version__} cloudops.errors"
    assert error == "AttributeError"


def test_without_an_installed_cloudops(archive: Path) -> None:
    code = "import cloudops\ntry:\n    cloudops.connect\nexcept AttributeError as error:\n    print(error)"
    output = run(sys.executable, "-S", "-E", "-c", f"import sys; sys.path.insert(0, {str(archive)!r})\n{code}")
    assert output == "module 'cloudops' has no attribute 'connect'\n"


def imports_of(path: Path) -> set[str]:
    """The roots of all absolute imports, late ones included, without those of the runtime itself."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names.add(node.module or "")
        elif isinstance(node, ast.ImportFrom):
            inside = len(path.relative_to(PACKAGE).parts)
            assert node.level <= inside, f"{path}:{node.lineno} imports from outside the runtime"
    return {name.split(".")[0] for name in names if not f"{name}.".startswith("cloudops.runtime.")}


def test_it_imports_the_standard_library_and_nothing_else_of_cloudops() -> None:
    for path in PACKAGE.rglob("*.py"):
        foreign = imports_of(path) - sys.stdlib_module_names - OPTIONAL
        assert foreign == set(), f"{path} imports {foreign}"


def test_optional_libraries_are_imported_late(archive: Path) -> None:
    code = """
import importlib, sys, zipfile
for name in zipfile.ZipFile(sys.argv[1]).namelist():
    if name.startswith("cloudops/runtime") and not name.endswith("__main__.py"):
        importlib.import_module(name[:-3].replace("/", ".").replace(".__init__", ""))
print(*{name.split(".")[0] for name in sys.modules})
"""
    loaded = run(sys.executable, "-c", code, archive, PYTHONPATH=str(archive)).split()
    assert OPTIONAL & set(loaded) == set()
