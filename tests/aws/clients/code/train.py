"""A training script as SageMaker's own users write it: it knows /opt/ml and nothing of cloudops."""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

parser = argparse.ArgumentParser()
parser.add_argument("--slope", type=float, default=1.0)
arguments, _ = parser.parse_known_args()
data = Path(os.environ.get("SM_CHANNEL_TRAIN", "/opt/ml/input/data/train"))
model = Path(os.environ.get("SM_MODEL_DIR", "/opt/ml/model"))
rows = [line.split(",") for path in sorted(data.glob("*.csv")) for line in path.read_text().split()]
mean = sum(float(y) - arguments.slope * float(x) for x, y in rows) / len(rows)
print(f"rows={len(rows)} offset={mean}", flush=True)
(model / "model.json").write_text(json.dumps({"slope": arguments.slope, "offset": mean}))
