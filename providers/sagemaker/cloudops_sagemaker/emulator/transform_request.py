"""What CreateTransformJob is given: checked, and completed with what the service supplies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .operations import invalid

_UNSUPPORTED = {
    "DataCaptureConfig": "capture of a transform's data",
    "ExperimentConfig": "experiments",
}
#: MB of all payloads that are under way at once.
_MOST = 100


def completed(params: Mapping[str, Any]) -> dict[str, Any]:
    """The request with its defaults.

    Raises:
        ServiceError: it contradicts itself, or asks for what is not emulated.
    """
    for member, what in _UNSUPPORTED.items():
        if member in params:
            raise invalid(f"{member} ({what}) is not emulated by the offline cloud")
    source = {"CompressionType": "None", "SplitType": "None", **params["TransformInput"]}
    _check_input(source)
    split = source["SplitType"] == "Line"
    output = {"AssembleWith": "None", **params["TransformOutput"]}
    strategy = params.get("BatchStrategy", "MultiRecord" if split else None)
    if strategy is not None and not split:
        raise invalid("BatchStrategy needs a SplitType: set SplitType to Line.")
    _check_processing(params.get("DataProcessing", {}))
    most, at_once = params.get("MaxPayloadInMB", 6), params.get("MaxConcurrentTransforms", 0)
    if most * max(at_once, 1) > _MOST:
        raise invalid(f"MaxConcurrentTransforms * MaxPayloadInMB must not be more than {_MOST} MB.")
    if not most and split:
        raise invalid("MaxPayloadInMB of 0 (no limit) needs SplitType None.")
    found = {**params, "TransformInput": source, "TransformOutput": output, "MaxPayloadInMB": most}
    found |= {"MaxConcurrentTransforms": at_once} | ({"BatchStrategy": strategy} if strategy else {})
    found.pop("Tags", None)
    return found


def _check_input(source: Mapping[str, Any]) -> None:
    if source["SplitType"] not in ("None", "Line"):
        raise invalid(f"SplitType {source['SplitType']} is not emulated by the offline cloud; use None or Line")
    kind = source["DataSource"]["S3DataSource"]["S3DataType"]
    if kind not in ("S3Prefix", "ManifestFile"):
        raise invalid(f"S3DataType {kind} is not emulated by the offline cloud; use S3Prefix or ManifestFile")


def _check_processing(given: Mapping[str, Any]) -> None:
    for member in ("InputFilter", "OutputFilter"):
        if given.get(member, "$") != "$":
            raise invalid(f"DataProcessing.{member} is not emulated by the offline cloud; leave it out")
    if given.get("JoinSource", "None") != "None":
        raise invalid(
            "DataProcessing.JoinSource Input is not emulated by the offline cloud; join records by their order, which "
            "is kept"
        )
