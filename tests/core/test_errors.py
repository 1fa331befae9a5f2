"""The hierarchy of errors is the one that is drawn, and each error reads well."""

from __future__ import annotations

import copy
import inspect
import pickle
import re
from pathlib import Path
from typing import Any

import pytest

from cloudops import errors
from cloudops.errors import AuthError, CloudopsError, JobFailed, ProviderError, WaitTimeout
from cloudops.refs import Phase, Ref, Status

CLASSES: dict[str, type[CloudopsError]] = {
    name: value
    for name, value in vars(errors).items()
    if inspect.isclass(value) and issubclass(value, CloudopsError) and value.__module__ == errors.__name__
}
_LINE = re.compile(
    r"^(?P<lead>(?:│   |    )*(?:├── |└── )?)(?P<name>[A-Z]\w+)(?: \((?P<builtin>\w+)\))?(?:\s\s+(?P<text>.+))?$"
)


def drawn() -> dict[str, tuple[str | None, str | None, str]]:
    """Class to its parent, the builtin that it also is, and the text beside it, as the docstring draws them."""
    found: dict[str, tuple[str | None, str | None, str]] = {}
    above: list[str] = []
    for line in inspect.cleandoc(errors.__doc__ or "").splitlines():
        match = _LINE.match(line.removeprefix("    "))
        if match:
            depth = len(match["lead"]) // 4
            above[depth:] = [match["name"]]
            found[match["name"]] = (above[depth - 1] if depth else None, match["builtin"], match["text"] or "")
    return found


def make(name: str) -> CloudopsError:
    arguments: Any = {"status": Status(Phase.FAILED), "log_tail": ["a", "b"]} if name == "JobFailed" else {}
    return CLASSES[name]("it broke", hint="mend it", ref=Ref("local", "a", "jobs", "x"), **arguments)


def test_the_drawing_names_every_class_and_no_other() -> None:
    assert set(drawn()) == set(CLASSES) == set(errors.__all__)
    assert errors.__all__ == sorted(errors.__all__)


@pytest.mark.parametrize("name", CLASSES)
def test_a_class_stands_where_it_is_drawn(name: str) -> None:
    parent, builtin, _ = drawn()[name]
    bases = {base.__name__ for base in CLASSES[name].__bases__}
    assert bases == {parent or "Exception", *([builtin] if builtin else [])}


@pytest.mark.parametrize("name", [name for name, (_, _, text) in drawn().items() if text])
def test_the_text_beside_a_class_names_its_attributes(name: str) -> None:
    text = drawn()[name][2]
    if text == "retryable":
        assert make(name).retryable is True  # type: ignore[attr-defined]
    elif re.fullmatch(r"\w+(, \w+)*", text):
        for attribute in text.split(", "):
            assert hasattr(make(name), attribute)


@pytest.mark.parametrize("name", CLASSES)
def test_an_error_is_its_message_and_its_hint(name: str) -> None:
    """OSError and ImportError have a text of their own; the message is wanted."""
    error = make(name)
    assert str(error) == "it broke; mend it"
    assert str(CLASSES["CloudopsError"]("alone")) == "alone"
    assert error.ref == "cloudops://local/a/jobs/x"
    assert error.message == "it broke"


@pytest.mark.parametrize("name", CLASSES)
def test_an_error_survives_copying_and_other_processes(name: str) -> None:
    for twin in (copy.copy(make(name)), pickle.loads(pickle.dumps(make(name)))):
        assert type(twin) is CLASSES[name]
        assert str(twin) == "it broke; mend it"
        assert vars(twin) == vars(make(name))


def test_the_text_of_those_that_are_os_errors_has_no_errno() -> None:
    assert str(AuthError("no credentials", hint="log in")) == "no credentials; log in"
    assert str(WaitTimeout("still running", hint="it goes on")) == "still running; it goes on"
    assert isinstance(AuthError("x"), PermissionError)
    assert isinstance(WaitTimeout("x"), TimeoutError)
    with pytest.raises(OSError):
        raise AuthError("x")


def test_exit_codes() -> None:
    codes = {name: CLASSES[name].exit_code for name in CLASSES}
    usage = {
        "ConfigError",
        "PluginError",
        "ProviderNotFound",
        "ProviderBroken",
        "MissingDependency",
        "UnsupportedFeature",
    }
    refused = {name for name, kind in CLASSES.items() if issubclass(kind, ProviderError)} - {"DeploymentFailed"}
    assert {name for name, code in codes.items() if code == 2} == usage
    assert {name for name, code in codes.items() if code == 3} == refused
    assert {code for name, code in codes.items() if name not in usage | refused} == {1}


def test_the_page_lists_every_class_with_its_exit_code() -> None:
    page = (Path(__file__).parents[2] / "docs" / "errors.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(\w+)` \| (\d+) \|", page, re.MULTILINE))
    assert rows == {name: str(kind.exit_code) for name, kind in CLASSES.items()}


def test_only_what_may_pass_is_retryable() -> None:
    retryable = {name for name, kind in CLASSES.items() if getattr(kind, "retryable_by_default", False)}
    assert retryable == {"Throttled", "Unavailable"}
    assert ProviderError("x", retryable=True).retryable
    assert not errors.Throttled("x", retryable=False).retryable


def test_a_failed_job_carries_its_log() -> None:
    error = JobFailed("the job x failed", status=Status(Phase.FAILED, exit_code=3), log_tail=["one", "two"])
    assert error.log_tail == ("one", "two")
    assert error.status.exit_code == 3
