"""Endpoints: an endpoint of Vertex AI, a model in its registry for each version, deployed one beside the other."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from cloudops.errors import Conflict, NotFound
from cloudops.provider import Answer, Deployer, DeployRequest, Plan
from cloudops.refs import Listed, LogLine, Ref, Status

from . import names, registry, secrets, serving
from .endpoint_logs import EndpointLogs
from .endpoint_status import endpoint_id, endpoint_status, phase_of, traffic
from .endpoints import Endpoints, Json
from .errors import translated
from .jobs import Where
from .leftovers import Leftovers
from .names import Layout, Place
from .predicting import Predicting
from .registry import Registry
from .rolling import Rolling
from .rollout import Rollout
from .serving import Served
from .splitting import Splitting
from .statuses import seconds
from .storage import Storage

if TYPE_CHECKING:
    from .client import Client

#: How often an endpoint is looked at again that somebody else has changed meanwhile.
_TRIES = 5


class VertexDeployer(Deployer):
    """See :class:`cloudops.provider.Deployer`."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._storage = Storage(client)
        self._endpoints = Endpoints(client)
        self._models = Registry(client, self._endpoints)
        self._logs = EndpointLogs(client)
        self._rolling = Rolling(client, self._storage, self._endpoints, self._models, self._logs)
        self._splitting = Splitting(self._rolling, self._models)
        self._predicting = Predicting(client, self._endpoints)
        self._leftovers = Leftovers(client, self._storage)

    # Creating

    def plan(self, request: DeployRequest) -> Plan:
        """See :class:`cloudops.provider.Deployer`."""
        with translated("plan", request.endpoint):
            served = self._served(request)
            described = self._endpoints.get(request.endpoint)
            if described is not None:
                self._check(request, described, served)
            native = self._native(request, served, described)
            creates = self._creates(request, exists=described is not None)
        return Plan(creates, json.loads(json.dumps(native)), notes=served.notes, cost=served.cost)

    def _native(self, request: DeployRequest, served: Served, described: Json | None) -> dict[str, Any]:
        container = {**served.model["containerSpec"], "args": ["<container/inference_stub.py>"]}
        found: dict[str, Any] = {
            "models.upload": {
                "modelId": registry.model_id(request.endpoint, request.version),
                "model": {**served.model, "containerSpec": container},
            },
            "endpoints.deployModel": {
                "deployedModel": served.deployed,
                "trafficSplit": self._split(request, described),
            },
            "inference.json": served.inference,
        }
        if described is None:
            found["endpoints.create"] = {"endpointId": request.endpoint, "endpoint": served.endpoint}
        if request.secrets:
            found["secrets"] = dict.fromkeys(request.secrets, "***")
        return found

    def _split(self, request: DeployRequest, described: Json | None) -> dict[str, int]:
        live = Rollout.of(described).live if described else ""
        first, _ = _shares(request, live)
        return {"0" if version == request.version else version: share for version, share in first.items()}

    def _creates(self, request: DeployRequest, *, exists: bool) -> list[str]:
        what = "a new version of endpoint" if exists else "endpoint"
        creates = [f"{what} {request.endpoint}, version {request.version}: model, its artifact, a deployed model"]
        bucket = self._client.bucket
        if not self._storage.has_bucket(bucket):
            creates.append(f"bucket {bucket}, which `cloudops down` does not delete")
        if request.secrets:
            name = serving.secret_name(request.endpoint, request.version)
            creates.append(f"secret {names.secret_id(name, serving.SECRETS)}, deleted with the version")
        return creates

    def deploy(self, request: DeployRequest) -> Ref:
        """See :class:`cloudops.provider.Deployer`."""
        ref = self._client.ref("endpoints", request.endpoint)
        with translated("deploy", ref):
            served = self._served(request)
            if not self._serves(request, served, self._checked(request, served)):
                self._make(request, served)
                if self._begin(request, served):
                    self._rolling.start(request.endpoint)
        return ref

    def _checked(self, request: DeployRequest, served: Served) -> Json | None:
        """The endpoint, with what could be done for it done; checked that it may become what is asked for."""
        described = self._endpoints.get(request.endpoint)
        if described is not None:
            self._check(request, described, served)
            described = self._rolling.advance(request.endpoint)
        return described

    def _serves(self, request: DeployRequest, served: Served, described: Json | None) -> bool:
        """Whether the version serves alone, or is about to.

        Raises:
            Conflict: another deployment goes on.
        """
        for _ in range(_TRIES):
            if described is None:
                return False
            rollout = Rollout.of(described)
            if rollout.wanted == request.version:
                return True
            if rollout.wanted:
                text = f"the version {rollout.wanted} of the endpoint {request.endpoint} is on its way"
                raise Conflict(text, provider="vertex", hint="wait until that is over: `cloudops status`")
            if request.version not in traffic(described):
                return False
            alone = traffic(described) == {request.version: 100}
            if alone and not rollout.refused:
                return True
            # What was refused after it, or has a part of its traffic, is not wanted any more.
            if self._rolling.update(described, rollout.shared({request.version: 100}), {request.version: 100}):
                self._rolling.advance(request.endpoint)
                return True
            described = self._checked(request, served)
        raise Conflict(f"the endpoint {request.endpoint} is changed by others all the time", provider="vertex")

    def _check(self, request: DeployRequest, described: Mapping[str, Any], served: Served) -> None:
        """Raises Conflict: the endpoint is another project's, or cannot become what is asked for."""
        project = described.get("labels", {}).get(names.PROJECT, "")
        if project != names.label(request.project):
            whose = f"belongs to the project {project!r}" if project else "was not made by cloudops"
            raise Conflict(
                f"the endpoint {request.endpoint!r} of {self._client.scope} {whose}",
                provider="vertex",
                hint="choose another name for this project's endpoint, or delete that one where it was made",
            ).at("deploy", "endpoint")
        for key, option in (("dedicatedEndpointEnabled", "dedicated_endpoint"),
                            ("privateServiceConnectConfig", "private_to")):  # fmt: skip
            if bool(described.get(key)) != bool(served.endpoint.get(key)):
                text = (
                    f"the endpoint {request.endpoint} cannot be changed in that: Vertex AI decides it when it is made"
                )
                hint = "delete it first, or give the new one another name"
                raise Conflict(text, provider="vertex", hint=hint).at("overrides", "vertex", "deploy", option)
        split = len(traffic(described)) > 1 and not Rollout.of(described).wanted
        if request.spec.traffic.canary is not None and split:
            text = f"the traffic of the endpoint {request.endpoint} is split, and a canary needs one version"
            hint = "give all traffic to one version by `cloudops traffic`"
            raise Conflict(text, provider="vertex", hint=hint).at("deploy", "traffic", "canary")

    def _make(self, request: DeployRequest, served: Served) -> None:
        """Everything that the version is deployed from."""
        from . import artifacts

        where = self._where(request.project)
        self._storage.ensure(self._client.bucket)
        artifacts.build(self._client, self._storage, request, served, serving.version_folder(request, where))
        if request.secrets:
            name = serving.secret_name(request.endpoint, request.version)
            secrets.put(self._client, name, request.secrets, request.project, serving.SECRETS)
        self._models.ensure(request.endpoint, request.version, served.model)

    def _begin(self, request: DeployRequest, served: Served) -> bool:
        """Have the version be on its way; False where another call was faster, or nothing is left to do."""
        for _ in range(_TRIES):
            described = self._checked(request, served)
            if described is None:
                rollout = self._rollout(request, Rollout(), 0.0, "")
                if self._endpoints.create(request.endpoint, {**served.endpoint, "description": rollout.text}):
                    return True
                continue
            if self._serves(request, served, described):
                return False
            before = Rollout.of(described)
            live = before.live if before.live in traffic(described) else ""
            rollout = self._rollout(request, before, self._rolling.newest(request.endpoint), live)
            if self._rolling.update(described, rollout):
                return True
        raise Conflict(f"the endpoint {request.endpoint} is changed by others all the time", provider="vertex")

    def _rollout(self, request: DeployRequest, before: Rollout, since: float, live: str) -> Rollout:
        first, goal = _shares(request, live)
        options = request.options
        return before.begun(
            request.version,
            first,
            goal,
            since=since,
            previous=live or before.before,
            bake=request.spec.traffic.bake or 0.0 if first != goal else 0.0,
            rate=(options.error_rate if options else serving.ERROR_RATE) if first != goal else 0.0,
        )

    def _served(self, request: DeployRequest) -> Served:
        from .runtime import runtime_name, stub

        return serving.prepare(request, self._where(request.project), runtime_name(), stub("inference_stub.py"))

    def _where(self, project: str) -> Where:
        settings = self._client.settings
        layout = Layout.of(self._client.bucket, settings.prefix, project)
        return Where(self._client.project, self._client.location, layout, settings)

    # Looking

    def find(self, name: str) -> Ref | None:
        """See :class:`cloudops.provider.Deployer`."""
        ref = self._client.ref("endpoints", name)
        with translated("find", ref):
            return ref if self._endpoints.get(name) is not None else None

    def status(self, ref: Ref) -> Status:
        """See :class:`cloudops.provider.Deployer`; it takes the next step of a rollout that goes on."""
        with translated("status", ref):
            described = self._rolling.advance(ref.id)
            if described is None:
                raise self._absent(ref)
            return endpoint_status(described, self._predicting.url(described))

    def predict(
        self, ref: Ref, body: bytes, *, content_type: str = "application/json", version: str | None = None
    ) -> Answer:
        """See :class:`cloudops.provider.Deployer`; one version is asked for until it is the one that answers."""
        with translated("predict", ref):
            return self._predicting.send(ref, body, content_type, version)

    def logs(self, ref: Ref, *, follow: bool = False, tail: int | None = None) -> Iterator[LogLine]:
        """See :class:`cloudops.provider.Deployer`."""
        with translated("logs", ref):
            if self._endpoints.get(ref.id) is None:
                raise self._absent(ref)
            if follow:
                yield from self._logs.follow(ref.id, lambda: self._endpoints.get(ref.id) is None, tail)
            elif tail is not None:
                yield from self._logs.tail(ref.id, tail)
            else:
                yield from self._logs.read(ref.id)

    def endpoints(self, project: str | None = None) -> Iterator[Listed]:
        """See :class:`cloudops.provider.Deployer`."""
        wanted = f"labels.{names.ENDPOINT}:*" if project is None else f'labels.{names.PROJECT}="{names.label(project)}"'
        with translated("list endpoints"):
            listed = set()
            for described in self._endpoints.all(wanted):
                name, owner = endpoint_id(described), described.get("labels", {}).get(names.PROJECT, "")
                if described.get("labels", {}).get(names.ENDPOINT) == name:
                    listed.add(name)
                    ref = self._client.ref("endpoints", name)
                    yield Listed(ref, phase_of(described), seconds(described.get("createTime")), owner)
            if project is not None:
                yield from self._leftovers.endpoints(
                    project, lambda name: name in listed or self._endpoints.get(name) is not None
                )

    # Changing

    def set_traffic(self, ref: Ref, shares: Mapping[str, float]) -> None:
        """See :class:`cloudops.provider.Deployer`."""
        with translated("traffic", ref):
            self._splitting.set(ref.id, shares)

    def rollback(self, ref: Ref) -> None:
        """See :class:`cloudops.provider.Deployer`."""
        with translated("rollback", ref):
            self._splitting.back(ref.id)

    def delete(self, ref: Ref) -> None:
        """See :class:`cloudops.provider.Deployer`. Cloud Logging deletes no lines of one endpoint."""
        with translated("delete", ref):
            described = self._endpoints.get(ref.id)
            models = list(self._models.all(ref.id))
            if described is not None:
                self._empty(ref.id, described)
                self._endpoints.delete(ref.id)
            places = {place for model in models if (place := _endpoint_folder(model))}
            places |= self._folders(ref.id, described)
            for model in models:
                self._rolling.remove(ref.id, str(model["labels"].get(names.VERSION, "")))
            for place in places:
                self._remove_folder(ref.id, place)

    def _empty(self, endpoint: str, described: Json) -> None:
        """Take everything out of an endpoint, what is on its way included, and wait until it is out."""

        def empty() -> bool:
            found = self._endpoints.get(endpoint)
            if found is None:
                return True
            running = [each for each in self._endpoints.operations(endpoint) if not each.get("done")]
            left = [str(one["id"]) for one in found.get("deployedModels", ())]
            if left and not running:
                if found.get("trafficSplit"):
                    self._rolling.update(found, Rollout(), {})
                for deployed in left:
                    self._endpoints.undeploy(endpoint, deployed)
            return not left and not running

        if Rollout.of(described).wanted or described.get("trafficSplit"):
            self._rolling.update(described, Rollout(), {})  # nobody who looks is to go on with it
        if not self._endpoints.until(empty):
            text = f"what is deployed to the endpoint {endpoint} does not go"
            raise Conflict(text, provider="vertex", hint="delete it again")

    def _folders(self, endpoint: str, described: Json | None) -> set[Place]:
        """Where something of an endpoint lies in the target's bucket."""
        if described is None:
            return self._leftovers.endpoint_folders(endpoint)
        project = described.get("labels", {}).get(names.PROJECT, "")
        return {self._where(project).layout.endpoint(endpoint)} if project else set()

    def _remove_folder(self, endpoint: str, place: Place) -> None:
        for version in filter(serving.VERSION.fullmatch, self._storage.prefixes(place)):
            with suppress(NotFound):  # its model may never have been made
                secrets.delete(self._client, serving.secret_name(endpoint, version), serving.SECRETS)
        self._storage.delete_all(place)

    def _absent(self, ref: Ref) -> NotFound:
        text = f"Vertex AI has no endpoint {ref.id} in {ref.scope}"
        hint = "the credentials must be of that project; it may have been deleted"
        return NotFound(text, provider="vertex", ref=ref, hint=hint)


def _shares(request: DeployRequest, live: str) -> tuple[dict[str, int], dict[str, int]]:
    """The shares of versions once the new one is up, and once it was watched."""
    goal, canary = {request.version: 100}, request.spec.traffic.canary
    if canary is None or not live or live == request.version:
        return goal, goal
    share = round(canary * 100)
    return {request.version: share, live: 100 - share}, goal


def _endpoint_folder(model: Mapping[str, Any]) -> Place | None:
    """Where everything of an endpoint lies, by one of its models."""
    folder = registry.folder(model)
    return Place(folder.bucket, folder.key.rpartition("/")[0]) if folder else None
