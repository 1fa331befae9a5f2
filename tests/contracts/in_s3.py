"""Files in S3, of an offline cloud or of the account that the environment leads to."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator, Mapping


@contextlib.contextmanager
def in_s3(files: Mapping[str, str], bucket: str, *, empty: bool = False) -> Iterator[str]:
    """The files as objects below a new prefix, which is given, and with ``empty`` holds nothing at the end."""
    import boto3

    client = boto3.client("s3")
    prefix = f"contract-{uuid.uuid4().hex[:8]}/"
    try:
        for name, text in files.items():
            client.put_object(Bucket=bucket, Key=prefix + name, Body=text.encode())
        yield f"s3://{bucket}/{prefix}"
    finally:
        for name in files if empty else ():
            client.delete_object(Bucket=bucket, Key=prefix + name)
