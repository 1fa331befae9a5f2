"""Which Python on this machine stands for a container image."""

from __future__ import annotations

import fnmatch
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass

from cloudops.offline.machines.pythons import Interpreter, interpreter

from .operations import invalid

#: AWS's own repositories, and the package whose version an image's tag tells (empty: none). They are known by name in
#: any of the accounts in which AWS keeps them.
PREBUILT: Mapping[str, str] = {
    "sagemaker-scikit-learn": "scikit-learn",
    "sagemaker-xgboost": "xgboost",
    "sagemaker-base-python": "",
    "sagemaker-base-python-310": "",
    "sagemaker-distribution": "",
    "sagemaker-distribution-prod": "",
    "sagemaker-data-science-environment": "",
    "sklearn-processing": "scikit-learn",
    "pytorch-training": "torch",
    "pytorch-inference": "torch",
    "tensorflow-training": "tensorflow",
    "tensorflow-inference": "tensorflow",
    "huggingface-pytorch-training": "torch",
    "huggingface-pytorch-inference": "torch",
    "huggingface-tensorflow-training": "tensorflow",
    "huggingface-tensorflow-inference": "tensorflow",
}
_IMAGE = re.compile(
    r"(?:(?P<account>\d{12})\.dkr\.ecr\.[a-z0-9-]+\.amazonaws\.com(?:\.cn)?/)?(?P<name>[^:@]+)(?::(?P<tag>.*))?"
)


@dataclass(frozen=True)
class Image:
    """An image and the interpreter that stands for it.

    Args:
        uri: of the image.
        python: what stands for it.
        package: the framework that it is made for; empty where that is not known.
    """

    uri: str
    python: Interpreter
    package: str

    def told(self) -> str:
        """One line for the log: what stands for the image, and which version of the framework is here."""
        text = f"[offline] image {self.uri}: Python {self.python.version} of this machine stands for it"
        if not self.package:
            return text
        here = self.python.package(self.package)
        tag = (_IMAGE.fullmatch(self.uri) or {"tag": ""})["tag"] or "an unknown version"
        return f"{text}, with {f'{self.package} {here}' if here else f'no {self.package}'} in place of {tag}"


def find(uri: str, mapped: Mapping[str, str]) -> Image:
    """The interpreter that stands for an image: by ``mapped`` (pattern to interpreter), else by :data:`PREBUILT`.

    Raises:
        ServiceError: none does; the message says how to name one.
    """
    found = _IMAGE.fullmatch(uri)
    repository = found["name"] if found else uri
    package = PREBUILT.get(repository.rpartition("/")[2], "")
    for pattern, path in mapped.items():
        if fnmatch.fnmatchcase(uri, pattern):
            return Image(uri, _interpreter(path, uri), package)
    if found and found["account"] and repository in PREBUILT:
        return Image(uri, _interpreter(sys.executable, uri), package)
    raise invalid(
        f"Offline there are no containers, and no Python is known that stands for the image {uri}. "
        f"Name one: cloudops offline run --image '{uri}=/path/to/python' -- COMMAND (patterns as in fnmatch)."
    )


def _interpreter(path: str, uri: str) -> Interpreter:
    try:
        return interpreter(path)
    except OSError as error:
        raise invalid(f"The image {uri} is mapped to a Python that does not run: {error}") from None
