"""What every trainer must do."""

from __future__ import annotations

from .train_batch import TrainBatch
from .train_given import TrainGiven
from .train_life import TrainLife
from .train_told import TrainTold


class TrainContract(TrainGiven, TrainLife, TrainTold, TrainBatch):
    """What a job is given, how it lives and ends, what it tells; predictions for whole tables are jobs too."""
