"""Cloud Storage on this machine: objects that are files at the same time."""

from __future__ import annotations

from .api import StorageApi
from .buckets import Buckets
from .identify import identify, subjects
from .refusals import refuse
from .things import Bucket, Object

__all__ = ["Bucket", "Buckets", "Object", "StorageApi", "identify", "refuse", "subjects"]
