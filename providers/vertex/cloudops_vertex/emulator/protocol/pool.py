"""The descriptors: services, methods, and classes of messages."""

from __future__ import annotations

import functools
import gzip
from collections.abc import Iterator
from importlib.resources import files
from typing import Any, cast

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.descriptor import Descriptor, FieldDescriptor, MethodDescriptor
from google.protobuf.message import Message

VERSIONS = ("v1", "v1beta1")
_PACKAGE = "google.cloud.aiplatform"
#: The package of each API, whose services have names of their own and paths that could be another's.
PACKAGES = (_PACKAGE, "google.logging.v2", "google.monitoring.v3", "google.cloud.resourcemanager.v3")
_HOSTS = {
    "logging.googleapis.com": "google.logging.v2",
    "monitoring.googleapis.com": "google.monitoring.v3",
    "cloudresourcemanager.googleapis.com": "google.cloud.resourcemanager.v3",
}


def package_of(host: str) -> str | None:
    """Which of :data:`PACKAGES` a host answers for; None for that of another API."""
    if host == "aiplatform.googleapis.com" or host.endswith(
        ("-aiplatform.googleapis.com", ".aiplatform.googleapis.com")
    ):
        return _PACKAGE
    return _HOSTS.get(host)


@functools.cache
def _loaded() -> tuple[Any, tuple[str, ...]]:
    """A pool of our own (the SDK in the same process has one of its own version), and the names of its files."""
    packed = files(__package__).joinpath("descriptors.binpb.gz").read_bytes()
    found = descriptor_pb2.FileDescriptorSet.FromString(gzip.decompress(packed))
    made: Any = descriptor_pool.DescriptorPool()
    for file in found.file:
        made.Add(file)
    return made, tuple(file.name for file in found.file)


def message(name: str) -> type[Message]:
    """The class of a message, such as ``google.longrunning.Operation``. Raises KeyError."""
    return class_of(_loaded()[0].FindMessageTypeByName(name))


def pool() -> Any:
    """The pool itself, by which messages within messages are found."""
    return _loaded()[0]


def of(version: str, name: str) -> type[Message]:
    """The class of one of Vertex AI's own messages: ``of("v1", "CustomJob")``. Raises KeyError."""
    return message(f"{_PACKAGE}.{version}.{name}")


def class_of(descriptor: Descriptor) -> type[Message]:
    """The class of a message that is described."""
    return message_factory.GetMessageClass(descriptor)


def methods(package: str = "") -> Iterator[MethodDescriptor]:
    """Every method of every service of an API, one of :data:`PACKAGES`, in all versions; of all of them without it."""
    found, names = _loaded()
    folders = tuple(one.replace(".", "/") + "/" for one in ([package] if package else PACKAGES))
    for name in names:
        if name.startswith(folders):
            for service in found.FindFileByName(name).services_by_name.values():
                yield from service.methods


def option(descriptor: FieldDescriptor | MethodDescriptor | Descriptor, name: str) -> Any:
    """An option with that name, such as ``google.api.http`` of a method; None, or an empty list, where it is unset."""
    extension = _loaded()[0].FindExtensionByName(name)
    given = descriptor.GetOptions()
    # Read again as a message of our pool, which knows the extension.
    options = cast("Any", message(given.DESCRIPTOR.full_name).FromString(given.SerializeToString()))
    if extension.is_repeated:
        return list(options.Extensions[extension])
    return options.Extensions[extension] if options.HasExtension(extension) else None


def method(name: str) -> MethodDescriptor:
    """A method by its full name, such as ``google.longrunning.Operations.GetOperation``. Raises KeyError."""
    return cast("MethodDescriptor", _loaded()[0].FindMethodByName(name))


def method_or_none(name: str) -> MethodDescriptor | None:
    """A method by its full name; None where there is none."""
    try:
        return method(name)
    except KeyError:
        return None
