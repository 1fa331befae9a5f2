"""A session with the local provider in a small project of plain scripts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from cloudops_local.layout import Layout

import cloudops
from cloudops.session import Session
from cloudops.testing.projects import write_project


@pytest.fixture
def root(tmp_path: Path) -> Path:
    write_project(tmp_path / "project")
    return tmp_path / "project"


@pytest.fixture
def layout(root: Path) -> Layout:
    return Layout(root)


@pytest.fixture
def connect(root: Path) -> Iterator[Callable[[], Session]]:
    def connect() -> Session:
        return cloudops.connect(provider="local", project="small", root=root)

    yield connect
    connect().down()


@pytest.fixture
def session(connect: Callable[[], Session]) -> Session:
    return connect()
