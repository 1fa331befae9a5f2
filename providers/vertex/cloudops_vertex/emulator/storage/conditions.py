"""On what state of an object or bucket a request is made conditional."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Protocol

from .errors import Invalid, NotModified, PreconditionFailed

_NAMES = {
    "generation_match": "GenerationMatch",
    "generation_not_match": "GenerationNotMatch",
    "metageneration_match": "MetagenerationMatch",
    "metageneration_not_match": "MetagenerationNotMatch",
}
_HEADERS = {name: "-".join(("", *name.split("_"))) for name in _NAMES}


class Versioned(Protocol):
    """What conditions can be on."""

    @property
    def generation(self) -> int:
        """Of the content; 0 for none."""

    @property
    def metageneration(self) -> int:
        """Of the settings."""

    @property
    def etag(self) -> str:
        """Of both."""


@dataclass(frozen=True, slots=True)
class Conditions:
    """What has to hold; None for what may be anything.

    Where there is no object, ``generation_match`` of 0 holds and no other condition does
    (https://cloud.google.com/storage/docs/request-preconditions).

    Args:
        generation_match: the generation has to be this one; 0: there has to be no object.
        generation_not_match: the generation has to be another one; 0: there has to be an object.
        metageneration_match: the metageneration has to be this one.
        metageneration_not_match: the metageneration has to be another one.
        etag_match: the ETag has to be one of these; ``*`` is any.
        etag_not_match: the ETag has to be none of these.
    """

    generation_match: int | None = None
    generation_not_match: int | None = None
    metageneration_match: int | None = None
    metageneration_not_match: int | None = None
    etag_match: tuple[str, ...] = ()
    etag_not_match: tuple[str, ...] = ()

    def with_tag(self, known: str, tag: str) -> Conditions:
        """The same, with ``tag`` in the place of ``known``: the APIs have different ETags for an object."""

        def renamed(tags: tuple[str, ...]) -> tuple[str, ...]:
            return tuple(tag if one == known else one for one in tags)

        return replace(self, etag_match=renamed(self.etag_match), etag_not_match=renamed(self.etag_not_match))

    def check(self, found: Versioned | None, *, reading: bool = False) -> None:
        """Raise where they do not hold of ``found``, which is None where there is nothing.

        Args:
            found: what is there.
            reading: whether the request only reads: it is told that what it has is still valid.

        Raises:
            PreconditionFailed: a condition does not hold.
            NotModified: the reader has what is there.
        """
        generation = found.generation if found else 0
        metageneration = found.metageneration if found else None
        tags = {found.etag, "*"} if found else set()
        if self.generation_match is not None and generation != self.generation_match:
            raise PreconditionFailed()
        if self.metageneration_match is not None and metageneration != self.metageneration_match:
            raise PreconditionFailed()
        if self.etag_match and not tags.intersection(self.etag_match):
            raise PreconditionFailed()
        same_content = self.generation_not_match is not None and generation == self.generation_not_match
        gone = self.generation_not_match is not None and found is None
        same_settings = self.metageneration_not_match is not None and metageneration in (
            None,
            self.metageneration_not_match,
        )
        if same_content or gone or same_settings or tags.intersection(self.etag_not_match):
            raise NotModified() if reading and found else PreconditionFailed("If-None-Match")


#: No condition.
NONE = Conditions()


def of_query(query: Mapping[str, str], headers: Mapping[str, str]) -> Conditions:
    """Those of a request of the JSON API; ``headers`` are by lower-case name."""
    return _with_tags(_numbers(query, "if", _NAMES), headers)


def of_source(query: Mapping[str, str]) -> Conditions:
    """Those on the source of a copy, in the JSON API."""
    return _numbers(query, "ifSource", _NAMES)


def of_headers(headers: Mapping[str, str]) -> Conditions:
    """Those of a request of the XML API; ``headers`` are by lower-case name."""
    return _with_tags(_numbers(headers, "x-goog-if", _HEADERS), headers)


def of_source_headers(headers: Mapping[str, str]) -> Conditions:
    """Those on the source of a copy, in the XML API."""
    return _numbers(headers, "x-goog-copy-source-if", _HEADERS)


def _numbers(values: Mapping[str, str], prefix: str, names: Mapping[str, str]) -> Conditions:
    found = {field: _number(values, f"{prefix}{name}") for field, name in names.items()}
    return Conditions(**found)  # type: ignore[arg-type]


def _number(values: Mapping[str, str], name: str) -> int | None:
    text = values.get(name)
    if text is None:
        return None
    if not text.isdecimal():
        raise Invalid(f"Invalid value '{text}' for {name}.", name)
    return int(text)


def _with_tags(found: Conditions, headers: Mapping[str, str]) -> Conditions:
    return replace(found, etag_match=_split(headers, "if-match"), etag_not_match=_split(headers, "if-none-match"))


def _split(headers: Mapping[str, str], name: str) -> tuple[str, ...]:
    tags = (tag.strip().removeprefix("W/").strip('"') for tag in headers.get(name, "").split(","))
    return tuple(tag for tag in tags if tag)
