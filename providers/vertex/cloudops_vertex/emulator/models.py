"""Models: upload, versions and their aliases, get, list, update, delete."""

from __future__ import annotations

import re
from typing import Any

from . import crud, listing
from .artifacts import copy_artifact, drop_artifact
from .methods import Call, implements
from .model_names import DEFAULT, KIND, split, version, version_name, versions
from .names import Name, new_id, parse
from .protocol.errors import ServiceError, refused
from .store import Record, shown, stamp

_ALIAS = re.compile(r"[a-z][a-z0-9-]{0,126}[a-z0-9]")
_NOT_EMULATED = ("grpc_ports", "invoke_route_prefix")
_RESOURCES = "DEDICATED_RESOURCES"
_INPUTS, _OUTPUTS = ("jsonl",), ("jsonl",)


@implements("ModelService.UploadModel")
def upload(call: Call, request: Any) -> Any:
    """A model, or a version more of one; its artifact is copied in the course of the operation."""
    message = crud.prepared(call, KIND, request)
    _check(message)
    with call.site.store.lock:
        name, number = _place(call, request)
        begun = call.site.operations.begin(call, name, "UploadModelOperationMetadata")
    call.site.drive(lambda: _upload(call, begun.name, name, number, message))
    return begun


def _upload(call: Call, operation: str, name: Name, number: int, message: Any) -> None:
    site = call.site
    try:
        own = site.store.canonical(name)
        aliases = list(message.version_aliases)
        whole = version_name(own, str(number))
        if message.artifact_uri:
            copy_artifact(site, own, str(number), message.artifact_uri)
        with site.store.lock:
            earlier = versions(site.store, own)
            if any(one.message.version_id == str(number) for one in earlier):
                raise ServiceError("ABORTED", f"The Model {own} was changed meanwhile.")
            message.version_id = str(number)
            _tell_what_it_can(message)
            record = site.store.add(whole, message)
            message.name = str(own)
            for field in (message.version_create_time, message.version_update_time):
                stamp(field, site.clock.now())
            _alias(record, [*aliases, *([DEFAULT] if not earlier or DEFAULT in aliases else [])], earlier)
            site.store.touch(record)
    except ServiceError as error:
        site.operations.fail(operation, error)
        return
    except Exception as error:
        site.operations.fail(operation, ServiceError("INTERNAL", f"the offline cloud failed: {error!r}"))
        return
    response = crud.answered(call, "UploadModelResponse", model=str(own), model_version_id=str(number))
    site.operations.finish(operation, response)


def _place(call: Call, request: Any) -> tuple[Name, int]:
    """The model's name and the number of the new version."""
    where = parse(request.parent, "parent")
    if request.parent_model:
        name, _ = split(request.parent_model, "parent_model")
        found = versions(call.site.store, name)
        if not found:
            raise ServiceError("NOT_FOUND", f"The Model {request.parent_model} does not exist.")
        return name, int(found[0].message.version_id) + 1
    identifier = request.model_id or new_id()
    if not KIND.ids.fullmatch(identifier):
        raise refused([("model_id", "Invalid Model ID; expected up to 63 characters of [a-z0-9_-].")])
    name = where.child(KIND.collection, identifier)
    if versions(call.site.store, name):
        raise ServiceError("ALREADY_EXISTS", f"Model {name} already exists.")
    return name, 1


def _check(message: Any) -> None:
    if not message.HasField("container_spec") or not message.container_spec.image_uri:
        raise refused([("model.container_spec.image_uri", "The container image URI must be specified.")])
    spec = message.container_spec
    given = {field.name for field, _ in spec.ListFields()}
    for name in _NOT_EMULATED:
        if name in given:
            raise ServiceError("UNIMPLEMENTED", f"Not emulated by the offline cloud: model.container_spec.{name}.")
    problems = []
    for field in ("predict_route", "health_route"):
        route = getattr(spec, field)
        if route and not route.startswith("/"):
            problems.append((f"model.container_spec.{field}", "The route must start with a slash."))
    if message.artifact_uri and not message.artifact_uri.startswith("gs://"):
        problems.append(("model.artifact_uri", f"Invalid Google Cloud Storage URI {message.artifact_uri!r}."))
    problems += [
        ("model.version_aliases", f"Invalid version alias {alias!r}.")
        for alias in message.version_aliases
        if not _ALIAS.fullmatch(alias)
    ]
    if problems:
        raise refused(problems)


