"""The pages that follow from code are up to date."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from cloudops.registry import PROVIDERS, entry_points

DOCS = Path(__file__).parents[2] / "docs"


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate", DOCS / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_each_page_is_what_the_code_says(generate: ModuleType) -> None:
    for path, text in generate.pages().items():
        assert path.read_text(encoding="utf-8") == text, "run: python docs/generate.py"


def test_every_provider_of_this_distribution_is_there(generate: ModuleType) -> None:
    ours = {name for name, point in entry_points(PROVIDERS).items() if point.distribution == "cloudops-ml"}
    assert ours == set(generate.PROVIDERS)
