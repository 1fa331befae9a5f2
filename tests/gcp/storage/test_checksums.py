from __future__ import annotations

import os
from base64 import b64encode

import google_crc32c
import pytest
from cloudops_vertex.emulator.storage import digests
from cloudops_vertex.emulator.storage.crc32c import Lanes
from cloudops_vertex.emulator.storage.errors import BadDigest, Invalid


@pytest.mark.parametrize("size", [0, 1, 9, 16_383, 16_384, 16_385, 1 << 20, (1 << 20) + 70_001])
def test_without_the_extension_the_checksum_is_the_same(size: int) -> None:
    data, ours = os.urandom(size), Lanes()
    ours.update(data[: size // 3])
    ours.update(data[size // 3 :])
    assert int.from_bytes(ours.digest(), "big") == google_crc32c.value(data)


def test_the_checksum_is_the_one_of_the_standard() -> None:
    ours = Lanes()
    ours.update(b"123456789")
    assert ours.digest().hex() == "e3069283"


def test_checksums_are_read_from_a_header() -> None:
    assert digests.given("crc32c=AAAAAA==,md5=1B2M2Y8AsgTpgAmY7PhCfg==") == {
        "crc32c": "AAAAAA==",
        "md5": "1B2M2Y8AsgTpgAmY7PhCfg==",
    }


def test_a_checksum_that_is_not_of_the_bytes_is_refused() -> None:
    digests.check({"md5": digests.EMPTY.md5, "crc32c": None}, digests.EMPTY)
    with pytest.raises(BadDigest, match="CRC32C"):
        digests.check({"crc32c": b64encode(b"1234").decode()}, digests.EMPTY)
    with pytest.raises(Invalid, match="Invalid MD5"):
        digests.check({"md5": "AAAA"}, digests.EMPTY)
