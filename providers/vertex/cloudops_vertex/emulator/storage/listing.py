"""What of a bucket is on one page of a list."""

from __future__ import annotations

import binascii
from base64 import b64decode, urlsafe_b64encode
from collections.abc import Iterable
from dataclasses import dataclass, field

from .errors import Invalid
from .globs import compiled
from .things import Object

#: Most entries on a page.
LARGEST = 1000


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a client asks for.

    Args:
        prefix: of the names.
        delimiter: names that have it behind the prefix are shown as the part up to it, once.
        trailing: whether a name that ends with its only delimiter is shown as an object, too.
        start: the first name.
        end: the first name that is not wanted any more; empty for none.
        glob: a pattern of the names; empty for all.
        limit: most entries.
        after: the last entry of the page before; empty for none.
    """

    prefix: str = ""
    delimiter: str = ""
    trailing: bool = False
    start: str = ""
    end: str = ""
    glob: str = ""
    limit: int = LARGEST
    after: str = ""

    def takes(self, name: str) -> bool:
        """Whether an object of that name can be on the page."""
        inside = name >= self.start and name > self.after and (not self.end or name < self.end)
        return inside and (not self.glob or compiled(self.glob).fullmatch(name) is not None)

    def group(self, name: str) -> str:
        """The part of a name under which it is shown; empty where it is shown as itself."""
        at = name.find(self.delimiter, len(self.prefix)) if self.delimiter else -1
        return name[: at + len(self.delimiter)] if at >= 0 else ""


@dataclass(slots=True)
class Page:
    """Objects and common parts of names, each in order; ``last`` is the last entry where there are more."""

    items: list[Object] = field(default_factory=list)
    prefixes: list[str] = field(default_factory=list)
    last: str = ""


def page(objects: Iterable[Object], wanted: Wanted) -> Page:
    """The page; ``objects`` are in the order of their names, and have the prefix."""
    result, last, limit = Page(), "", min(wanted.limit, LARGEST)
    for found in objects:
        if not wanted.takes(found.name):
            continue
        group = wanted.group(found.name)
        if group and group in (wanted.after, last):
            continue
        if len(result.items) + len(result.prefixes) >= limit:
            result.last = last
            break
        if not group or (wanted.trailing and group == found.name):
            result.items.append(found)
        if group:
            result.prefixes.append(group)
        last = group or found.name
    return result


def token(last: str) -> str:
    """The last entry of a page, as clients carry it."""
    return urlsafe_b64encode(last.encode()).decode()


def after(token: str) -> str:
    """What :func:`token` was made of. Raises Invalid."""
    try:
        return b64decode(token.encode(), altchars=b"-_", validate=True).decode()
    except (binascii.Error, ValueError):
        raise Invalid("Invalid page token", "pageToken") from None
