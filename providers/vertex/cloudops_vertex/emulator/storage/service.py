"""What the handlers of requests share, and which of them answers which operation."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from .answer import Answer
from .buckets import Buckets
from .errors import no_bucket
from .parts import Multiparts
from .request import Request
from .routes import Form
from .sessions import Sessions
from .things import Bucket


@dataclass(frozen=True, slots=True)
class Service:
    """The state behind the API.

    Args:
        buckets: buckets and objects.
        sessions: resumable uploads that are under way.
        multiparts: uploads in parts that are under way.
        project_number: of a project, by its id or number.
    """

    buckets: Buckets
    sessions: Sessions
    multiparts: Multiparts
    project_number: Callable[[str], str]

    def bucket(self, request: Request) -> Bucket:
        """The bucket that a request is about. Raises NotFound."""
        found = self.buckets.bucket(request.route.bucket)
        if found is None:
            raise no_bucket()
        return found


Handler = Callable[[Service, Request], Answer]
_HANDLERS: dict[tuple[str, bool], Handler] = {}


def handles(operation: str, *, xml: bool = False) -> Callable[[Handler], Handler]:
    """Have a function answer an operation of the JSON API, or of the XML API."""

    def register(function: Handler) -> Handler:
        _HANDLERS[operation, xml] = function
        return function

    return register


def handler(operation: str, form: Form) -> Handler | None:
    """The function that answers an operation; None where there is none."""
    return _HANDLERS.get((operation, form is Form.XML))
