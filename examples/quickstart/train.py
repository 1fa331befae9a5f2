"""Breast cancer with scikit-learn: train, measure, save."""

import os
from pathlib import Path

import joblib
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import train_test_split

from cloudops.runtime import log_metric, params

X, y = load_breast_cancer(return_X_y=True, as_frame=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.3, random_state=0)

model = RandomForestClassifier(n_estimators=params().get("trees", 100), random_state=0)
model.fit(X_train, y_train)

log_metric("accuracy", model.score(X_test, y_test))
joblib.dump(model, Path(os.environ["CLOUDOPS_MODEL_DIR"]) / "model.joblib")
