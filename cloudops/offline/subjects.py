"""Whether there is anything that a fault can happen to: a misspelled name would wait for ever."""

from __future__ import annotations

import difflib
import fnmatch
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .emulator import Emulator
    from .faults import Rule

#: So many names are told where none is alike.
_TOLD = 8


def check_subject(rule: Rule, kinds: Sequence[type[Emulator]]) -> None:
    """Have at least one call or thing of the emulators ``kinds`` fit the pattern ``rule.on``.

    Raises:
        ValueError: none does; the text names those that are alike.
    """
    names: set[str] = set()
    pattern = rule.on.lower()
    for kind in kinds:
        found = kind.subjects(rule.kind, pattern.partition(":")[0])
        if found is None or any(fnmatch.fnmatchcase(name.lower(), pattern) for name in found):
            return
        names.update(found)
    if kinds:
        raise ValueError(f"{rule.kind} never happens to {rule.on!r}; {_nearest(rule, names)}")


def _nearest(rule: Rule, names: set[str]) -> str:
    if not names:
        return "no offline cloud has such a service with such faults"
    by_case = {name.lower(): name for name in names}
    alike = difflib.get_close_matches(rule.on.lower(), by_case, n=3, cutoff=0.6)
    if alike:
        return f"did you mean {' or '.join(by_case[name] for name in alike)}?"
    told = ", ".join(sorted(names)[:_TOLD])
    return f"it can happen to: {told}{', ...' if len(names) > _TOLD else ''}"
