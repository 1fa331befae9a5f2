"""From resources to an instance type, and what it costs.

Sizes are those of AWS's documentation of EC2 instance types; the tests hold the names against the service's model.
"""

from __future__ import annotations

import difflib
import functools
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cloudops.errors import InvalidRequest, NoCapacity

if TYPE_CHECKING:
    from cloudops.specs import ReplicaResources, Resources

#: Of what region the prices below are, and where they are now. They are those that several published tables agree on;
#: nobody has asked AWS. A type that is not among them has none: a wrong price is worse.
PRICES = ("us-east-1", "https://aws.amazon.com/sagemaker/ai/pricing/")
#: Without any resources.
DEFAULT = "ml.m5.large"


@dataclass(frozen=True, slots=True)
class Machine:
    """An instance type.

    Args:
        name: with ``ml.``.
        cpus: vCPUs.
        memory: GiB.
        kind: of its accelerators; empty for none.
        count: of its accelerators.
        hour: list price in US dollars; None where this table does not know it.
        uses: ``t`` for training, ``h`` for hosting.
    """

    name: str
    cpus: int
    memory: int
    kind: str = ""
    count: int = 0
    hour: float | None = None
    uses: str = "th"

    @property
    def shown(self) -> str:
        """Such as ``ml.g5.xlarge (4 vCPUs, 16 GiB, A10G:1)``."""
        extra = f", {self.kind}:{self.count}" if self.count else ""
        return f"{self.name} ({self.cpus} vCPUs, {self.memory} GiB{extra})"


def _family(
    name: str, cpus: int, memory: int, sizes: str, *, kind: str = "", prices: Iterable[float | None] = ()
) -> list[Machine]:
    """Machines of one family: ``sizes`` are ``size:factor[:accelerators]``, the factor over ``cpus`` and ``memory``."""
    known = [*prices, *[None] * 20]
    machines = []
    for size, price in zip(sizes.split(), known, strict=False):
        label, factor, *count = size.split(":")
        number = int(count[0]) if count else 0
        machines.append(
            Machine(
                f"ml.{name}.{label}", cpus * int(factor), memory * int(factor), kind if number else "", number, price
            )
        )
    return machines


_GPU = "xlarge:1:1 2xlarge:2:1 4xlarge:4:1 8xlarge:8:1 16xlarge:16:1"

MACHINES: tuple[Machine, ...] = (
    *_family("m5", 2, 8, "large:1 xlarge:2 2xlarge:4 4xlarge:8 12xlarge:24 24xlarge:48",
             prices=(0.115, 0.23, 0.461, 0.922, 2.765, 5.53)),
    *_family("c5", 2, 4, "xlarge:2 2xlarge:4 4xlarge:8 9xlarge:18 18xlarge:36",
             prices=(0.204, 0.408, 0.816)),
    *_family("r5", 2, 16, "large:1 xlarge:2 2xlarge:4 4xlarge:8 12xlarge:24 24xlarge:48"),
    *_family("m6i", 2, 8,
             "large:1 xlarge:2 2xlarge:4 4xlarge:8 8xlarge:16 12xlarge:24 16xlarge:32 24xlarge:48 32xlarge:64"),
    *_family("c6i", 2, 4, "xlarge:2 2xlarge:4 4xlarge:8 8xlarge:16 12xlarge:24 16xlarge:32 24xlarge:48 32xlarge:64"),
    *_family("g4dn", 4, 16, _GPU, kind="T4", prices=(0.736,)),
    Machine("ml.g4dn.12xlarge", 48, 192, "T4", 4),
    *_family("g5", 4, 16, _GPU, kind="A10G"),
    Machine("ml.g5.12xlarge", 48, 192, "A10G", 4),
    Machine("ml.g5.24xlarge", 96, 384, "A10G", 4),
    Machine("ml.g5.48xlarge", 192, 768, "A10G", 8),
    *_family("g6", 4, 16, _GPU, kind="L4"),
    Machine("ml.g6.12xlarge", 48, 192, "L4", 4),
    Machine("ml.g6.24xlarge", 96, 384, "L4", 4),
    Machine("ml.g6.48xlarge", 192, 768, "L4", 8),
    *_family("g6e", 4, 32, _GPU, kind="L40S"),
    Machine("ml.g6e.12xlarge", 48, 384, "L40S", 4),
    Machine("ml.g6e.24xlarge", 96, 768, "L40S", 4),
    Machine("ml.g6e.48xlarge", 192, 1536, "L40S", 8),
    Machine("ml.p3.2xlarge", 8, 61, "V100", 1, 3.825),
    Machine("ml.p3.8xlarge", 32, 244, "V100", 4, 14.688),
    Machine("ml.p3.16xlarge", 64, 488, "V100", 8),
    Machine("ml.p4d.24xlarge", 96, 1152, "A100", 8),
    Machine("ml.p4de.24xlarge", 96, 1152, "A100-80GB", 8),
    Machine("ml.p5.48xlarge", 192, 2048, "H100", 8),
    Machine("ml.p5en.48xlarge", 192, 2048, "H200", 8),
)  # fmt: skip

#: What the service's model calls the types of a step.
_SHAPES = {
    "train": "TrainingInstanceType",
    "batch": "TransformInstanceType",
    "deploy": "ProductionVariantInstanceType",
}
_BY_NAME = {machine.name: machine for machine in MACHINES}


