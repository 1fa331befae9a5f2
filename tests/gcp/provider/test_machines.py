"""From resources to machines, with what they cost."""

from __future__ import annotations

from typing import Any

import pytest
from cloudops_vertex import machines, sdk
from cloudops_vertex.machines import ALL, ATTACHABLE

from cloudops.errors import InvalidRequest, NoCapacity
from cloudops.specs import Resources


def chosen(override: str | None = None, default: str | None = None, **resources: Any) -> machines.Machine:
    return machines.choose("train", Resources(**resources), override, default)[0]


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        ({}, "n1-standard-4 (4 vCPUs, 15 GiB)"),
        ({"cpus": "8+"}, "n1-standard-8 (8 vCPUs, 30 GiB)"),
        ({"cpus": 8, "memory": "32+"}, "e2-standard-8 (8 vCPUs, 32 GiB)"),
        ({"memory": "200+"}, "n1-highmem-32 (32 vCPUs, 208 GiB)"),
        ({"accelerators": "T4"}, "n1-standard-4 (4 vCPUs, 15 GiB, T4:1)"),
        ({"accelerators": "t4:3"}, "n1-standard-4 (4 vCPUs, 15 GiB, T4:4)"),
        ({"accelerators": "V100:8", "cpus": "60+"}, "n1-standard-64 (64 vCPUs, 240 GiB, V100:8)"),
        ({"accelerators": "L4"}, "g2-standard-4 (4 vCPUs, 16 GiB, L4:1)"),
        ({"accelerators": "A100:8"}, "a2-highgpu-8g (96 vCPUs, 680 GiB, A100:8)"),
        ({"accelerators": "H200:8"}, "a3-ultragpu-8g (224 vCPUs, 2952 GiB, H200:8)"),
        ({"instance_type": "g2-standard-8"}, "g2-standard-8 (8 vCPUs, 32 GiB, L4:1)"),
        ({"instance_type": "n1-standard-8", "accelerators": "T4:1"}, "n1-standard-8 (8 vCPUs, 30 GiB, T4:1)"),
        ({"instance_type": "c4-standard-8"}, "c4-standard-8 (0 vCPUs, 0 GiB)"),
    ],
)
def test_the_smallest_that_fits(resources: dict[str, Any], expected: str) -> None:
    assert chosen(**resources).shown == expected


def test_overrides_and_the_target_s_default() -> None:
    assert chosen("n2-standard-8", cpus="2+").name == "n2-standard-8"
    assert chosen(default="e2-standard-16").name == "e2-standard-16"
    assert chosen(default="e2-standard-16", cpus="4+").name == "n1-standard-4"


@pytest.mark.parametrize(
    ("override", "resources", "kind", "text"),
    [
        (None, {"cpus": "900+"}, NoCapacity, "asks for 900+, more than any of these machines has"),
        (None, {"accelerators": "H100:9"}, NoCapacity, "Vertex AI has no machine with H100:9"),
        (None, {"accelerators": "K80"}, InvalidRequest, "Vertex AI has no machine with K80:1"),
        (None, {"instance_type": "ml.m5.large"}, InvalidRequest, "'ml.m5.large' is no machine type of Vertex AI"),
        ("standard-4", {}, InvalidRequest, "'standard-4' is no machine type of Vertex AI"),
        ("n1-standard-4", {"cpus": "8+"}, InvalidRequest, "n1-standard-4 (4 vCPUs, 15 GiB) has less than cpus: 8+"),
        ("n1-standard-96", {"accelerators": "T4"}, InvalidRequest, "n1-standard-96 does not come with T4:1"),
        ("g2-standard-4", {"accelerators": "T4"}, InvalidRequest, "g2-standard-4 does not come with T4:1"),
        ("n4-standard-4", {"accelerators": "T4"}, InvalidRequest, "does not know which accelerators n4-standard-4"),
    ],
)  # fmt: skip
def test_what_there_is_not(override: str | None, resources: dict[str, Any], kind: type[Exception], text: str) -> None:
    with pytest.raises(kind) as caught:
        chosen(override, **resources)
    key = (
        ("overrides", "vertex", "train", "machine_type") if override else ("train", "resources", next(iter(resources)))
    )
    assert str(caught.value).startswith(f"{'.'.join(key)}: ")
    assert text in str(caught.value)


def test_a_choice_that_is_larger_is_told() -> None:
    assert machines.choose("train", Resources(cpus=5))[1] == [
        "train.resources: the smallest that fits is n1-standard-8 (8 vCPUs, 30 GiB)"
    ]
    assert machines.choose("train", Resources(cpus="5+"))[1] == []


def test_costs_are_told_where_they_are_known() -> None:
    assert machines.price(chosen(), 1, disk=100).startswith(
        "n1-standard-4: 0.218 USD per hour, without 100 GB of disk each (published for us-central1, not asked of Google"
    )
    assert machines.price(chosen(accelerators="T4:2"), 3, disk=100).startswith(
        f"3 x n1-standard-4 with T4:2: {3 * (0.21849885 + 2 * 0.4025):.3f} USD per hour"
    )
    assert "price unknown here" in machines.price(chosen(accelerators="H100"), 1, disk=100)


def test_accelerators_are_those_of_the_service() -> None:
    known = {each.name for each in sdk.imported("google.cloud.aiplatform_v1.types.accelerator_type").AcceleratorType}
    assert set(machines.ACCELERATORS.values()) <= known
    assert {each.kind for each in ALL if each.kind} <= set(machines.ACCELERATORS)
    assert set(ATTACHABLE) <= set(machines.ACCELERATORS)
