"""What brings a framework to a Python environment that does not have it."""

from __future__ import annotations

#: Framework to the distribution that brings it, and what the clouds' images have beside it.
DISTRIBUTIONS = {
    "sklearn": ("scikit-learn", ("joblib", "numpy", "pandas", "scipy")),
    "xgboost": ("xgboost", ("numpy", "pandas", "scikit-learn", "scipy")),
    "pytorch": ("torch", ("numpy", "pandas", "scikit-learn")),
    "tensorflow": ("tensorflow", ("numpy",)),
    "lightgbm": ("lightgbm", ("numpy", "pandas", "scikit-learn")),
    "onnx": ("onnxruntime", ("numpy",)),
}


def split(framework: str) -> tuple[str, str]:
    """Name and version of ``sklearn@1.7``."""
    name, _, version = framework.partition("@")
    return name, version


def requirements(framework: str) -> list[str]:
    """The lines of a requirements file that bring ``sklearn@1.7``.

    Raises:
        LookupError: the framework is not known here.
    """
    name, version = split(framework)
    if name not in DISTRIBUTIONS:
        raise LookupError(name)
    distribution, beside = DISTRIBUTIONS[name]
    return [f"{distribution}=={version}.*", *beside]
