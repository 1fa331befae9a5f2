"""Which files belong to a code folder: judged against git itself where git has an opinion."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cloudops.store.tree import code_files

FILES = (
    "a.txt",
    "b.log",
    "foo",
    "x y.txt",
    "#hash",
    "!bang",
    "ab",
    "abc.py",
    "données.csv",
    "build/out.bin",
    "build/keep.txt",
    "build/deep/out.bin",
    "src/a.txt",
    "src/foo/bar",
    "src/foo/abc.py",
    "src/build/x.log",
    "src/deep/er/a.txt",
    "src/deep/er/foo",
    "docs/[x].md",
    "docs/x.md",
)
GIT_ENVIRONMENT = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull, "HOME": os.devnull}
needs_git = pytest.mark.skipif(shutil.which("git") is None, reason="git is not installed")


def make(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name, encoding="utf-8")


def found(root: Path) -> set[str]:
    return {entry.name for entry in code_files(root)}


def by_git(root: Path) -> set[str]:
    listed = ["git", "ls-files", "--others", "--exclude-standard", "-z"]
    out = subprocess.run(listed, cwd=root, env=GIT_ENVIRONMENT, check=True, capture_output=True).stdout
    return {name for name in out.decode().split("\0") if name}


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("repository")
    subprocess.run(["git", "init", "-q"], cwd=root, env=GIT_ENVIRONMENT, check=True)
    make(root, *FILES)
    return root


names = st.sampled_from(
    ["a", "foo", "abc", "build", "src", "deep", "er", "txt", "x", "data", "é", "[x]", "!bang", "#hash"]
)
pieces = st.sampled_from(
    ["*", "**", "?", "[a-c]", "[!a]", "[^x]", "[[:alpha:]]", "[]x]", "[a", "\\", ".", "/", " ", "***"]
)
lines = st.lists(
    st.builds(
        lambda head, parts, tail: head + "".join(parts) + tail,
        st.sampled_from(["", "", "", "!", "/", "**/", "#", "\\!", "\\#", "!/"]),
        st.lists(names | pieces, min_size=1, max_size=5),
        st.sampled_from(["", "", "/", "/**", "/*", " ", "\\ ", ".txt", "\r"]),
    ),
    max_size=6,
)


@needs_git
@given(top=lines, nested=lines)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_agrees_with_git_on_any_patterns(repository: Path, top: list[str], nested: list[str]) -> None:
    (repository / ".gitignore").write_text("\n".join(top), encoding="utf-8", newline="")
    (repository / "src" / ".gitignore").write_text("\n".join(nested), encoding="utf-8", newline="")
    assert found(repository) == by_git(repository)


@needs_git
@pytest.mark.parametrize(
    "patterns",
    [
        "*\n!*/\n!*.py",
        "foo/**\n!foo/bar",
        "build/*\n!build/keep.txt",
        "build\n!build/keep.txt",
        "src/**/a.txt",
        "**/foo",
        "/*\n!/src\n/src/*\n!/src/foo",
        "docs/\\[x\\].md",
        "*.txt  \n!x\\ y.txt",
        "\ufefffoo",
        "src/deep/**/foo",
        "d*/e?/[a-f]*",
        "",
    ],
)
def test_agrees_with_git_on_what_people_write(repository: Path, patterns: str) -> None:
    (repository / "src" / ".gitignore").unlink(missing_ok=True)
    (repository / ".gitignore").write_text(patterns, encoding="utf-8")
    assert found(repository) == by_git(repository)


def test_some_things_are_never_part_of_the_code(tmp_path: Path) -> None:
    make(
        tmp_path,
        "train.py",
        "train.pyc",
        ".venv/lib/x.py",
        "__pycache__/t.pyc",
        ".git/HEAD",
        ".cloudops/state",
        "a/.venv/x",
    )
    (tmp_path / ".cloudopsignore").write_text("!.venv\n!.git\n!*.pyc\n")
    assert found(tmp_path) == {"train.py", ".cloudopsignore"}


def test_cloudopsignore_wins_over_every_gitignore(tmp_path: Path) -> None:
    make(tmp_path, "weights.bin", "notes.md", "sub/weights.bin", "sub/other.bin")
    (tmp_path / ".gitignore").write_text("*.bin\n")
    (tmp_path / "sub" / ".gitignore").write_text("weights.bin\n")
    (tmp_path / ".cloudopsignore").write_text("!weights.bin\n*.md\n.*ignore\n")
    assert found(tmp_path) == {"weights.bin", "sub/weights.bin"}


def test_patterns_above_the_code_folder_hold_up_to_the_top_of_the_project(tmp_path: Path) -> None:
    make(tmp_path, "project/cloudops.yaml", "project/src/train.py", "project/src/data/x.csv", "project/src/y.csv")
    (tmp_path / ".gitignore").write_text("*.py\n")
    (tmp_path / "project" / ".gitignore").write_text("/src/data/\n")
    (tmp_path / "project" / ".cloudopsignore").write_text("*.csv\n")
    assert found(tmp_path / "project" / "src") == {"train.py"}


def test_a_folder_that_is_named_is_wanted_even_if_the_project_ignores_it(tmp_path: Path) -> None:
    make(tmp_path, ".git/HEAD", "build/train.py", "build/x.log")
    (tmp_path / ".gitignore").write_text("build/\n*.log\n")
    (tmp_path / "build" / ".cloudopsignore").write_text(".cloudopsignore\n")
    assert found(tmp_path / "build") == {"train.py", "x.log"}


def test_ignored_folders_are_not_entered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path, "train.py", "data/raw/x.csv", ".venv/lib/y.py", "kept/z.py")
    (tmp_path / ".gitignore").write_text("data/\n")
    entered: list[str] = []
    scandir = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: (entered.append(os.path.basename(path)), scandir(path))[1])
    code_files(tmp_path)
    assert entered == [tmp_path.name, "kept"]
