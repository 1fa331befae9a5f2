from __future__ import annotations

import botocore.exceptions
import pytest

from .rig import Cloud, until


def test_a_model_is_served_through_its_hooks(cloud: Cloud) -> None:
    cloud.config("c", cloud.model("a"))
    cloud.sm.create_endpoint(EndpointName="e", EndpointConfigName="c")
    assert cloud.sm.describe_endpoint(EndpointName="e")["EndpointStatus"] == "Creating"
    with pytest.raises(botocore.exceptions.ClientError, match="Endpoint e of account 123456789012 not found"):
        cloud.ask()
    found = cloud.wait("e")
    assert found["ProductionVariants"][0]["CurrentInstanceCount"] == 1
    answer = cloud.ask(data={"x": 21})
    assert (answer["twice"], answer["name"], answer["variant"]) == (42, "a", "v0")
    cloud.sm.delete_endpoint(EndpointName="e")

    def gone() -> bool:
        try:
            cloud.sm.describe_endpoint(EndpointName="e")
        except cloud.sm.exceptions.ClientError as error:
            return error.response["Error"]["Message"].startswith("Could not find endpoint")
        return False

    assert until(gone)
