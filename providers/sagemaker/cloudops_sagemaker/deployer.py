"""Endpoints: a model, an endpoint configuration and an endpoint of SageMaker for each version."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from cloudops.errors import AuthError, Conflict, NotFound
from cloudops.provider import Answer, Deployer, DeployRequest, Plan
from cloudops.refs import Listed, LogLine, Phase, Ref, Status

from . import alarms, scalings, secrets, serving
from .endpoint_status import endpoint_status, live, phase_of, wanted
from .endpoints import Endpoints
from .errors import is_kind, translated
from .jobs import Where
from .leftovers import Leftovers
from .logs import Logs, endpoint_group
from .names import Layout, Place
from .serving import ConfigName, Served
from .splitting import Splitting
from .statuses import seconds
from .storage import Storage
from .trainer import absent

if TYPE_CHECKING:
    from .client import Client

#: Seconds after which the log is looked at again.
_LATE = 1.5


class SageMakerDeployer(Deployer):
    """See :class:`cloudops.provider.Deployer`."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._storage = Storage(client)
        self._endpoints = Endpoints(client)
        self._logs = Logs(client)
        self._splitting = Splitting(client, self._endpoints)
        self._leftovers = Leftovers(client)
        #: Failures, by endpoint and time, of which the log says nothing.
        self._silent: set[tuple[str, str]] = set()
        #: Endpoints that were changed from here: what cannot be done for them is an error.
        self._changed: set[str] = set()

    # Creating

    def plan(self, request: DeployRequest) -> Plan:
        """See :class:`cloudops.provider.Deployer`."""
        with translated("plan", request.endpoint):
            served = serving.prepare(request, self._where(request.project))
            described = self._endpoints.described(request.endpoint)
            before = self._before(request, described)
            model = {**served.model, "PrimaryContainer": {**served.model["PrimaryContainer"], "ModelDataUrl": "..."}}
            name = ConfigName.of(request, before, served.model["ModelName"])
            config = serving.config_request(request, served, self._where(request.project), name, before)
            native: dict[str, Any] = {"CreateModel": model, "CreateEndpointConfig": config}
            verb = "UpdateEndpoint" if before else "CreateEndpoint"
            native[verb] = {"EndpointName": request.endpoint, "EndpointConfigName": name.text}
            if before:
                native[verb]["DeploymentConfig"] = serving.deployment_config(request, alarms.name(request.endpoint))
            if request.secrets:
                native["secrets"] = dict.fromkeys(request.secrets, "***")
            creates = self._creates(request, bool(described))
        return Plan(creates, json.loads(json.dumps(native)), notes=served.notes, cost=served.cost)

    def _creates(self, request: DeployRequest, exists: bool) -> list[str]:
        what = "a new version of endpoint" if exists else "endpoint"
        creates = [
            f"{what} {request.endpoint}, version {request.version}: model, endpoint configuration, artifact in S3"
        ]
        if not self._storage.has_bucket(self._client.bucket):
            creates.append(f"bucket {self._client.bucket}, which `cloudops down` does not delete")
        if request.spec.traffic.canary is not None and exists:
            creates.append(f"alarm {alarms.name(request.endpoint)}, deleted with the endpoint")
        if (scaling := scalings.of(request)) is not None:
            creates.append(f"scaling of {scaling.low} to {scaling.high} replicas")
        if request.secrets:
            creates.append(
                f"secret {serving.secret_name(request.endpoint, request.version)}, deleted with the endpoint"
            )
        return creates

    def deploy(self, request: DeployRequest) -> Ref:
        """See :class:`cloudops.provider.Deployer`."""
        ref = self._client.ref("endpoints", request.endpoint)
        with translated("deploy", ref):
            self._changed.add(request.endpoint)
            where = self._where(request.project)
            served = serving.prepare(request, where)
            described = self._endpoints.described(request.endpoint)
            before = self._before(request, described)
            if described is not None and before and self._is_there(request, described):
                return ref
            if described is not None and not before:
                self._endpoints.delete(request.endpoint)
                described = None
            self._storage.ensure(self._client.bucket)
            name = ConfigName.of(request, before, served.model["ModelName"])
            self._make(request, served, where, name, before)
            self._start(request, name, described)
            self._prune(request.endpoint, keep={name.text, before})
        return ref

    def _before(self, request: DeployRequest, described: Mapping[str, Any] | None) -> str:
        """The configuration that serves now; empty where there is none.

        Raises:
            Conflict: the endpoint is another project's, or cannot become what is asked for.
        """
        if described is None:
            return ""
        self._own(request, described)
        if described["EndpointStatus"] in ("Failed", "Deleting", "OutOfService"):
            return ""
        if described["EndpointStatus"] == "UpdateRollbackFailed":  # to replace it would end what still serves
            text = f"the endpoint {request.endpoint} is UpdateRollbackFailed, and serves old and new versions"
            hint = (
                "have AWS restore it (https://docs.aws.amazon.com/sagemaker, rolling deployments), or delete it first"
            )
            raise Conflict(text, provider="sagemaker", hint=hint)
        config = live(described)
        on_machines = any("CurrentServerlessConfig" not in item for item in described.get("ProductionVariants", ()))
        if request.options and request.options.serverless and on_machines:
            text = f"the endpoint {request.endpoint} has machines, and SageMaker makes no such endpoint serverless"
            hint = "delete it first, or give the serverless one another name"
            raise Conflict(text, provider="sagemaker", hint=hint).at("overrides", "sagemaker", "deploy", "serverless")
        if request.spec.traffic.canary is not None and config.endpoint and not config.version:
            text = f"the traffic of the endpoint {request.endpoint} is split, and a canary needs one version"
            hint = "give all traffic to one version by `cloudops traffic`, and once more to have it serve alone"
            raise Conflict(text, provider="sagemaker", hint=hint).at("deploy", "traffic", "canary")
        return config.text

    def _own(self, request: DeployRequest, described: Mapping[str, Any]) -> None:
        project = self._endpoints.tags(described["EndpointArn"]).get("project", "")
        if project != request.project:
            whose = f"belongs to the project {project!r}" if project else "was not made by cloudops"
            raise Conflict(
                f"the endpoint {request.endpoint!r} of {self._client.scope} {whose}",
                provider="sagemaker",
                hint="choose another name for this project's endpoint, or delete that one where it was made",
            ).at("deploy", "endpoint")

    def _is_there(self, request: DeployRequest, described: Mapping[str, Any]) -> bool:
        """Whether the version serves, or is about to.

        Raises:
            Conflict: another deployment goes on.
        """
        if wanted(described).version == request.version:
            return True
        if described["EndpointStatus"] != "InService":
            text = f"the endpoint {request.endpoint} is {described['EndpointStatus']}: another deployment goes on"
            raise Conflict(text, provider="sagemaker", hint="wait until it has ended: `cloudops status`")
        return False

    def _make(self, request: DeployRequest, served: Served, where: Where, name: ConfigName, before: str) -> None:
        """Everything that the endpoint's configuration needs, and the configuration."""
        from . import artifacts

        target = where.layout.endpoint(request.endpoint) / request.version / "model.tar.gz"
        artifacts.build(self._client, self._storage, request, served.requirements, target)
        if request.secrets:
            secret = serving.secret_name(request.endpoint, request.version)
            secrets.put(self._client, secret, request.secrets, request.project)
        sagemaker, model = self._client.sagemaker, served.model
        container = {**model["PrimaryContainer"], "ModelDataUrl": target.uri}
        self._endpoints.create(
            lambda: sagemaker.create_model(**{**model, "PrimaryContainer": container}),
            lambda: self._endpoints.model(model["ModelName"]) is not None,
        )
        if request.spec.traffic.canary is not None and before:
            rate = request.options.error_rate if request.options else None
            alarms.put(self._client, request.endpoint, request.project, request.spec.traffic.canary, rate)
        config = serving.config_request(request, served, where, name, before)
        self._endpoints.create(
            lambda: sagemaker.create_endpoint_config(**config),
            lambda: self._endpoints.config(name.text) is not None,
        )

    def _start(self, request: DeployRequest, name: ConfigName, described: Mapping[str, Any] | None) -> None:
        """Create or update the endpoint, unless another call for the same version was faster."""
        try:
            if described is None:
                self._client.sagemaker.create_endpoint(
                    EndpointName=request.endpoint,
                    EndpointConfigName=name.text,
                    Tags=serving.version_tags(request, self._client.settings.tags),
                )
            else:
                plan = (
                    {}
                    if not live(described).version
                    else {"DeploymentConfig": serving.deployment_config(request, alarms.name(request.endpoint))}
                )
                self._endpoints.update(request.endpoint, name.text, live(described), plan)
        except Exception as error:
            found = self._endpoints.described(request.endpoint) if is_kind(error, Conflict) else None
            if found is None or wanted(found).version != request.version:
                raise

    def _prune(self, endpoint: str, keep: set[str]) -> None:
        """Delete what the endpoint cannot go back to any more; what cannot be deleted now is the next one's."""
        described = self._endpoints.described(endpoint) or {}  # another client may have deployed meanwhile
        keep = keep | {live(described).text, wanted(described).text}
        stale = [config for config in self._endpoints.configs(endpoint) if config.text not in keep]
        kept = {model for name in keep if name for model in self._models_of(name)}
        for config in stale:
            self._endpoints.delete_config(config.text)
        for model in self._endpoints.models(endpoint) if stale else ():
            if model not in kept:
                self._delete_model(model)

    def _models_of(self, config: str) -> set[str]:
        found = self._endpoints.config(config) or {}
        return {str(variant["ModelName"]) for variant in found.get("ProductionVariants", ())}

    def _delete_model(self, name: str) -> None:
        """Delete a model with its secret and its artifact, which is what tells of a deletion that was cut off."""
        described = self._endpoints.model(name)
        if described is None:
            return
        container = described["PrimaryContainer"]
        if "CLOUDOPS_SECRET" in container.get("Environment", {}):
            secrets.delete(self._client, container["Environment"]["CLOUDOPS_SECRET"])
        self._endpoints.delete_model(name)
        artifact = Place.parse(container.get("ModelDataUrl", ""))
        if artifact.key.endswith("/model.tar.gz"):
            self._storage.delete_all(Place(artifact.bucket, artifact.key.rpartition("/")[0]))

    def _where(self, project: str) -> Where:
        settings = self._client.settings
        layout = Layout.of(self._client.bucket, settings.prefix, project)
        return Where(self._client.region, self._client.role, layout, settings)

    # Looking

    def find(self, name: str) -> Ref | None:
        """See :class:`cloudops.provider.Deployer`."""
        ref = self._client.ref("endpoints", name)
        with translated("find", ref):
            return ref if self._endpoints.described(name) is not None else None

    def status(self, ref: Ref) -> Status:
        """See :class:`cloudops.provider.Deployer`."""
        with translated("status", ref):
            described = self._existing(ref)
            refused, reason = self._refused(ref.id, described)
            unscaled = self._scale(ref.id, described)
            return endpoint_status(described, self._client.region, refused=refused, reason=reason or unscaled)

    def _refused(self, name: str, described: Mapping[str, Any]) -> tuple[str, str]:
        """The version of the last deployment, where it does not serve, and why, in the words of the model's log."""
        reason = " ".join(str(described.get("FailureReason", "")).split())
        if not reason:
            return "", ""
        said = ""
        if "ping health check" in reason or "did not stay healthy" in reason:
            said = self._last_words(name, str(described.get("LastModifiedTime")))
        if phase_of(described["EndpointStatus"]) is not Phase.READY:
            return "", f"{said} ({reason})" if said else reason
        newest = next((config.version for config in self._endpoints.configs(name) if config.version), "")
        refused = newest if newest != live(described).version else ""
        text = f"{said} ({reason})" if said else reason
        return refused, text if "rolled back" in text else f"rolled back: {text}"

    def _last_words(self, name: str, failed: str) -> str:
        """What the containers say of why they end; lines arrive late, so a failure that is news is waited for."""
        for again in (True, True, True, False):
            if reason := self._logs.unloaded(endpoint_group(name), ""):
                return f"the model could not be loaded: {reason}"
            if not again or (name, failed) in self._silent:
                break
            time.sleep(_LATE)
        self._silent.add((name, failed))
        return ""

    def _scale(self, name: str, described: Mapping[str, Any]) -> str:
        """Register the scaling of what has come into service; why it does not scale, for one who only looks."""
        try:
            self._endpoints.scale(name, described)
        except Exception as error:
            if name in self._changed or not is_kind(error, AuthError):
                raise
            return f"its replicas may not scale: {error}; `cloudops status` of one who may registers that"
        return ""

    def predict(
        self, ref: Ref, body: bytes, *, content_type: str = "application/json", version: str | None = None
    ) -> Answer:
        """See :class:`cloudops.provider.Deployer`."""
        from .predicting import send

        with translated("predict", ref):
            variant = None if version is None else self._variant(ref, version)
            return send(self._client, ref, body, content_type=content_type, variant=variant)

    def _variant(self, ref: Ref, version: str) -> str:
        described = self._existing(ref)
        config = live(described)
        for variant in described.get("ProductionVariants", ()):
            if serving.version_of(variant["VariantName"], config) == version:
                return str(variant["VariantName"])
        raise NotFound(
            f"the endpoint {ref.id} has no version {version} that serves",
            provider="sagemaker",
            ref=ref,
            hint="status names those that there are; a canary cannot be asked for alone",
        )

    def logs(self, ref: Ref, *, follow: bool = False, tail: int | None = None) -> Iterator[LogLine]:
        """See :class:`cloudops.provider.Deployer`."""
        with translated("logs", ref):
            self._existing(ref)
            group = endpoint_group(ref.id)
            if follow:
                yield from self._logs.follow(group, "", lambda: self._endpoints.described(ref.id) is None, tail)
            elif tail is not None:
                yield from self._logs.tail(group, "", tail)
            else:
                yield from self._logs.read(group)

    def endpoints(self, project: str | None = None) -> Iterator[Listed]:
        """See :class:`cloudops.provider.Deployer`."""
        with translated("list endpoints"):
            items = list(self._endpoints.all())
            with ThreadPoolExecutor(8) as pool:
                tags = list(pool.map(lambda item: self._endpoints.tags(item["EndpointArn"]), items))
            for item, tagged in zip(items, tags, strict=True):
                owner = tagged.get("project", "")
                if owner and project in (None, owner):
                    ref = self._client.ref("endpoints", item["EndpointName"])
                    yield Listed(ref, phase_of(item["EndpointStatus"]), seconds(item["CreationTime"]), owner)
            if project is not None:
                listed = {item["EndpointName"] for item in items}
                yield from self._leftovers.endpoints(
                    project, lambda name: name in listed or self._endpoints.described(name) is not None
                )

    # Changing

    def set_traffic(self, ref: Ref, shares: Mapping[str, float]) -> None:
        """See :class:`cloudops.provider.Deployer`."""
        with translated("traffic", ref):
            described = self._existing(ref)
            self._changed.add(ref.id)
            self._splitting.set(ref, described, shares)

    def rollback(self, ref: Ref) -> None:
        """See :class:`cloudops.provider.Deployer`."""
        with translated("rollback", ref):
            described = self._existing(ref)
            before = self._endpoints.before(described)
            if not before:
                text = f"the endpoint {ref.id} has no version before to go back to"
                raise Conflict(text, provider="sagemaker", ref=ref)
            if described["EndpointStatus"] != "InService":
                text = (
                    f"the endpoint {ref.id} is {described['EndpointStatus']}, and can be rolled back once that is over"
                )
                raise Conflict(text, provider="sagemaker", ref=ref, hint="wait until it has ended: `cloudops status`")
            self._changed.add(ref.id)
            self._endpoints.update(ref.id, before, live(described), {})

    def delete(self, ref: Ref) -> None:
        """See :class:`cloudops.provider.Deployer`."""
        with translated("delete", ref):
            described = self._endpoints.described(ref.id)
            configs, models = self._endpoints.configs(ref.id), self._endpoints.models(ref.id)
            self._endpoints.end_scaling(ref.id, configs)
            if described is not None:
                self._endpoints.delete(ref.id)
            places = {place for model in models if (place := self._place(model))}
            places |= self._leftovers.endpoint_folders(ref.id) if described is None else set()
            if places or configs or models:
                self._delete_all(ref.id, configs, models, places)

    def _delete_all(self, name: str, configs: list[ConfigName], models: list[str], places: set[Place]) -> None:
        """Delete what was made for an endpoint that is gone; the folders last, for they tell that there is more."""
        for config in configs:
            self._endpoints.delete_config(config.text)
        alarms.delete(self._client, name)
        self._logs.remove_group(endpoint_group(name))
        for model in models:
            self._delete_model(model)
        for place in places:
            for version in filter(serving.VERSION.fullmatch, self._storage.prefixes(place)):
                secrets.delete(self._client, serving.secret_name(name, version))  # its model was never made
            self._storage.delete_all(place)

    def _place(self, model: str) -> Place | None:
        """Where everything of the endpoint lies, by one of its models: its captured requests, too."""
        with suppress(KeyError):
            described = self._endpoints.model(model) or {}
            artifact = Place.parse(described["PrimaryContainer"]["ModelDataUrl"])
            if artifact.key.endswith("/model.tar.gz"):
                return Place(artifact.bucket, artifact.key.rsplit("/", 2)[0])
        return None

    def _existing(self, ref: Ref) -> dict[str, Any]:
        described = self._endpoints.described(ref.id)
        if described is None:
            raise absent(ref, "endpoint")
        return described
