"""Kinds that are records and nothing more: datasets, tensorboards, studies."""

from __future__ import annotations

import re
from typing import Any

from . import crud
from .crud import Kind
from .methods import Call, implements
from .names import Name, new_id
from .protocol import pool
from .protocol.errors import refused
from .store import shown

DATASET = Kind(
    "Dataset",
    "datasets",
    ("display_name", "description", "labels"),
    missing="The Dataset does not exist.",
    invalid="Invalid Dataset resource name.",
)
TENSORBOARD = Kind(
    "Tensorboard",
    "tensorboards",
    ("display_name", "description", "labels", "is_default"),
    missing="The Tensorboard does not exist.",
    invalid="Invalid Tensorboard resource name.",
)
STUDY = Kind("Study", "studies", missing="The Study does not exist.", invalid="The study ID must be a number.")
_SCHEMA = re.compile(r"(gs://google-cloud-aiplatform/schema/dataset/)metadata/(\w+?)(_[\d.]+\.yaml)")


@implements("DatasetService.CreateDataset")
def create_dataset(call: Call, request: Any) -> Any:
    """A dataset, with what the service derives from the schema of its metadata."""
    message = crud.prepared(call, DATASET, request)
    schema = _SCHEMA.fullmatch(message.metadata_schema_uri)
    if schema is None:
        text = f"Invalid metadata schema {message.metadata_schema_uri!r}."
        raise refused([("dataset.metadata_schema_uri", text)])
    message.metadata.struct_value["dataItemSchemaUri"] = f"{schema[1]}dataitem/{schema[2]}{schema[3]}"
    response = type(message)(metadata_schema_uri=message.metadata_schema_uri, display_name=message.display_name)
    response.metadata.CopyFrom(message.metadata)
    response.labels["aiplatform.googleapis.com/dataset_metadata_schema"] = schema[2].upper()
    message.metadata.struct_value["gcsBucket"] = f"cloud-ai-platform-{new_id()}"
    with call.site.store.lock:
        name = crud.place(call, DATASET, request.parent)
        own = call.site.store.canonical(name)
        store = Name(own.project, own.location, ("metadataStores", "default", "artifacts", new_id()))
        message.metadata_artifact = str(store)
        call.site.store.add(name, message)
    begun = call.site.operations.begin(call, name, "CreateDatasetOperationMetadata")
    response.name = message.name
    call.site.operations.finish(begun.name, shown(response, call.version))
    return begun


@implements("TensorboardService.CreateTensorboard")
def create_tensorboard(call: Call, request: Any) -> Any:
    """A tensorboard; experiments and runs in it are not emulated."""
    message = crud.prepared(call, TENSORBOARD, request)
    message.blob_storage_path_prefix = f"cloud-ai-platform-{new_id()}"
    with call.site.store.lock:
        name = crud.place(call, TENSORBOARD, request.parent)
        call.site.store.add(name, message)
    begun = call.site.operations.begin(call, name, "CreateTensorboardOperationMetadata")
    told = {"name": message.name, "display_name": message.display_name, "description": message.description}
    call.site.operations.finish(begun.name, crud.answered(call, "Tensorboard", **told))
    return begun


@implements("VizierService.CreateStudy")
def create_study(call: Call, request: Any) -> Any:
    """A study; trials are not suggested offline."""
    message = crud.prepared(call, STUDY, request)
    message.study_spec.study_stopping_config.SetInParent()  # it is told, empty, whatever was asked for
    message.state = message.DESCRIPTOR.enum_types_by_name["State"].values_by_name["ACTIVE"].number
    with call.site.store.lock:
        call.site.store.add(crud.place(call, STUDY, request.parent), message)
    return shown(message, call.version)


@implements("DatasetService.GetDataset")
def get_dataset(call: Call, request: Any) -> Any:
    """A dataset."""
    return crud.get(call, DATASET, request)


@implements("TensorboardService.GetTensorboard")
def get_tensorboard(call: Call, request: Any) -> Any:
    """A tensorboard."""
    return crud.get(call, TENSORBOARD, request)


@implements("VizierService.GetStudy")
def get_study(call: Call, request: Any) -> Any:
    """A study."""
    return crud.get(call, STUDY, request)


@implements("DatasetService.ListDatasets")
def list_datasets(call: Call, request: Any) -> Any:
    """A page of datasets."""
    return crud.list_all(call, DATASET, request, "datasets")


@implements("TensorboardService.ListTensorboards")
def list_tensorboards(call: Call, request: Any) -> Any:
    """A page of tensorboards."""
    return crud.list_all(call, TENSORBOARD, request, "tensorboards")


@implements("VizierService.ListStudies")
def list_studies(call: Call, request: Any) -> Any:
    """A page of studies."""
    return crud.list_all(call, STUDY, request, "studies")


@implements("DatasetService.UpdateDataset")
def update_dataset(call: Call, request: Any) -> Any:
    """Change a dataset."""
    return shown(crud.update(call, DATASET, request).message, call.version)


@implements("TensorboardService.UpdateTensorboard")
def update_tensorboard(call: Call, request: Any) -> Any:
    """Change a tensorboard; the operation of that is done at once."""
    record = crud.update(call, TENSORBOARD, request)
    where = Name(record.name.project, record.name.location, ())
    begun = call.site.operations.begin(call, where, "UpdateTensorboardOperationMetadata")
    return call.site.operations.finish(begun.name, shown(record.message, call.version))


@implements("DatasetService.DeleteDataset")
def delete_dataset(call: Call, request: Any) -> Any:
    """Forget a dataset."""
    return crud.delete(call, crud.find(call, DATASET, request.name))


@implements("TensorboardService.DeleteTensorboard")
def delete_tensorboard(call: Call, request: Any) -> Any:
    """Forget a tensorboard."""
    return crud.delete(call, crud.find(call, TENSORBOARD, request.name))


@implements("VizierService.DeleteStudy")
def delete_study(call: Call, request: Any) -> Any:
    """Forget a study."""
    call.site.store.remove(crud.find(call, STUDY, request.name).name)
    return pool.message("google.protobuf.Empty")()
