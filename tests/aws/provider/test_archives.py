"""Files are put before a model's archive without touching it."""

from __future__ import annotations

import gzip
import io
import subprocess
import tarfile
from pathlib import Path

import pytest
from cloudops_sagemaker import archives

FILES = {"code/inference.py": b"hooks", "code/cloudops/" + "long" * 40 + ".py": b"x" * 513}


@pytest.fixture
def model(tmp_path: Path) -> bytes:
    folder = tmp_path / "model"
    (folder / "deeper").mkdir(parents=True)
    (folder / "model.bin").write_bytes(bytes(range(256)) * 40)
    (folder / "deeper" / "ü.json").write_text("{}")
    packed = io.BytesIO()
    archives.pack(folder, packed)
    return packed.getvalue()


def content(archive: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as opened:
        return {each.name: opened.extractfile(each).read() for each in opened if each.isfile()}  # type: ignore[union-attr]


@pytest.mark.parametrize("least", [0, 5 << 20])
def test_both_parts_are_one_archive(model: bytes, least: int, tmp_path: Path) -> None:
    beginning = archives.padded(archives.head(FILES), least)
    assert len(beginning) >= least
    whole = beginning + model
    assert content(whole) == {**FILES, **content(model)}
    path = tmp_path / "whole.tar.gz"
    path.write_bytes(whole)
    listed = subprocess.run(["tar", "tzf", str(path)], capture_output=True, text=True, check=True)
    assert len(listed.stdout.splitlines()) == 4
    assert gzip.decompress(whole)


def test_the_same_files_are_the_same_bytes(tmp_path: Path, model: bytes) -> None:
    assert archives.head(FILES) == archives.head(dict(reversed(FILES.items())))
    again = io.BytesIO()
    archives.pack(tmp_path / "model", again)
    assert again.getvalue() == model


def test_an_archive_without_files_holds_none(tmp_path: Path, model: bytes) -> None:
    assert archives.holds_files(model)
    (tmp_path / "empty").mkdir()
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        archive.add(tmp_path / "empty", ".")
    assert not archives.holds_files(packed.getvalue())
    assert not archives.holds_files(b"damaged")
