"""The recorded exchanges, played against the emulator: what was accepted is accepted, what was refused is refused.

Every field of a recorded answer has to be in ours, of the same type, and with the same value where that depends on
neither time nor ids. :data:`DEVIATIONS` lists where that is not so, each with its reason.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from gcp.recordings import Exchange, exchanges

from .rig import Cloud

#: Files that are not played, and why.
NOT_PLAYED = {
    "pipeline_job": "pipelines are not emulated: running one needs what its components' images hold",
    "schedule": "schedules start pipelines, which are not emulated",
    "service_disabled_403": "of a service whose hosts are not emulated; no service is disabled offline",
}
#: Paths of fields that are not compared, by file and number of the exchange, and why.
DEVIATIONS = {
    (
        "tensorboard",
        0,
        "status",
    ): "an id that is no number is refused; the recorder has put its placeholder for that id",
    ("tensorboard", 4, "response.isDefault"): "the recorder's project had made it its default",
}
#: Values that depend on time or ids: their types are compared.
_VARYING = re.compile(
    r"(.*[tT]ime|.*etag|.*\.?name|name|.*gcsBucket|.*metadataArtifact|.*blobStoragePathPrefix|createPipelineJobRequest.*)"
)


def differences(recorded: Any, ours: Any, path: str = "") -> Iterator[str]:
    if isinstance(recorded, (int, float)) and recorded == ours:
        return
    if type(recorded) is not type(ours):
        yield f"{path}: recorded {recorded!r}, ours {ours!r}"
    elif isinstance(recorded, dict):
        for key, value in recorded.items():
            place = f"{path}.{key}".lstrip(".")
            if key in ours:
                yield from differences(value, ours[key], place)
            else:
                yield f"{place}: recorded {value!r}, ours has none"
    elif isinstance(recorded, list):
        if len(recorded) != len(ours):
            yield f"{path}: recorded {len(recorded)} items, ours has {len(ours)}"
        for number, (one, other) in enumerate(zip(recorded, ours, strict=False)):
            yield from differences(one, other, f"{path}[{number}]")
    elif recorded != ours and not _VARYING.fullmatch(path):
        yield f"{path}: recorded {recorded!r}, ours {ours!r}"


class Player:
    """Plays exchanges in their order: the ids that the recorder got stand for those that we give."""

    def __init__(self, cloud: Cloud) -> None:
        self._cloud = cloud
        self._names: dict[str, str] = {}

    def play(self, one: Exchange) -> tuple[int, Any]:
        path = self._ours(one.path)
        if one.verb == "GRPC":
            method = one.path.strip("/").replace("/", ".")
            code, text, answer = self._cloud.grpc(method, json.loads(self._ours(json.dumps(one.body))))
            return code, answer if not code else f"rpc error: {text}"
        query = "&".join(f"{key}={value}" for key, values in one.query.items() for value in values)
        data = json.dumps(one.body).encode() if one.body else b""
        answer = self._cloud.send(one.verb, f"{path}?{query}", data, host=one.host)
        return answer.status, answer.json

    def learn(self, recorded: Any, ours: Any) -> None:
        """Take our names for the recorded ones in what follows."""
        if isinstance(recorded, dict) and isinstance(ours, dict):
            before, now = recorded.get("name"), ours.get("name")
            if isinstance(before, str) and isinstance(now, str):
                for was, got in zip(before.split("/"), now.split("/"), strict=False):
                    if was != got:
                        self._names[was] = got

    def _ours(self, text: str) -> str:
        for was, got in self._names.items():
            text = re.sub(rf"(?<=/){re.escape(was)}(?=[/?\"]|$)", got, text)
        return text


NAMES = ("custom_job", "dataset", "endpoint", "study", "tensorboard")


@pytest.mark.parametrize("name", NAMES)
def test_recorded_exchanges_go_as_they_went(name: str, cloud: Cloud) -> None:
    player, problems = Player(cloud), []
    for number, one in enumerate(exchanges(name)):
        status, ours = player.play(one)
        if one.verb == "GRPC":
            assert (status == 0) == (one.status == "OK"), (one.name, ours)
            if status:
                assert one.answer.endswith(ours.removeprefix("rpc error: ")), (one.answer, ours)
                continue
        else:
            assert (name, number, "status") in DEVIATIONS or str(status) == one.status, (one.name, ours)
            if str(status) != one.status:
                continue
        player.learn(one.answer, ours)
        recorded = json.loads(player._ours(json.dumps(one.answer)))
        for problem in differences(recorded, ours):
            if (name, number, problem.partition(":")[0]) not in DEVIATIONS:
                problems.append(f"{one.name} {problem}")
    assert not problems, "\n".join(problems)


def test_every_recording_is_played_or_has_a_reason_not_to_be() -> None:
    from gcp.recordings import _FOLDER

    assert {path.stem for path in _FOLDER.glob("*.json")} == {*NAMES, *NOT_PLAYED}