def _tell_what_it_can(message: Any) -> None:
    resources = message.DESCRIPTOR.enum_types_by_name["DeploymentResourcesType"].values_by_name[_RESOURCES].number
    message.supported_deployment_resources_types.append(resources)
    message.supported_input_storage_formats.extend(_INPUTS)
    message.supported_output_storage_formats.extend(_OUTPUTS)


def _alias(record: Record, aliases: list[str], others: list[Record]) -> None:
    """Give a version its aliases; each belongs to one version at a time."""
    for one in others:
        left = [alias for alias in one.message.version_aliases if alias not in aliases]
        del one.message.version_aliases[:]
        one.message.version_aliases.extend(left)
    del record.message.version_aliases[:]
    record.message.version_aliases.extend(sorted(set(aliases)))


@implements("ModelService.GetModel")
def get(call: Call, request: Any) -> Any:
    """A version of a model."""
    with call.site.store.lock:
        return shown(version(call, request.name).message, call.version)


@implements("ModelService.ListModels")
def list_models(call: Call, request: Any) -> Any:
    """A page of models, each as its default version."""
    parent = parse(request.parent, "parent")
    with call.site.store.lock:
        found = call.site.store.children(parent, KIND.collection)
        default = [shown(one.message, call.version) for one in found if DEFAULT in one.message.version_aliases]
    chosen, token = listing.page(request, default)
    return call.answer(models=chosen, next_page_token=token)


@implements("ModelService.ListModelVersions")
def list_versions(call: Call, request: Any) -> Any:
    """A page of the versions of a model."""
    model, _ = split(request.name)
    with call.site.store.lock:
        found = [shown(one.message, call.version) for one in versions(call.site.store, model)]
    if not found:
        raise ServiceError("NOT_FOUND", f"The Model {request.name} does not exist.")
    chosen, token = listing.page(request, found)
    return call.answer(models=chosen, next_page_token=token)


@implements("ModelService.UpdateModel")
def update(call: Call, request: Any) -> Any:
    """Change a version of a model."""
    with call.site.store.lock:
        record = version(call, request.model.name, "model.name")
        crud.check_etag(record, request.model.etag)
        crud.change(call, KIND, record, request)
        stamp(record.message.version_update_time, call.site.clock.now())
        return shown(record.message, call.version)


@implements("ModelService.MergeVersionAliases")
def merge_aliases(call: Call, request: Any) -> Any:
    """Add aliases to a version, or take away those that begin with ``-``."""
    with call.site.store.lock:
        record = version(call, request.name)
        model, _ = split(request.name)
        gone = {alias[1:] for alias in request.version_aliases if alias.startswith("-")}
        new = [alias for alias in request.version_aliases if not alias.startswith("-")]
        if DEFAULT in gone and DEFAULT in record.message.version_aliases:
            raise refused([("version_aliases", "The default alias can only be moved to another version.")])
        left = [alias for alias in record.message.version_aliases if alias not in gone]
        others = [one for one in versions(call.site.store, model) if one is not record]
        _alias(record, [*left, *new], others)
        call.site.store.touch(record)
        return shown(record.message, call.version)


@implements("ModelService.DeleteModel")
def delete(call: Call, request: Any) -> Any:
    """Forget a model with all its versions; one that is deployed stays."""
    model, wanted = split(request.name)
    if wanted:
        raise refused([("name", "To delete one version of a Model use DeleteModelVersion.")])
    with call.site.store.lock:
        found = versions(call.site.store, model)
        if not found:
            raise ServiceError("NOT_FOUND", f"The Model {request.name} does not exist.")
        return _delete(call, found)


@implements("ModelService.DeleteModelVersion")
def delete_version(call: Call, request: Any) -> Any:
    """Forget a version of a model; the default one stays as long as there are others."""
    model, _ = split(request.name)
    with call.site.store.lock:
        record = version(call, request.name)
        if DEFAULT in record.message.version_aliases:
            text = f"The default version of Model {model} cannot be deleted; delete the model, or move the alias."
            raise ServiceError("FAILED_PRECONDITION", text)
        return _delete(call, [record])


def _delete(call: Call, found: list[Record]) -> Any:
    used = [one for one in found if one.message.deployed_models]
    if used:
        where = ", ".join(one.endpoint for one in used[0].message.deployed_models)
        text = f"The Model {used[0].message.name} is deployed to {where}; undeploy it first."
        raise ServiceError("FAILED_PRECONDITION", text)
    for one in found:
        drop_artifact(call.site, one)
        call.site.store.remove(one.name)
    location = Name(found[0].name.project, found[0].name.location, ())
    begun = call.site.operations.begin(call, location, "DeleteOperationMetadata")
    return call.site.operations.finish(begun.name)
