"""Inputs that have to be fetched or gathered before a job can read them."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cloudops_local.layout import Layout

import cloudops
from cloudops.errors import JobFailed
from cloudops.events import BeforeSubmit
from cloudops.hookspecs import hookimpl
from cloudops.session import Session
from cloudops.testing.projects import job

SIGNATURE = "c2lnbmF0dXJl"


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def site(root: Path) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(root / "data"))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


def shell(command: str, **fields: object) -> object:
    return job("nothing", **fields).model_copy(update={"command": command})


def test_a_signature_is_nowhere_on_the_disk_and_not_in_the_job(session: Session, site: str, layout: Layout) -> None:
    url = f"{site}/part-1.csv?X-Amz-Signature={SIGNATURE}"
    done = session.train(shell("cat ${{inputs.part}}; env", inputs={"part": url}))  # type: ignore[arg-type]
    done.wait()
    said = [line.text for line in done.logs()]
    assert "1,1" in said
    assert not any(SIGNATURE in line or "CLOUDOPS_SOURCE" in line for line in said)
    for path in layout.root.rglob("*"):
        if path.is_file():
            assert SIGNATURE.encode() not in path.read_bytes(), path
    assert json.loads(layout.job(done.ref.id).lineage.read_text())["data"]["part"]


def test_files_of_one_name_in_several_folders_are_all_there(session: Session, root: Path) -> None:
    for month in ("01", "02"):
        (root / "months" / month).mkdir(parents=True)
        (root / "months" / month / "part.csv").write_text(f"{month}\n")
    done = session.train(shell("cat ${{inputs.all}}/*/part.csv", inputs={"all": "months/*/part.csv"}))  # type: ignore[arg-type]
    done.wait()
    assert [line.text for line in done.logs()] == ["[cloudops] fetching " + str(root / "months/*/part.csv"), "01", "02"]


class Meddler:
    """Changes the data once a job's request is made, as somebody else might."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @hookimpl
    def before_submit(self, event: BeforeSubmit) -> None:
        self.path.write_text("x,y\n9,9\n")


def test_data_that_changes_after_the_job_was_submitted_fails_it(root: Path) -> None:
    path = root / "data" / "part-1.csv"
    session = cloudops.connect(provider="local", project="small", root=root, plugins=(Meddler(path),))
    spec = shell("cat ${{inputs.part}}", inputs={"part": "data/part-1.csv"})
    meddled = session.train(spec)  # type: ignore[arg-type]
    with pytest.raises(JobFailed) as caught:
        meddled.wait()
    assert f"the input part ({path}) was changed after the job was submitted" in "\n".join(caught.value.log_tail)
    assert "9,9" not in [line.text for line in meddled.logs()]
    done = session.train(spec)  # type: ignore[arg-type]
    done.wait()
    assert done.ref.id != meddled.ref.id, "the data is another version, so it is another job"
    session.down()
