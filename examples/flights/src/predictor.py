"""Answers requests: the probability that each flight arrives more than 15 minutes late."""

from pathlib import Path

import joblib
from features import frame


def load(model_dir):
    return joblib.load(Path(model_dir) / "model.joblib")


def predict(model, instances):
    return model.predict_proba(frame(instances))[:, 1].tolist()
