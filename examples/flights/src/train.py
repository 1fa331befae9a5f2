"""Trains gradient boosting on the prepared flights."""

import argparse
import os
from pathlib import Path

import joblib
import pandas as pd
from features import CATEGORIES, NUMBERS, frame
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.metrics import roc_auc_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OrdinalEncoder

from cloudops.runtime import log_metric


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", required=True)
    parser.add_argument("--lr", type=float, default=0.1)
    parser.add_argument("--max-iter", type=int, default=100)
    arguments = parser.parse_args()

    table = pd.read_parquet(arguments.data)
    log_metric("rows", len(table))
    codes = OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1, encoded_missing_value=-1)
    model = make_pipeline(
        ColumnTransformer([("categories", codes, CATEGORIES), ("numbers", "passthrough", NUMBERS)]),
        HistGradientBoostingClassifier(
            learning_rate=arguments.lr, max_iter=arguments.max_iter, early_stopping=False, random_state=0
        ),
    )
    model.fit(frame(table), table["late"])
    log_metric("train_auc", roc_auc_score(table["late"], model.predict_proba(frame(table))[:, 1]))
    joblib.dump(model, Path(os.environ["CLOUDOPS_MODEL_DIR"]) / "model.joblib")


if __name__ == "__main__":
    main()
