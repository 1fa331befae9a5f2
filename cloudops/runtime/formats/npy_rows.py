"""``application/x-npy`` bodies, read and written without NumPy.

Source of the format: NumPy Enhancement Proposal 1, "A Simple File Format for NumPy Arrays", versions 1 to 3. Object
arrays are refused: they are pickles, and reading one runs code.
"""

from __future__ import annotations

import ast
import math
import re
import struct
from collections.abc import Mapping, Sequence
from typing import Any

from cloudops.runtime.arrays import flattened, nested
from cloudops.runtime.errors import BadRequest, HttpError

from .json_rows import Batch

_MAGIC = b"\x93NUMPY"
_TEXT = re.compile(r"[<>|=]([US])([1-9]\d{0,8})", re.ASCII)
_CODES = {
    "b1": "?",
    "i1": "b",
    "i2": "h",
    "i4": "i",
    "i8": "q",
    "u1": "B",
    "u2": "H",
    "u4": "I",
    "u8": "Q",
    "f2": "e",
    "f4": "f",
    "f8": "d",
}


def read(body: bytes, _parameters: Mapping[str, str]) -> Batch:
    """The rows along the first axis of an array.

    Raises:
        BadRequest: it is no array, of a type other than numbers, booleans and text, has no rows or is cut short.
    """
    header, data = _header(body)
    shape, kind = header["shape"], header["descr"]
    if not shape or 0 in shape:
        raise BadRequest("the array is empty; its first axis must be that of the rows")
    flat = _values(data, kind, math.prod(shape))
    if header["fortran_order"]:
        return Batch(_transposed(flat, shape))
    return Batch(nested(flat, shape))


def write(predictions: list[Any]) -> bytes:
    """An array of the predictions: booleans, 64-bit integers, or doubles (None becomes NaN).

    Raises:
        HttpError: 406 when they are not numbers, or rows of different lengths.
    """
    try:
        flat, shape = flattened(predictions)
    except ValueError as error:
        raise HttpError(406, f"{error}, so they cannot be application/x-npy; accept JSON") from None
    kinds = {type(value) for value in flat}
    if kinds == {bool}:
        return _array("|b1", "?", flat, shape)
    if kinds == {int} and all(-(2**63) <= value < 2**63 for value in flat):
        return _array("<i8", "q", flat, shape)
    if kinds <= {float, int, bool, type(None)}:
        return _array("<f8", "d", [math.nan if value is None else float(value) for value in flat], shape)
    raise HttpError(406, "these predictions are not numbers, so they cannot be application/x-npy; accept JSON")


def _transposed(flat: Sequence[Any], shape: Sequence[int]) -> list[Any]:
    if len(shape) == 1:
        return list(flat)
    # Column-major: the first axis varies fastest, so row r is every shape[0]-th value, itself column-major.
    return [_transposed(flat[row :: shape[0]], shape[1:]) for row in range(shape[0])]


def _header(body: bytes) -> tuple[dict[str, Any], bytes]:
    wide = body[6:7] in (b"\x02", b"\x03")
    start = 12 if wide else 10
    if not body.startswith(_MAGIC) or len(body) < start or body[6:7] not in (b"\x01", b"\x02", b"\x03"):
        raise BadRequest("the body is not in the npy format, versions 1 to 3")
    end = start + int.from_bytes(body[8:start], "little")
    try:
        header = ast.literal_eval(body[start:end].decode("utf-8" if body[6] == 3 else "latin-1").strip())
        _check_header(header)
    except (ValueError, SyntaxError, TypeError, KeyError, MemoryError, RecursionError):
        raise BadRequest("the header of the npy body is damaged") from None
    return header, body[end:]


def _check_header(header: Any) -> None:
    shape = header["shape"]
    if not isinstance(shape, tuple) or not all(type(length) is int and length >= 0 for length in shape):
        raise ValueError(shape)
    if math.prod(shape) >= 2**63:  # longer than any body, and than a number may be in a message
        raise ValueError(shape)
    if not isinstance(header["fortran_order"], bool):
        raise TypeError(header["fortran_order"])


def _values(data: bytes, kind: Any, count: int) -> Sequence[Any]:
    if not isinstance(kind, str) or kind[:1] not in "<>|=" or len(kind) < 3:
        raise BadRequest(f"arrays of {kind!r} are not understood; send numbers, booleans or text")
    order = ">" if kind[0] == ">" else "<"
    text = _TEXT.fullmatch(kind)
    if text:
        return _texts(data, text[1], int(text[2]), order, count)
    code = _CODES.get(kind[1:])
    if code is None:
        raise BadRequest(f"arrays of {kind!r} are not understood; send numbers, booleans or text")
    return struct.unpack(f"{order}{count}{code}", _exactly(data, count * struct.calcsize(f"<{code}")))


def _texts(data: bytes, kind: str, length: int, order: str, count: int) -> list[str]:
    size = length * (4 if kind == "U" else 1)
    encoding = {"U<": "utf-32-le", "U>": "utf-32-be"}.get(kind + order, "latin-1")
    content = _exactly(data, size * count)
    try:
        return [content[at * size : (at + 1) * size].decode(encoding).rstrip("\0") for at in range(count)]
    except UnicodeDecodeError:
        raise BadRequest("the npy body holds text that is not Unicode") from None


def _exactly(data: bytes, size: int) -> bytes:
    if len(data) != size:
        raise BadRequest(f"the npy body has {len(data)} bytes of data, and its header asks for {size}")
    return data


def _array(kind: str, code: str, flat: Sequence[Any], shape: Sequence[int]) -> bytes:
    header = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {tuple(shape)!r}, }}"
    padding = -(10 + len(header) + 1) % 64
    text = f"{header}{' ' * padding}\n".encode("latin-1")
    return _MAGIC + b"\x01\x00" + struct.pack("<H", len(text)) + text + struct.pack(f"<{len(flat)}{code}", *flat)
