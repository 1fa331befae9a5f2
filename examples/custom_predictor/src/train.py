"""A model without a framework: word scores, learnt from a table, saved as JSON."""

import argparse
import csv
import json
from pathlib import Path

from cloudops.runtime import log_metric

parser = argparse.ArgumentParser()
parser.add_argument("--out", type=Path, required=True)
parser.add_argument("--words", type=Path, required=True)
arguments = parser.parse_args()

with arguments.words.open(encoding="utf-8") as file:
    scores = {row["word"]: float(row["score"]) for row in csv.DictReader(file)}
log_metric("words", len(scores))
(arguments.out / "scores.json").write_text(json.dumps(scores))
