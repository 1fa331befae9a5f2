"""One run of a CustomJob's programs on all its replicas: a job of the engine, and its logs."""

from __future__ import annotations

import itertools
import shlex
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cloudops.engine import job
from cloudops.offline.machines.containers import launch
from cloudops.offline.machines.reaper import kill_job
from cloudops.offline.machines.tails import LogTail

from . import images
from .containers import Container
from .job_replicas import Replica, environment, expanded, replicas
from .machine_types import machine_type
from .storage.errors import NotFound
from .usage import JobUsage

if TYPE_CHECKING:
    from .site import Site
    from .store import Record

#: Seconds of the offline clock between SIGTERM and SIGKILL.
GRACE = 30.0
_WITHOUT_EFFECT = {
    "network": "this machine's network is used",
    "tensorboard": "nothing is uploaded to a Tensorboard; logs go to AIP_TENSORBOARD_LOG_DIR",
    "enable_web_access": "there is no interactive shell",
    "enable_dashboard_access": "there is no dashboard",
    "reserved_ip_ranges": "this machine's addresses are used",
    "protected_artifact_location_id": "artifacts lie where they are written",
}


class NotStarted(Exception):
    """The programs could not be started; the text says why."""


class Run:
    """A run.

    Args:
        site: where.
        record: of the job.
        folder: of this attempt; made when it starts.
    """

    def __init__(self, site: Site, record: Record, folder: Path) -> None:
        self.folder = folder
        self._site, self._record = site, record
        self._spec = record.message.job_spec
        self._replicas = replicas(record)
        self._directory = folder / "job"
        self._tails = [LogTail(self._directory / "logs" / f"rank-{rank}.log") for rank in range(len(self._replicas))]
        self._state: job.JobState | None = None
        self._usages: list[JobUsage] = []

    def start(self) -> None:
        """Start the programs.

        Raises:
            NotStarted: an image, a package or a command is missing.
        """
        entries = self._entries()
        found = [machine_type(one.spec.machine_spec.machine_type) for one in self._replicas]
        sizes = [size for size in found if size is not None]
        self._usages = [JobUsage(self._site, self._record.name, size) for size in sizes]
        smallest = min(sizes, key=lambda size: size.memory)
        spec = job.JobSpec(
            argv=launch(self.folder / "launch.json", entries, literal=self._site.literal),
            cwd=str(self.folder / "work"),
            ranks=len(entries),
            cpus=smallest.cores,
            memory=smallest.memory,
            grace=GRACE / self._site.clock.speed,
        )
        try:
            job.start(self._directory, spec, on_exists="raise")
        except (OSError, RuntimeError) as error:
            raise NotStarted(f"the offline cloud cannot start the job: {error}") from error

    def ended(self) -> bool:
        """Whether it has ended and all it said was delivered; delivers what was said meanwhile."""
        self._state = job.read(self._directory)
        final = self._state.final
        for rank, usage in zip(self._state.ranks, self._usages, strict=False):
            usage.look(rank.pid)
        more = [self._deliver(one, tail) for one, tail in zip(self._replicas, self._tails, strict=True)]
        return final and not any(more)

    def terminate(self) -> None:
        """Tell the programs to end."""
        job.cancel(self._directory)

    def kill(self) -> None:
        """End them at once."""
        kill_job(self._directory)

    def failure(self) -> str | None:
        """Why the job failed, in the service's words; None where it did not."""
        assert self._state is not None
        if self._state.phase == "succeeded":
            return None
        code, project = self._state.exit_code, self._record.name.project
        link = (
            f"https://console.cloud.google.com/logs/viewer?project={project}&resource=ml_job%2Fjob_id%2F"
            f"{self._record.name.id}&advancedFilter=resource.type%3D%22ml_job%22%0Aresource.labels.job_id%3D%22"
            f"{self._record.name.id}%22"
        )
        more = f"To find out more about why your job exited please check the logs: {link}"
        if "out of memory" in self._state.reason:
            what = "ran out-of-memory and exited with a non-zero status of 9(SIGKILL)"
            return f"The replica {self._failed} {what}. {more}"
        return f"The replica {self._failed} exited with a non-zero status of {137 if code is None else code}. {more}"

    def tell(self, text: str) -> None:
        """Say something in the log of the first replica."""
        self._add(self._replicas[0], [(time.time(), text)])

    @property
    def _failed(self) -> str:
        """The replica that failed: the one that the engine names, else the first."""
        assert self._state is not None
        words = self._state.reason.split()
        ranks = [word.strip(":,;") for before, word in itertools.pairwise(words) if before == "rank"]
        number = int(ranks[0]) if ranks and ranks[0].isdecimal() else 0
        return self._replicas[min(number, len(self._replicas) - 1)].task

    def _entries(self) -> list[dict[str, object]]:
        network = self._site.addresses.network()
        hosts = {one.host: f"{network}.{number}" for number, one in enumerate(self._replicas, 1)}
        (self.folder / "work").mkdir(parents=True, exist_ok=True)
        return [self._entry(one, hosts) for one in self._replicas]

    def _entry(self, own: Replica, hosts: Mapping[str, str]) -> dict[str, object]:
        image = self._image(own)
        known = hosts if self._site.literal else {}
        tree = self._site.buckets.tree
        container = Container(self.folder / own.task, image.python, own.host, self._site.literal, known, tree)
        container.create()
        variables = self._variables(own, hosts)
        argv = self._argv(own, container, variables)
        for line in (image.told(), *(self._without_effect() if own is self._replicas[0] else ())):
            self._add(own, [(time.time(), line)])
        return container.entry(argv, variables)

    def _image(self, own: Replica) -> images.Image:
        uri = own.spec.container_spec.image_uri or own.spec.python_package_spec.executor_image_uri
        try:
            return images.find(uri, self._site.surroundings.images)
        except images.NoImage as error:
            raise NotStarted(f"The replica {own.task} cannot be started: {error}") from error

    def _variables(self, own: Replica, hosts: Mapping[str, str]) -> dict[str, str]:
        given = environment(self._record, self._replicas, own)
        if not self._site.literal:  # nothing can tell the hosts' names there
            for name in ("CLUSTER_SPEC", "TF_CONFIG"):
                for host, address in hosts.items():
                    given[name] = given.get(name, "").replace(host, address)
        task = getattr(own.spec, own.spec.WhichOneof("task"))
        access = self._site.access(self._record.name.project, self._spec.service_account)
        return {**access, **{name: value for name, value in given.items() if value}, **_env(task)}

    def _argv(self, own: Replica, container: Container, variables: Mapping[str, str]) -> list[str]:
        if own.spec.WhichOneof("task") == "python_package_spec":
            return self._module(own.spec.python_package_spec, container, variables)
        given = own.spec.container_spec
        command = expanded([*given.command, *given.args], variables)
        if not given.command:
            raise NotStarted(
                f"The replica {own.task} cannot be started: it would run the entrypoint of its image, which nothing "
                "stands for offline. Give container_spec.command."
            )
        return command

    def _module(self, given: Any, container: Container, variables: Mapping[str, str]) -> list[str]:
        """How a Python package is run: installed, then its module."""
        files = []
        for uri in given.package_uris:
            bucket, _, name = uri.removeprefix("gs://").partition("/")
            try:
                source = self._site.buckets.get(bucket, name).path
            except NotFound:
                raise NotStarted(f"The Python package {uri} does not exist.") from None
            target = container.root / "packages" / name.rpartition("/")[2]
            target.parent.mkdir(exist_ok=True)
            target.write_bytes(source.read_bytes())
            files.append(str(target))
        install = shlex.join(["python", "-m", "pip", "install", "--quiet", *files])
        module = shlex.join(["python", "-m", given.python_module, *expanded(given.args, variables)])
        return ["sh", "-c", f"{install} && exec {module}" if files else f"exec {module}"]

    def _without_effect(self) -> Sequence[str]:
        given = [field.name for field, _ in self._spec.ListFields()]
        return [f"[offline] {name} has no effect: {why}" for name, why in _WITHOUT_EFFECT.items() if name in given]

    def _deliver(self, own: Replica, tail: LogTail) -> bool:
        """Bring what a replica has said to Cloud Logging; whether there was something."""
        lines = tail.lines()
        self._add(own, lines)
        return bool(lines)

    def _add(self, own: Replica, lines: Sequence[tuple[float, str]]) -> None:
        name = self._record.name
        entries = [(moment, "INFO", {"message": text, "attrs": {"tag": own.task}}) for moment, text in lines]
        if entries:
            project = self._site.projects.id(name.project) or name.project
            labels = {"job_id": name.id, "task_name": own.task, "project_id": project}
            about = {"compute.googleapis.com/resource_name": own.host, "ml.googleapis.com/trial_id": ""}
            self._site.entries.add(project, own.task, "ml_job", labels, entries, about)


def _env(task: Any) -> dict[str, str]:
    """The variables of a specification; each may refer to those before it."""
    found: dict[str, str] = {}
    for one in task.env:
        found[one.name] = expanded([one.value], found)[0]
    return found
