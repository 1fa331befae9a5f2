"""docs/offline.md has every fault, command, option, member and fixture, and no other."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import click
import pytest

from cloudops.cli.offline import offline
from cloudops.offline import OfflineCloud
from cloudops.offline.faults import ANSWERS, CONNECTION, FaultKind
from cloudops.testing import plugin

PAGE = (Path(__file__).parents[2] / "docs" / "offline.md").read_text(encoding="utf-8")
CLI_PAGE = (Path(__file__).parents[2] / "docs" / "cli.md").read_text(encoding="utf-8")


def section(heading: str) -> str:
    return PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]


def first_cells(text: str) -> list[str]:
    return [line.split("|")[1].strip() for line in text.splitlines() if line.startswith("| `")]


def test_every_fault_is_explained() -> None:
    assert first_cells(section("Faults")) == [f"`{kind}`" for kind in FaultKind]
    assert "the first nine kinds" in section("Faults")
    assert set(list(FaultKind)[:9]) == CONNECTION | ANSWERS


@pytest.mark.parametrize("name", offline.commands)
def test_every_command_is_explained(name: str) -> None:
    assert re.search(rf"cloudops offline {name}\b", PAGE) or f"`{name}`" in section("Ways in")
    assert re.search(rf"`offline [^`]*\b{name}\b", CLI_PAGE)


@pytest.mark.parametrize("name", ["run", "start", "fault"])
def test_every_option_is_explained(name: str) -> None:
    for parameter in offline.commands[name].params:
        if isinstance(parameter, click.Option) and parameter.name != "output":
            assert parameter.opts[-1] in PAGE, parameter.opts


def test_every_member_is_explained() -> None:
    cells = " ".join(first_cells(section("From Python")))
    told = set(re.findall(r"`(\w+)", cells))
    there = {name for name, _ in inspect.getmembers(OfflineCloud) if not name.startswith("_")}
    assert told == there | {"OfflineCloud"}
    assert re.findall(r"OfflineCloud\(([\w, ]+)\)", cells) == [", ".join(inspect.signature(OfflineCloud).parameters)]


def test_every_fixture_and_setting_is_explained() -> None:
    fixtures = {name for name in vars(plugin) if name.startswith("cloudops_offline")}
    assert {cell.strip("`") for cell in first_cells(section("From pytest"))} == fixtures
    settings = set(re.findall(r'addini\("(\w+)"', inspect.getsource(plugin)))
    assert settings == set(re.findall(r"`(cloudops_offline_\w+)`", section("From pytest"))) - fixtures
