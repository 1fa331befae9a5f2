"""What a job is given: parameters, variables, secrets, inputs, and folders to write to."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest

from cloudops.errors import JobFailed
from cloudops.provider import Capability

from .contract import Contract, requires
from .projects import DATA, configure, job, said

if TYPE_CHECKING:
    from .rig import Rig

#: Values that shells, URLs, JSON or SDKs have been known to change.
NASTY: tuple[str | int | float | bool | None, ...] = (
    "",
    " ",
    "a b",
    " both ends ",
    "it's",
    'say "please"',
    "''",
    '""',
    "\\",
    "ends with \\",
    "\\n is not a line end",
    "a line\nand another",
    "a\ttab",
    "$HOME",
    "${HOME}",
    "$(echo executed)",
    "`echo executed`",
    "a; echo executed",
    "a && echo executed || true",
    "a | b > c < d &",
    "*",
    "~",
    "{a,b}[c]?",
    "#comment",
    "!history",
    "-n",
    "--flag=value",
    "a=b",
    "%s %d %%",
    "{{x}} }} {% y %}",
    "é ü 漢字 🎈",
    '{"json": [1, null]}',
    0,
    -1,
    1e-9,
    0.1,
    2**53,
    True,
    False,
    None,
)
_SECRET = 'open sesame, it\'s "$HOME" é'


@dataclass(frozen=True)
class Given:
    """What one job told of what it was given."""

    arguments: list[str]
    params: dict[str, Any]
    environ: dict[str, str]
    secrets: dict[str, str]


class TrainGiven(Contract):
    """See :class:`cloudops.testing.TrainContract`."""

    @pytest.fixture(scope="class")
    @classmethod
    def given(cls, rig: Rig) -> Given:
        """One job with everything that is not gated by a capability."""
        params = {f"p{number}": value for number, value in enumerate(NASTY)}
        references = [f"${{{{params.{name}}}}}" for name in params]
        envs = {"CONTRACT_QUOTES": 'it\'s "$HOME" \\', "CONTRACT_EMPTY": "", "CONTRACT_UNICODE": "漢字 🎈"}
        done = rig.train(rig.session(), job("dump", *references, params=params, envs=envs))
        return Given(**said(done)[0])

    def test_parameters_reach_the_command_line_as_they_are(self, given: Given) -> None:
        assert given.arguments == [value if isinstance(value, str) else json.dumps(value) for value in NASTY]

    def test_parameters_keep_their_types(self, given: Given) -> None:
        found = [given.params[f"p{number}"] for number in range(len(NASTY))]
        assert [(type(value), value) for value in found] == [(type(value), value) for value in NASTY]

    def test_parameters_are_variables_too(self, given: Given) -> None:
        assert given.environ["CLOUDOPS_PARAM_P4"] == "it's"

    def test_variables_reach_the_job_as_they_are(self, given: Given) -> None:
        assert given.environ["CONTRACT_QUOTES"] == 'it\'s "$HOME" \\'
        assert given.environ["CONTRACT_EMPTY"] == ""
        assert given.environ["CONTRACT_UNICODE"] == "漢字 🎈"

    def test_a_job_knows_its_folders_and_its_rank(self, given: Given) -> None:
        wanted = {f"CLOUDOPS_{name}" for name in ("MODEL_DIR", "OUTPUT_DIR", "CHECKPOINT_DIR", "CLOUD")}
        assert wanted <= set(given.environ)
        assert (given.environ["CLOUDOPS_RANK"], given.environ["CLOUDOPS_WORLD_SIZE"]) == ("0", "1")

    def test_inputs_are_files_folders_and_patterns(self, rig: Rig) -> None:
        """A file is at its path, a folder with everything below it, a pattern as a folder of what matches."""
        inputs = {"file": "data/part-1.csv", "folder": "data", "pattern": "data/*.csv"}
        references = [f"${{{{inputs.{name}}}}}" for name in inputs]
        file, folder, pattern = said(rig.train(rig.session(), job("files", *references, inputs=inputs)))[0]["files"]
        assert list(file.values()) == [DATA["part-1.csv"]]
        assert folder == DATA
        assert pattern == {name: text for name, text in DATA.items() if name.endswith(".csv")}

    @requires(Capability.REMOTE_INPUTS)
    def test_an_input_may_be_a_uri(self, rig: Rig) -> None:
        session = rig.session()
        with _served(session.root / "data") as url:
            spec = job("files", "${{inputs.table}}", inputs={"table": f"{url}/part-1.csv"})
            assert list(said(rig.train(session, spec))[0]["files"][0].values()) == [DATA["part-1.csv"]]

    @requires(Capability.REMOTE_INPUTS)
    def test_inputs_are_objects_prefixes_and_patterns_of_a_store(self, rig: Rig) -> None:
        """An object is a file, a prefix a folder with everything below it, a pattern a folder of what matches."""
        stored = {**DATA, "deeper/über uns.csv": "x\n1\n"}
        with rig.stored(stored) as prefix:
            inputs = {"one": f"{prefix}part-1.csv", "all": prefix, "some": f"{prefix}part-*.csv"}
            spec = job("files", *(f"${{{{inputs.{name}}}}}" for name in inputs), inputs=inputs)
            one, everything, some = said(rig.train(rig.session(), spec))[0]["files"]
        assert list(one.values()) == [DATA["part-1.csv"]]
        assert everything == stored
        assert some == {name: text for name, text in DATA.items() if name.startswith("part-")}

    @requires(Capability.REMOTE_INPUTS)
    def test_an_input_may_be_an_output_of_another_provider(self, rig: Rig) -> None:
        text = "x,y\n7,8\n"
        with rig.elsewhere() as other:
            spec = job("produce", "${{outputs.table}}", "${{params.text}}", outputs=["table"], params={"text": text})
            folder = other.train(other.session(), spec).outputs()["table"]
            second = rig.train(rig.session(), job("files", "${{inputs.all}}", inputs={"all": folder}))
        assert said(second)[0]["files"] == [{"table.csv": text, "deeper/table.csv": text}]

    def test_an_output_is_an_input_of_the_next_job(self, rig: Rig) -> None:
        session = rig.session()
        text = "x,y\n5,6\n"
        params = {"text": text}
        first = rig.train(
            session, job("produce", "${{outputs.table}}", "${{params.text}}", outputs=["table"], params=params)
        )
        folder = first.outputs()["table"]
        second = rig.train(session, job("files", "${{inputs.all}}", inputs={"all": folder}))
        assert said(second)[0]["files"] == [{"table.csv": text, "deeper/table.csv": text}]

    @requires(Capability.SECRETS)
    def test_secrets_reach_the_job(self, rig: Rig) -> None:
        session = rig.session(environ={"CONTRACT_SECRET": _SECRET})
        done = rig.train(session, job("dump", secrets=["CONTRACT_SECRET"]))
        assert said(done)[0]["secrets"] == {"CONTRACT_SECRET": hashlib.sha256(_SECRET.encode()).hexdigest()}

    @requires(Capability.SECRETS)
    def test_secrets_are_never_shown(self, rig: Rig) -> None:
        """Not in logs, errors, handles, statuses, plans or the files of the project, even when the job prints one."""
        root = rig.project()
        spec = job("leak", "CONTRACT_SECRET", secrets=["CONTRACT_SECRET"])
        configure(root, name=rig.project_name(root), train=spec.model_dump(mode="json", exclude_unset=True))
        session = rig.session(root=root, environ={"CONTRACT_SECRET": _SECRET})
        failed = session.train()
        with pytest.raises(JobFailed) as caught:
            failed.wait(rig.timeout, poll=rig.poll)
        error = caught.value
        listed = [*session.jobs(), *session.models()]
        shown = [str(error), repr(error), repr(error.status), repr(failed), repr(session.plan("train")), repr(listed)]
        shown += [*error.log_tail, *(line.text for line in failed.logs())]
        assert not [text for text in shown if _SECRET in text]
        assert not [path for path in _files(root) if _SECRET.encode() in path.read_bytes()]


@contextmanager
def _served(folder: Path) -> Iterator[str]:
    """The files of ``folder`` over HTTP on this machine."""
    handler = partial(_Quiet, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Nobody reads it."""


def _files(root: Path) -> Iterator[Path]:
    return (path for path in root.rglob("*") if path.is_file() and not path.is_symlink())
