"""Brings to the bucket what a job reads: its archive, the code, and inputs that are on this machine or elsewhere."""

from __future__ import annotations

import json
import re
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

from cloudops.errors import InvalidRequest, NotFound
from cloudops.store import inputs

from . import jobs
from .runtime import job_archive

if TYPE_CHECKING:
    from cloudops.provider import Input, JobRequest

    from .client import Client
    from .names import Layout
    from .storage import Storage

_PARALLEL = 8


def stage(client: Client, storage: Storage, request: JobRequest, prepared: jobs.Prepared, layout: Layout) -> None:
    """Write everything that the job reads; what has the same content as before is not sent again."""
    folder = layout.job(request.name)
    small = {
        folder / "lineage.json": json.dumps(jobs.lineage_document(request), indent=1).encode(),
        jobs.archive_place(layout, request.name): job_archive(job_files(storage, request, prepared)),
    }
    with ThreadPoolExecutor(_PARALLEL) as pool:
        work: list[Future[Any]] = [pool.submit(storage.put, place, body) for place, body in small.items()]
        work.append(pool.submit(_code, storage, request, layout))
        work += [
            pool.submit(stage_input, client, storage, item, layout, (request.step, "inputs", name))
            for name, item in request.inputs.items()
        ]
        for each in work:
            each.result()


def job_files(storage: Storage, request: JobRequest, prepared: jobs.Prepared) -> dict[str, bytes]:
    """The files of a job's archive beside those that every job has."""
    boot: dict[str, Any] = {**prepared.boot, "inputs": dict(prepared.boot["inputs"])}
    for name, item in request.inputs.items():
        if jobs.is_gs(item) and inputs.is_pattern(item.source):
            boot["inputs"][name] = {**boot["inputs"][name], "names": matching(storage, item)}
    files = {"boot.json": json.dumps(boot).encode()}
    if prepared.requirements is not None:
        files["requirements.txt"] = f"{prepared.requirements}\n".encode()
    return files


def matching(storage: Storage, item: Input) -> list[str]:
    """The objects that match a pattern, by their names below its first folder.

    Raises:
        NotFound: nothing matches.
    """
    from cloudops.store.gitignore import translate

    from .names import Place

    start, key = jobs.pattern_start(item), Place.parse(item.source).key
    wanted = re.compile(translate(key, True) or "(?!)", re.DOTALL)
    found = [name for name, _ in storage.sizes(start) if wanted.fullmatch(f"{start.key}/{name}".lstrip("/"))]
    if not found:
        raise NotFound(f"{item.source} matches no object", provider="vertex", hint="check the address")
    return found


def _code(storage: Storage, request: JobRequest, layout: Layout) -> None:
    place = layout.code(request.code.digest)
    if storage.size(place) != request.code.archive.stat().st_size:
        storage.upload(place, request.code.archive)


def stage_input(client: Client, storage: Storage, item: Input, layout: Layout, place: tuple[str, ...]) -> None:
    """Bring an input to the bucket that is not there; what has the same content as before is not sent again.

    Raises:
        InvalidRequest: it has no file; names ``place``, where the spec has it.
    """
    if jobs.is_gs(item):
        return
    files = inputs.local_files(item.source, client.root / ".cloudops" / "store")
    if not files:
        text = f"{item.source} has no file, and a bucket holds no empty folder"
        raise InvalidRequest(text, provider="vertex").at(*place)
    storage.upload_all(layout.data(jobs.data_name(item)), files)
