"""Answers requests: the probability that each flight arrives more than 15 minutes late."""

from pathlib import Path

import joblib
from features import COLUMNS, NUMBERS

from cloudops.runtime import table


def load(model_dir):
    return joblib.load(Path(model_dir) / "model.joblib")


def predict(model, instances):
    rows = table(instances, COLUMNS, numbers=NUMBERS)  # rows that do not fit are an answer of 400
    return model.predict_proba(rows)[:, 1].tolist()
