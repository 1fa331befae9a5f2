"""The public names: each resolves, type checkers see the same ones, and the API type-checks as it is used."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import cloudops

ROOT = Path(__file__).parents[2]
TYPING = ROOT / "tests" / "typing" / "api.py"


def _seen_by_type_checkers() -> dict[str, str]:
    """Name to module, of the imports under ``if TYPE_CHECKING``."""
    tree = ast.parse(Path(cloudops.__file__).read_text(encoding="utf-8"))
    [block] = [node for node in tree.body if isinstance(node, ast.If)]
    return {
        alias.name: f"cloudops.{node.module}"
        for node in block.body
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }


def test_every_name_is_there_and_type_checkers_see_the_same() -> None:
    assert set(cloudops.__all__) == set(_seen_by_type_checkers())
    assert cloudops.__all__ == sorted(cloudops.__all__)
    assert set(cloudops.__all__) <= set(dir(cloudops))


@pytest.mark.parametrize("name", cloudops.__all__)
def test_a_name_resolves_to_what_type_checkers_see(name: str) -> None:
    module = _seen_by_type_checkers()[name]
    assert getattr(cloudops, name) is getattr(sys.modules[module], name)


def test_another_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'cloudops' has no attribute 'nothing'"):
        _ = cloudops.nothing


def test_the_version_is_that_of_the_distribution() -> None:
    from importlib.metadata import version

    assert cloudops.__version__ == version("cloudops-ml")


WRONG = """\
import cloudops

cloudops.TrainSpec(comand="x")
job: int = cloudops.connect().train()
"""


@pytest.mark.slow
def test_the_api_type_checks_as_it_is_used(tmp_path: Path) -> None:
    """Strictly, without pydantic's plugin, as in a user's editor; what is wrong is seen, so the check is not blind."""
    settings = tmp_path / "mypy.ini"
    settings.write_text("[mypy]\nstrict = True\nfollow_imports = silent\n")
    wrong = tmp_path / "wrong.py"
    wrong.write_text(WRONG)
    options = ["--config-file", str(settings), "--cache-dir", str(tmp_path / "cache"), "--no-error-summary"]
    command = [sys.executable, "-m", "mypy", *options, str(TYPING), str(wrong)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=280, cwd=ROOT)
    errors = [line for line in done.stdout.splitlines() if ": error: " in line]
    assert {line.partition(": error: ")[0] for line in errors} == {f"{wrong}:3", f"{wrong}:4"}, done.stdout
