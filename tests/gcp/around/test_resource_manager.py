"""Resource Manager: projects by id and number, permissions, policies."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import google.api_core.exceptions
import pytest
import requests
import requests.adapters
from cloudops_vertex.emulator import resource_manager
from cloudops_vertex.emulator.projects import Projects, number_of
from cloudops_vertex.emulator.protocol.errors import ServiceError
from cloudops_vertex.emulator.site import Site
from google.auth.credentials import AnonymousCredentials
from google.cloud import resourcemanager_v3
from hypothesis import given
from hypothesis import strategies as st

from .calls import PROJECT, RESOURCES, new_site, rest
from .google_http import Transport


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return new_site(tmp_path)


def test_a_project_is_found_by_id_and_then_by_number(site: Site) -> None:
    found = rest(site, RESOURCES, "GET", f"/v3/projects/{PROJECT}")
    number = site.projects.number(PROJECT)
    assert (found["name"], found["projectId"], found["state"]) == (f"projects/{number}", PROJECT, "ACTIVE")
    assert found["createTime"]
    assert rest(site, RESOURCES, "GET", f"/v3/projects/{number}") == found
    site.projects.number("another")
    listed = rest(site, RESOURCES, "GET", "/v3/projects:search?pageSize=1")
    assert listed["projects"][0]["projectId"] == "another"
    assert rest(site, RESOURCES, "GET", f"/v3/projects:search?pageToken={listed['nextPageToken']}")["projects"] == [
        found
    ]


@pytest.mark.parametrize("name", ["123456789012", "Not-an-id", "x"])
def test_what_is_no_project_is_refused_as_if_it_were_another_s(site: Site, name: str) -> None:
    with pytest.raises(ServiceError) as caught:
        rest(site, RESOURCES, "GET", f"/v3/projects/{name}")
    assert (caught.value.code, caught.value.message) == ("PERMISSION_DENIED", "The caller does not have permission")


def test_permissions_are_granted_unless_they_are_denied(site: Site) -> None:
    wanted = {"permissions": ["aiplatform.endpoints.predict", "aiplatform.customJobs.create"]}
    url = f"/v3/projects/{PROJECT}:testIamPermissions"
    assert rest(site, RESOURCES, "POST", url, wanted) == wanted
    site.denied.add("aiplatform.customJobs.*")
    assert rest(site, RESOURCES, "POST", url, wanted) == {"permissions": ["aiplatform.endpoints.predict"]}
    with pytest.raises(ServiceError, match="is not valid for this resource"):
        rest(site, RESOURCES, "POST", url, {"permissions": ["everything"]})


def test_the_caller_owns_the_project(site: Site) -> None:
    policy = rest(site, RESOURCES, "POST", f"/v3/projects/{PROJECT}:getIamPolicy", {})
    assert policy["bindings"] == [{"role": "roles/owner", "members": ["user:me@example.com"]}]
    assert resource_manager.member("a@p.iam.gserviceaccount.com") == "serviceAccount:a@p.iam.gserviceaccount.com"
    assert resource_manager.member("principal://x") == "principal://x"


def asked(site: Site, verb: str, path: str, body: Any = None, token: str | None = None) -> tuple[int, Any]:
    token = token or site.tokens.issue("me@example.com").text
    content = json.dumps(body) if body is not None else None
    url = f"https://cloudresourcemanager.googleapis.com{path}"
    answer = Transport(site)(url, verb, content, {"Authorization": f"Bearer {token}"})
    return answer.status, json.loads(answer.data)


def test_version_1_tells_the_same(site: Site) -> None:
    status, found = asked(site, "GET", f"/v1/projects/{PROJECT}")
    assert status == 200
    assert (found["projectId"], found["lifecycleState"]) == (PROJECT, "ACTIVE")
    assert asked(site, "GET", f"/v1/projects/{found['projectNumber']}") == (200, found)
    wanted = {"permissions": ["a.b.c"]}
    assert asked(site, "POST", f"/v1/projects/{PROJECT}:testIamPermissions", wanted) == (200, wanted)
    assert asked(site, "GET", "/v1/projects/1")[0] == 403
    assert asked(site, "DELETE", f"/v1/projects/{PROJECT}")[0] == 404
    status, refused = asked(site, "GET", f"/v1/projects/{PROJECT}", token="wrong")
    assert (status, refused["error"]["status"]) == (401, "UNAUTHENTICATED")


@given(st.from_regex(r"[a-z][a-z0-9-]{4,28}[a-z0-9]", fullmatch=True))
def test_numbers_follow_from_ids(project: str) -> None:
    projects = Projects()
    number = projects.number(project)
    assert (len(number), number.isdecimal()) == (12, True)
    assert number == number_of(project)
    assert projects.id(number) == projects.id(project) == project
    again = Projects()
    assert again.id(number) is None
    again.load(projects.dump())
    assert again.id(number) == project


class Adapter(requests.adapters.BaseAdapter):
    """Ends the connections of a session at a site."""

    def __init__(self, site: Site) -> None:
        super().__init__()
        self._site = site

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:  # type: ignore[override]
        body = json.loads(request.body) if request.body else None
        made = requests.Response()
        made.status_code, made.request = 200, request
        try:
            found = rest(self._site, RESOURCES, str(request.method), str(request.url), body)
        except ServiceError as error:
            made.status_code, found = error.status, error.body()
        made._content = json.dumps(found).encode()
        return made

    def close(self) -> None:
        """Nothing is open."""


def test_google_s_own_client_understands_the_answers(site: Site) -> None:
    client: Any = resourcemanager_v3.ProjectsClient(credentials=AnonymousCredentials(), transport="rest")
    client.transport._session.mount("https://", Adapter(site))
    found = client.get_project(name=f"projects/{PROJECT}")
    assert (found.project_id, found.state.name) == (PROJECT, "ACTIVE")
    assert client.test_iam_permissions(resource=found.name, permissions=["a.b.c"]).permissions == ["a.b.c"]
    assert client.get_iam_policy(resource=found.name).bindings[0].role == "roles/owner"
    assert [one.name for one in client.search_projects()] == [found.name]
    with pytest.raises(google.api_core.exceptions.Forbidden, match="does not have permission"):
        client.get_project(name="projects/1")