def choose(
    step: str, resources: Resources | ReplicaResources, override: str | None = None, *, hosting: bool = False
) -> tuple[str, list[str]]:
    """The instance type for a step, and what to know about the choice.

    Args:
        step: for errors.
        resources: of the spec.
        override: the instance type of the overrides, over everything else.
        hosting: for an endpoint rather than a job.

    Raises:
        InvalidRequest: the type, or the kind of accelerator, is none that SageMaker has.
        NoCapacity: no machine is that large; names the largest.
    """
    named = override or resources.instance_type
    if named is not None:
        place = ("overrides", "sagemaker", step) if override else (step, "resources")
        return _named(
            named, resources, place, _SHAPES["batch" if step == "batch" else "deploy" if hosting else "train"]
        )
    if resources.cpus is None and resources.memory is None and resources.accelerators is None:
        return DEFAULT, []
    chosen = _smallest(step, resources, [each for each in MACHINES if _serves(each, step, hosting)])
    asked = [str(each.value) for each in (resources.cpus, resources.memory) if each and not each.at_least]
    exact = all(
        amount is None or amount.at_least or amount.value == has
        for amount, has in ((resources.cpus, chosen.cpus), (resources.memory, chosen.memory))
    )
    return chosen.name, [] if not asked or exact else [f"{step}.resources: the smallest that fits is {chosen.shown}"]


def price(name: str, count: int) -> str:
    """One line: what ``count`` machines cost."""
    region, page = PRICES
    machine = _BY_NAME.get(name)
    machines = name if count == 1 else f"{count} x {name}"
    if machine is None or machine.hour is None:
        return f"{machines}: price unknown here, see {page}"
    return f"{machines}: {machine.hour * count:.3f} USD per hour (published for {region}, not asked of AWS; see {page})"


def find(name: str) -> Machine | None:
    """What is known of an instance type."""
    return _BY_NAME.get(name)


def has_gpu(name: str) -> bool:
    """Whether an instance type has NVIDIA GPUs; by its family, as the SDK of SageMaker tells."""
    parts = name.split(".")
    return len(parts) == 3 and parts[1][0] in "gp"


@functools.cache
def types(shape: str) -> tuple[str, ...]:
    """The instance types that the service's own model has for a use, such as ``TrainingInstanceType``."""
    import botocore.session

    return tuple(botocore.session.Session().get_service_model("sagemaker").shape_for(shape).enum)


def _named(
    named: str, resources: Resources | ReplicaResources, place: tuple[str, ...], shape: str
) -> tuple[str, list[str]]:
    if not named.startswith("ml."):
        hint = f"did you mean ml.{named}?" if f"ml.{named}" in _BY_NAME else "they are named such as ml.m5.xlarge"
        text = f"{named!r} is no instance type of SageMaker"
        raise InvalidRequest(text, provider="sagemaker", hint=hint).at(*place, "instance_type")
    known = named in _BY_NAME and shape != _SHAPES["batch"]  # fewer types are for batches than for endpoints
    if not known and named not in types(shape):
        near = difflib.get_close_matches(named, types(shape), n=3)
        hint = f"did you mean {' or '.join(near)}?" if near else "see docs/sagemaker.md for those that are known"
        text = f"{named!r} is no instance type of SageMaker for this, as far as the installed botocore knows"
        raise InvalidRequest(text, provider="sagemaker", hint=hint).at(*place, "instance_type")
    aside = [key for key in ("cpus", "memory", "accelerators") if getattr(resources, key) is not None]
    machine = _BY_NAME.get(named)
    if machine is not None:
        for key in aside:
            if not _fits(machine, key, resources):
                text = f"{machine.shown} has less than {key}: {getattr(resources, key)}"
                raise InvalidRequest(text, provider="sagemaker").at(*place, "instance_type")
    return named, []


def _serves(machine: Machine, step: str, hosting: bool) -> bool:
    """Whether a machine is one for that step."""
    if step == "batch" and machine.name not in types(_SHAPES["batch"]):
        return False
    return ("h" if hosting else "t") in machine.uses


def _fits(machine: Machine, key: str, resources: Resources | ReplicaResources) -> bool:
    wanted = getattr(resources, key)
    if wanted is None:
        return True
    if key == "accelerators":
        return bool(machine.kind.lower() == wanted.name.lower() and machine.count >= wanted.count)
    return bool(getattr(machine, key) >= wanted.value)


def _smallest(step: str, resources: Resources | ReplicaResources, machines: list[Machine]) -> Machine:
    """The smallest machine that has everything; fewer accelerators, then vCPUs, then memory."""
    left = machines if resources.accelerators else [each for each in machines if not each.count]
    for key in ("accelerators", "cpus", "memory"):
        fitting = [each for each in left if _fits(each, key, resources)]
        if not fitting:
            raise _too_much(step, key, resources, left)
        left = fitting
    return min(left, key=lambda each: (each.count, each.cpus, each.memory, MACHINES.index(each)))


def _too_much(step: str, key: str, resources: Resources | ReplicaResources, left: list[Machine]) -> Exception:
    wanted = getattr(resources, key)
    if key == "accelerators":
        kinds = {each.kind: max(other.count for other in MACHINES if other.kind == each.kind) for each in MACHINES}
        kinds.pop("", None)
        known = ", ".join(f"{kind}:{count}" for kind, count in sorted(kinds.items()))
        kind = NoCapacity if wanted.name.lower() in {name.lower() for name in kinds} else InvalidRequest
        text, hint = f"SageMaker has no machine with {wanted}", f"at most there are {known}"
        return kind(text, provider="sagemaker", hint=hint).at(step, "resources", key)
    most = max(left, key=lambda each: getattr(each, key))
    text = f"asks for {wanted}, more than any of these machines has"
    hint = f"the largest is {most.shown}; num_nodes takes several"
    return NoCapacity(text, provider="sagemaker", hint=hint).at(step, "resources", key)
