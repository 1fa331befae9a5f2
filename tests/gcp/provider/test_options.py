"""Settings and overrides teach what they take."""

from __future__ import annotations

from typing import Any

import pytest
from cloudops_vertex.options import VertexJobOptions, VertexOverrides, VertexTarget
from pydantic import BaseModel, ValidationError

from cloudops.problems import describe
from cloudops.specs import FROM_FILE


def told(model: type[BaseModel], data: Any) -> str:
    with pytest.raises(ValidationError) as caught:
        model.model_validate(data, context=FROM_FILE)
    return describe(caught.value, model, data, ("here",))[1]


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ({"project": "My Project"}, "the id of a project, such as my-team-1, not its name"),
        ({"location": "us-central1-a"}, "expected a region such as europe-west4"),
        ({"bucket": "gs://mine"}, "the name of a bucket, without gs://"),
        ({"service_account": "jobs"}, "the e-mail of a service account"),
        ({"network": "default"}, "projects/<project number>/global/networks/<name>"),
        ({"kms_key": "key"}, "projects/<project>/locations/<location>/keyRings/<ring>/cryptoKeys/<key>"),
        ({"labels": {"Team": "a"}}, "1 to 63 of a-z, 0-9, '_' and '-', a letter first"),
        ({"labels": {"team": "A B"}}, "up to 63 of a-z, 0-9, '_' and '-'"),
        ({"labels": {"cloudops_x": "a"}}, "expected another name for the label cloudops_x"),
        ({"machine_type": "n1"}, "a machine type such as n1-standard-4"),
        ({"region": "us-central1"}, "unknown key"),
    ],
)
def test_targets(data: dict[str, Any], text: str) -> None:
    assert text in told(VertexTarget, data)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ({"train": {"strategy": "preemptible"}}, "'standard', 'spot' or 'flex-start'"),
        ({"train": {"max_wait": "1h"}}, "expected max_wait together with strategy: flex-start"),
        ({"train": {"max_wait": 3600, "strategy": "flex-start"}}, "a duration with its unit"),
        ({"train": {"machine_typ": "n1-standard-4"}}, "did you mean 'machine_type'?"),
        ({"deploy": {"inference_timeout": "10m"}}, "together with dedicated_endpoint: true"),
        ({"deploy": {"dedicated_endpoint": True, "private_to": ["my-team-1"]}}, "not both"),
        ({"deploy": {"error_rate": "100%"}}, "less than 100%"),
        ({"monitor": {}}, "unknown key"),
    ],
)
def test_overrides(data: dict[str, Any], text: str) -> None:
    assert text in told(VertexOverrides, data)


def test_what_is_right() -> None:
    assert VertexTarget(project="example.com:my-project", location="europe-west4").prefix == "cloudops"
    assert VertexJobOptions(strategy="flex-start", max_wait="2h").max_wait == 7200.0
