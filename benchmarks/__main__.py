"""Runs every ``bench_*.py`` beside this file, or those named as arguments, and prints their ratios."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path


def main(names: list[str]) -> None:
    """Run the benchmarks in ``names`` (all of them by default)."""
    here = Path(__file__).parent
    found = sorted(path.stem.removeprefix("bench_") for path in here.glob("bench_*.py"))
    for name in names or found:
        print(f"\n{name}")
        for label, ratio, what in importlib.import_module(f"benchmarks.bench_{name}").run():
            print(f"  {ratio:8.2f}  {label}  ({what})")


if __name__ == "__main__":
    main(sys.argv[1:])
