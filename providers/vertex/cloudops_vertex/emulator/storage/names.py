"""Which names buckets and objects can have, and which of them can be files."""

from __future__ import annotations

import re

from .errors import Invalid, Required

_BUCKET = re.compile(r"[a-z0-9][a-z0-9._-]*[a-z0-9]")
_ADDRESS = re.compile(r"\d+\.\d+\.\d+\.\d+")
#: Longest name of a file, in bytes.
_SEGMENT = 255


def check_bucket(name: str) -> None:
    """Raise :class:`Invalid` where no bucket can be named so.

    The rules are those of https://cloud.google.com/storage/docs/buckets#naming.
    """
    if len(name) < 3:
        raise Invalid(f"Bucket names must be at least 3 characters in length, got {len(name)}: '{name}'")
    parts = name.split(".")
    fits = len(name) <= (63 if len(parts) == 1 else 222) and all(0 < len(part) <= 63 for part in parts)
    reserved = name.startswith("goog") or "google" in name or "g00gle" in name
    if not fits or reserved or not _BUCKET.fullmatch(name) or _ADDRESS.fullmatch(name):
        raise Invalid(f"Invalid bucket name: '{name}'", code="InvalidBucketName")


def check_object(name: str) -> None:
    """Raise :class:`Invalid` where no object can be named so.

    The rules are those of https://cloud.google.com/storage/docs/objects#naming.
    """
    if not name:
        raise Required("name")
    size = len(name.encode("utf-8", "surrogatepass"))
    wrong = size > 1024 or "\r" in name or "\n" in name or name in (".", "..")
    if (
        wrong
        or name.startswith(".well-known/acme-challenge/")
        or any("\ud800" <= letter <= "\udfff" for letter in name)
    ):
        raise Invalid("The specified object name is not valid.", code="InvalidObjectName")


def is_folder(name: str) -> bool:
    """Whether Cloud Storage FUSE shows an object of that name as a folder."""
    return name.endswith("/")


def can_be_file(name: str) -> bool:
    """Whether an object of that name can be a file, or a folder, in a tree of folders."""
    segments = name.removesuffix("/").split("/")
    fit = all(part not in ("", ".", "..") and len(part.encode()) <= _SEGMENT for part in segments)
    return fit and "\0" not in name
