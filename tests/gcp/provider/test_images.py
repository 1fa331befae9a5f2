"""Frameworks become images."""

from __future__ import annotations

import pytest
from cloudops_vertex import images

from cloudops.errors import InvalidRequest

_US = "us-docker.pkg.dev/vertex-ai/training/"


@pytest.mark.parametrize(
    ("framework", "gpu", "expected"),
    [
        ("tensorflow@2.16", False, "tf-cpu.2-16.py310"),
        ("tensorflow@2", True, "tf-gpu.2-17.py310"),
        ("pytorch@2", True, "pytorch-gpu.2-4.py310"),
        ("pytorch@2.1", True, "pytorch-gpu.2-1.py310"),
        ("sklearn@1.6", False, "sklearn-cpu.1-6"),
        ("xgboost@2", False, "xgboost-cpu.2-1"),
    ],
)
def test_frameworks_that_google_has_images_of(framework: str, gpu: bool, expected: str) -> None:
    assert images.choose("train", framework, None, "us-central1", gpu=gpu) == images.Image(f"{_US}{expected}:latest")


@pytest.mark.parametrize(
    ("framework", "gpu", "line", "image"),
    [
        ("sklearn@1.7", False, "scikit-learn==1.7.*", "tf-cpu.2-17.py310"),
        ("sklearn@1.6.1", False, "scikit-learn==1.6.1.*", "tf-cpu.2-17.py310"),
        ("sklearn@1.6", True, "scikit-learn==1.6.*", "pytorch-gpu.2-4.py310"),
        ("pytorch@2.1", False, "torch==2.1.*", "tf-cpu.2-17.py310"),
    ],
)
def test_others_are_installed_and_the_plan_says_so(framework: str, gpu: bool, line: str, image: str) -> None:
    found = images.choose("train", framework, None, "us-central1", gpu=gpu)
    assert found.uri == f"{_US}{image}:latest"
    assert found.requirements[0] == line
    assert f"no training image of {framework}" in found.note


@pytest.mark.parametrize(
    ("location", "registry"),
    [("us-west1", "us"), ("europe-west4", "europe"), ("asia-east1", "asia"), ("me-west1", "us")],
)
def test_the_registry_of_the_continent_is_taken(location: str, registry: str) -> None:
    assert images.choose("train", None, None, location, gpu=False).uri.startswith(f"{registry}-docker.pkg.dev/")


def test_an_own_image_is_taken_as_it_is() -> None:
    assert images.choose("train", None, "my/image:1", "us-central1", gpu=True) == images.Image("my/image:1")


def test_an_unknown_framework_is_refused() -> None:
    with pytest.raises(InvalidRequest, match=r"train\.framework: Vertex AI has no image for sklaern@1") as caught:
        images.choose("train", "sklaern@1", None, "us-central1", gpu=False)
    assert "sklearn" in (caught.value.hint or "")
