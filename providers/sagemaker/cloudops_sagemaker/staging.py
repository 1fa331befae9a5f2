"""Brings to S3 what a job reads: the runtime, the code, and inputs that are on this machine or on the web."""

from __future__ import annotations

import json
import re
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

from cloudops.errors import InvalidRequest, NotFound
from cloudops.store import inputs

from . import jobs
from .names import JOB_CHANNEL, Layout, Place
from .runtime import JOB_FILES, container_file, runtime_archive

if TYPE_CHECKING:
    from cloudops.provider import Input, JobRequest

    from .client import Client
    from .storage import Storage

_PARALLEL = 8


def stage(client: Client, storage: Storage, request: JobRequest, prepared: jobs.Prepared, layout: Layout) -> None:
    """Write everything that the job's channels name; what has the same content as before is not sent again."""
    folder = layout.job(request.name)
    small = {f"{JOB_CHANNEL}/{name}": body for name, body in job_files(prepared).items()}
    small["lineage.json"] = json.dumps(jobs.lineage_document(request), indent=1).encode()
    for name, item in request.inputs.items():
        if jobs.is_s3(item) and inputs.is_pattern(item.source):
            small[f"manifests/{name}.json"] = json.dumps(matching(storage, item)).encode()
    with ThreadPoolExecutor(_PARALLEL) as pool:
        work = [pool.submit(storage.put, folder / name, body) for name, body in small.items()]
        work.append(pool.submit(_code, storage, request, layout))
        work += [
            pool.submit(stage_input, client, storage, item, layout, (request.step, "inputs", name))
            for name, item in request.inputs.items()
        ]
        for each in work:
            each.result()


def job_files(prepared: jobs.Prepared) -> dict[str, bytes]:
    """The files of the channel that starts a job."""
    name, runtime = runtime_archive()
    files = {each: container_file(each) for each in JOB_FILES}
    files[name] = runtime
    files["boot.json"] = json.dumps(prepared.boot).encode()
    if prepared.requirements is not None:
        files["requirements.txt"] = f"{prepared.requirements}\n".encode()
    return files


def matching(storage: Storage, item: Input) -> list[object]:
    """A manifest of the objects that match a pattern: their common prefix, then their names below it.

    Raises:
        NotFound: nothing matches.
    """
    from cloudops.store.gitignore import translate

    place = Place.parse(item.source)
    fixed = re.split(r"[*?\[]", place.key, maxsplit=1)[0].rpartition("/")[0]
    start = Place(place.bucket, fixed)
    wanted = re.compile(translate(place.key, True) or "(?!)", re.DOTALL)
    found = [name for name, _ in storage.sizes(start) if wanted.fullmatch(f"{fixed}/{name}".lstrip("/"))]
    if not found:
        raise NotFound(f"{item.source} matches no object", provider="sagemaker", hint="check the address")
    return [{"prefix": f"{start.uri}/"}, *found]


def _code(storage: Storage, request: JobRequest, layout: Layout) -> None:
    storage.upload_all(layout.code(request.code.digest), {"code.tar": request.code.archive})


def stage_input(client: Client, storage: Storage, item: Input, layout: Layout, place: tuple[str, ...]) -> None:
    """Bring an input to S3 that is not there; what has the same content as before is not sent again.

    Raises:
        InvalidRequest: it has no file; names ``place``, where the spec has it.
    """
    if jobs.is_s3(item):
        return
    files = inputs.local_files(item.source, client.root / ".cloudops" / "store")
    if not files:
        text = f"{item.source} has no file, and SageMaker takes no input without one"
        raise InvalidRequest(text, provider="sagemaker").at(*place)
    storage.upload_all(layout.data(jobs.data_name(item)), files)
