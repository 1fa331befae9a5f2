"""What a request is about: the service, the operation as botocore names it, the resource and who asks.

REST services (S3, the runtime) name no operation; it is found in botocore's own model by method, path, query and
headers.
"""

from __future__ import annotations

import functools
import io
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote

if TYPE_CHECKING:
    from wsgiref.types import WSGIEnvironment

#: Names in signatures that differ from botocore's names of the services.
_SERVICES = {
    "monitoring": "cloudwatch",
    "ecr": "ecr",
    "execute-api": "apigatewaymanagementapi",
    "servicequotas": "service-quotas",
}
_HOST = re.compile(r"(?P<rest>.*?)(?:\.(?P<region>[a-z]{2}(?:-[a-z]+)+-\d))?\.(?:amazonaws\.com(?:\.cn)?|api\.aws)$")
_BUCKET_HOST = re.compile(r"(?P<bucket>.+)\.s3[.-][a-z0-9.-]*?(?:amazonaws\.com(?:\.cn)?)$")
#: Members that name what a request is about, most telling first, where it is not ``<kind>Name`` of the operation.
_RESOURCES = (
    "ResourceId",
    "LogGroupName",
    "logGroupName",
    "RoleName",
    "RoleArn",
    "Namespace",
    "SecretId",
    "ResourceArn",
)
#: The machine's metadata, which is no service with a signature.
_METADATA = "169.254.169.254"
_READ_LIMIT = 32 << 20


@dataclass(frozen=True, slots=True)
class Call:
    """A request.

    Args:
        service: as botocore calls it, ``sagemaker-runtime``, say.
        operation: such as ``CreateTrainingJob``; empty where it cannot be told.
        resource: the name of what it is about; empty where it cannot be told.
        region: by the signature, else by the host name.
        key_id: of the credentials that have signed it; empty for an unsigned request.
        protocol: ``json``, ``query``, ``rest-json``, ``rest-xml`` or ``cbor``: how an error has to look.
    """

    service: str
    operation: str
    resource: str
    region: str
    key_id: str
    protocol: str

    @property
    def name(self) -> str:
        """``service:Operation``."""
        return f"{self.prefix}:{self.operation}"

    @property
    def prefix(self) -> str:
        """The service as IAM calls it."""
        return "sagemaker" if self.service.startswith("sagemaker") else self.service


def identify(environ: WSGIEnvironment) -> Call:
    """What a request is about; what it reads of a body it puts back."""
    key_id, region, signed = _signature(environ)
    host = environ.get("HTTP_HOST", "").partition(":")[0].lower()
    named = _HOST.match(host)
    region = region or (named and named["region"]) or "us-east-1"
    service = _service(environ, signed, named["rest"] if named else "")
    target = environ.get("HTTP_X_AMZ_TARGET", "")
    path = environ.get("PATH_INFO", "/")
    if environ.get("HTTP_SMITHY_PROTOCOL"):
        return Call(service, path.rpartition("/")[2], "", region, key_id, "cbor")
    if target:
        operation = target.rpartition(".")[2]
        return Call(service, operation, _resource(operation, _json(environ)), region, key_id, "json")
    if service == "s3":
        operation, resource = _s3(environ, host)
        return Call(service, operation, resource, region, key_id, "rest-xml")
    form = _form(environ)
    if "Action" in form:
        return Call(service, form["Action"], _resource(form["Action"], form), region, key_id, "query")
    operation, resource = _rest(service, environ["REQUEST_METHOD"], path)
    return Call(service, operation, resource, region, key_id, "rest-json")


def body_of(environ: WSGIEnvironment) -> bytes:
    """The body, which is put back; at most 32 MiB of it."""
    stream = environ["wsgi.input"]
    size = environ.get("CONTENT_LENGTH")
    if isinstance(stream, _Kept):
        return stream.getvalue()
    if size in (None, "") and not environ.get("wsgi.input_terminated"):
        data = b""
    else:
        data = stream.read(min(int(size or _READ_LIMIT), _READ_LIMIT))
    environ["wsgi.input"] = _Kept(data)
    return data


class _Kept(io.BytesIO):
    """A body that was read and put back."""


@functools.cache
def model(service: str) -> Any:
    """botocore's model of a service; None where it knows no such service."""
    import botocore.exceptions
    import botocore.session

    try:
        return botocore.session.Session().get_service_model(service)
    except (botocore.exceptions.UnknownServiceError, botocore.exceptions.DataNotFoundError):
        return None


def _signature(environ: WSGIEnvironment) -> tuple[str, str, str]:
    """Access key id, region and service that a request is signed for; empty texts where it is not."""
    found = re.search(r"Credential=([^/,\s]+)/\d+/([^/]+)/([^/]+)/aws4_request", environ.get("HTTP_AUTHORIZATION", ""))
    if found is None:
        query = unquote(environ.get("QUERY_STRING", ""))
        found = re.search(r"X-Amz-Credential=([^/&]+)/\d+/([^/]+)/([^/]+)/aws4_request", query)
    return (found[1], found[2], found[3].lower()) if found else ("", "", "")


