"""Observers are told what happens, in order, and may veto it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from cloudops.errors import CloudopsError, PluginError, Vetoed
from cloudops.events import BeforeDelete, StatusChanged
from cloudops.hookspecs import PLUGINS, ObserverHooks, hookimpl
from cloudops.observers import Observers
from cloudops.refs import Phase, Ref, Status

from .distributions import install

REF = Ref("local", "here", "jobs", "x")
EVENT = BeforeDelete(REF)


class Recorder:
    """Writes down what it is told."""

    def __init__(self, name: str, seen: list[str], error: Exception | None = None) -> None:
        self.name, self.seen, self.error = name, seen, error

    @hookimpl
    def before_delete(self, event: BeforeDelete) -> None:
        self.seen.append(f"{self.name} {event.ref.id}")
        if self.error is not None:
            raise self.error

    @hookimpl
    def on_event(self, event: StatusChanged) -> None:
        self.seen.append(f"{self.name} {event.status.phase}")


class First(Recorder):
    """Wants to be asked before the others."""

    @hookimpl(tryfirst=True)
    def before_delete(self, event: BeforeDelete) -> None:
        super().before_delete(event)


def test_without_observers_nothing_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cloudops.observers.entry_points", lambda group: {})
    observers = Observers()
    observers.tell("before_delete", EVENT)
    assert observers._manager is None


def test_each_is_told_the_last_registered_first() -> None:
    seen: list[str] = []
    observers = Observers((Recorder("a", seen), First("first", seen), Recorder("b", seen)))
    observers.tell("before_delete", EVENT)
    assert seen == ["first x", "b x", "a x"]


def test_a_hook_that_nobody_implements_is_fine() -> None:
    Observers((object(),)).tell("before_delete", EVENT)


def test_status_changes_arrive() -> None:
    seen: list[str] = []
    Observers((Recorder("a", seen),)).tell("on_event", StatusChanged(REF, Status(Phase.RUNNING)))
    assert seen == ["a running"]


def test_a_veto_stops_the_others_and_keeps_its_reason() -> None:
    seen: list[str] = []
    observers = Observers((Recorder("late", seen), First("guard", seen, Vetoed("not on a Friday", hint="wait"))))
    with pytest.raises(Vetoed, match=r"^not on a Friday; wait$"):
        observers.tell("before_delete", EVENT)
    assert seen == ["guard x"]


def test_an_error_of_ours_keeps_its_class() -> None:
    with pytest.raises(CloudopsError, match=r"^no$"):
        Observers((Recorder("a", [], CloudopsError("no")),)).tell("before_delete", EVENT)


def test_an_observer_that_breaks_is_not_passed_over() -> None:
    """It may be the one with the veto."""
    with pytest.raises(PluginError) as caught:
        Observers((Recorder("a", [], KeyError("x")),)).tell("before_delete", EVENT)
    assert caught.value.message == "an observer failed in before_delete: KeyError: 'x'"
    assert isinstance(caught.value.__cause__, KeyError)


PLUGIN = """
from cloudops.errors import Vetoed
from cloudops.hookspecs import hookimpl

@hookimpl
def before_delete(event):
    raise Vetoed(f"{event.ref.id} stays")
"""


def test_an_installed_plugin_is_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, "guard", "1", points={PLUGINS: {"guard": "module_of_guard"}}, modules={"module_of_guard": PLUGIN})
    monkeypatch.syspath_prepend(tmp_path)
    try:
        with pytest.raises(Vetoed, match=r"^x stays$"):
            Observers().tell("before_delete", EVENT)
    finally:
        sys.modules.pop("module_of_guard", None)


def test_every_hook_has_an_event_of_its_own() -> None:
    hooks = [name for name, value in vars(ObserverHooks).items() if hasattr(value, "cloudops_spec")]
    assert hooks == ["before_submit", "after_submit", "on_event", "before_delete"]
    events = [getattr(ObserverHooks, name).__annotations__["event"] for name in hooks]
    assert events == ["BeforeSubmit", "AfterSubmit", "StatusChanged", "BeforeDelete"]
