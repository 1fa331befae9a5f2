"""From resources to a machine type with its accelerators, and what it costs.

https://cloud.google.com/vertex-ai/docs/training/configure-compute; sizes are those of Compute Engine's documentation.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from cloudops.errors import InvalidRequest, NoCapacity

if TYPE_CHECKING:
    from cloudops.specs import ReplicaResources, Resources

#: Of what location the prices below are, and where they are now. They are those that several published tables agree
#: on; nobody has asked Google. A type that is not among them has none: a wrong price is worse.
PRICES = ("us-central1", "https://cloud.google.com/vertex-ai/pricing#custom-trained_models")
#: Without any resources: what the SDK takes, too.
DEFAULT = "n1-standard-4"

#: Kind as it is written in a spec -> Vertex AI's name of it.
ACCELERATORS = {
    "T4": "NVIDIA_TESLA_T4",
    "P4": "NVIDIA_TESLA_P4",
    "P100": "NVIDIA_TESLA_P100",
    "V100": "NVIDIA_TESLA_V100",
    "A100": "NVIDIA_TESLA_A100",
    "A100-80GB": "NVIDIA_A100_80GB",
    "L4": "NVIDIA_L4",
    "H100": "NVIDIA_H100_80GB",
    "H100-MEGA": "NVIDIA_H100_MEGA_80GB",
    "H200": "NVIDIA_H200_141GB",
    "B200": "NVIDIA_B200",
}
#: US dollars per hour of one accelerator that is attached to a machine, where it is known.
_ATTACHED_HOUR = {"T4": 0.4025}


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine type, with the accelerators that are attached to it.

    Args:
        name: of the type.
        cpus: vCPUs.
        memory: GiB.
        kind: of its accelerators; empty for none.
        count: of its accelerators.
        hour: list price in US dollars, accelerators included; None where this table does not know it.
    """

    name: str
    cpus: int
    memory: float
    kind: str = ""
    count: int = 0
    hour: float | None = None

    @property
    def shown(self) -> str:
        """Such as ``n1-standard-4 (4 vCPUs, 15 GiB, T4:1)``."""
        extra = f", {self.kind}:{self.count}" if self.count else ""
        return f"{self.name} ({self.cpus} vCPUs, {self.memory:g} GiB{extra})"

    @property
    def spec(self) -> dict[str, object]:
        """The MachineSpec."""
        found: dict[str, object] = {"machineType": self.name}
        if self.count:
            found |= {"acceleratorType": ACCELERATORS[self.kind], "acceleratorCount": self.count}
        return found


def _family(name: str, sizes: tuple[int, ...], memory: float, hour: float | None = None) -> Iterator[Machine]:
    """Machines of one family: ``memory`` (GiB) and ``hour`` (US dollars) are those of one vCPU."""
    for cpus in sizes:
        yield Machine(f"{name}-{cpus}", cpus, cpus * memory, hour=None if hour is None else cpus * hour)


_N1 = (4, 8, 16, 32, 64, 96)

