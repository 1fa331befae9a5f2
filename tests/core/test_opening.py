"""What a project file says for providers that are not used now."""

from __future__ import annotations

from pathlib import Path

import pytest

import cloudops
from cloudops.errors import ConfigError
from cloudops.testing.projects import configure


@pytest.mark.parametrize(
    "content",
    [
        {"overrides": {"azureml": {"train": {"volume_size": 100}}}},
        {"targets": {"azure": {"provider": "azureml", "region": "eu-west-1"}}},
        {"targets": {"here": {"provider": "local", "python": "python3"}}},
    ],
)
def test_a_file_for_several_clouds_runs_where_one_of_them_is_installed(
    tmp_path: Path, content: dict[str, object]
) -> None:
    assert cloudops.connect(file=configure(tmp_path, name="small", **content)).provider.info.name == "local"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"overrides": {"sagemakr": {}}}, "overrides.sagemakr: the provider 'sagemakr' is not installed"),
        ({"overrides": {"locl": {}}}, "overrides.locl: the provider 'locl' is not installed"),
        ({"targets": {"a": {"provider": "locl"}}}, "targets.a.provider: the provider 'locl' is not installed"),
        (
            {"targets": {"a": {"provider": "local", "pythn": "x"}}},
            "targets.a.pythn: unknown key; did you mean 'python'?",
        ),
        ({"targets": {"azure": {"provider": "azureml"}}, "target": "azure"}, "provider: the provider 'azureml' is not"),
    ],
)
def test_what_is_misspelt_is_refused_though_it_is_not_used(
    tmp_path: Path, content: dict[str, object], message: str
) -> None:
    file = configure(tmp_path, name="small", **content)
    with pytest.raises((ConfigError, cloudops.CloudopsError)) as caught:
        cloudops.connect(file=file)
    assert caught.value.exit_code == 2
    assert str(caught.value).startswith(f"{file}:1: {message}")
