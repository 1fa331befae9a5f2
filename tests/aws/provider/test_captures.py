"""SageMaker's captured requests are read back as rows and predictions."""

from __future__ import annotations

import base64
import json
from datetime import UTC, datetime
from typing import Any

from cloudops_sagemaker import captures
from cloudops_sagemaker.names import Place

FOLDER = Place("models", "cloudops/small/endpoints/small/capture")
NOON = datetime(2026, 1, 31, 12, tzinfo=UTC).timestamp()


def line(
    sent: Any, received: Any = None, *, kind: str = "application/json", at: str = "2026-01-31T12:00:00Z", **meta: str
) -> bytes:
    encoding = {"application/json": "JSON", "text/csv": "CSV"}.get(kind, "BASE64")
    record = {
        "captureData": {
            "endpointInput": {"observedContentType": kind, "mode": "INPUT", "data": sent, "encoding": encoding},
            "endpointOutput": {
                "observedContentType": "application/json",
                "mode": "OUTPUT",
                "data": json.dumps({"predictions": received}),
                "encoding": "JSON",
            },
        },
        "eventMetadata": {"eventId": "e", "inferenceTime": at, **meta},
        "eventVersion": "0",
    }
    return json.dumps(record).encode()


def test_json_csv_and_arrays_are_rows() -> None:
    found = captures.parse(line('{"instances": [{"x": 1}]}', [2]), "v1")
    assert found is not None
    assert (found.time, found.version, found.inputs, found.outputs) == (NOON, "v1", [{"x": 1}], [2])
    found = captures.parse(line("1,2\n3,4\n", [3, 7], kind="text/csv"), "v1")
    assert found is not None
    assert (found.inputs, found.outputs) == ([[1, 2], [3, 4]], [3, 7])
    import io

    import numpy as np

    body = io.BytesIO()
    np.save(body, np.array([[1.0, 2.0]]))
    found = captures.parse(line(base64.b64encode(body.getvalue()).decode(), [3], kind="application/x-npy"), "v1")
    assert found is not None
    assert (found.inputs, found.outputs) == ([[1.0, 2.0]], [3])


def test_what_cannot_be_read_is_passed_over() -> None:
    assert captures.parse(b"{damaged", "v1") is None
    assert captures.parse(b'{"captureData": {}}', "v1") is None
    assert captures.parse(line("not json", [1]), "v1") is None
    assert captures.parse(line('{"instances": [[1], [2]]}', [1]), "v1") is None


def test_the_version_is_that_of_the_variant_or_of_the_configuration() -> None:
    assert captures.version_in("01234567", "main") == "01234567"
    assert captures.version_in("01234567", "v-89abcdef") == "89abcdef"


class Bucket:
    """Objects by their name below the folder."""

    def __init__(self, objects: dict[str, bytes]) -> None:
        self._objects = objects
        self.read: list[str] = []

    def sizes(self, place: Place) -> list[tuple[str, int]]:
        return [(name, len(body)) for name, body in self._objects.items()]

    def get(self, place: Place) -> bytes:
        name = place.key.removeprefix(f"{FOLDER.key}/")
        self.read.append(name)
        return self._objects[name]


def test_a_window_is_read_in_order_and_no_other_hours() -> None:
    name = "01234567/small/main/2026/01/31/{}/59-00-000-id.jsonl".format
    bucket = Bucket(
        {
            name(12): b"\n".join(
                [
                    line("[[2]]", [2], inferenceId=f"cloudops-{NOON + 2.5:.6f}-00000000"),
                    line("[[1]]", [1], at="2026-01-31T12:00:01Z"),
                    line("[[9]]", [9], at="2026-01-31T12:30:00Z"),
                ]
            ),
            name("07"): line("[[7]]", [7], at="2026-01-31T07:00:00Z"),
            "strange.txt": b"",
        }
    )

    def rows(since: float, until: float) -> list[Any]:
        return [each.inputs for each in captures.read(bucket, FOLDER, since, until)]  # type: ignore[arg-type]

    assert rows(NOON, NOON + 10) == [[[1]], [[2]]]
    assert bucket.read == [name(12)]
    assert rows(NOON + 1.9, NOON + 10) == [[[1]], [[2]]], "a time that was rounded down may have been later"
    assert rows(NOON + 2.1, NOON + 10) == [[[2]]]
    assert rows(NOON + 2.6, NOON + 10) == [], "a time of ours is exact"
