"""What can be set for the local provider only."""

from __future__ import annotations

from pydantic import Field

from cloudops.specs import Strict, Text


class LocalTarget(Strict):
    """The settings of a target with ``provider: local``."""

    python: Text | None = Field(None, description="The interpreter for steps without requirements; this one by default")


class LocalJobOptions(Strict):
    """``overrides.local.prepare``, ``.train`` and ``.evaluate``."""

    python: Text | None = Field(None, description="The interpreter, over that of the target")


class LocalBatchOptions(Strict):
    """``overrides.local.batch``."""

    python: Text | None = Field(None, description="The interpreter, over that of the target")


class LocalDeployOptions(Strict):
    """``overrides.local.deploy``."""

    python: Text | None = Field(None, description="The interpreter, over that of the target")
    port: int | None = Field(None, ge=1, le=65535, description="The endpoint's port; a free one by default")
    target_concurrency: float = Field(4.0, gt=0, description="Open requests per replica above which one is added")


class LocalOverrides(Strict):
    """``overrides.local``."""

    prepare: LocalJobOptions | None = None
    train: LocalJobOptions | None = None
    evaluate: LocalJobOptions | None = None
    batch: LocalBatchOptions | None = None
    deploy: LocalDeployOptions | None = None
