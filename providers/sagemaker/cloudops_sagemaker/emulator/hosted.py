"""An endpoint that runs: its fleets, who gets the next request, and what Describe tells of it."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from cloudops.offline.faults import FaultKind
from cloudops.offline.machines.fleets import Fleet
from cloudops.offline.machines.replicas import Health

from . import effects, models, subjects
from .async_queue import Queue
from .capture import Capture
from .instances import check_instance
from .operations import ServiceError
from .serving import Served

if TYPE_CHECKING:
    from .components import Component
    from .region import Record, Region

#: Seconds in which a container has to pass its health checks, where the configuration says nothing.
STARTUP = 480
#: The same for serverless endpoints.
_SERVERLESS_STARTUP = 180


@dataclass
class Member:
    """A variant on one side: its configuration, fleet (None with inference components), weight and count."""

    config: dict[str, Any]
    fleet: Fleet | None
    weight: float
    count: int
    state: str = ""
    capture: dict[str, Any] | None = None

    @property
    def serverless(self) -> dict[str, Any] | None:
        """Its serverless configuration."""
        return self.config.get("ServerlessConfig")


@dataclass
class Side:
    """All variants of one configuration; ``share`` is its part of the traffic."""

    config: dict[str, Any]
    members: dict[str, Member] = field(default_factory=dict)
    share: float = 1.0

    def fleets(self) -> list[Fleet]:
        """Those of its variants."""
        return [member.fleet for member in self.members.values() if member.fleet is not None]


class Hosted:
    """What drives the endpoint of ``record``.

    Args:
        region: where it is.
        record: its record; ``described`` holds the members that do not change by themselves.
    """

    def __init__(self, region: Region, record: Record) -> None:
        self.region, self.record = region, record
        self.name = record.name
        self.lock = threading.RLock()
        self.blue: Side | None = None
        self.green: Side | None = None
        self.pending: dict[str, Any] | None = None
        self.components: dict[str, Component] = {}
        #: Every fleet that there ever was; their logs are still to be collected.
        self.made: list[Fleet] = []
        self.capture = Capture(region, record.name)
        self.queue = Queue(self)
        self.ended = threading.Event()
        # A generator of its own, so that the same requests in the same order go the same way.
        self.draw = random.Random(f"{region.faults.seed}/{record.name}")
        self._numbers = 0

    @classmethod
    def restored(cls, region: Region, record: Record) -> tuple[Hosted, dict[str, Any], dict[str, Any]]:
        """What drives an endpoint that comes back from disk, its configuration, and its weights and counts."""
        kept = record.history[-1] if record.history else {"config": {}, "variants": {}}
        return cls(region, record), kept["config"], kept["variants"]

    @property
    def status(self) -> str:
        """The endpoint's."""
        return str(self.record.described["EndpointStatus"])

    def stopped(self) -> bool:
        """Whether nothing is to be waited for any more."""
        return self.ended.is_set() or self.region.site.closing.is_set()

    def side(self, config: Mapping[str, Any], share: float) -> Side:
        """The fleets for ``config``, without an instance yet.

        Raises:
            ServiceError: a model or image is gone.
        """
        side = Side(dict(config), share=share)
        for variant in config["ProductionVariants"]:
            count = variant.get("InitialInstanceCount", 0)
            if "ServerlessConfig" in variant:
                count = max(1, variant["ServerlessConfig"].get("ProvisionedConcurrency", 0))
            fleet = self._fleet(variant, config) if "ModelName" in variant else None
            member = Member(variant, fleet, variant["InitialVariantWeight"], count)
            member.capture = config.get("DataCaptureConfig")
            side.members[variant["VariantName"]] = member
        return side

    def fleet(self, variant: str, served: Served, health: Health, **options: bool) -> Fleet:
        """A fleet with a folder of its own."""
        with self.lock:
            self._numbers += 1
            folder = self.region.folder / "endpoints" / self.name / f"{variant}-{self._numbers}"
        blueprint = served.blueprint(folder, health, **options)
        fleet = Fleet(variant, blueprint, self.region.clock, self.draw)
        with self.lock:
            fleet.closed = self.ended.is_set()
            self.made.append(fleet)
        return fleet

    def health(self, timeout: float, memory: int | None = None) -> Health:
        """The conditions of a start, with the faults that are to happen to this endpoint."""
        faults, on = self.region.faults, subjects.ENDPOINT
        slow = faults.take([FaultKind.SLOW_START], on, self.name)
        unhealthy = faults.take([FaultKind.UNHEALTHY], on, self.name)

        def struck() -> bool:
            return faults.take([FaultKind.UNHEALTHY], subjects.INSTANCE, self.name) is not None

        return Health(timeout, slow.lasts if slow else 0.0, unhealthy is not None, memory, struck)

    def pick(self, variant: str | None, component: str | None = None) -> tuple[str, Member | Component]:
        """The variant (and what serves it) for the next request.

        Raises:
            ServiceError: there is no such variant or component.
        """
        with self.lock:
            if component is not None:
                return self._component(component)
            side = self._side(variant)
            if variant is not None:
                return variant, side.members[variant]
            names = list(side.members)
            weights = [side.members[name].weight for name in names]
            name = self.draw.choices(names, weights)[0] if len(names) > 1 else names[0]
            return name, side.members[name]

    def member(self, variant: str) -> Member | None:
        """The variant as it is in service."""
        with self.lock:
            return self.blue.members.get(variant) if self.blue else None

    def describe(self) -> dict[str, Any]:
        """What DescribeEndpoint answers."""
        with self.region.lock, self.lock:
            shown = dict(self.record.described)
            if self.blue is not None:
                shown["ProductionVariants"] = [self._shown(one) for one in self.blue.members.values()]
                shown |= _capture(self.blue.config)
                if "AsyncInferenceConfig" in self.blue.config:
                    shown["AsyncInferenceConfig"] = self.blue.config["AsyncInferenceConfig"]
            if self.pending is not None:
                members = self.green.members.values() if self.green else ()
                variants = [self._shown(one, pending=True) for one in members]
                shown["PendingDeploymentSummary"] = {**self.pending, "ProductionVariants": variants}
            return shown

    def set(self, status: str, **members: Any) -> None:
        """Change the status, and members of Describe; None removes one."""
        with self.region.lock:
            described = self.record.described
            described["EndpointStatus"] = status
            described["LastModifiedTime"] = self.region.clock.now()
            for name, value in members.items():
                if value is None:
                    described.pop(name, None)
                else:
                    described[name] = value

    def fleets(self) -> list[Fleet]:
        """All of its fleets."""
        with self.lock:
            sides = [side for side in (self.blue, self.green) if side is not None]
            own = [fleet for side in sides for fleet in side.fleets()]
            return own + [component.fleet for component in self.components.values()]

    def end(self) -> None:
        """End everything at once."""
        with self.lock:
            self.ended.set()
            made = list(self.made)
        for fleet in made:
            fleet.close(drain=False)

    def remember(self) -> None:
        """Note in the record what is in service, so that it can be brought back from disk."""
        with self.region.lock, self.lock:
            if self.blue is not None:
                variants = {name: (one.weight, one.count) for name, one in self.blue.members.items()}
                self.record.history = [{"config": self.blue.config, "variants": variants}]

    def _side(self, variant: str | None) -> Side:
        sides = [side for side in (self.blue, self.green) if side is not None]
        if variant is not None:
            sides = [side for side in sides if variant in side.members]
        sides = [side for side in sides if side.share > 0] or sides
        if not sides:
            raise ServiceError("ValidationError", f"Variant {variant} not found for endpoint {self.name}.", 400)
        if len(sides) == 1:
            return sides[0]
        assert self.green is not None
        return sides[1] if self.draw.random() < self.green.share else sides[0]

    def _component(self, name: str) -> tuple[str, Component]:
        found = self.components.get(name)
        if found is None:
            raise ServiceError("ValidationError", f"Inference Component Name {name} not found for {self.name}.", 400)
        return found.variant, found

    def _fleet(self, variant: Mapping[str, Any], config: Mapping[str, Any]) -> Fleet:
        model = models.existing(self.region, variant["ModelName"])
        container, role = models.container_of(model), model.described["ExecutionRoleArn"]
        served = Served(
            self.region,
            self.name,
            container,
            role,
            {},
            unused=effects.of_hosting(config, variant, model.described),
            isolated=effects.isolates(config, model.described),
            download=variant.get("ModelDataDownloadTimeoutInSeconds"),
        )
        serverless = variant.get("ServerlessConfig")
        if serverless:
            health = self.health(_SERVERLESS_STARTUP, serverless["MemorySizeInMB"] << 20)
            return self.fleet(variant["VariantName"], served, health, alone=True)
        size = check_instance(variant["InstanceType"], 0, "endpoint")
        served = replace(served, cpus=size.cores)
        health = self.health(variant.get("ContainerStartupHealthCheckTimeoutInSeconds", STARTUP), size.memory)
        spread = variant.get("RoutingConfig", {}).get("RoutingStrategy", "RANDOM") == "RANDOM"
        return self.fleet(variant["VariantName"], served, health, spread=spread)

    def _shown(self, member: Member, *, pending: bool = False) -> dict[str, Any]:
        config = member.config
        shown: dict[str, Any] = {"VariantName": config["VariantName"]}
        if "ModelName" in config:
            shown["DeployedImages"] = self._images(config["ModelName"])
        shown |= {"CurrentWeight": member.weight, "DesiredWeight": member.weight}
        if member.serverless is not None:
            shown |= {"CurrentServerlessConfig": member.serverless, "DesiredServerlessConfig": member.serverless}
        else:
            desired = member.count if member.fleet is not None else self._machines(member)
            current = desired if member.fleet is None else member.fleet.ready()
            shown |= {"CurrentInstanceCount": current, "DesiredInstanceCount": desired}
        if pending and "InstanceType" in config:
            shown["InstanceType"] = config["InstanceType"]
        if member.state:
            shown["VariantStatus"] = [{"Status": member.state, "StartTime": self.region.clock.now()}]
        for name in ("ManagedInstanceScaling", "RoutingConfig"):
            if name in config:
                shown[name] = config[name]
        return shown

    def _machines(self, member: Member) -> int:
        """How many instances a variant for inference components has: what managed scaling makes of their copies."""
        scaling = member.config.get("ManagedInstanceScaling", {})
        if scaling.get("Status") != "ENABLED":
            return member.count
        variant = member.config["VariantName"]
        copies = sum(one.count for one in self.components.values() if one.variant == variant)
        low = int(scaling.get("MinInstanceCount", 1))
        return low if not copies else max(low, 1)

    def _images(self, model: str) -> list[dict[str, Any]]:
        found = self.region.find(models.KIND, model)
        if found is None:
            return []
        uri = models.container_of(found)["Image"]
        return [{"SpecifiedImage": uri, "ResolvedImage": _digest(uri), "ResolutionTime": self.record.created}]


def _digest(uri: str) -> str:
    import hashlib

    name = uri.partition("@")[0].rpartition(":")[0] or uri
    return f"{name}@sha256:{hashlib.sha256(uri.encode()).hexdigest()}"


def _capture(config: Mapping[str, Any]) -> dict[str, Any]:
    given = config.get("DataCaptureConfig")
    if not given:
        return {}
    enabled = bool(given.get("EnableCapture"))
    shown = {
        "EnableCapture": enabled,
        "CaptureStatus": "Started" if enabled else "Stopped",
        "CurrentSamplingPercentage": given["InitialSamplingPercentage"],
        "DestinationS3Uri": given["DestinationS3Uri"],
        "KmsKeyId": given.get("KmsKeyId", ""),
    }
    return {"DataCaptureConfig": shown}


def all_hosted(records: Iterable[Record]) -> list[Hosted]:
    """Those of the endpoints that are driven."""
    return [record.live for record in records if isinstance(record.live, Hosted)]
