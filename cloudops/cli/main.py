"""The entry point: finds the command, runs it, and turns every error into one line and an exit code."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Sequence

import click

from .failures import print_error, print_usage_error
from .interrupts import Interrupted, print_interrupted
from .lazy import LazyGroup
from .streams import ReaderGone, prepare

#: Command to ``(module, help)``, by section; a command's module is imported when it is used.
SECTIONS: dict[str, dict[str, tuple[str, str]]] = {
    "Project": {
        "init": ("project", "Make a small project that runs."),
        "check": ("project", "See whether a run would work; creates nothing."),
        "plan": ("steps", "Show what would be created, with the native requests."),
        "config": ("project", "Show the effective configuration and its origins."),
        "schema": ("project", "Print the JSON schema of cloudops.yaml."),
        "providers": ("project", "List providers and what they can do."),
        "completion": ("project", "Print the shell's completion script."),
    },
    "Steps": {
        "run": ("steps", "Take all steps, from prepare to monitor."),
        "prepare": ("steps", "Start the data step."),
        "train": ("steps", "Start a training job."),
        "evaluate": ("steps", "Measure a model and hold it against its gate."),
        "batch": ("steps", "Predict a whole table, without an endpoint."),
        "deploy": ("steps", "Put a model behind an endpoint."),
        "monitor": ("monitor", "Check an endpoint's traffic for drift, quality and latency."),
    },
    "Jobs and models": {
        "jobs": ("jobs", "List jobs."),
        "status": ("jobs", "Show where a job or an endpoint stands."),
        "wait": ("jobs", "Wait for a job or an endpoint."),
        "logs": ("jobs", "Print a log; -f follows it."),
        "metrics": ("jobs", "Print the metrics of a job or an endpoint."),
        "cancel": ("jobs", "Stop a job."),
        "models": ("jobs", "List model versions and where they come from."),
    },
    "Endpoints": {
        "endpoints": ("endpoints", "List endpoints."),
        "predict": ("endpoints", "Send rows to an endpoint."),
        "traffic": ("endpoints", "Show or split the traffic between versions."),
        "rollback": ("endpoints", "Give all traffic back to the version before."),
        "down": ("endpoints", "Delete everything that the project created."),
    },
    "Without a cloud": {
        "offline": ("offline", "Run the clouds on this machine, emulated."),
    },
}


@click.group(
    cls=LazyGroup,
    sections=SECTIONS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(package_name="cloudops-ml", prog_name="cloudops")
def cli() -> None:
    """Train, deploy and monitor a model on a cloud or on this machine.

    One project file, cloudops.yaml; the cloud is chosen by --provider or --target.
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command line and exit with 0, 1, 2, 3 or 130 (see docs/cli.md)."""
    prepare()
    sys.exit(_run(arguments))


def _run(arguments: Sequence[str] | None) -> int:
    try:
        if "_CLOUDOPS_COMPLETE" in os.environ:
            from .bash import register

            register()
        code = cli.main(arguments, prog_name="cloudops", standalone_mode=False)
        with contextlib.suppress(ReaderGone):  # what was found stays what it is
            sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except click.exceptions.Exit as error:
        return error.exit_code
    except click.UsageError as error:
        return print_usage_error(error)
    except click.Abort:  # click makes it of KeyboardInterrupt, and has ended the line
        return print_interrupted(Interrupted(), lead="")
    except KeyboardInterrupt:
        return print_interrupted(Interrupted())
    except Interrupted as error:
        return print_interrupted(error)
    except ReaderGone:
        return 0
    except Exception as error:
        return print_error(error)
