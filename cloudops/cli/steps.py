"""Commands that take steps of the project: run, prepare, train, evaluate, batch, deploy, plan."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import click

from .interrupts import Interrupted, program, same_command
from .options import command_line, load_config, project_options, relative
from .output import document, note, table, wants_json
from .progress import PlainProgress, progress

if TYPE_CHECKING:
    from cloudops.handles import Endpoint, Job
    from cloudops.session import Session

new_option = click.option("--new", is_flag=True, help="Start a new job even where the same one was run already.")
wait_option = click.option("--wait/--no-wait", default=True, help="Wait until it is done, or return at once.")


@click.command()
@new_option
@project_options
def run(new: bool, **options: Any) -> None:
    """Take all steps of the project: prepare, train, evaluate, batch, deploy, query, monitor.

    A repeated run goes on where the last one ended: jobs with the same code, data and parameters are found, not
    doubled. Ctrl-C detaches: what runs goes on.
    """
    result = _pipeline(options, new).to_json()
    if wants_json():
        document(result)
    else:
        _show_run(result, options)


@click.command()
@new_option
@project_options
def prepare(new: bool, **options: Any) -> None:
    """Run the data step and print where its outputs are."""
    result = _pipeline(options, new, ("prepare",)).prepare or {}
    if wants_json():
        document(result)
    else:
        table(["output", "where"], list(result["outputs"].items()))


@click.command()
@new_option
@wait_option
@project_options
def train(new: bool, wait: bool, **options: Any) -> None:
    """Start a training job; runs the data step first where there is one."""
    _job_command("train", new, wait, options)


@click.command()
@new_option
@wait_option
@click.option("--model", metavar="URI", help="A model version or a folder.  [default: the project's trained model]")
@project_options
def evaluate(new: bool, wait: bool, model: str | None, **options: Any) -> None:
    """Measure a model; exit code 1 where it misses a requirement."""
    _job_command("evaluate", new, wait, options, model=model)


@click.command()
@new_option
@wait_option
@click.option("--model", metavar="URI", help="A model version or a folder.  [default: the project's trained model]")
@project_options
def batch(new: bool, wait: bool, model: str | None, **options: Any) -> None:
    """Predict every row of the project's batch.data and print where the predictions are.

    They are files of one JSON value per line, in the order of the rows.
    """
    session = _session(options)
    _validate(session, ("batch",), model)
    job = session.batch(model=model, new=new)
    if not wait:
        _show_job(job, {"uri": job.uri, "phase": job.status().phase})
        return
    _waiting("batch", job, session)
    predictions = job.outputs()["predictions"]
    if wants_json():
        document({"uri": job.uri, "phase": "succeeded", "predictions": predictions})
        return
    click.echo(job.uri)
    click.echo(relative(predictions))


@click.command()
@click.option("--model", metavar="URI", help="A model version or a folder.  [default: the project's trained model]")
@wait_option
@project_options
def deploy(model: str | None, wait: bool, **options: Any) -> None:
    """Put a model version behind the project's endpoint.

    The first version takes all traffic at once; later ones as deploy.traffic says. A version that does not become
    ready, or errs during the bake, is rolled back. The same version again changes nothing.
    """
    session = _session(options)
    _validate(session, ("deploy",), model)
    endpoint = session.deploy(model=model)
    status = endpoint.status()
    if wait:
        status = _waiting("deploy", endpoint, session)
    if wants_json():
        phase, traffic = status.phase, dict(status.traffic)
        document({"uri": endpoint.uri, "url": status.url, "phase": phase, "traffic": traffic, "reason": status.reason})
        return
    click.echo(endpoint.uri)
    if status.url:
        click.echo(status.url)
    if status.reason:
        note(status.reason)


@click.command()
@project_options
def plan(**options: Any) -> None:
    """Show what a run would create, what that costs, and the provider's own requests. Creates nothing."""
    from cloudops.specs import STEPS

    session = _session(options)
    session.validate()
    config = session.config
    steps = [s for s in STEPS if s != "monitor" and config and getattr(config.project, s)]
    plans = {step: session.plan(step) for step in steps}
    if wants_json():
        fields = ("creates", "native", "notes", "cost")
        shown = {step: {name: getattr(p, name) for name in fields} for step, p in plans.items()}
        document({s: {**d, "exists": str(plans[s].exists) if plans[s].exists else None} for s, d in shown.items()})
        return
    for step, found in plans.items():
        click.echo(f"{step}  ({found.cost})" if found.cost else step)
        for line in [f"  found: {found.exists.id}"] if found.exists else [f"  + {line}" for line in found.creates]:
            click.echo(line)
        for line in found.notes:
            click.echo(f"  ! {line}")
        click.echo("\n".join(f"    {line}" for line in json.dumps(found.native, indent=2, default=str).splitlines()))


