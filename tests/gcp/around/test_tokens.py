"""Google's own library gets tokens from the offline cloud in every way that it knows; what is no good is refused."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import google.auth.compute_engine
import google.auth.crypt
import google.auth.exceptions
import google.auth.identity_pool
import google.auth.impersonated_credentials
import google.auth.jwt
import google.oauth2.credentials
import google.oauth2.service_account
import pytest
from cloudops_vertex.emulator import credentials, tokens
from cloudops_vertex.emulator.metadata_server import Identity, MetadataListener, MetadataServer
from cloudops_vertex.emulator.protocol.errors import ServiceError
from cloudops_vertex.emulator.site import Site
from cloudops_vertex.emulator.tokens import CLOUD, Tokens

from cloudops.offline.environment import applied

from .calls import PROJECT, new_site
from .google_http import Response, Transport

ACCOUNT = f"trainer@{PROJECT}.iam.gserviceaccount.com"


@pytest.fixture(scope="module")
def key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return credentials.write(tmp_path_factory.mktemp("key"))


@pytest.fixture
def site(tmp_path: Path, key: Path) -> Site:
    return new_site(tmp_path)


@pytest.fixture
def transport(site: Site) -> Transport:
    return Transport(site)


def owner(site: Site, token: str, host: str = "us-central1-aiplatform.googleapis.com") -> str | None:
    return site.tokens.principal({"HTTP_AUTHORIZATION": f"Bearer {token}", "HTTP_HOST": host})


def of_file(key: Path, **more: Any) -> Any:
    make: Any = google.oauth2.service_account.Credentials.from_service_account_file
    return make(str(key), **more)


def test_a_service_account_gets_a_token(site: Site, transport: Transport, key: Path) -> None:
    found = of_file(key, scopes=[CLOUD])
    found.refresh(transport)
    assert owner(site, found.token) == credentials.EMAIL
    assert found.project_id == credentials.PROJECT
    assert found.valid
    info = json.loads(transport(f"https://oauth2.googleapis.com/tokeninfo?access_token={found.token}").data)
    assert (info["email"], info["scope"]) == (credentials.EMAIL, CLOUD)
    assert 3590 < int(info["expires_in"]) <= 3600


def test_what_an_account_signs_itself_is_as_good_as_a_token(site: Site, transport: Transport, key: Path) -> None:
    found = of_file(key, scopes=[CLOUD]).with_always_use_jwt_access(True)
    found.refresh(transport)
    assert found.token.count(".") == 2
    assert [owner(site, found.token) for _ in range(2)] == [credentials.EMAIL] * 2
    host = google.auth.jwt.Credentials.from_service_account_file(
        str(key), audience="https://aiplatform.googleapis.com/"
    )
    host.refresh(transport)
    assert owner(site, host.token.decode()) == credentials.EMAIL
    assert owner(site, host.token.decode(), "aiplatform.googleapis.com") == credentials.EMAIL
    assert owner(site, host.token.decode(), "logging.googleapis.com") is None
    site.tokens.expire(credentials.EMAIL)
    assert owner(site, found.token) is None


def signed(key: Path, **claims: Any) -> str:
    info = json.loads(key.read_text(encoding="utf-8"))
    now = int(time.time())
    whole = {"iss": info["client_email"], "aud": credentials.TOKEN_URI, "scope": CLOUD, "iat": now, "exp": now + 3600}
    signer = google.auth.crypt.RSASigner.from_service_account_info(info)
    encode: Any = google.auth.jwt.encode
    return str(encode(signer, {**whole, **claims}).decode())


def asked(transport: Transport, **values: str) -> tuple[int, dict[str, str]]:
    answer = transport(
        "https://oauth2.googleapis.com/token",
        "POST",
        json.dumps(values),
        {"Content-Type": "application/json"},
    )
    return answer.status, json.loads(answer.data)


NOW = int(time.time())


@pytest.mark.parametrize(
    ("claims", "error", "text"),
    [
        ({"iss": "nobody@x.iam.gserviceaccount.com"}, "invalid_grant", "Invalid grant: account not found"),
        ({"iat": NOW - 7200, "exp": NOW - 3600}, "invalid_grant", "Invalid JWT: Token must be a short-lived token (60"),
        ({"exp": NOW + 7200}, "invalid_grant", "Invalid JWT: Token must be a short-lived token (60"),
        ({"iat": NOW + 1800, "exp": NOW + 3600}, "invalid_grant", "Invalid JWT: Token must be a short-lived"),
        ({"aud": "https://example.com"}, "invalid_grant", "Failed audience check"),
        ({"sub": "boss@example.com"}, "unauthorized_client", "Client is unauthorized to retrieve access tokens"),
        ({"scope": ""}, "invalid_scope", "Invalid OAuth scope"),
        ({"target_audience": "x"}, "invalid_request", "ID tokens are not emulated"),
    ],
)
def test_claims_that_are_no_good_are_refused(
    transport: Transport, key: Path, claims: Any, error: str, text: str
) -> None:
    status, body = asked(
        transport, grant_type="urn:ietf:params:oauth:grant-type:jwt-bearer", assertion=signed(key, **claims)
    )
    assert status in (400, 401)
    assert (body["error"], text in body["error_description"]) == (error, True)


def test_a_signature_by_another_key_is_refused(
    site: Site, transport: Transport, key: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(credentials, "_KEYS", {})
        other = credentials.write(tmp_path / "other")  # of an account with the same name, in another cloud
    found = of_file(other, scopes=[CLOUD])
    with pytest.raises(google.auth.exceptions.RefreshError, match=r"invalid_grant: Invalid JWT Signature\."):
        found.refresh(transport)
    itself = found.with_always_use_jwt_access(True)
    itself.refresh(transport)
    assert owner(site, itself.token) is None


@pytest.mark.parametrize(
    ("values", "error"),
    [
        ({}, "invalid_request"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"grant_type": "refresh_token", "refresh_token": "real"}, "invalid_grant"),
        ({"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer", "assertion": "a.b.c"}, "invalid_grant"),
        ({"grant_type": "urn:ietf:params:oauth:grant-type:jwt-bearer"}, "invalid_grant"),
    ],
)
def test_what_is_no_grant_is_refused(transport: Transport, values: Any, error: str) -> None:
    status, body = asked(transport, **values)
    assert (status, body["error"]) == (400, error)


def test_a_user_refreshes_until_that_is_revoked(site: Site, transport: Transport) -> None:
    make: Any = google.oauth2.credentials.Credentials.from_authorized_user_info
    refresh = site.tokens.grant("me@example.com")
    info = {"client_id": "c", "client_secret": "s", "refresh_token": refresh, "type": "authorized_user"}
    found = make(info, scopes=[CLOUD])
    found.refresh(transport)
    assert owner(site, found.token) == "me@example.com"
    token = found.token
    assert transport(f"https://oauth2.googleapis.com/revoke?token={refresh}", "POST").status == 200
    assert owner(site, token) is None
    with pytest.raises(google.auth.exceptions.RefreshError, match="Token has been expired or revoked"):
        found.refresh(transport)
    assert transport(f"https://oauth2.googleapis.com/revoke?token={token}", "POST").status == 400


def test_an_account_acts_as_another(site: Site, transport: Transport, key: Path) -> None:
    make: Any = google.auth.impersonated_credentials.Credentials
    found = make(of_file(key, scopes=[CLOUD]), ACCOUNT, [CLOUD], lifetime=600)
    found.refresh(transport)
    assert owner(site, found.token) == ACCOUNT
    wrong = make(of_file(key, scopes=[CLOUD]), "me@example.com", [CLOUD])
    with pytest.raises(
        google.auth.exceptions.RefreshError, match="Unable to acquire impersonated credentials"
    ) as caught:
        wrong.refresh(transport)
    assert "Gaia id not found for email me@example.com" in str(caught.value)
    site.denied.add("iam.serviceAccounts.*")
    with pytest.raises(google.auth.exceptions.RefreshError) as caught:
        found.refresh(transport)
    assert "Permission 'iam.serviceAccounts.getAccessToken' denied" in caught.value.args[1]


@pytest.mark.parametrize(
    ("method", "body", "authorized", "status"),
    [
        ("generateAccessToken", {"scope": [CLOUD]}, False, 401),
        ("generateAccessToken", {"scope": []}, True, 400),
        ("generateAccessToken", {"scope": CLOUD}, True, 400),
        ("generateAccessToken", {"scope": [CLOUD], "lifetime": "7200s"}, True, 400),
        ("generateAccessToken", {"scope": [CLOUD], "lifetime": "1h"}, True, 400),
        ("signBlob", {}, True, 501),
        ("nothing", {}, True, 404),
    ],
)
def test_what_cannot_be_had_as_another_account_is_refused(
    site: Site, transport: Transport, method: str, body: Any, authorized: bool, status: int
) -> None:
    url = f"https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/{ACCOUNT}:{method}"
    headers = {"Authorization": f"Bearer {site.tokens.issue('me@example.com').text}"} if authorized else {}
    answer = transport(url, "POST", json.dumps(body), headers)
    assert answer.status == status
    assert json.loads(answer.data)["error"]["code"] == status


def encoded(**claims: Any) -> str:
    parts = [json.dumps(one).encode() for one in ({"alg": "RS256"}, claims)]
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in (*parts, b"signature"))


def test_an_identity_of_another_cloud_is_exchanged(site: Site, transport: Transport, tmp_path: Path) -> None:
    source = tmp_path / "subject"
    source.write_text(encoded(sub="repo:me/mine", exp=time.time() + 600), encoding="utf-8")
    number = site.projects.number(PROJECT)
    pool = f"projects/{number}/locations/global/workloadIdentityPools/ci"
    info = {
        "type": "external_account",
        "audience": f"//iam.googleapis.com/{pool}/providers/github",
        "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
        "token_url": "https://sts.googleapis.com/v1/token",
        "credential_source": {"file": str(source)},
    }
    make: Any = google.auth.identity_pool.Credentials.from_info
    found = make(info, scopes=[CLOUD])
    found.refresh(transport)
    assert owner(site, found.token) == f"principal://iam.googleapis.com/{pool}/subject/repo:me/mine"
    assert found.get_project_id(transport) == PROJECT
    url = f"https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/{ACCOUNT}:generateAccessToken"
    acting = make({**info, "service_account_impersonation_url": url}, scopes=[CLOUD])
    acting.refresh(transport)
    assert owner(site, acting.token) == ACCOUNT
    source.write_text(encoded(sub="repo:me/mine", exp=time.time() - 600), encoding="utf-8")
    with pytest.raises(google.auth.exceptions.OAuthError, match="stale"):
        make(info, scopes=[CLOUD]).refresh(transport)
    with pytest.raises(google.auth.exceptions.OAuthError, match='Invalid value for "audience"'):
        make({**info, "audience": "//iam.googleapis.com/mine"}, scopes=[CLOUD]).refresh(transport)
    kind = "urn:ietf:params:oauth:token-type:saml2"
    with pytest.raises(google.auth.exceptions.OAuthError, match="subject_token_type"):
        make({**info, "subject_token_type": kind}, scopes=[CLOUD]).refresh(transport)
    source.write_text("nonsense", encoding="utf-8")
    with pytest.raises(google.auth.exceptions.OAuthError, match="invalid_grant"):
        make(info, scopes=[CLOUD]).refresh(transport)


def test_a_machine_has_an_account(site: Site, transport: Transport) -> None:
    make: Any = google.auth.compute_engine.Credentials
    found = make()
    found.refresh(transport)
    assert owner(site, found.token) == credentials.EMAIL
    assert found.service_account_email == credentials.EMAIL


def asked_metadata(transport: Transport, path: str, **headers: str) -> Response:
    given = {"Metadata-Flavor": "Google", **{name.replace("_", "-"): value for name, value in headers.items()}}
    return transport(f"http://metadata.google.internal{path}", headers=given)


def test_the_metadata_server_tells_what_it_knows(site: Site, transport: Transport) -> None:
    number = site.projects.number(credentials.PROJECT)
    base = "/computeMetadata/v1"
    expected = {
        f"{base}/project/project-id": credentials.PROJECT,
        f"{base}/project/numeric-project-id": number,
        f"{base}/instance/zone": f"projects/{number}/zones/us-central1-a",
        f"{base}/instance/region": f"projects/{number}/regions/us-central1",
        f"{base}/instance/service-accounts/default/email": credentials.EMAIL,
        f"{base}/instance/service-accounts/default/scopes": CLOUD,
        f"{base}/instance/service-accounts/": f"default/\n{credentials.EMAIL}/\n",
        f"{base}/universe/universe-domain": "googleapis.com",
        "/": "computeMetadata/\n",
    }
    for path, text in expected.items():
        answer = asked_metadata(transport, path)
        assert (answer.status, answer.data.decode()) == (200, text), path
        assert answer.headers["metadata-flavor"] == "Google"
    whole = json.loads(asked_metadata(transport, f"{base}/?recursive=true").data)
    assert whole["project"]["numericProjectId"] == int(number)
    assert whole["instance"]["serviceAccounts"][credentials.EMAIL]["aliases"] == ["default"]
    text = asked_metadata(transport, f"{base}/project/?recursive=true&alt=text").data.decode()
    assert f"project-id {credentials.PROJECT}" in text
    assert json.loads(asked_metadata(transport, f"{base}/project/project-id?alt=json").data) == credentials.PROJECT


@pytest.mark.parametrize(
    ("path", "headers", "status"),
    [
        ("/computeMetadata/v1/project/project-id", {"Metadata_Flavor": ""}, 403),
        ("/computeMetadata/v1/project/project-id", {"X_Forwarded_For": "1.2.3.4"}, 403),
        ("/computeMetadata/v1/project/nothing", {}, 404),
        ("/computeMetadata/v1/project/project-id/x", {}, 404),
        ("/computeMetadata/v1beta1/project", {}, 404),
        ("/computeMetadata/v1/project", {}, 301),
        ("/computeMetadata/v1/instance/service-accounts/default/identity?audience=x", {}, 501),
        ("/computeMetadata/v1/instance/service-accounts/other/token", {}, 404),
        ("/computeMetadata/v1/instance/?wait_for_change=true", {}, 501),
    ],
)
def test_the_metadata_server_refuses_the_rest(transport: Transport, path: str, headers: Any, status: int) -> None:
    assert asked_metadata(transport, path, **headers).status == status


PROGRAM = """
import google.auth, google.auth.transport.requests
found, project = google.auth.default(scopes=["https://www.googleapis.com/auth/cloud-platform"])
found.refresh(google.auth.transport.requests.Request())
print(type(found).__module__, project, found.service_account_email, found.token)
"""


def test_a_job_finds_its_own_account(site: Site, tmp_path: Path) -> None:
    """With the proxy's variables set, and no proxy there: nothing may go to it."""
    identity = Identity(project=PROJECT, email=ACCOUNT, region="europe-west4")
    listener = MetadataListener(MetadataServer(site.tokens, site.projects, identity))
    proxy = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), "http://127.0.0.1:9")
    exempt = dict.fromkeys(("NO_PROXY", "no_proxy"), "127.0.0.1,localhost")
    environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "CLOUDSDK_CONFIG": str(tmp_path), **proxy, **exempt}
    try:
        command = [sys.executable, "-c", PROGRAM]
        done = subprocess.run(
            command, env={**environ, **listener.variables()}, capture_output=True, text=True, check=True, timeout=60
        )
    finally:
        listener.close()
    module, project, email, token = done.stdout.split()
    assert (module, project, email) == ("google.auth.compute_engine.credentials", PROJECT, ACCOUNT)
    assert owner(site, token) == ACCOUNT


