"""What every deployer must do."""

from __future__ import annotations

from .deploy_answers import DeployAnswers
from .deploy_rollout import DeployRollout


class DeployContract(DeployAnswers, DeployRollout):
    """What an endpoint answers, and how one version of it takes over from another."""
