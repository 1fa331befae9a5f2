"""The command line: ``python cloudops_runtime.pyz train JOB.json``, ``... serve`` and ``... batch IN OUT``."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from .errors import Problem
from .reports import report

_USAGE = """\
usage: cloudops runtime train JOB.json    run the job that JOB.json describes
       cloudops runtime serve             serve the model in CLOUDOPS_MODEL_DIR
       cloudops runtime batch IN OUT      predict with it the JSON lines in IN, to the folder OUT
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: the job's own; 2 for a wrong setting; 3 for a model that fails."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments in (["-h"], ["--help"]):
        print(_USAGE, end="")
        return 0
    try:
        return _run(arguments)
    except Problem as problem:
        report(str(problem))
        return 2


def _run(arguments: list[str]) -> int:
    if len(arguments) == 2 and arguments[0] == "train":
        from .train import train

        return train(Path(arguments[1]), os.environ)
    if len(arguments) == 3 and arguments[0] == "batch":
        from .batch import batch

        return batch(Path(arguments[1]), Path(arguments[2]), os.environ)
    if arguments == ["serve"]:
        from .serve import serve

        return serve(os.environ)
    print(_USAGE, end="", file=sys.stderr)
    return 2
