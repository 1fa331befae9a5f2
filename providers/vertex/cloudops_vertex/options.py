"""What can be set for Vertex AI only."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from cloudops.specs import Duration, Share, Strict, matching

_Project = Annotated[
    str,
    *matching(r"([a-z0-9.-]+:)?[a-z][a-z0-9-]{4,28}[a-z0-9]", "the id of a project, such as my-team-1, not its name"),
]
_Location = Annotated[str, *matching(r"[a-z]+(-[a-z]+)+[0-9]+", "a region such as europe-west4")]
_Bucket = Annotated[
    str, *matching(r"[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]", "the name of a bucket, without gs:// and what is in it")
]
_Machine = Annotated[str, *matching(r"[a-z][a-z0-9]*(-[a-z0-9]+)+", "a machine type such as n1-standard-4")]
_Email = Annotated[
    str,
    *matching(
        r"[^@\s]+@[^@\s]+\.[a-z]+", "the e-mail of a service account, such as jobs@my-team-1.iam.gserviceaccount.com"
    ),
]
_Network = Annotated[
    str, *matching(r"projects/[0-9]+/global/networks/[a-z0-9-]+", "projects/<project number>/global/networks/<name>")
]
_Key = Annotated[
    str,
    *matching(
        r"projects/[^/\s]+/locations/[^/\s]+/keyRings/[^/\s]+/cryptoKeys/[^/\s]+",
        "projects/<project>/locations/<location>/keyRings/<ring>/cryptoKeys/<key>",
    ),
]
#: https://cloud.google.com/resource-manager/docs/labels-overview#requirements, without letters beyond a to z.
_LabelKey = Annotated[str, *matching(r"[a-z][a-z0-9_-]{0,62}", "1 to 63 of a-z, 0-9, '_' and '-', a letter first")]
_Label = Annotated[str, *matching(r"[a-z0-9_-]{0,63}", "up to 63 of a-z, 0-9, '_' and '-'")]
_Resource = Annotated[str, *matching(r"[a-z]([a-z0-9-]{0,126}[a-z0-9])?", "the id of a persistent resource")]


class VertexTarget(Strict):
    """The settings of a target with ``provider: vertex``."""

    project: _Project | None = Field(None, description="By default that of the credentials")
    location: _Location | None = Field(None, description="By default GOOGLE_CLOUD_REGION, or else us-central1")
    impersonate: _Email | None = Field(None, description="A service account to act as; by default the credentials' own")
    service_account: _Email | None = Field(
        None, description="That jobs run as; by default Vertex AI's own service agent for custom code"
    )
    bucket: _Bucket | None = Field(
        None, description="For artifacts; <project>-vertex-staging-<location> by default, as the SDK's"
    )
    prefix: str = Field("cloudops", pattern=r"^[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*$", description="Within the bucket")
    network: _Network | None = Field(None, description="A VPC that is peered with Vertex AI, for jobs")
    kms_key: _Key | None = Field(None, description="Key for jobs, their disks, and what is written to the bucket")
    labels: dict[_LabelKey, _Label] = Field({}, max_length=40, description="On every job, beside cloudops' own")
    machine_type: _Machine | None = Field(None, description="Of steps without resources; n1-standard-4 by default")
    persistent_resource: _Resource | None = Field(None, description="Run jobs on its machines rather than on new ones")

    @model_validator(mode="after")
    def _own_labels(self) -> VertexTarget:
        for key in self.labels:
            if key.startswith(("cloudops", "goog")):
                raise ValueError(f"expected another name for the label {key}: cloudops and goog are reserved")
        return self


class VertexJobOptions(Strict):
    """``overrides.vertex.prepare``, ``.train`` and ``.evaluate``."""

    machine_type: _Machine | None = Field(None, description="Such as n1-standard-8, over resources")
    strategy: Literal["standard", "spot", "flex-start"] | None = Field(
        None, description="How machines are had; spot where resources.use_spot is set, otherwise standard"
    )
    max_wait: Duration | None = Field(
        None, description="With flex-start: the longest to wait for machines; 1d by default"
    )
    restart_job_on_worker_restart: bool | None = Field(
        None, description="Start all nodes again when one is; true with spot machines or several nodes"
    )
    disk_type: Literal["pd-ssd", "pd-standard", "pd-balanced", "hyperdisk-balanced"] = Field(
        "pd-ssd", description="Of the boot disk, which is the job's only one"
    )
    input_mode: Literal["mount", "copy"] = Field("mount", description="Read gs:// inputs where they are, or copy first")
    enable_web_access: bool = Field(False, description="Allow a shell in the running container")
    persistent_resource: _Resource | None = Field(None, description="As in the target, for this step")

    @model_validator(mode="after")
    def _together(self) -> VertexJobOptions:
        if self.max_wait is not None and self.strategy != "flex-start":
            raise ValueError("expected max_wait together with strategy: flex-start; other strategies do not wait")
        return self


class VertexDeployOptions(Strict):
    """``overrides.vertex.deploy``."""

    machine_type: _Machine | None = Field(None, description="Such as n1-standard-8, over resources")
    dedicated_endpoint: bool = Field(
        False, description="Answer at a name of its own: 10 MB per request rather than 1.5, and longer ones"
    )
    private_to: list[_Project] = Field(
        [], max_length=100, description="Answer within these projects' networks only, by Private Service Connect"
    )
    inference_timeout: Duration | None = Field(
        None, ge=1, le=3600, description="The longest that a prediction may take; of dedicated endpoints"
    )
    target_cpu: int = Field(60, ge=1, le=100, description="Percent of the CPUs above which a replica is added")
    target_accelerator: int | None = Field(None, ge=1, le=100, description="Likewise of the accelerators' time")
    target_requests: int | None = Field(None, ge=1, description="Likewise of requests per minute and replica")
    error_rate: Share = Field(
        0.05,
        description="Share of failed requests over which a canary is undone",
        json_schema_extra={"default": "5%"},
    )

    @model_validator(mode="after")
    def _together(self) -> VertexDeployOptions:
        if self.inference_timeout is not None and not self.dedicated_endpoint:
            raise ValueError("expected inference_timeout together with dedicated_endpoint: true")
        if self.private_to and self.dedicated_endpoint:
            raise ValueError("expected either private_to or dedicated_endpoint, not both")
        if self.error_rate >= 1:
            raise ValueError("expected error_rate of less than 100%: a canary is undone when more requests fail")
        return self


class VertexOverrides(Strict):
    """``overrides.vertex``."""

    prepare: VertexJobOptions | None = None
    train: VertexJobOptions | None = None
    evaluate: VertexJobOptions | None = None
    deploy: VertexDeployOptions | None = None