def _job_command(step: str, new: bool, wait: bool, options: dict[str, Any], **arguments: Any) -> None:
    session = _session(options)
    _validate(session, ("prepare", step), arguments.get("model"))
    project = session.config.project if session.config else None
    if project is not None and project.prepare is not None:
        _waiting("prepare", session.prepare(), session, back=same_command())
    job = getattr(session, step)(new=new, **arguments)
    if not wait:
        _show_job(job, {"uri": job.uri, "phase": job.status().phase})
        return
    _waiting(step, job, session)
    result = {"uri": job.uri, "phase": "succeeded", "metrics": job.final_metrics()}
    if step == "evaluate" and project is not None and project.evaluate is not None:
        from cloudops.gate import gate

        gate(project.evaluate, result["metrics"])
        result["passed"] = True
    _show_job(job, result)


def _validate(session: Session, steps: tuple[str, ...], model: str | None) -> None:
    """Check the steps, and say what is to be known before they begin."""
    shown = PlainProgress()
    for line in session.validate(steps, model=model):
        shown.warn(line)


def _show_job(job: Job, result: dict[str, Any]) -> None:
    if wants_json():
        document(result)
        return
    click.echo(job.uri)
    for name, value in result.get("metrics", {}).items():
        click.echo(f"{name}  {value:.6g}")


def _session(options: dict[str, Any]) -> Session:
    from cloudops.opening import open_session

    return open_session(load_config(options))


def _pipeline(options: dict[str, Any], new: bool, steps: tuple[str, ...] = ()) -> Any:
    from cloudops.pipeline import Pipeline
    from cloudops.specs import STEPS

    session = _session(options)
    with progress() as shown:
        pipeline = Pipeline(session, shown, new=new, steps=steps or STEPS)
        try:
            return pipeline.run()
        except KeyboardInterrupt:
            # The job that --new was for is there: with it the command would start a second one.
            command = same_command(without="--new" if pipeline.started else None)
            raise Interrupted("detached; what runs goes on", command) from None


def _waiting(step: str, handle: Job | Endpoint, session: Session, *, back: str | None = None) -> Any:
    """Wait with progress; Ctrl-C detaches and says how to come ``back``, by default with ``cloudops wait``."""
    tell = session.notify(handle.ref)

    def changed(status: Any) -> None:
        shown.status(step, status)
        tell(status)

    try:
        with progress() as shown:
            shown.begin(step, handle.ref.id)
            status = handle.wait(on_change=changed)
            shown.end(step, handle.ref.id)
            return status
    except KeyboardInterrupt:
        raise Interrupted("detached; it goes on", back or command_line("wait", handle.uri)) from None


_INDENT = " " * 10


def _show_run(result: dict[str, Any], options: dict[str, Any]) -> None:
    for name in [name for name in _PARTS if name in result]:
        for line in _PARTS[name](result[name]):
            click.echo(line)
    if "deploy" in result:
        click.echo("\nThe endpoint goes on serving. To delete what this project created:")
        click.echo(f"  {program()} down{_place(options)}")


def _place(options: dict[str, Any]) -> str:
    """The flags that say which project is meant and where it runs, as they were given."""
    given = {name: options.get(name) for name in ("file", "provider", "target")}
    words = [word for name, value in given.items() if value for word in (f"--{name}", value)]
    words += ["--offline"] if options.get("offline") else []
    return f" {shlex.join(words)}" if words else ""


def _metrics(part: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value:.6g}" for name, value in part["metrics"].items()) or "no metrics"


def _deploy_lines(part: dict[str, Any]) -> list[str]:
    lines = [f"deploy    {part['uri']}", f"          {part['url']}"]
    if part.get("reason"):
        lines.append(f"          {part['reason']}")
    if "prediction" in part:
        lines += _prediction_lines(part["prediction"])
    return lines


def _prediction_lines(sample: dict[str, Any]) -> list[str]:
    import textwrap

    row = sample["row"]
    cells = [f"{name}={value}" for name, value in row.items()] if isinstance(row, dict) else [str(row)]
    shown = ", ".join(cells[:8]) + (f" and {len(cells) - 8} more" if len(cells) > 8 else "")
    return [
        f"predict   {sample['prediction']}",
        *textwrap.wrap(f"for {shown}", 78, initial_indent=_INDENT, subsequent_indent=_INDENT),
    ]


def _monitor_lines(part: dict[str, Any]) -> list[str]:
    drifted = ", ".join(part["drifted"])
    lines = [f"monitor   {part['verdict']}{': ' + drifted if drifted else ''}"]
    for label, period in part["periods"].items():
        columns = ", ".join(period["drifted"]) or "no column drifted"
        lines.append(f"          {label}: {period['rows']:,} rows; {columns}")
    return [*lines, f"          report: {relative(part['report'])}"]


_PARTS: dict[str, Callable[[dict[str, Any]], list[str]]] = {
    "train": lambda part: [f"train     {part['uri']}", f"          {_metrics(part)}"],
    "evaluate": lambda part: [f"evaluate  {_metrics(part)} (passed)"],
    "batch": lambda part: [f"batch     {part['uri']}", f"          {relative(part['predictions'])}"],
    "deploy": _deploy_lines,
    "monitor": _monitor_lines,
}
