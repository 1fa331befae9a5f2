"""The hooks of SageMaker's inference toolkits."""

from __future__ import annotations

import json
from pathlib import Path


def model_fn(model_dir):
    return json.loads((Path(model_dir) / "model.json").read_text())


def input_fn(body, content_type):
    if content_type != "text/csv":
        raise ValueError(f"unsupported content type {content_type}")
    text = body.decode() if isinstance(body, bytes) else body
    return [float(cell) for cell in text.split()]


def predict_fn(rows, model):
    return [model["slope"] * x + model["offset"] for x in rows]


def output_fn(predictions, accept):
    return json.dumps(predictions), "application/json"
