"""The table of images is read as the SDK reads it."""

from __future__ import annotations

import itertools
import json
import subprocess
import sys

import pytest
from cloudops_sagemaker import images

from cloudops.errors import InvalidRequest

REGIONS = ("us-east-1", "eu-west-1", "ap-southeast-2", "cn-north-1", "us-gov-west-1")
VERSIONS = {
    "sklearn": ("1.2-1", "1.4-2", "1.9-0"),
    "xgboost": ("1.7-1", "3.0-5"),
    "pytorch": ("2.5.1", "2.6.0"),
    "tensorflow": ("2.18.0",),
}


#: Run by a fresh interpreter: importing the SDK is slow, and a folder of tests has its name.
_RETRIEVE = """
import json, sys
from sagemaker.core import image_uris

def retrieve(name, region, version, scope, machine):
    try:
        return image_uris.retrieve(name, region, version=version, image_scope=scope, instance_type=machine)
    except ValueError:
        return None

print(json.dumps([retrieve(*case) for case in json.load(sys.stdin)]))
"""


@pytest.fixture(scope="module")
def retrieved() -> dict[tuple[str, ...], str | None]:
    cases = [
        (name, region, version, scope, machine)
        for name, region in itertools.product(VERSIONS, REGIONS)
        for version, scope in itertools.product(VERSIONS[name], ("training", "inference"))
        for machine in ("ml.m5.large", "ml.g5.xlarge")
    ]
    done = subprocess.run(
        [sys.executable, "-c", _RETRIEVE], input=json.dumps(cases), capture_output=True, text=True, check=True
    )
    return dict(zip(cases, json.loads(done.stdout.splitlines()[-1]), strict=True))


@pytest.mark.parametrize(("name", "region"), list(itertools.product(VERSIONS, REGIONS)))
def test_uris_are_those_of_the_sdk(name: str, region: str, retrieved: dict[tuple[str, ...], str | None]) -> None:
    compared = 0
    for version, scope, gpu in itertools.product(VERSIONS[name], ("training", "inference"), (False, True)):
        machine = "ml.g5.xlarge" if gpu else "ml.m5.large"
        ours = images.prebuilt(name, version, scope, region, gpu=gpu)
        theirs = retrieved[name, region, version, scope, machine]
        if name == "tensorflow" and scope == "inference":
            continue  # their serving images have other names, and no hooks: cloudops does not use them
        if name == "sklearn" and gpu:
            assert ours is None  # the SDK takes the image for CPUs
            continue
        if theirs is not None and ours is not None:
            assert ours == theirs
            compared += 1
    assert compared >= 2


def test_a_version_without_its_last_number_is_the_newest_of_its_kind() -> None:
    assert (images.prebuilt("pytorch", "2.6", "training", "us-east-1") or "").endswith("2.6.0-cpu-py312")
    assert "1.4-2" in (images.prebuilt("sklearn", "1.4", "training", "us-east-1") or "")
    assert images.prebuilt("sklearn", "1.7", "training", "us-east-1") is None
    assert images.prebuilt("nothing", "1", "training", "us-east-1") is None


def test_a_framework_without_an_image_is_installed_and_noted() -> None:
    for inference in (False, True):
        found = images.choose("train", "sklearn@1.7", None, "us-east-1", "ml.m5.large", inference=inference)
        assert "/pytorch-" in found.uri
        assert found.requirements[0] == "scikit-learn==1.7.*"
        assert found.note.startswith("train.framework: emulated: ")


def test_tensorflow_is_served_by_an_image_with_hooks() -> None:
    found = images.choose("deploy", "tensorflow@2.18", None, "us-east-1", "ml.m5.large", inference=True)
    assert "pytorch-inference" in found.uri
    assert "tensorflow==2.18.*" in found.requirements


def test_an_own_image_is_taken_as_it_is() -> None:
    assert (
        images.choose("train", None, "registry.example/x:1", "us-east-1", "ml.m5.large").uri == "registry.example/x:1"
    )


def test_a_region_without_images_is_named() -> None:
    with pytest.raises(InvalidRequest, match="mars-north-1"):
        images.prebuilt("pytorch", "2.6", "training", "mars-north-1")
