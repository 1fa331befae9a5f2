"""The public API as it is used; type-checked by a test, never run. ``assert_type`` fails on the wrong type."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, assert_type

import cloudops
from cloudops import (
    Capture,
    Checks,
    DeploySpec,
    DriftChecks,
    Endpoint,
    EvaluateSpec,
    Job,
    LogLine,
    MetricPoint,
    ModelVersion,
    MonitorSpec,
    Phase,
    PrepareSpec,
    QualityChecks,
    Ref,
    ReplicaResources,
    Resources,
    Session,
    Status,
    Traffic,
    TrainSpec,
)
from cloudops.errors import CloudopsError, ConfigError, JobFailed, ProviderError, WaitTimeout
from cloudops.hookspecs import hookimpl
from cloudops.provider import Answer, Capability, CheckResult, ModelInfo, Plan, Support
from cloudops.quantities import accelerators, amount, duration, requirement, share
from cloudops.refs import Listed


def sessions() -> None:
    assert_type(cloudops.connect(), Session)
    assert_type(cloudops.connect("prod-aws"), Session)
    assert_type(cloudops.connect(provider="local", project="churn", root="."), Session)
    assert_type(cloudops.connect(target="prod-aws", region="eu-west-1"), Session)
    session = cloudops.connect(file="cloudops.yaml", plugins=(Guard(),), environ={"KEY": "value"})
    assert_type(session.capabilities(), Mapping[Capability, Support])
    assert_type(session.check(), list[CheckResult])
    assert_type(session.plan("train"), Plan)
    assert_type(session.jobs(), Iterator[Listed])
    assert_type(session.models(), Iterator[ModelInfo])
    assert_type(session.endpoints(), Iterator[Listed])
    assert_type(session.down(), list[Ref])
    assert_type(session.attach("cloudops://local/x/jobs/y"), Job | ModelVersion | Endpoint)
    assert_type(cloudops.attach("cloudops://local/x/jobs/y"), Job | ModelVersion | Endpoint)


def jobs(session: Session) -> None:
    resources = Resources(cpus=amount("4+"), memory=amount(16), accelerators=accelerators("T4:1"), num_nodes=2)
    spec = TrainSpec(
        command="python train.py --lr ${{params.lr}}",
        code="src",
        framework="sklearn@1.7",
        inputs={"train": "data.parquet"},
        outputs=["extra"],
        params={"lr": 0.1, "depth": 6, "name": "x", "fast": True, "none": None},
        envs={"TZ": "UTC"},
        secrets=["TOKEN"],
        resources=resources,
        timeout=duration("2h"),
        retries=1,
    )
    job = session.train(spec)
    assert_type(job, Job)
    assert_type(session.train(), Job)
    assert_type(session.prepare(PrepareSpec(command="p")), Job)
    assert_type(session.evaluate(EvaluateSpec(command="e", require={"auc": requirement(">= 0.7")}), model="m"), Job)
    assert_type(job.uri, str)
    assert_type(job.ref, Ref)
    assert_type(job.status(), Status)
    assert_type(job.wait(timeout=60, poll=1, on_change=session.notify(job.ref)), Status)
    assert_type(job.logs(follow=True, tail=10), Iterator[LogLine])
    assert_type(job.metrics(), list[MetricPoint])
    assert_type(job.final_metrics(), dict[str, float])
    assert_type(job.outputs(), Mapping[str, str])
    assert_type(job.model(), ModelVersion)
    assert_type(job.model().info(), ModelInfo)
    assert_type(job.status().phase, Phase)
    assert_type(job.status().phase.final, bool)
    job.cancel()
    job.delete()


def endpoints(session: Session, model: ModelVersion) -> None:
    spec = DeploySpec(
        endpoint="churn",
        model=model.uri,
        predictor="src/predictor.py",
        resources=ReplicaResources(cpus=amount(2)),
        min_replicas=1,
        max_replicas=2,
        traffic=Traffic(canary=share("10%"), bake=duration("5m")),
        capture=Capture(sample=share("100%")),
        auth="token",
    )
    endpoint = session.deploy(spec)
    assert_type(endpoint, Endpoint)
    assert_type(session.endpoint("churn"), Endpoint)
    assert_type(endpoint.wait(), Status)
    assert_type(endpoint.url, str | None)
    assert_type(endpoint.predict([{"age": 41}, [1, 2], 3.0]), list[Any])
    assert_type(endpoint.predict_raw(b"1,2", content_type="text/csv"), Answer)
    assert_type(endpoint.metrics(since=0, until=1), list[MetricPoint])
    assert_type(endpoint.logs(), Iterator[LogLine])
    endpoint.traffic({"a": 90, "b": 10})
    endpoint.rollback()
    endpoint.delete()


def monitoring(session: Session) -> None:
    checks = Checks(
        drift=DriftChecks(psi=0.2, ks=None),
        quality=QualityChecks(missing=share("5%")),
        latency_p99=duration("200ms"),
        errors=share("1%"),
    )
    report = session.monitor(MonitorSpec(reference="train.parquet", window=duration("1d"), checks=checks))
    assert_type(report.verdict, str)
    assert_type(list(report.drifted), list[str])


def errors(job: Job) -> int:
    try:
        job.wait(timeout=1)
    except JobFailed as error:
        assert_type(error.log_tail, tuple[str, ...])
        assert_type(error.status.exit_code, int | None)
    except WaitTimeout as error:
        assert_type(error.hint, str | None)
    except ProviderError as error:
        assert_type(error.retryable, bool)
    except ConfigError as error:
        assert_type(error.ref, str | None)
    except CloudopsError as error:
        return error.exit_code
    return 0


class Guard:
    """An observer."""

    @hookimpl
    def before_delete(self, event: object) -> None:
        """Lets everything pass."""