def test_the_environment_leads_to_the_key_and_to_nothing_else(tmp_path: Path) -> None:
    made = credentials.environment(tmp_path)
    before = {
        "HOME": "/home/me",
        "GCLOUD_PROJECT": "mine",
        "GOOGLE_IMPERSONATE_SERVICE_ACCOUNT": "x",
        "GCE_METADATA_HOST": "x",
        "CLOUDSDK_AUTH_ACCESS_TOKEN_FILE": "x",
        "STORAGE_EMULATOR_HOST": "x",
        "GOOGLE_CLOUD_QUOTA_PROJECT": "x",
    }
    after = applied(made, before)
    assert not {name for name in before if after.get(name) == "x"}
    assert {after[name] for name in ("GOOGLE_CLOUD_PROJECT", "GCLOUD_PROJECT", "CLOUDSDK_CORE_PROJECT")} == {"mine"}
    assert applied(made, {})["GOOGLE_CLOUD_PROJECT"] == credentials.PROJECT
    path = Path(after["GOOGLE_APPLICATION_CREDENTIALS"])
    assert path.stat().st_mode & 0o077 == 0
    text = path.read_text(encoding="utf-8")
    assert json.loads(text)["token_uri"] == "https://oauth2.googleapis.com/token"
    assert list(Path(after["CLOUDSDK_CONFIG"]).iterdir()) == []
    credentials.environment(tmp_path)
    assert path.read_text(encoding="utf-8") == text


def test_what_the_environment_needs_is_cheap_to_import() -> None:
    names = "[n for n in sys.modules if n.startswith(('google.auth', 'google.protobuf', 'cryptography', 'grpc'))]"
    program = f"import sys, cloudops_vertex.emulator.credentials; print({names})"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"


def test_tokens_end() -> None:
    now = [1000.0]
    made = Tokens(now=lambda: now[0])
    token = made.issue("a@example.com", lifetime=60)
    environ = {"HTTP_AUTHORIZATION": f"bearer {token.text}"}
    assert made.require(environ) == "a@example.com"
    now[0] += 61
    with pytest.raises(ServiceError, match="invalid authentication credentials") as caught:
        made.require(environ)
    assert (caught.value.code, caught.value.details[0]["reason"]) == ("UNAUTHENTICATED", "ACCESS_TOKEN_EXPIRED")
    with pytest.raises(ServiceError, match="missing required authentication credential"):
        made.require({})
    assert made.principal({"HTTP_AUTHORIZATION": "Basic abc"}) is None
    kept = [made.issue(f"{number}@example.com") for number in range(3 * tokens._MANY)]
    assert made.find(kept[0].text) is not None
    made.expire()
    assert made.find(kept[0].text) is None
