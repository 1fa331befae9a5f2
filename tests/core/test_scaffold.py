"""``cloudops init``: a project that is valid, in a folder of any name, over nothing that is there."""

from __future__ import annotations

from pathlib import Path

import pytest

from cloudops.config import load
from cloudops.errors import ConfigError
from cloudops.scaffold import scaffold


def files_under(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("folder", "name"),
    [
        ("churn", "churn"),
        ("My Project", "my-project"),
        ("2024_sales", "project-2024-sales"),
        ("漢字", "project"),
        ("-a-", "a"),
        ("x" * 50, "x" * 32),
        ("a" * 31 + "-b", "a" * 31),
    ],
)
def test_the_project_is_named_after_its_folder(tmp_path: Path, folder: str, name: str) -> None:
    written = scaffold(tmp_path / folder)
    assert files_under(tmp_path / folder) == {str(path.relative_to(tmp_path / folder)) for path in written}
    config = load(tmp_path / folder / "cloudops.yaml", environ={})
    assert config.project.name == name
    assert config.project.deploy is not None
    assert config.project.deploy.endpoint == name


def test_the_files_that_the_project_names_are_there(tmp_path: Path) -> None:
    scaffold(tmp_path, "x")
    project = load(tmp_path / "cloudops.yaml", environ={}).project
    assert project.train is not None
    assert project.evaluate is not None
    assert project.deploy is not None
    assert (tmp_path / project.train.code / "train.py").is_file()
    assert (tmp_path / project.evaluate.code / "evaluate.py").is_file()
    assert (tmp_path / str(project.deploy.predictor)).is_file()
    for file in tmp_path.rglob("*.py"):
        compile(file.read_text(encoding="utf-8"), str(file), "exec")


def test_nothing_is_overwritten_and_nothing_half_written(tmp_path: Path) -> None:
    (tmp_path / "src").mkdir()
    (tmp_path / "src" / "train.py").write_text("mine")
    with pytest.raises(ConfigError, match=r"src/train\.py exists already; choose another folder; nothing was written$"):
        scaffold(tmp_path, "x")
    assert files_under(tmp_path) == {"src/train.py"}


def test_an_existing_gitignore_is_kept(tmp_path: Path) -> None:
    (tmp_path / ".gitignore").write_text("mine\n")
    written = scaffold(tmp_path, "x")
    assert (tmp_path / ".gitignore").read_text() == "mine\n"
    assert tmp_path / ".gitignore" not in written


@pytest.mark.parametrize("name", ["X", "1a", "a_b", "a-", "x" * 33, "é", "a\n"])
def test_a_name_that_cannot_be_one_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="cannot name a project; use a-z, 0-9 and '-', a letter first"):
        scaffold(tmp_path, name)
    assert files_under(tmp_path) == set()
