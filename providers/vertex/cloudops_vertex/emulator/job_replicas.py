"""The replicas of a CustomJob: which there are, and what each is told by its environment.

https://cloud.google.com/vertex-ai/docs/training/code-requirements, .../distributed-training
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .store import Record

_PORT = 2222
_REFERENCE = re.compile(r"\$(\$)?\((\w+)\)")
_TASKS = ("chief", "worker", "ps", "evaluator")


@dataclass(frozen=True)
class Replica:
    """One of them.

    Args:
        pool: number of its worker pool.
        index: its own number in that.
        host: its name.
        spec: of its pool.
    """

    pool: int
    index: int
    host: str
    spec: Any

    @property
    def task(self) -> str:
        """As the log names it."""
        return f"workerpool{self.pool}-{self.index}"


def replicas(record: Record) -> list[Replica]:
    """All replicas of a job, those of the first pool first."""
    found = []
    for number, pool in enumerate(record.message.job_spec.worker_pool_specs):
        if pool.ListFields():
            for index in range(pool.replica_count):
                host = f"cmle-training-workerpool{number}-{record.name.id[:10]}-{index}"
                found.append(Replica(number, index, host, pool))
    return found


def environment(record: Record, everyone: Sequence[Replica], own: Replica) -> dict[str, str]:
    """The variables that the service gives a replica, those of its specification left out."""
    spec = record.message.job_spec
    cluster = {
        f"workerpool{number}": [f"{one.host}:{_PORT}" for one in everyone if one.pool == number]
        for number in sorted({one.pool for one in everyone})
    }
    told = {
        "cluster": cluster,
        "environment": "cloud",
        "task": {"type": f"workerpool{own.pool}", "index": own.index},
        "job": _job(spec),
    }
    variables = {
        "CLOUD_ML_JOB_ID": record.name.id,
        "CLOUD_ML_PROJECT_ID": record.name.project,
        "CLOUD_ML_REGION": record.name.location,
        "CLUSTER_SPEC": json.dumps(told),
        **_folders(spec.base_output_directory.output_uri_prefix),
    }
    if len(everyone) > 1:
        variables["TF_CONFIG"] = json.dumps(_tensorflow(everyone, own))
    return variables


def _folders(base: str) -> dict[str, str]:
    if not base:
        return {}
    base = base.rstrip("/")
    return {
        "AIP_MODEL_DIR": f"{base}/model/",
        "AIP_CHECKPOINT_DIR": f"{base}/checkpoints/",
        "AIP_TENSORBOARD_LOG_DIR": f"{base}/logs/",
    }


def _tensorflow(everyone: Sequence[Replica], own: Replica) -> Mapping[str, Any]:
    cluster: dict[str, list[str]] = {}
    for one in everyone:
        cluster.setdefault(_TASKS[one.pool], []).append(f"{one.host}:{_PORT}")
    return {"cluster": cluster, "task": {"type": _TASKS[own.pool], "index": own.index}, "environment": "cloud"}


def _job(spec: Any) -> str:
    from .protocol.requests import write

    return json.dumps(write(spec))


def expanded(texts: Sequence[str], variables: Mapping[str, str]) -> list[str]:
    """Texts with ``$(NAME)`` replaced; unknown names stay, ``$$(NAME)`` is ``$(NAME)`` itself."""

    def value(found: re.Match[str]) -> str:
        if found[1]:
            return found[0][1:]
        return variables.get(found[2], found[0])

    return [_REFERENCE.sub(value, text) for text in texts]
