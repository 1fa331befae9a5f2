"""What a deletion takes with it, what it leaves, and what happens where it cannot be done."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from cloudops_local import jobs
from cloudops_local.layout import Layout

from cloudops.engine.folders import remove
from cloudops.engine.service_find import find
from cloudops.errors import Conflict, JobFailed, ProviderError
from cloudops.session import Session
from cloudops.testing.projects import deployment, job

KEEP = 'mkdir -p "$CLOUDOPS_CHECKPOINT_DIR" && ls "$CLOUDOPS_CHECKPOINT_DIR" && touch "$CLOUDOPS_CHECKPOINT_DIR/seen"'


def test_a_gap_left_by_a_deleted_try_does_not_hide_the_later_ones(connect: Callable[[], Session]) -> None:
    first = connect().train(job("nothing"))
    first.wait()
    second = connect().train(job("nothing"), new=True)
    second.wait()
    assert (second.ref.id, first.ref.id) == (f"{first.ref.id}-2", first.ref.id)
    first.delete()
    assert connect().train(job("nothing")) == second
    third = connect().train(job("nothing"), new=True)
    assert third.ref.id == f"{first.ref.id}-3"


def test_a_name_that_only_begins_alike_is_another_intent(session: Session, layout: Layout) -> None:
    made = session.train(job("nothing"))
    made.wait()
    trainer = session.provider.trainer
    assert dict(trainer.attempts(made.ref.id)) == {1: made.ref}
    assert dict(trainer.attempts(made.ref.id[:-1])) == {}
    assert dict(trainer.attempts("small-train")) == {}


def test_checkpoints_that_another_try_has_too_stay(session: Session, layout: Layout) -> None:
    spec = job("nothing").model_copy(update={"command": f"{KEEP} && exit 3"})
    tries = []
    for _ in range(2):
        tries.append(session.train(spec))
        with pytest.raises(JobFailed):
            tries[-1].wait()
    assert [one.ref.id for one in tries] == [tries[0].ref.id, f"{tries[0].ref.id}-2"]
    assert "seen" in [line.text for line in tries[1].logs()], "it starts from the checkpoints of the first try"
    checkpoints = layout.checkpoints(tries[0].ref.id)
    tries[0].delete()
    assert (checkpoints / "seen").exists()
    tries[1].delete()
    assert not checkpoints.exists()


def test_a_job_that_does_not_end_stays_listed(
    session: Session, layout: Layout, monkeypatch: pytest.MonkeyPatch
) -> None:
    running = session.train(job("sleep", "600"))
    monkeypatch.setattr(jobs, "_ENDING", 0.0)
    with pytest.raises(Conflict, match="does not end"):
        running.delete()
    assert [item.ref for item in session.jobs()] == [running.ref]
    monkeypatch.undo()
    running.delete()
    assert list(session.jobs()) == []
    assert not layout.job(running.ref.id).path.exists()


@pytest.mark.parametrize("lost", ["desired.json", "desired.json observed.json", "folder"])
def test_down_leaves_no_process_where_an_endpoints_files_are_lost(session: Session, layout: Layout, lost: str) -> None:
    endpoint = session.deploy(deployment("small"))
    endpoint.wait()
    folder = layout.endpoint(endpoint.ref.id)
    assert len(find(folder.resolve())) == 3
    if lost == "folder":
        while folder.exists():  # its supervisor may write to it meanwhile
            shutil.rmtree(folder, ignore_errors=True)
    else:
        for name in lost.split():
            (folder / name).write_text("nonsense")
    session.down()
    assert find(folder.resolve()) == []
    assert list(session.endpoints()) == []


def test_files_that_cannot_be_removed_keep_the_job_listed(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    done = session.train(job("nothing"))
    done.wait()

    def refuse(path: Path) -> None:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(jobs, "remove", refuse)
    with pytest.raises(ProviderError, match="Permission denied"):
        done.delete()
    assert [item.ref for item in session.jobs()] == [done.ref]
    monkeypatch.undo()
    done.delete()
    assert list(session.jobs()) == []


NOBODY = 65534


def as_nobody(action: Callable[[], None]) -> int:
    """The exit code of a process without root's rights that does it."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            if os.geteuid() == 0:
                os.setuid(NOBODY)
            action()
            code = 0
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_folders_that_lost_their_permissions_are_removed() -> None:
    with tempfile.TemporaryDirectory() as open_to_all:
        os.chmod(open_to_all, 0o777)  # pytest's own folders are root's alone
        job_folder = Path(open_to_all) / "job"

        def make() -> None:
            for name, mode in (("read-only", 0o500), ("closed", 0o000)):
                (job_folder / name).mkdir(parents=True)
                (job_folder / name / "file").touch()
                (job_folder / name / "nested").mkdir()
                (job_folder / name / "nested").chmod(mode)
                (job_folder / name).chmod(mode)

        def without_help() -> None:
            shutil.rmtree(job_folder)

        def twice() -> None:
            remove(job_folder)
            remove(job_folder)

        assert as_nobody(make) == 0
        assert as_nobody(without_help) == 1
        assert as_nobody(twice) == 0
        assert not job_folder.exists()
        assert os.stat(open_to_all).st_mode & 0o777 == 0o777, "what is above stays as it is"


def test_versions_that_the_endpoint_cannot_go_back_to_are_not_kept(session: Session, layout: Layout) -> None:
    endpoint = session.deploy(deployment("small"))
    endpoint.wait()
    served = layout.versions("small")
    [live] = served.iterdir()
    shutil.copytree(live, served / "forgotten")
    session.deploy(deployment("small", "three")).wait()
    assert (served / live.name).exists(), "the version to roll back to"
    assert not (served / "forgotten").exists()
    assert endpoint.predict([[1, 2]]) == [9]
    endpoint.rollback()
    endpoint.wait()
    assert endpoint.predict([[1, 2]]) == [6]
