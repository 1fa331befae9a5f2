"""References ``${{...}}`` in a project file, and which of them may stand where.

========================  =====================================================================================
where                     what may be referred to
========================  =====================================================================================
``<step>.command``        ``inputs.x``, ``outputs.x``, ``params.x`` of that step; in ``evaluate`` also
                          ``inputs.model``. Filled in by the runtime, inside the job.
``<step>.inputs.x``       ``prepare.outputs.y``, ``train.outputs.y``, ``train.model`` of a step before it
``evaluate.model``,       ``train.model``
``batch.model``,
``deploy.model``
``batch.data``,           ``inputs.x`` (of ``train``) and what ``<step>.inputs.x`` may refer to
``monitor.reference``,
``monitor.replay.x``
========================  =====================================================================================

Nowhere else. Targets and overrides are the provider's own business and are not looked at.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from .suggest import nearest

if TYPE_CHECKING:
    from types import SimpleNamespace

    from .specs import Project
    from .yamlfile import Place

REFERENCE = re.compile(r"\$\{\{\s*(.*?)\s*\}\}", re.DOTALL)
#: What a reference is replaced by whose value a plan cannot know yet, up to its end: ``<prepare.outputs.data>``.
PENDING = "<"
_JOBS = ("prepare", "train", "evaluate")
_STEPS = (*_JOBS, "batch", "deploy", "monitor")
#: The fields of steps other than jobs that name tables.
_TABLES = {("batch", "data"), ("monitor", "reference"), ("monitor", "replay")}


def names(text: str) -> list[str]:
    """The references in ``text``, such as ``["inputs.train", "params.lr"]``."""
    return REFERENCE.findall(text)


def fill(text: str, values: Mapping[str, str] | Callable[[str], str]) -> str:
    """``text`` with each reference replaced by its value.

    A folder's address (``s3://b/x/``) ends in a slash; what follows it may begin with one all the same.

    Raises:
        KeyError: a reference has no value.
    """
    look_up = values if callable(values) else values.__getitem__

    def value(match: re.Match[str]) -> str:
        found = look_up(match[1])
        return found[:-1] if found.endswith("/") and text.startswith("/", match.end()) else found

    return REFERENCE.sub(value, text)


def problems(project: Project | SimpleNamespace, steps: Sequence[str] = _STEPS) -> Iterator[tuple[Place, str]]:
    """The references of ``project`` that lead nowhere, each with its place and a line that says what would.

    Args:
        project: an attribute for each step; None for a step that there is not.
        steps: whose references are looked at.
    """
    for step in steps:
        spec = getattr(project, step)
        if spec is None:
            continue
        for place, text in _strings(spec.model_dump(exclude_unset=True), (step,)):
            if "${{" in text:
                yield from _of_text(place, text, _allowed(project, place))


def _of_text(place: Place, text: str, allowed: list[str]) -> Iterator[tuple[Place, str]]:
    found = names(text)
    if any("${{" in name for name in found) or text.count("${{") != len(found):
        yield place, "a reference is opened with ${{ and not closed with }}"
        return
    for name in found:
        if name not in allowed:
            shown = name if name.isprintable() else repr(name)[1:-1]
            yield place, f"the reference ${{{{{shown[:80]}}}}} leads nowhere; {_hint(place, name, allowed)}"


def _hint(place: Place, name: str, allowed: list[str]) -> str:
    if allowed:
        known = ", ".join(sorted(allowed))
        return nearest(name, allowed) or f"known here: {known if len(known) <= 200 else known[:200] + '...'}"
    if place[1] == "command":
        return "this step has no inputs, outputs or params"
    if place[1] in ("inputs", "model") or place[:2] in _TABLES:
        return "no step before this one has what can be referred to"
    return "no reference can be used here"


def _strings(value: Any, place: Place) -> Iterator[tuple[Place, str]]:
    if isinstance(value, str):
        yield place, value
    for key, child in value.items() if isinstance(value, dict) else ():
        yield from _strings(child, (*place, key))
    for index, child in enumerate(value if isinstance(value, list) else ()):
        yield from _strings(child, (*place, index))


def _allowed(project: Project | SimpleNamespace, place: Place) -> list[str]:
    """The references that the string at ``place`` may hold."""
    step, field = str(place[0]), place[1]
    if step in _JOBS and field == "command":
        return _of_command(step, getattr(project, step))
    before = _before(project, step)
    if step in _JOBS and field == "inputs":
        return before
    if (step, field) in _TABLES:
        return before + [f"inputs.{key}" for key in (project.train.inputs if project.train else ())]
    return [name for name in before if name == "train.model" and field == "model"]


def _before(project: Project | SimpleNamespace, step: str) -> list[str]:
    """What the steps before ``step`` leave."""
    found: list[str] = []
    for name in _JOBS[: _STEPS.index(step)]:
        spec = getattr(project, name)
        found += [f"{name}.outputs.{output}" for output in (spec.outputs if spec else ())]
        found += ["train.model"] if name == "train" and spec else []
    return found


def _of_command(step: str, spec: Any) -> list[str]:
    inputs = [*spec.inputs, *(["model"] if step == "evaluate" else [])]
    groups = (("inputs", inputs), ("outputs", spec.outputs), ("params", spec.params))
    return [f"{group}.{key}" for group, keys in groups for key in keys]
