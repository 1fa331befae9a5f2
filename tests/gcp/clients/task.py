import argparse
import os

import joblib
import numpy as np
from sklearn.linear_model import LinearRegression

parser = argparse.ArgumentParser()
parser.add_argument("--slope", type=float, required=True)
slope = parser.parse_args().slope
x = np.arange(10.0).reshape(-1, 1)
# Cloud Storage FUSE shows the buckets at /gcs; offline it may lie elsewhere.
root = os.environ.get("CLOUDOPS_GCS", "/gcs")
folder = os.environ["AIP_MODEL_DIR"].replace("gs:/", root, 1)
os.makedirs(folder, exist_ok=True)
joblib.dump(LinearRegression().fit(x, slope * x[:, 0]), os.path.join(folder, "model.joblib"))
print("trained with slope", slope)
