"""Routes: a method and a path, in which ``*`` stands for a segment without a colon, and the function that answers."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Callable

from .errors import HttpError
from .messages import Request, Response


@dataclass(frozen=True)
class Route:
    """``works``: it predicts, which needs the model and keeps a draining server alive. ``health``: a probe of the
    platform, which knows no key (:mod:`.key`).
    """

    method: str
    path: str
    answer: Callable[[Request], Response]
    works: bool = False
    health: bool = False


class Routes:
    """All routes; where two have the same method and path, the first counts."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._exact: dict[str, dict[str, Route]] = {}
        self._patterns: list[tuple[re.Pattern[str], dict[str, Route]]] = []
        for route in routes:
            methods = self._exact.setdefault(route.path, {})
            if not methods and "*" in route.path:
                parts = map(re.escape, route.path.split("*"))
                self._patterns.append((re.compile("[^/:]+".join(parts)), methods))
            methods.setdefault(route.method, route)

    def find(self, method: str, path: str) -> Route:
        """The route of a request; HEAD is answered as GET is, and a slash at the end makes no difference.

        Raises:
            HttpError: 404 with the routes there are, or 405 with the methods that the path has.
        """
        methods = self._methods(path if len(path) == 1 else path.rstrip("/"))
        if methods is None:
            raise HttpError(404, f"there is no {path[:200]}; there are {', '.join(sorted(self._exact))}")
        route = methods.get("GET" if method == "HEAD" else method)
        if route is None:
            allowed = ", ".join(sorted({*methods, *({"HEAD"} & {"HEAD" for each in methods if each == "GET"})}))
            raise HttpError(405, f"{path[:200]} does not take {method}; it takes {allowed}", {"Allow": allowed})
        return route

    def _methods(self, path: str) -> dict[str, Route] | None:
        if path in self._exact:
            return self._exact[path]
        return next((methods for pattern, methods in self._patterns if pattern.fullmatch(path)), None)
