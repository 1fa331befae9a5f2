"""Commands about the project itself: init, check, config, schema, providers, completion."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

from cloudops.errors import PluginError

from . import completing
from .options import load_config, output_option, project_options, project_session
from .output import document, table, wants_json


@click.command()
@click.argument("folder", default=".", type=click.Path(path_type=Path), shell_complete=completing.folders)
@click.option("--name", metavar="NAME", help="The project's name.  [default: that of the folder]")
@output_option
def init(folder: Path, name: str | None, output: str) -> None:
    """Make a small project that runs: cloudops.yaml and the code it names. Overwrites nothing."""
    from cloudops.scaffold import scaffold

    written = scaffold(folder, name)
    if output == "json":
        document({"written": [str(path) for path in written]})
        return
    for path in written:
        click.echo(path)
    click.echo(f"\nNow: cloudops run -f {folder / 'cloudops.yaml'}")


@click.command()
@project_options
def check(**options: Any) -> int:
    """See whether a run would work: the project file, the provider, credentials, quota. Creates nothing."""
    session = project_session(options)
    results = session.check()
    if all(result.ok for result in results):
        session.validate()
    if wants_json():
        document([{"name": r.name, "ok": r.ok, "detail": r.detail, "hint": r.hint} for r in results])
    else:
        for result in results:
            hint = f"; {result.hint}" if result.hint and not result.ok else ""
            click.echo(f"{'ok  ' if result.ok else 'FAIL'}  {result.name}: {result.detail}{hint}")
    return 0 if all(result.ok for result in results) else 1


@click.group()
def config() -> None:
    """The effective configuration."""


@config.command()
@project_options
def show(**options: Any) -> None:
    """Print every effective value with the layer that it comes from."""
    rows = [(key, _redacted(value), origin) for key, value, origin in load_config(options).values()]
    if wants_json():
        document([{"key": key, "value": value, "origin": origin} for key, value, origin in rows])
    else:
        table(["key", "value", "origin"], [(key, _as_yaml(value), origin) for key, value, origin in rows])


@click.command()
@output_option
def schema(output: str) -> None:
    """Print the JSON schema of cloudops.yaml; editors complete from it."""
    from cloudops.specs import Project

    document({"$schema": "https://json-schema.org/draft/2020-12/schema", **Project.model_json_schema()})


@click.command()
@click.argument("name", required=False, shell_complete=completing.providers)
@output_option
def providers(name: str | None, output: str) -> None:
    """List the installed providers, or what one of them can do and why not."""
    from cloudops.hookspecs import PLUGINS, PROVIDERS
    from cloudops.registry import entry_points

    points = entry_points(PROVIDERS)
    chosen = [name] if name else sorted(points)
    described = [_describe(item, points, strict=name is not None) for item in chosen]
    if output == "json":
        document({"providers": described, "plugins": sorted(entry_points(PLUGINS))})
    elif name:
        rows = [(key, "yes" if s["ok"] else "no", s["reason"]) for key, s in described[0]["capabilities"].items()]
        table(["capability", "there", "how, or why not"], rows)
    else:
        listed = [(d["name"], d["version"], d["sdk"], d["summary"]) for d in described]
        table(["provider", "version", "sdk", "what"], listed)


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@output_option
def completion(shell: str, output: str) -> None:
    """Print the script that makes a shell complete cloudops: eval "$(cloudops completion bash)"."""
    from click.shell_completion import get_completion_class

    from .bash import register
    from .main import cli

    register()
    found = get_completion_class(shell)
    assert found is not None
    script = found(cli, {}, "cloudops", "_CLOUDOPS_COMPLETE").source()
    if output == "json":
        document({"shell": shell, "script": script})
    else:
        click.echo(script)


def _redacted(value: Any) -> Any:
    """A value of the project file without the passwords and signatures of the URLs in it."""
    if isinstance(value, list):
        return [_redacted(item) for item in value]
    if not isinstance(value, str) or "://" not in value:
        return value
    from cloudops.store.uris import redact

    return redact(value)


def _as_yaml(value: Any) -> str:
    """A value as the project file spells it."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _describe(name: str, points: dict[str, Any], *, strict: bool) -> dict[str, Any]:
    from cloudops.registry import load, provider_info

    known = {"name": name, "version": points[name].version if name in points else ""}
    try:
        info = provider_info(name)
        capabilities = load(info, info.capabilities)()
    except PluginError as error:
        if strict:
            raise
        return {**known, "sdk": "broken", "summary": str(error), "capabilities": {}}
    return {
        **known,
        "sdk": _sdk_state(info.sdk, info.extra),
        "summary": info.summary,
        "capabilities": {
            str(key): {"ok": support.ok, "reason": support.reason, "hint": support.hint}
            for key, support in capabilities.items()
        },
    }


def _sdk_state(modules: tuple[str, ...], extra: str) -> str:
    missing = [module for module in modules if not _there(module)]
    if not modules:
        return "needs none"
    return f"missing (install cloudops-ml[{extra}])" if missing else "installed"


def _there(module: str) -> bool:
    from importlib.util import find_spec

    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # a package that it would be in
        return False
