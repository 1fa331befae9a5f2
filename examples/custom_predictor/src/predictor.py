"""A predictor with its own validation, preprocessing and postprocessing."""

import json
import re
from pathlib import Path

from cloudops.runtime import BadRequest


def load(model_dir):
    """Called once when a replica starts."""
    return json.loads((Path(model_dir) / "scores.json").read_text())


def preprocess(instances):
    """Texts to lists of words; what cannot be one is the caller's mistake, not a failure of ours."""
    for number, instance in enumerate(instances):
        if not isinstance(instance, dict) or not isinstance(instance.get("text"), str):
            raise BadRequest(f'instance {number}: expected an object with a text, such as {{"text": "a good day"}}')
    return [re.findall(r"\w+", instance["text"].lower()) for instance in instances]


def predict(model, instances):
    """The sum of the words' scores."""
    return [sum(model.get(word, 0.0) for word in words) for words in instances]


def postprocess(predictions):
    """Scores to what callers want to read."""
    return [{"score": score, "mood": "good" if score > 0 else "bad" if score < 0 else "even"} for score in predictions]
