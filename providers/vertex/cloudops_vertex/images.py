"""Framework to one of Google's training images, by a table: they can be listed nowhere without credentials.

https://cloud.google.com/vertex-ai/docs/training/pre-built-containers
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from cloudops import frameworks
from cloudops.errors import InvalidRequest

#: Framework, processor -> version -> the image's name after ``<framework>-<processor>.``.
_IMAGES: dict[tuple[str, str], dict[str, str]] = {
    ("tensorflow", "cpu"): {version: f"tf-cpu.{version.replace('.', '-')}.py310" for version in (
        "2.12", "2.13", "2.14", "2.15", "2.16", "2.17")},
    ("tensorflow", "gpu"): {version: f"tf-gpu.{version.replace('.', '-')}.py310" for version in (
        "2.12", "2.13", "2.14", "2.15", "2.16", "2.17")},
    ("pytorch", "gpu"): {version: f"pytorch-gpu.{version.replace('.', '-')}.py310" for version in (
        "1.13", "2.0", "2.1", "2.2", "2.3", "2.4")},
    ("sklearn", "cpu"): {"1.0": "sklearn-cpu.1-0", "1.6": "sklearn-cpu.1-6"},
    ("xgboost", "cpu"): {"1.1": "xgboost-cpu.1-1", "1.6": "xgboost-cpu.1-6", "1.7": "xgboost-cpu.1-7",
                         "2.1": "xgboost-cpu.2-1"},
}  # fmt: skip
#: A Python with pip and little to get in the way of what is installed: Python 3.10. Training images without a GPU are
#: those of frameworks that are small, and TensorFlow's.
PLAIN = {"cpu": "tf-cpu.2-17.py310", "gpu": "pytorch-gpu.2-4.py310"}
_REGISTRIES = {"europe": "europe", "asia": "asia", "australia": "asia"}


@dataclass(frozen=True, slots=True)
class Image:
    """What a step runs in.

    Args:
        uri: of the image.
        requirements: lines of a requirements file that bring the framework, where the image does not.
        note: what to know about it; empty where there is nothing.
    """

    uri: str
    requirements: tuple[str, ...] = ()
    note: str = ""


def choose(step: str, framework: str | None, image: str | None, location: str, *, gpu: bool) -> Image:
    """The image of a step.

    Args:
        step: for errors and notes.
        framework: such as ``sklearn@1.6``.
        image: an own image, instead.
        location: of the job: its continent's registry is taken.
        gpu: whether the machine has one.

    Raises:
        InvalidRequest: the framework is not known.
    """
    if image is not None:
        return Image(image)
    processor = "gpu" if gpu else "cpu"
    plain = uri(PLAIN[processor], location)
    if framework is None:
        return Image(plain)
    name, version = frameworks.split(framework)
    found = prebuilt(name, version, processor)
    if found is not None:
        return Image(uri(found, location))
    try:
        lines = frameworks.requirements(framework)
    except LookupError:
        from cloudops.suggest import nearest

        hint = nearest(name, frameworks.DISTRIBUTIONS) or "name an image instead"
        text = f"Vertex AI has no image for {framework}, and cloudops does not know how to install it"
        raise InvalidRequest(text, provider="vertex", hint=hint).at(step, "framework") from None
    why = f"Vertex AI has no training image of {framework} for this machine"
    note = f"{step}.framework: emulated: {why}, so it is installed when the image {PLAIN[processor]} starts"
    return Image(plain, tuple(lines), note)


def prebuilt(name: str, version: str, processor: str) -> str | None:
    """The name of the image of a framework's version (``2`` is the newest 2.x); None where there is none."""
    known = _IMAGES.get((name, processor), {})
    if version.count(".") > 1:  # an image has the newest patch of its minor version, whatever that is
        return None
    fitting = [each for each in known if re.match(rf"{re.escape(version)}(\.|$)", each)]
    return known[max(fitting, key=_order)] if fitting else None


def uri(name: str, location: str) -> str:
    """The address of one of Google's images; only the tag ``latest`` is kept up."""
    registry = _REGISTRIES.get(location.partition("-")[0], "us")
    return f"{registry}-docker.pkg.dev/vertex-ai/training/{name}:latest"


def _order(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))
