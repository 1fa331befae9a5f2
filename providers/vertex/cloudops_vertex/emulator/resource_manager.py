"""Resource Manager: what a project's id and number are, and what its caller may do.

Every project that somebody asks for exists. Of the API's version 3 single projects are emulated here, of version 1
what older clients ask for, by :class:`ProjectsV1`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from . import paging
from .methods import Call, implements
from .protocol.errors import ServiceError
from .protocol.pool import message
from .web import Request, answer, refuse

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

    from .site import Site

#: When all projects were made, in seconds since the epoch.
_CREATED = 1_700_000_000
_PAGE = 100


@implements("Projects.GetProject")
def get_project(call: Call, request: Any) -> Any:
    """A project, by its id or number."""
    return _to_message(call.site, _project(call.site, request.name))


@implements("Projects.SearchProjects")
def search_projects(call: Call, request: Any) -> Any:
    """A page of the projects that were asked for so far."""
    if request.query:
        raise ServiceError("UNIMPLEMENTED", "A query is not emulated by the offline cloud.")
    found = call.site.projects.seen()
    begin = paging.place("projects", request.page_token) or 0
    end = begin + min(request.page_size or _PAGE, _PAGE)
    token = paging.token("projects", end) if end < len(found) else ""
    return call.answer(projects=[_to_message(call.site, one) for one in found[begin:end]], next_page_token=token)


@implements("Projects.TestIamPermissions")
def test_iam_permissions(call: Call, request: Any) -> Any:
    """Those of some permissions that the caller has."""
    _project(call.site, request.resource)
    return call.answer(permissions=_granted(call.site, list(request.permissions)))


@implements("Projects.GetIamPolicy")
def get_iam_policy(call: Call, request: Any) -> Any:
    """Who has which role: the caller owns the project."""
    _project(call.site, request.resource)
    answered = call.answer(version=1, etag=b"offline")
    answered.bindings.add(role="roles/owner", members=[member(call.principal)])
    return answered


def member(principal: str) -> str:
    """A principal as policies name it."""
    if principal.startswith("principal:"):
        return principal
    return f"{'serviceAccount' if principal.endswith('.gserviceaccount.com') else 'user'}:{principal}"


class ProjectsV1:
    """The API's version 1, as a WSGI application: a project is got, and permissions are tested.

    Args:
        site: the emulated cloud.
    """

    def __init__(self, site: Site) -> None:
        self._site = site

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Answer a request."""
        request = Request(environ)
        try:
            self._site.tokens.require(environ)
            return answer(start_response, 200, self._answer(request))
        except ServiceError as error:
            return refuse(start_response, error)

    def _answer(self, request: Request) -> dict[str, Any]:
        name, _, method = request.path.removeprefix("/v1/").partition(":")
        if request.path.startswith("/v1/projects/") and name.count("/") == 1:
            if request.verb == "GET" and not method:
                return self._shown(_project(self._site, name))
            if request.verb == "POST" and method == "testIamPermissions":
                _project(self._site, name)
                given = request.json().get("permissions", [])
                return {"permissions": _granted(self._site, [str(one) for one in given])}
        raise ServiceError("NOT_FOUND", f"Method not found: {request.verb} {request.path}")

    def _shown(self, project: str) -> dict[str, Any]:
        made = _to_message(self._site, project)
        return {
            "projectNumber": self._site.projects.number(project),
            "projectId": project,
            "lifecycleState": "ACTIVE",
            "name": project,
            "createTime": made.create_time.ToJsonString(),
        }


def _project(site: Site, name: str) -> str:
    """The id of a project by its name.

    Raises:
        ServiceError: PERMISSION_DENIED: there is none, as the service says of that.
    """
    project = site.projects.id(name.removeprefix("projects/"))
    if project is None:
        raise ServiceError("PERMISSION_DENIED", "The caller does not have permission")
    return project


def _granted(site: Site, permissions: list[str]) -> list[str]:
    for one in permissions:
        if one.count(".") < 2 or "*" in one:
            raise ServiceError("INVALID_ARGUMENT", f"Permission {one} is not valid for this resource.")
    return [one for one in permissions if site.may(one)]


def _to_message(site: Site, project: str) -> Any:
    made: Any = message("google.cloud.resourcemanager.v3.Project")()
    made.name, made.project_id = f"projects/{site.projects.number(project)}", project
    made.display_name, made.state = project, 1
    made.create_time.FromSeconds(_CREATED)
    made.update_time.FromSeconds(_CREATED)
    made.etag = hashlib.sha256(project.encode()).hexdigest()[:16]
    return made