def _service(environ: WSGIEnvironment, signed: str, rest: str) -> str:
    if environ.get("HTTP_HOST", "").startswith(_METADATA):
        return "imds"
    parts = rest.split(".")
    path = environ.get("PATH_INFO", "/")
    if signed == "sagemaker" or (not signed and "sagemaker" in parts):
        if parts[0] == "runtime" or path.startswith("/endpoints/"):
            return "sagemaker-runtime"
        return "sagemaker-metrics" if parts[0] == "metrics" else "sagemaker"
    name = signed or ("s3" if "s3" in parts or not rest else parts[-1])
    return _SERVICES.get(name, name)


def _json(environ: WSGIEnvironment) -> Mapping[str, Any]:
    try:
        value = json.loads(body_of(environ) or b"{}")
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def _form(environ: WSGIEnvironment) -> dict[str, str]:
    query = environ.get("QUERY_STRING", "")
    text = query if "Action=" in query else ""
    if environ.get("CONTENT_TYPE", "").startswith("application/x-www-form-urlencoded"):
        text = body_of(environ).decode("utf-8", "replace")
    return {key: values[0] for key, values in parse_qs(text, keep_blank_values=True).items()}


def _resource(operation: str, params: Mapping[str, Any]) -> str:
    """The name of what a request is about: of ``DescribeTrainingJob`` the member ``TrainingJobName``."""
    kind = re.sub(r"^[A-Z][a-z]+", "", operation)
    for member in (f"{kind}Name", f"{kind.removesuffix('s')}Name", *_RESOURCES):
        if isinstance(params.get(member), str):
            return str(params[member])
    names = [value for key, value in params.items() if key.endswith("Name") and isinstance(value, str)]
    return names[0] if names else ""


def _s3(environ: WSGIEnvironment, host: str) -> tuple[str, str]:
    path = environ.get("PATH_INFO", "/").encode("latin-1", "replace").decode("utf-8", "replace").lstrip("/")
    owned = _BUCKET_HOST.match(host)
    bucket, _, key = path.partition("/") if owned is None else (owned["bucket"], "", path)
    level = "key" if key else "bucket" if bucket else "service"
    query = set(parse_qs(environ.get("QUERY_STRING", ""), keep_blank_values=True))
    headers = {name[5:].replace("_", "-").lower() for name in environ if name.startswith("HTTP_")}
    for route in _s3_routes():
        fits = route.method == environ["REQUEST_METHOD"] and route.level == level
        if fits and route.query <= query and route.headers <= headers:
            return route.operation, f"{bucket}/{key}" if key else bucket
    return "", f"{bucket}/{key}" if key else bucket


@dataclass(frozen=True, slots=True)
class _Route:
    operation: str
    method: str
    level: str
    query: frozenset[str]
    headers: frozenset[str]


@functools.cache
def _s3_routes() -> tuple[_Route, ...]:
    """The operations of S3, the most particular ones first."""
    routes = [_s3_route(model("s3").operation_model(name)) for name in model("s3").operation_names]
    return tuple(sorted(routes, key=lambda one: (-len(one.query) - len(one.headers), one.operation)))


def _s3_route(operation: Any) -> _Route:
    path, _, query = operation.http["requestUri"].partition("?")
    level = "key" if "{Key" in path else "bucket" if "{Bucket}" in path else "service"
    needed = {part.partition("=")[0] for part in query.split("&") if part}
    headers = set()
    shape = operation.input_shape
    for name in shape.required_members if shape is not None else ():
        place = shape.members[name].serialization
        if place.get("location") == "querystring":
            needed.add(place["name"])
        elif place.get("location") == "header":
            headers.add(place["name"].lower())
    return _Route(operation.name, operation.http["method"], level, frozenset(needed - {"x-id"}), frozenset(headers))


def _rest(service: str, method: str, path: str) -> tuple[str, str]:
    for operation, wanted, pattern in _rest_routes(service):
        found = pattern.fullmatch(path)
        if wanted == method and found:
            return operation, unquote(next(iter(found.groups()), "") or "")
    return "", ""


@functools.cache
def _rest_routes(service: str) -> tuple[tuple[str, str, re.Pattern[str]], ...]:
    known = model(service)
    routes = []
    for name in known.operation_names if known is not None else ():
        http = known.operation_model(name).http
        path = re.sub(r"\\\{\w+\\\}", "([^/]+)", re.escape(http["requestUri"].partition("?")[0]))
        routes.append((name, http["method"], re.compile(re.sub(r"\\\{\w+\\\+\\\}", "(.+)", path))))
    return tuple(routes)
