"""docs/providers.md has every hook, capability, role's method and member of a rig, and nothing that is not there."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from cloudops import hookspecs
from cloudops import provider as roles
from cloudops.provider import Capability
from cloudops.testing import Rig

PAGE = (Path(__file__).parents[2] / "docs" / "providers.md").read_text(encoding="utf-8")


def rows(heading: str) -> list[list[str]]:
    """The cells of the tables below a heading, without their head."""
    section = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    found = [[cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if line[:1] == "|"]
    assert found, f"there is no table below {heading!r}"
    return found[2:]


def named(cells: list[str]) -> set[str]:
    return {name.partition("(")[0] for cell in cells for name in re.findall(r"`([^`]+)`", cell)}


def test_every_capability_is_explained() -> None:
    table = rows("Capabilities")
    assert [row[0] for row in table] == [f"`{capability}`" for capability in Capability]
    assert not [row for row in table if not row[1]]


def test_every_hook_is_explained() -> None:
    hooks = {
        name: group
        for kind, group in (
            (hookspecs.ProviderHooks, hookspecs.PROVIDERS),
            (hookspecs.ObserverHooks, hookspecs.PLUGINS),
        )
        for name, function in vars(kind).items()
        if hasattr(function, "cloudops_spec")
    }
    assert {row[0].strip("`"): row[1].strip("`") for row in rows("Observers")} == hooks


@pytest.mark.parametrize("role", ["Trainer", "Deployer", "Monitor"])
def test_every_method_of_a_role_is_explained(role: str) -> None:
    table = rows("The roles")
    starts = [index for index, row in enumerate(table) if row[0]]
    (start,) = [index for index in starts if table[index][0] == f"`{role}`"]
    end = next((index for index in starts if index > start), len(table))
    documented = named([row[1] for row in table[start:end]])
    assert documented == {name for name in vars(getattr(roles, role)) if not name.startswith("_")}


def test_every_control_of_a_rig_is_explained() -> None:
    documented = named([row[0] for row in rows("The contracts")])
    attributes = {name for name in vars(Rig) if not name.startswith("_") and not callable(getattr(Rig, name))}
    assert attributes - {"provider"} <= documented
    assert {name for name in documented if not hasattr(Rig, name)} == set()
    assert {"absent", "advance", "inject"} <= documented


def test_errors_are_those_that_there_are() -> None:
    from cloudops import errors

    for row in rows("Errors"):
        for name in named(row[:1]):
            assert inspect.isclass(getattr(errors, name))
