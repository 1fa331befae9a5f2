"""What a batch prediction leaves in Cloud Storage: results and errors in shards, below a folder of its own.

https://cloud.google.com/vertex-ai/docs/predictions/get-batch-predictions#retrieve_batch_prediction_results
"""

from __future__ import annotations

import json
import re
from collections import Counter
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .site import Site

#: Files of results at most.
_SHARDS = 10


def directory(prefix: str, model: str, created: float) -> str:
    """The folder of a job's output: after the model's name, and the time (epoch seconds) at which the job was made."""
    moment = datetime.fromtimestamp(created, UTC)
    stamp = f"{moment:%Y_%m_%dT%H_%M_%S}_{moment.microsecond // 1000:03d}Z"
    return f"{prefix.rstrip('/')}/prediction-{re.sub(r'[^A-Za-z0-9_-]', '_', model)}-{stamp}"


class Output:
    """Collects what a job has predicted. As on the service, the order of the input is in the files no more.

    Args:
        site: where.
        folder: ``gs://bucket/...``.
        batches: how many requests there will be.
    """

    def __init__(self, site: Site, folder: str, batches: int) -> None:
        self._site, self.folder = site, folder
        self._results: list[list[str]] = [[] for _ in range(max(1, min(_SHARDS, batches)))]
        self._errors: Counter[str] = Counter()

    def predicted(self, batch: int, shown: dict[str, Any], prediction: Any) -> None:
        """One prediction, of the batch of that number."""
        line = json.dumps({**shown, "prediction": prediction}, ensure_ascii=False)
        self._results[batch % len(self._results)].append(line)

    def failed(self, text: str, count: int) -> None:
        """So many instances have failed for that reason."""
        self._errors[text] += count

    @property
    def errors(self) -> list[str]:
        """The reasons with their counts, as the errors' file has them."""
        return [repr((text, count)) for text, count in self._errors.items()]

    def write(self, *, part: bool = False) -> None:
        """Write the files; with ``part`` only the first half of those with results. Raises NotFound: the bucket."""
        shards = self._results[: len(self._results) // 2] if part else self._results
        for number, lines in enumerate(shards):
            self._put(f"prediction.results-{number:05d}-of-{len(self._results):05d}", lines)
        if not part:
            self._put("prediction.errors_stats-00000-of-00001", self.errors)

    def _put(self, name: str, lines: list[str]) -> None:
        bucket, _, prefix = self.folder.removeprefix("gs://").partition("/")
        data = "".join(f"{line}\n" for line in lines).encode()
        self._site.buckets.put(bucket, f"{prefix}/{name}", data, content_type="text/plain")
