"""What belongs to an endpoint in SageMaker: looked up, created once, deleted together."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from cloudops.errors import Conflict, NotFound

from . import names, scaling
from .endpoint_status import live, longest, wanted
from .errors import is_kind
from .scalings import scalings
from .serving import ConfigName

if TYPE_CHECKING:
    from .client import Client

#: Seconds within which an endpoint is gone, or has come to rest, beside those of an update that goes on.
_ENDING = 1800.0
#: An update whose variant goes on scaling begins with as many instances as there are.
_KEEPING = {
    "RetainAllVariantProperties": True,
    "ExcludeRetainedVariantProperties": [
        {"VariantPropertyType": "DesiredWeight"},
        {"VariantPropertyType": "DataCaptureConfig"},
    ],
}
RESTING = ("InService", "Failed", "OutOfService", "UpdateRollbackFailed")


class Endpoints:
    """The endpoints of an account and region."""

    def __init__(self, client: Client) -> None:
        self._client = client
        #: Configurations whose scaling was seen to be registered.
        self._scaling: set[str] = set()

    def described(self, name: str) -> dict[str, Any] | None:
        """What DescribeEndpoint answers, or None."""
        return self._or_none(lambda: self._client.sagemaker.describe_endpoint(EndpointName=name))

    def config(self, name: str) -> dict[str, Any] | None:
        """What DescribeEndpointConfig answers, or None."""
        return self._or_none(lambda: self._client.sagemaker.describe_endpoint_config(EndpointConfigName=name))

    def model(self, name: str) -> dict[str, Any] | None:
        """What DescribeModel answers, or None."""
        return self._or_none(lambda: self._client.sagemaker.describe_model(ModelName=name))

    def tags(self, arn: str) -> dict[str, str]:
        """The tags of cloudops on something; none where it is gone."""
        found = self._or_none(lambda: self._client.sagemaker.list_tags(ResourceArn=arn))
        return names.untagged(found["Tags"]) if found else {}

    def config_tags(self, config: str) -> dict[str, str]:
        """The tags of cloudops on a configuration."""
        return self.tags(self._arn("endpoint-config", config))

    def configs(self, endpoint: str) -> list[ConfigName]:
        """The configurations of an endpoint, newest first."""
        items = self._listed("list_endpoint_configs", "EndpointConfigs", "EndpointConfigName", endpoint)
        parsed = (ConfigName.parse(name) for name in items)
        return [name for name in parsed if name.endpoint == endpoint]

    def models(self, endpoint: str) -> list[str]:
        """The models of an endpoint."""
        pattern = re.compile(rf"{re.escape(endpoint)}-[0-9a-f]{{8}}-[0-9a-f]{{6}}")
        return [
            name for name in self._listed("list_models", "Models", "ModelName", endpoint) if pattern.fullmatch(name)
        ]

    def all(self) -> Iterator[dict[str, Any]]:
        """The endpoints, newest first."""
        pages = self._client.sagemaker.get_paginator("list_endpoints").paginate(
            SortBy="CreationTime", SortOrder="Descending", PaginationConfig={"PageSize": 100}
        )
        for page in pages:
            yield from page["Endpoints"]

    def create(self, call: Callable[[], Any], exists: Callable[[], bool]) -> None:
        """Create something; fine where it is there already, for the name follows from the content."""
        try:
            call()
        except Exception as error:
            if not (is_kind(error, Conflict) and exists()):
                raise

    def delete_config(self, name: str) -> None:
        """Delete a configuration; silent when it is gone."""
        self._or_none(lambda: self._client.sagemaker.delete_endpoint_config(EndpointConfigName=name))

    def delete_model(self, name: str) -> None:
        """Delete a model; silent when it is gone."""
        self._or_none(lambda: self._client.sagemaker.delete_model(ModelName=name))

    def delete(self, name: str) -> None:
        """Delete the endpoint alone and wait until it is gone; silent when it is."""

        def gone(described: Mapping[str, Any] | None) -> bool:
            if described is None:
                return True
            if described["EndpointStatus"] in RESTING:
                self._begin_deletion(name)
            return False

        self.until(name, gone, "to be deleted")

    def _begin_deletion(self, name: str) -> None:
        try:
            self._client.sagemaker.delete_endpoint(EndpointName=name)
        except Exception as error:
            # Another client, or our own call whose answer was lost, has it deleted or updated just now.
            if not is_kind(error, NotFound, Conflict):
                raise
            described = self.described(name) or {}
            if described.get("EndpointStatus") in RESTING:
                raise

    def until(self, name: str, done: Callable[[Mapping[str, Any] | None], bool], what: str) -> None:
        """Wait until an endpoint is in a state.

        Raises:
            Conflict: it does not get there.
        """
        begun, wait, patience = time.monotonic(), 0.1, _ENDING
        while not done(described := self.described(name)):
            patience = max(patience, _ENDING + longest(described or {}))
            if time.monotonic() - begun > patience:
                state = described["EndpointStatus"] if described else "gone"
                text = f"waited {patience:g} s for the endpoint {name} {what}; it is {state}"
                raise Conflict(text, provider="sagemaker", hint="try again")
            time.sleep(wait)
            wait = min(5.0, wait * 1.5)

    def before(self, described: Mapping[str, Any]) -> str:
        """The configuration that was live before the one that is; empty for none, or where it was deleted."""
        previous = self.config_tags(live(described).text).get("previous", "")
        return previous if previous and self.config(previous) is not None else ""

    def _listed(self, operation: str, key: str, member: str, part: str) -> list[str]:
        pages = self._client.sagemaker.get_paginator(operation).paginate(
            NameContains=part, SortBy="CreationTime", SortOrder="Descending", PaginationConfig={"PageSize": 100}
        )
        return [item[member] for page in pages for item in page[key]]

    def _arn(self, kind: str, name: str) -> str:
        client = self._client
        return f"arn:{client.partition}:sagemaker:{client.region}:{client.account}:{kind}/{name}"

    def _or_none(self, call: Callable[[], Any]) -> dict[str, Any] | None:
        try:
            return dict(call())
        except Exception as error:
            if is_kind(error, NotFound):
                return None
            raise

    def scale(self, endpoint: str, described: Mapping[str, Any]) -> None:
        """Have the variants of an endpoint in service scale: the service takes no scaling of one that is not yet."""
        config = live(described)
        if config.text not in self._scaling and described["EndpointStatus"] == "InService":
            if config.scaled:
                scaling.ensure(self._client, endpoint, scalings(self.config_tags(config.text)))
            self._scaling.add(config.text)

    def end_scaling(self, endpoint: str, configs: Iterable[ConfigName]) -> None:
        """End the scaling that belongs to configurations."""
        tags = [self.config_tags(config.text) for config in configs if config.scaled]
        scaling.deregister(self._client, endpoint, {variant for one in tags for variant in scalings(one)})

    def update(self, endpoint: str, config: str, before: ConfigName, plan: Mapping[str, Any]) -> None:
        """Have ``config`` take over from ``before``; ``plan`` is more of the request of UpdateEndpoint."""
        self._scaling -= {before.text, config}
        if self._goes_on(before, ConfigName.parse(config)):
            plan = {**plan, **_KEEPING}
        else:
            self.end_scaling(endpoint, [before])
        try:
            self._client.sagemaker.update_endpoint(EndpointName=endpoint, EndpointConfigName=config, **plan)
        except Exception as error:
            # Another client, or our own call whose answer was lost, has begun this very update.
            found = self.described(endpoint) if is_kind(error, Conflict) else None
            if found is None or wanted(found).text != config:
                raise

    def _goes_on(self, before: ConfigName, after: ConfigName) -> bool:
        """Whether the variant that scales is the same one in both: one of that name, on machines of that kind.

        A variant that changes its machines has to be taken out first:
        https://docs.aws.amazon.com/sagemaker/latest/dg/endpoint-scaling-update.html
        """
        if not (before.scaled and before.version and after.scaled and after.version):
            return False
        found = [self.config(name.text) or {"ProductionVariants": ()} for name in (before, after)]
        kinds = [
            {item["VariantName"]: item.get("InstanceType") for item in config["ProductionVariants"]} for config in found
        ]
        return kinds[0] == kinds[1]
