"""Measures the model on a month that it has not seen."""

import argparse
from pathlib import Path

import joblib
import pandas as pd
from features import frame
from sklearn.metrics import brier_score_loss, roc_auc_score

from cloudops.runtime import log_metric


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--data", required=True)
    arguments = parser.parse_args()

    table = pd.read_parquet(arguments.data)
    late = joblib.load(arguments.model / "model.joblib").predict_proba(frame(table))[:, 1]
    log_metric("auc", roc_auc_score(table["late"], late))
    log_metric("brier", brier_score_loss(table["late"], late))


if __name__ == "__main__":
    main()
