"""Framework to container image, from the data of the SDK of SageMaker, without importing the SDK.

``import sagemaker`` costs seconds; its table of images is JSON beside it. What that table does not have, or has special
rules for, is asked of the SDK itself.
"""

from __future__ import annotations

import functools
import importlib.util
import json
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cloudops import frameworks
from cloudops.errors import InvalidRequest, MissingDependency

from .machines import has_gpu

#: A Python with little else, the same version for training and serving, for what has no image of its own.
PLAIN = ("pytorch", "2.6.0")
#: Frameworks whose images serve a model through the hooks of inference.py.
_HOOKED = ("sklearn", "xgboost", "pytorch")
#: Hosts of the registries; all others are on amazonaws.com.
_SUFFIXES = {"cn-": "amazonaws.com.cn", "us-iso-": "c2s.ic.gov", "us-isob-": "sc2s.sgov.gov"}


@dataclass(frozen=True, slots=True)
class Image:
    """What a step runs in.

    Args:
        uri: of the image.
        requirements: lines of a requirements file that bring the framework, where the image does not.
        note: what to know about it; empty where there is nothing.
        hooked: whether it serves a model through inference.py.
    """

    uri: str
    requirements: tuple[str, ...] = ()
    note: str = ""
    hooked: bool = True


def choose(
    step: str, framework: str | None, image: str | None, region: str, instance_type: str, *, inference: bool = False
) -> Image:
    """The image of a step.

    Args:
        step: for errors and notes.
        framework: such as ``sklearn@1.7``.
        image: an own image, instead.
        region: of the registry.
        instance_type: with or without GPU.
        inference: for serving rather than training.

    Raises:
        InvalidRequest: the framework is not known.
        MissingDependency: the SDK, which brings the table of images, is not installed.
    """
    if image is not None:
        return Image(image, hooked=False)
    scope = "inference" if inference else "training"
    gpu = has_gpu(instance_type)
    if framework is None:
        return Image(_plain(scope, region, gpu))
    name, version = frameworks.split(framework)
    if not inference or name in _HOOKED:
        found = prebuilt(name, version, scope, region, gpu=gpu)
        if found is not None:
            return Image(found)
    if name in ("huggingface",):
        return Image(_asked(step, name, version, scope, region, instance_type))
    try:
        lines = frameworks.requirements(framework)
    except LookupError:
        from cloudops.suggest import nearest

        hint = nearest(name, frameworks.DISTRIBUTIONS) or "name an image instead"
        text = f"SageMaker has no image for {framework}, and cloudops does not know how to install it"
        raise InvalidRequest(text, provider="sagemaker", hint=hint).at(step, "framework") from None
    why = f"SageMaker has no {scope} image of {framework} for this machine"
    note = f"{step}.framework: emulated: {why}, so it is installed when a {' '.join(PLAIN)} image starts"
    return Image(_plain(scope, region, gpu), tuple(lines), note)


def prebuilt(name: str, version: str, scope: str, region: str, *, gpu: bool = False) -> str | None:
    """The URI of the newest image of a framework's version (``1.4`` is any 1.4.x); None where there is none.

    Raises:
        MissingDependency: see :func:`choose`.
        InvalidRequest: there is one, but not in this region.
    """
    data = _table(name)
    part = data.get(scope, data if scope in data.get("scope", ()) else {})
    versions = part.get("versions", {})
    exact = part.get("version_aliases", {}).get(version, version)
    fitting = [each for each in versions if each == exact or re.match(rf"{re.escape(version)}([.-]|$)", each)]
    processor = "gpu" if gpu else "cpu"
    for chosen in [exact] * (exact in versions) + sorted(fitting, key=_order, reverse=True):
        uri = _uri(versions[chosen], part, chosen, region, processor)
        if uri is not None:
            return uri
    return None


def available() -> bool:
    """Whether the table of images is installed."""
    return _folder() is not None


def _uri(entry: Mapping[str, Any], part: Mapping[str, Any], version: str, region: str, processor: str) -> str | None:
    processors = entry.get("processors") or part.get("processors")
    if processors and processor not in processors:
        return None
    if "repository" not in entry:  # by Python version: none of the frameworks that are looked for here
        return None
    registry = entry["registries"].get(region)
    if registry is None:
        text = f"SageMaker has no images in {region}"
        raise InvalidRequest(text, provider="sagemaker", hint="choose another region, or name an image")
    pythons = entry.get("py_versions") or []
    python = pythons[-1] if pythons else None
    container = (entry.get("container_version") or {}).get(processor)
    tag = "-".join(each for each in (version, processor if processors else None, python, container) if each)
    suffix = next((each for start, each in _SUFFIXES.items() if region.startswith(start)), "amazonaws.com")
    return f"{registry}.dkr.ecr.{region}.{suffix}/{entry['repository']}:{tag}"


def _plain(scope: str, region: str, gpu: bool) -> str:
    name, version = PLAIN
    found = prebuilt(name, version, scope, region, gpu=gpu)
    if found is None:
        raise InvalidRequest(f"SageMaker has no {scope} image of {name} {version}", provider="sagemaker")
    return found


def _asked(step: str, name: str, version: str, scope: str, region: str, instance_type: str) -> str:
    """What the SDK says; it is slow to import, and knows what the table alone does not tell."""
    try:
        from .sdk import image_uri
    except ImportError as error:
        hint = "pip install 'cloudops-ml[sagemaker]', or name an image"
        raise MissingDependency(f"{name} needs the package sagemaker", provider="sagemaker", hint=hint) from error
    try:
        return image_uri(name, version, scope, region, instance_type)
    except ValueError as error:
        text = f"the SDK of SageMaker knows no image: {error}"
        raise InvalidRequest(text, provider="sagemaker", hint="name an image instead").at(step, "framework") from error


@functools.cache
def _table(name: str) -> dict[str, Any]:
    folder = _folder()
    if folder is None:
        hint = "pip install 'cloudops-ml[sagemaker-core]' (or [sagemaker]), or name an image"
        text = "the table of SageMaker's images comes with the package sagemaker-core, which is not installed"
        raise MissingDependency(text, provider="sagemaker", hint=hint)
    path = folder / f"{name}.json"
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.is_file() else {}


def _folder() -> Path | None:
    spec = importlib.util.find_spec("sagemaker")  # this does not import it, as find_spec("sagemaker.core") would
    places = [Path(place) for place in (spec.submodule_search_locations or [])] if spec else []
    # A folder of that name before it in the path, such as that of a project, hides it.
    for place in [*places, *(Path(entry) / "sagemaker" for entry in sys.path)]:
        folder = place / "core" / "image_uri_config"
        if folder.is_dir():
            return folder
    return None


def _order(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:5])
