"""References ``${{...}}`` in a project file, and which of them may stand where.

========================  =====================================================================================
where                     what may be referred to
========================  =====================================================================================
``<step>.command``        ``inputs.x``, ``outputs.x``, ``params.x`` of that step; in ``evaluate`` also
                          ``inputs.model``. Filled in by the runtime, inside the job.
``<step>.inputs.x``       ``prepare.outputs.y``, ``train.outputs.y``, ``train.model`` of a step before it
``evaluate.model``,       ``train.model``
``deploy.model``
``monitor.reference``,    ``inputs.x`` (of ``train``) and what ``<step>.inputs.x`` may refer to
``monitor.replay.x``
========================  =====================================================================================
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING

from .suggest import nearest

if TYPE_CHECKING:
    from .specs import Project, StepSpec
    from .yamlfile import Place

REFERENCE = re.compile(r"\$\{\{\s*(.*?)\s*\}\}", re.DOTALL)


def names(text: str) -> list[str]:
    """The references in ``text``, such as ``["inputs.train", "params.lr"]``."""
    return REFERENCE.findall(text)


def fill(text: str, values: Mapping[str, str] | Callable[[str], str]) -> str:
    """``text`` with each reference replaced by its value.

    Raises:
        KeyError: a reference has no value.
    """
    look_up = values if callable(values) else values.__getitem__
    return REFERENCE.sub(lambda match: look_up(match[1]), text)


def problems(project: Project) -> Iterator[tuple[Place, str]]:
    """The references of ``project`` that lead nowhere, each with its place and a line that says what would."""
    for place, text, allowed in _texts(project):
        opened = text.count("${{")
        found = names(text)
        if opened != len(found):
            yield place, "a reference is opened with ${{ and not closed with }}"
        for name in found:
            if name not in allowed:
                yield place, f"the reference ${{{{{name[:80]}}}}} leads nowhere; {_hint(name, allowed)}"


def _hint(name: str, allowed: list[str]) -> str:
    if not allowed:
        return "no reference can be used here"
    return nearest(name, allowed) or f"known here: {', '.join(sorted(allowed)[:20])}"


def _texts(project: Project) -> Iterator[tuple[Place, str, list[str]]]:
    """Every text of the project that might hold a reference, with the references that it may hold."""
    before: list[str] = []
    for name in ("prepare", "train", "evaluate"):
        step: StepSpec | None = getattr(project, name)
        if step is None:
            continue
        yield (name, "command"), step.command, _of_command(name, step)
        for key, source in step.inputs.items():
            yield (name, "inputs", key), source, before
        for field in ("code", "image", "requirements", "model"):
            if isinstance(text := getattr(step, field, None), str):
                yield (name, field), text, [r for r in before if r == "train.model" and field == "model"]
        for group in ("params", "envs"):
            for key, value in getattr(step, group).items():
                if isinstance(value, str):
                    yield (name, group, key), value, []
        before = before + [f"{name}.outputs.{output}" for output in step.outputs]
        before += ["train.model"] if name == "train" else []
    yield from _of_deploy(project, before)
    yield from _of_monitor(project, before)


def _of_command(name: str, step: StepSpec) -> list[str]:
    inputs = [*step.inputs, *(["model"] if name == "evaluate" else [])]
    return [
        *(f"inputs.{key}" for key in inputs),
        *(f"outputs.{key}" for key in step.outputs),
        *(f"params.{key}" for key in step.params),
    ]


def _of_deploy(project: Project, before: list[str]) -> Iterator[tuple[Place, str, list[str]]]:
    if project.deploy is None:
        return
    for field in ("model", "predictor", "image", "requirements"):
        if (text := getattr(project.deploy, field)) is not None:
            yield ("deploy", field), text, [r for r in before if r == "train.model" and field == "model"]
    for key, value in project.deploy.envs.items():
        yield ("deploy", "envs", key), value, []


def _of_monitor(project: Project, before: list[str]) -> Iterator[tuple[Place, str, list[str]]]:
    if project.monitor is None:
        return
    allowed = before + [f"inputs.{key}" for key in (project.train.inputs if project.train else ())]
    if project.monitor.reference is not None:
        yield ("monitor", "reference"), project.monitor.reference, allowed
    if project.monitor.endpoint is not None:
        yield ("monitor", "endpoint"), project.monitor.endpoint, []
    for key, source in project.monitor.replay.items():
        yield ("monitor", "replay", key), source, allowed
