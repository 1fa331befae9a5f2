"""Resources become the smallest instance type that has them."""

from __future__ import annotations

import botocore.session
import pytest
from cloudops_sagemaker import machines

from cloudops.errors import CloudopsError, InvalidRequest, NoCapacity
from cloudops.specs import Resources


def test_the_table_holds_names_that_the_service_knows() -> None:
    model = botocore.session.get_session().get_service_model("sagemaker")
    for shape, use in (("TrainingInstanceType", "t"), ("ProductionVariantInstanceType", "h")):
        known = set(model.shape_for(shape).enum)
        assert [each.name for each in machines.MACHINES if use in each.uses and each.name not in known] == []
    assert len({each.name for each in machines.MACHINES}) == len(machines.MACHINES)


@pytest.mark.parametrize(
    ("resources", "expected"),
    [
        ({}, "ml.m5.large"),
        ({"cpus": 2}, "ml.m5.large"),
        ({"cpus": "3+"}, "ml.c5.xlarge"),
        ({"cpus": 4, "memory": 16}, "ml.m5.xlarge"),
        ({"memory": "30+"}, "ml.r5.xlarge"),
        ({"accelerators": "T4:1"}, "ml.g4dn.xlarge"),
        ({"accelerators": "t4:4"}, "ml.g4dn.12xlarge"),
        ({"accelerators": "A10G:1", "memory": "100+"}, "ml.g5.8xlarge"),
        ({"accelerators": "H100:8"}, "ml.p5.48xlarge"),
        ({"instance_type": "ml.trn1.2xlarge"}, "ml.trn1.2xlarge"),
    ],
)
def test_the_smallest_that_fits(resources: dict, expected: str) -> None:
    assert machines.choose("train", Resources(**resources))[0] == expected


def test_a_machine_that_is_larger_than_asked_for_is_noted() -> None:
    name, notes = machines.choose("train", Resources(cpus=5))
    assert name == "ml.c5.2xlarge"
    assert notes == ["train.resources: the smallest that fits is ml.c5.2xlarge (8 vCPUs, 16 GiB)"]
    assert machines.choose("train", Resources(cpus="5+"))[1] == []


@pytest.mark.parametrize(
    ("resources", "override", "kind", "place", "hint"),
    [
        ({"cpus": 100_000}, None, NoCapacity, "train.resources.cpus", "largest"),
        ({"memory": 100_000}, None, NoCapacity, "train.resources.memory", "largest"),
        ({"accelerators": "T4:100"}, None, NoCapacity, "train.resources.accelerators", "T4:4"),
        ({"accelerators": "K9:1"}, None, InvalidRequest, "train.resources.accelerators", "H100:8"),
        ({"instance_type": "m5.xlarge"}, None, InvalidRequest, "train.resources.instance_type", "ml.m5.xlarge"),
        ({"instance_type": "ml.m5.large", "cpus": 8}, None, InvalidRequest, "train.resources.instance_type", ""),
        ({"accelerators": "T4:1"}, "ml.m5.large", InvalidRequest, "overrides.sagemaker.train.instance_type", ""),
    ],
)
def test_what_no_machine_has_is_refused(
    resources: dict, override: str | None, kind: type[CloudopsError], place: str, hint: str
) -> None:
    with pytest.raises(kind) as caught:
        machines.choose("train", Resources(**resources), override)
    assert str(caught.value).startswith(f"{place}: ")
    assert hint in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("step", "hosting", "named", "hint"),
    [
        ("train", False, "ml.m5.huge", "ml.m5.large"),
        ("deploy", True, "ml.c7i.lage", "ml.c7i.large"),
        ("batch", True, "ml.m5.2xlage", "ml.m5.2xlarge"),
        ("batch", True, "ml.r5.large", "ml.m5.large"),
    ],
)
def test_a_type_that_does_not_exist_is_refused_with_one_that_is_alike(
    step: str, hosting: bool, named: str, hint: str
) -> None:
    with pytest.raises(InvalidRequest, match="is no instance type of SageMaker for this") as caught:
        machines.choose(step, Resources(), named, hosting=hosting)
    assert hint in str(caught.value.hint)
    assert str(caught.value).startswith(f"overrides.sagemaker.{step}.instance_type: ")
    assert machines.choose("train", Resources(), "ml.c7i.large")[0] == "ml.c7i.large"  # the service's, not the table's


def test_a_price_is_dated_or_not_known() -> None:
    assert "0.230 USD" in machines.price("ml.m5.xlarge", 1)
    assert "0.460 USD" in machines.price("ml.m5.xlarge", 2)
    assert all(part in machines.price("ml.m5.xlarge", 1) for part in machines.PRICES)
    assert "price unknown" in machines.price("ml.unheard.of", 1)
