"""How names of inputs, outputs and parameters become names of environment variables."""

from __future__ import annotations

import re

_OTHER = re.compile(r"[^A-Z0-9_]")


def variable(kind: str, name: str) -> str:
    """The variable of the input, output or parameter ``name``: ``CLOUDOPS_<KIND>_<NAME>``, upper case, ASCII."""
    return f"CLOUDOPS_{kind}_{_OTHER.sub('_', name.upper())}"
