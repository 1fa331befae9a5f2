"""CRC32C (Castagnoli), which Cloud Storage has of every object.

Where ``google-crc32c`` is not installed, numpy computes it in many lanes side by side: the CRC of a whole is linear in
those of its parts (https://www.rfc-editor.org/rfc/rfc3720, appendix B.4, has the polynomial).
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

_POLYNOMIAL = 0x82F63B78  # reflected
#: Lanes and bytes in each lane: of large blocks, and of what is left of them.
_BLOCKS = ((4096, 256), (256, 64))


class Checksum(Protocol):
    """A sum over bytes that come in pieces, as in :mod:`hashlib`."""

    def update(self, piece: bytes, /) -> None:
        """Take these bytes in."""

    def digest(self) -> bytes:
        """The sum; four bytes, big-endian."""


def checksum() -> Checksum:
    """A sum over nothing as yet."""
    try:
        from google_crc32c import Checksum as Fast
    except ImportError:
        return Lanes()
    fast: Checksum = Fast()  # type: ignore[no-untyped-call]
    return fast


class Lanes:
    """The sum without a compiled extension, about 200 MB/s."""

    def __init__(self) -> None:
        self._value = 0xFFFFFFFF

    def update(self, piece: bytes, /) -> None:
        """Take these bytes in."""
        start = 0
        for lanes, length in _BLOCKS:
            size = lanes * length
            while len(piece) - start >= size:
                block = _block(piece[start : start + size], lanes, length)
                self._value = _apply(_shift(size), self._value) ^ block
                start += size
        value, table = self._value, _table()
        for byte in piece[start:]:
            value = table[(value ^ byte) & 0xFF] ^ (value >> 8)
        self._value = value

    def digest(self) -> bytes:
        """The sum."""
        return (self._value ^ 0xFFFFFFFF).to_bytes(4, "big")


def _block(data: bytes, lanes: int, length: int) -> int:
    """The register after ``data`` where it was 0 before: that of each lane, joined two by two."""
    import numpy as np

    table = _array(tuple(_table()))
    columns = np.ascontiguousarray(np.frombuffer(data, dtype=np.uint8).reshape(lanes, length).T)
    value = np.zeros(lanes, dtype=np.uint32)
    for column in columns:
        value = table[(value ^ column) & 0xFF] ^ (value >> 8)
    span = length
    while len(value) > 1:
        value = _shifted(span, value[0::2]) ^ value[1::2]
        span *= 2
    return int(value[0])


def _shifted(count: int, value: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint32]:
    """Registers after ``count`` zero bytes."""
    tables = _byte_tables(count)
    result: npt.NDArray[np.uint32] = tables[0][value & 0xFF]
    for index in (1, 2, 3):
        result = result ^ tables[index][(value >> (8 * index)) & 0xFF]
    return result


@functools.cache
def _byte_tables(count: int) -> list[npt.NDArray[np.uint32]]:
    """What ``count`` zero bytes make of each value of each byte of a register."""
    matrix = _shift(count)
    return [_array(tuple(_apply(matrix, value << (8 * byte)) for value in range(256))) for byte in range(4)]


@functools.cache
def _array(values: tuple[int, ...]) -> Any:
    import numpy as np

    return np.array(values, dtype=np.uint32)


@functools.cache
def _table() -> list[int]:
    """What one byte makes of the register."""
    values = []
    for value in range(256):
        for _ in range(8):
            value = (value >> 1) ^ (_POLYNOMIAL if value & 1 else 0)
        values.append(value)
    return values


@functools.cache
def _shift(count: int) -> tuple[int, ...]:
    """What ``count`` zero bytes make of each bit of the register, by squaring."""
    if count == 1:
        table = _table()
        return tuple(table[(1 << bit) & 0xFF] ^ ((1 << bit) >> 8) for bit in range(32))
    half = _shift(count // 2)
    twice = tuple(_apply(half, column) for column in half)
    return tuple(_apply(_shift(1), column) for column in twice) if count % 2 else twice


def _apply(matrix: Sequence[int], value: int) -> int:
    result = 0
    for bit in range(value.bit_length()):
        if value >> bit & 1:
            result ^= matrix[bit]
    return result
