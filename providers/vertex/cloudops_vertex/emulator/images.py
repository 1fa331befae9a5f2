"""Which Python on this machine stands for a container image."""

from __future__ import annotations

import fnmatch
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass

from cloudops.offline.machines.pythons import Interpreter, interpreter

#: Google's own images: https://cloud.google.com/vertex-ai/docs/training/pre-built-containers, and those for prediction.
_PREBUILT = re.compile(
    r"(?:(?:us|europe|asia)-docker\.pkg\.dev/vertex-ai(?:-restricted)?/(?:training|prediction)"
    r"|(?:us|europe|asia)\.gcr\.io/cloud-aiplatform/(?:training|prediction)|gcr\.io/deeplearning-platform-release)"
    r"/(?P<name>[\w.-]+)(?::(?P<tag>[\w.-]+))?"
)
_PACKAGES = {"sklearn": "scikit-learn", "scikit": "scikit-learn", "xgboost": "xgboost", "pytorch": "torch"}
_PACKAGES |= {"tf": "tensorflow", "tensorflow": "tensorflow"}


class NoImage(Exception):
    """Nothing stands for an image; the text says how to name something."""


@dataclass(frozen=True)
class Image:
    """An image and the interpreter that stands for it.

    Args:
        uri: of the image.
        python: what stands for it.
        prebuilt: whether it is one of Google's own.
        package: the framework that it is made for; empty where that is not known.
    """

    uri: str
    python: Interpreter
    prebuilt: bool
    package: str

    def told(self) -> str:
        """One line for the log: what stands for the image, and which version of the framework is here."""
        text = f"[offline] image {self.uri}: Python {self.python.version} of this machine stands for it"
        if not self.package:
            return text
        here = self.python.package(self.package)
        return f"{text}, with {f'{self.package} {here}' if here else f'no {self.package}'}"


def find(uri: str, mapped: Mapping[str, str]) -> Image:
    """The interpreter that stands for an image: by ``mapped`` (pattern to interpreter), else this one for Google's own.

    Raises:
        NoImage: none does.
    """
    found = _PREBUILT.fullmatch(uri)
    framework = re.match(r"[a-z]+", found["name"]) if found else None
    package = _PACKAGES.get(framework[0], "") if framework else ""
    for pattern, path in mapped.items():
        if fnmatch.fnmatchcase(uri, pattern):
            return Image(uri, _interpreter(path, uri), found is not None, package)
    if found is not None:
        return Image(uri, _interpreter(sys.executable, uri), True, package)
    raise NoImage(
        f"offline there are no containers, and no Python is known that stands for the image {uri}. "
        f"Name one: cloudops offline run --image '{uri}=/path/to/python' -- COMMAND (patterns as in fnmatch)."
    )


def _interpreter(path: str, uri: str) -> Interpreter:
    try:
        return interpreter(path)
    except OSError as error:
        raise NoImage(f"the image {uri} is mapped to a Python that does not run: {error}") from None
