"""How the traffic of an endpoint is shared out between its versions."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from cloudops.errors import Conflict, InvalidRequest

from . import names, serving
from .endpoint_status import live, traffic
from .scalings import Scaling, scalings
from .serving import ConfigName

if TYPE_CHECKING:
    from cloudops.refs import Ref

    from .client import Client
    from .endpoints import Endpoints


class Splitting:
    """One variant for each version, in a configuration of its own."""

    def __init__(self, client: Client, endpoints: Endpoints) -> None:
        self._client = client
        self._endpoints = endpoints

    def set(self, ref: Ref, described: Mapping[str, Any], shares: Mapping[str, float]) -> None:
        """Have each version get its share, in percent.

        Raises:
            InvalidRequest: the shares are none, or a version is not there.
            Conflict: the endpoint can have one version only.
        """
        serving.check_shares(shares)
        wished = {version: share for version, share in shares.items() if share}
        config = live(described)
        variants = self._variants(ref, config, wished)
        if set(wished) == {config.version}:
            return
        there = {item["VariantName"] for item in described.get("ProductionVariants", ())}
        has_all = set(wished) == set(traffic(described))
        if len(wished) == 1 and has_all:  # the others get nothing, and can go
            self._alone(ref, described, config, *next(iter(variants.items())))
            return
        if not config.version and {serving.variant_name(version) for version in wished} <= there:
            weights = [
                {"VariantName": name, "DesiredWeight": wished.get(name.removeprefix("v-"), 0.0)} for name in there
            ]
            self._client.sagemaker.update_endpoint_weights_and_capacities(
                EndpointName=ref.id, DesiredWeightsAndCapacities=weights
            )
            return
        self._split(ref, described, config, wished, variants)

    def _variants(self, ref: Ref, before: ConfigName, shares: Mapping[str, float]) -> dict[str, dict[str, Any]]:
        """How each version is served: its variant in the live split, or in the newest configuration that has it alone.

        Raises:
            InvalidRequest: one of them is not there.
        """
        known = {config.version: config.text for config in reversed(self._endpoints.configs(ref.id)) if config.version}
        served = (self._endpoints.config(before.text) or {}).get("ProductionVariants", ()) if not before.version else ()
        split = {serving.version_of(variant["VariantName"], before): dict(variant) for variant in served}
        unknown = [version for version in shares if version not in {**known, **split}]
        if unknown:
            text = f"the endpoint {ref.id} has no version {unknown[0]}"
            hint = f"there are {', '.join({**known, **split}) or 'none'}"
            raise InvalidRequest(text, provider="sagemaker", hint=hint)
        found = {version: self._endpoints.config(known[version]) for version in shares if version not in split}
        alone = {version: dict(config["ProductionVariants"][0]) for version, config in found.items() if config}
        return {version: split.get(version) or alone[version] for version in shares if version in {**split, **alone}}

    def _alone(
        self, ref: Ref, described: Mapping[str, Any], before: ConfigName, version: str, variant: dict[str, Any]
    ) -> None:
        """Serve one version of a split alone: by its own configuration, or by a new one where that was deleted."""
        own = next((config.text for config in self._endpoints.configs(ref.id) if config.version == version), "")
        if not own:
            scaled = self._scalings(ref, before, [version]).get(version)
            own = ConfigName.alone(ref.id, version, before.text, variant["ModelName"], scaled=scaled is not None).text
            only = {**variant, "VariantName": names.MAIN, "InitialVariantWeight": 1.0}
            tags = scaled.tags(names.MAIN) if scaled else {}
            self._make_config(ref, described, before, own, [only], tags)
        self._endpoints.update(ref.id, own, before, {})

    def _split(
        self,
        ref: Ref,
        described: Mapping[str, Any],
        before: ConfigName,
        shares: Mapping[str, float],
        variants: Mapping[str, Mapping[str, Any]],
    ) -> None:
        """Serve several versions side by side, each as a variant of its own."""
        if any("ServerlessConfig" in variant for variant in variants.values()):
            raise Conflict("a serverless endpoint has one version only", provider="sagemaker", ref=ref)
        scaled = self._scalings(ref, before, shares)
        name = ConfigName.split(ref.id, shares, before.text, scaled=bool(scaled))
        running = sum(int(item.get("CurrentInstanceCount", 0)) for item in described.get("ProductionVariants", ()))
        made: list[dict[str, Any]] = []
        tags: dict[str, str] = {}
        for version, share in shares.items():
            named = {"VariantName": serving.variant_name(version), "InitialVariantWeight": share}
            made.append({**variants[version], **named})
            if version in scaled:  # as many instances as its part of what runs now, so that load finds no fewer
                tags |= scaled[version].tags(serving.variant_name(version))
                count = max(scaled[version].low, math.ceil(running * share / sum(shares.values())))
                made[-1]["InitialInstanceCount"] = min(count, scaled[version].high)
        self._make_config(ref, described, before, name.text, made, tags)
        self._endpoints.update(ref.id, name.text, before, {})

    def _scalings(self, ref: Ref, before: ConfigName, versions: Iterable[str]) -> dict[str, Scaling]:
        """How versions scale: as in the live split, else as the configuration says that has one alone."""
        split = scalings(self._endpoints.config_tags(before.text)) if before.scaled and not before.version else {}
        known = {config.version: config for config in reversed(self._endpoints.configs(ref.id)) if config.version}
        found = {}
        for version in versions:
            one = split.get(serving.variant_name(version))
            if one is None and version in known and known[version].scaled:
                one = scalings(self._endpoints.config_tags(known[version].text)).get(names.MAIN)
            if one is not None:
                found[version] = one
        return found

    def _make_config(
        self,
        ref: Ref,
        described: Mapping[str, Any],
        before: ConfigName,
        name: str,
        variants: list[dict[str, Any]],
        more: Mapping[str, str],
    ) -> None:
        """A configuration with ``variants`` that takes over from ``before``, and is otherwise like it.

        Args:
            ref: of the endpoint.
            described: what DescribeEndpoint says of it.
            before: the configuration that is live.
            name: of the new one.
            variants: of the new one.
            more: tags.
        """
        project = self._endpoints.tags(described["EndpointArn"]).get("project", "")
        own_tags = {"project": project, "endpoint": ref.id, "previous": before.text, **more}
        tags = names.tags(own_tags, self._client.settings.tags)
        config: dict[str, Any] = {"EndpointConfigName": name, "ProductionVariants": variants, "Tags": tags}
        own = self._endpoints.config(before.text) or {}
        for key in ("DataCaptureConfig", "KmsKeyId", "AsyncInferenceConfig"):
            if key in own:
                config[key] = own[key]
        self._endpoints.create(
            lambda: self._client.sagemaker.create_endpoint_config(**config),
            lambda: self._endpoints.config(name) is not None,
        )