#: Machines without accelerators.
PLAIN: tuple[Machine, ...] = (
    *_family("n1-standard", _N1, 3.75, 0.21849885 / 4),
    *_family("n1-highmem", (2, 4, 8, 16, 32, 64, 96), 6.5),
    *_family("n1-highcpu", (16, 32, 64, 96), 0.9),
    *_family("e2-standard", (4, 8, 16, 32), 4),
    *_family("e2-highmem", (2, 4, 8, 16), 8),
    *_family("e2-highcpu", (16, 32), 1),
    *_family("n2-standard", (4, 8, 16, 32, 48, 64, 80), 4),
    *_family("n2-highmem", (2, 4, 8, 16, 32, 48, 64, 80), 8),
    *_family("n2-highcpu", (16, 32, 48, 64, 80), 1),
    *_family("c2-standard", (4, 8, 16, 30, 60), 4),
)
#: Machines whose accelerators are part of their type.
BUILT_IN: tuple[Machine, ...] = (
    *(Machine(f"g2-standard-{cpus}", cpus, cpus * 4, "L4", count)
      for cpus, count in ((4, 1), (8, 1), (12, 1), (16, 1), (24, 2), (32, 1), (48, 4), (96, 8))),
    *(Machine(f"a2-highgpu-{count}g", 12 * count, 85 * count, "A100", count) for count in (1, 2, 4, 8)),
    Machine("a2-megagpu-16g", 96, 1360, "A100", 16),
    *(Machine(f"a2-ultragpu-{count}g", 12 * count, 170 * count, "A100-80GB", count) for count in (1, 2, 4, 8)),
    *(Machine(f"a3-highgpu-{count}g", 26 * count, 234 * count, "H100", count) for count in (1, 2, 4, 8)),
    Machine("a3-megagpu-8g", 208, 1872, "H100-MEGA", 8),
    Machine("a3-ultragpu-8g", 224, 2952, "H200", 8),
    Machine("a4-highgpu-8g", 224, 3968, "B200", 8),
)  # fmt: skip
#: Of the accelerators that are attached to N1 machines: kind -> count -> the most vCPUs with so many.
ATTACHABLE: dict[str, dict[int, int]] = {
    "T4": {1: 16, 2: 32, 4: 96},
    "P4": {1: 16, 2: 32, 4: 96},
    "P100": {1: 16, 2: 32, 4: 96},
    "V100": {1: 8, 2: 16, 4: 32, 8: 96},
}


def _attached() -> Iterator[Machine]:
    for base in PLAIN:
        for kind, counts in ATTACHABLE.items() if base.name.startswith(("n1-standard", "n1-highmem")) else ():
            for count, most in counts.items():
                if 4 <= base.cpus <= most:
                    extra = _ATTACHED_HOUR.get(kind)
                    hour = None if base.hour is None or extra is None else base.hour + count * extra
                    yield Machine(base.name, base.cpus, base.memory, kind, count, hour)


ALL: tuple[Machine, ...] = (*PLAIN, *BUILT_IN, *_attached())


def choose(
    step: str,
    resources: Resources | ReplicaResources,
    override: str | None = None,
    default: str | None = None,
) -> tuple[Machine, list[str]]:
    """The machine for a step, and what to know about the choice.

    Args:
        step: for errors.
        resources: of the spec.
        override: the machine type of the overrides, over everything else.
        default: of the target, for a step without resources.

    Raises:
        InvalidRequest: the type, or the kind of accelerator, is none that Vertex AI has.
        NoCapacity: no machine is that large; names the largest.
    """
    named = override or resources.instance_type
    if named is not None:
        key = ("overrides", "vertex", step, "machine_type") if override else (step, "resources", "instance_type")
        return _named(named, resources, key), []
    if resources.cpus is None and resources.memory is None and resources.accelerators is None:
        return _named(default or DEFAULT, resources, ("machine_type",)), []
    chosen = _smallest(step, resources)
    asked = [str(each.value) for each in (resources.cpus, resources.memory) if each and not each.at_least]
    exact = all(
        amount is None or amount.at_least or amount.value == has
        for amount, has in ((resources.cpus, chosen.cpus), (resources.memory, chosen.memory))
    )
    return chosen, [] if not asked or exact else [f"{step}.resources: the smallest that fits is {chosen.shown}"]


def price(machine: Machine, count: int, *, disk: int, spot: bool = False) -> str:
    """One line: what ``count`` machines cost."""
    where, page = PRICES
    shown = machine.name + (f" with {machine.kind}:{machine.count}" if machine.count else "")
    shown = shown if count == 1 else f"{count} x {shown}"
    if machine.hour is None:
        return f"{shown}: price unknown here, see {page}"
    less = "; spot machines cost less, by how much changes" if spot else ""
    total = f"{machine.hour * count:.3f} USD per hour"
    source = f"(published for {where}, not asked of Google; see {page})"
    return f"{shown}: {total}, without {disk} GB of disk each {source}{less}"


