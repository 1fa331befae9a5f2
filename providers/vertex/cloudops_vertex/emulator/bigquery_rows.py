"""Rows of tables: what a client sends of them is checked by the schema, and how the REST API shows them.

https://cloud.google.com/bigquery/docs/reference/rest/v2/tabledata/list
"""

from __future__ import annotations

import base64
import binascii
import json
import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from .bigquery_errors import BigQueryError

Schema = Sequence[Mapping[str, Any]]
_NAMES = {"INT64": "INTEGER", "FLOAT64": "FLOAT", "BOOL": "BOOLEAN", "STRUCT": "RECORD", "DECIMAL": "NUMERIC"}
_TYPES = {
    "STRING",
    "BYTES",
    "INTEGER",
    "FLOAT",
    "BOOLEAN",
    "TIMESTAMP",
    "NUMERIC",
    "JSON",
    "RECORD",
    "DATE",
    "DATETIME",
}
_MODES = ("NULLABLE", "REQUIRED", "REPEATED")


class BadValue(Exception):
    """A value that its column does not take.

    Args:
        where: the column.
        text: why.
    """

    def __init__(self, where: str, text: str) -> None:
        super().__init__(text)
        self.where, self.text = where, text


def schema(given: Any) -> list[dict[str, Any]]:
    """The fields of a schema, with the types' names as they are shown.

    Raises:
        BigQueryError: it is none, or has a type that is not emulated.
    """
    found = []
    for one in given if isinstance(given, list) else ():
        kind = str(one.get("type", "")).upper()
        kind = _NAMES.get(kind, kind)
        mode = str(one.get("mode") or "NULLABLE").upper()
        if not one.get("name") or mode not in _MODES:
            raise BigQueryError("invalid", f"Invalid field in the schema: {json.dumps(one)}")
        if kind not in _TYPES:
            raise BigQueryError("notImplemented", f"The offline cloud keeps no columns of the type {kind or 'none'}.")
        more = {"fields": schema(one.get("fields"))} if kind == "RECORD" else {}
        found.append({**one, "type": kind, "mode": mode, **more})
    return found


def taken(row: Any, fields: Schema, *, ignore: bool = False, where: str = "") -> dict[str, Any]:
    """A row as it is kept, from what a client sent; with ``ignore`` what the schema does not have is left out.

    Raises:
        BadValue: a value does not fit.
    """
    if not isinstance(row, Mapping):
        raise BadValue(where, "This field is not a record." if where else "Invalid row: it is no object.")
    known = {str(one["name"]).lower(): one for one in fields}
    given = {str(name).lower(): value for name, value in row.items()}
    unknown = [name for name in given if name not in known]
    if unknown and not ignore:
        raise BadValue(f"{where}{unknown[0]}", f"no such field: {where}{unknown[0]}.")
    found: dict[str, Any] = {}
    for name, field in known.items():
        value, place = given.get(name), f"{where}{field['name']}"
        if field["mode"] == "REPEATED":
            listed = value if isinstance(value, list) else [] if value is None else [value]
            found[str(field["name"])] = [_value(one, field, place, ignore=ignore) for one in listed]
        elif value is None:
            if field["mode"] == "REQUIRED":
                raise BadValue(place, f"Missing required field: {place}.")
            found[str(field["name"])] = None
        else:
            found[str(field["name"])] = _value(value, field, place, ignore=ignore)
    return found


def _value(value: Any, field: Mapping[str, Any], place: str, *, ignore: bool) -> Any:
    kind = field["type"]
    try:
        if kind == "RECORD":
            return taken(value, field["fields"], ignore=ignore, where=f"{place}.")
        if isinstance(value, (dict, list)) and kind != "JSON":
            raise ValueError("This field is not a record.")
        return _READ[kind](value)
    except (ValueError, TypeError, InvalidOperation, binascii.Error, OverflowError):
        shown = json.dumps(value, default=str)[:100]
        raise BadValue(place, f"Cannot convert value to {kind.lower()} (bad value): {shown}") from None


def _integer(value: Any) -> int:
    if isinstance(value, bool) or not -(2**63) <= (found := int(str(value))) < 2**63:
        raise ValueError(value)
    return found


def _boolean(value: Any) -> bool:
    text = str(value).lower()
    if text not in ("true", "false"):
        raise ValueError(value)
    return text == "true"


def _timestamp(value: Any) -> int:
    """Microseconds since the epoch; what is sent is seconds, or a text."""
    try:
        seconds = Decimal(str(value))
    except InvalidOperation:
        text = str(value).strip().replace(" UTC", "Z")
        found = datetime.fromisoformat(text)
        found = found if found.tzinfo else found.replace(tzinfo=UTC)
        return round(found.timestamp() * 10**6)
    return int((seconds * 10**6).to_integral_value())


def _number(value: Any) -> str:
    found = Decimal(str(value))
    if not found.is_finite():
        raise ValueError(value)
    return format(found, "f")


def _text(value: Any) -> str:
    return ("true" if value else "false") if isinstance(value, bool) else str(value)


_READ: Mapping[str, Any] = {
    "STRING": _text,
    "DATE": _text,
    "DATETIME": _text,
    "BYTES": lambda value: base64.b64encode(base64.b64decode(str(value), validate=True)).decode(),
    "INTEGER": _integer,
    "FLOAT": float,
    "BOOLEAN": _boolean,
    "TIMESTAMP": _timestamp,
    "NUMERIC": _number,
    "JSON": lambda value: value if isinstance(value, str) else json.dumps(value),
}


def shown(row: Mapping[str, Any], fields: Schema, times: str = "") -> dict[str, Any]:
    """A row as the REST API shows it.

    Args:
        row: as :func:`taken` gave it.
        fields: those that are wanted.
        times: how timestamps are shown: as seconds (empty), ``int64`` (microseconds) or ``iso``.
    """
    return {"f": [{"v": _cell(row.get(str(one["name"])), one, times)} for one in fields]}


def _cell(value: Any, field: Mapping[str, Any], times: str) -> Any:
    if field["mode"] == "REPEATED":
        return [{"v": _scalar(one, field, times)} for one in value or ()]
    return None if value is None else _scalar(value, field, times)


def _scalar(value: Any, field: Mapping[str, Any], times: str) -> Any:
    kind = field["type"]
    if kind == "RECORD":
        return shown(value, field["fields"], times)
    if kind == "TIMESTAMP":
        return _moment(value, times)
    if kind == "FLOAT" and (math.isnan(value) or math.isinf(value)):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return _text(value)


def _moment(value: int, times: str) -> str:
    if times == "int64":
        return str(value)
    if times == "iso":
        found = datetime.fromtimestamp(value // 10**6, UTC)
        return f"{found:%Y-%m-%dT%H:%M:%S}.{value % 10**6:06d}Z"
    return repr(value / 10**6)