def _named(named: str, resources: Resources | ReplicaResources, place: tuple[str, ...]) -> Machine:
    same = [machine for machine in ALL if machine.name == named]
    if not same:
        if not named.startswith(
            ("n1-", "n2-", "e2-", "c2-", "c3-", "c4-", "m1-", "n4-", "g2-", "a2-", "a3-", "a4-", "ct", "tpu")
        ):
            near = difflib.get_close_matches(named, {machine.name for machine in ALL}, n=3)
            hint = f"did you mean {' or '.join(near)}?" if near else "they are named such as n1-standard-4"
            raise InvalidRequest(f"{named!r} is no machine type of Vertex AI", provider="vertex", hint=hint).at(*place)
        return _unknown(named, resources, place)
    fitting = [each for each in same if _accelerated(each, resources)]
    if not fitting:
        asked = resources.accelerators
        known = sorted({f"{each.kind}:{each.count}" for each in same if each.count})
        hint = f"it takes {', '.join(known)}" if known else "n1-standard machines take T4, P4, P100 and V100"
        text = f"{named} does not come with {asked}"
        raise InvalidRequest(text, provider="vertex", hint=hint).at(*place)
    machine = fitting[0]
    for key in ("cpus", "memory"):
        wanted = getattr(resources, key)
        if wanted is not None and getattr(machine, key) < wanted.value:
            text = f"{machine.shown} has less than {key}: {wanted}"
            raise InvalidRequest(text, provider="vertex").at(*place)
    return machine


def _unknown(named: str, resources: Resources | ReplicaResources, place: tuple[str, ...]) -> Machine:
    """A type of a family that there is, newer than this table: Vertex AI is asked as it is."""
    if resources.accelerators is None:
        return Machine(named, 0, 0)
    text = f"cloudops does not know which accelerators {named} has"
    raise InvalidRequest(text, provider="vertex", hint="leave accelerators out, or instance_type").at(*place)


def _accelerated(machine: Machine, resources: Resources | ReplicaResources) -> bool:
    """Whether a machine has just the accelerators asked for; built-in ones need not be asked for."""
    wanted = resources.accelerators
    if wanted is None:
        return machine.count == 0 or machine in BUILT_IN
    return machine.kind.lower() == wanted.name.lower() and machine.count == wanted.count


def _smallest(step: str, resources: Resources | ReplicaResources) -> Machine:
    """The smallest machine that has everything; fewer accelerators, then vCPUs, then memory."""
    left = list(ALL) if resources.accelerators else list(PLAIN)
    for key in ("accelerators", "cpus", "memory"):
        fitting = [each for each in left if _fits(each, key, resources)]
        if not fitting:
            raise _too_much(step, key, resources, left)
        left = fitting
    return min(left, key=lambda each: (each.count, each.cpus, each.memory, ALL.index(each)))


def _fits(machine: Machine, key: str, resources: Resources | ReplicaResources) -> bool:
    wanted = getattr(resources, key)
    if wanted is None:
        return True
    if key == "accelerators":
        return bool(machine.kind.lower() == wanted.name.lower() and machine.count >= wanted.count)
    return bool(getattr(machine, key) >= wanted.value)


def _too_much(step: str, key: str, resources: Resources | ReplicaResources, left: list[Machine]) -> Exception:
    wanted = getattr(resources, key)
    if key == "accelerators":
        kinds = {each.kind: max(other.count for other in ALL if other.kind == each.kind) for each in ALL if each.kind}
        known = ", ".join(f"{kind}:{count}" for kind, count in sorted(kinds.items()))
        kind = NoCapacity if wanted.name.lower() in {name.lower() for name in kinds} else InvalidRequest
        text, hint = f"Vertex AI has no machine with {wanted}", f"at most there are {known}"
        return kind(text, provider="vertex", hint=hint).at(step, "resources", key)
    most = max(left, key=lambda each: getattr(each, key))
    text = f"asks for {wanted}, more than any of these machines has"
    hint = f"the largest is {most.shown}; num_nodes takes several"
    return NoCapacity(text, provider="vertex", hint=hint).at(step, "resources", key)
