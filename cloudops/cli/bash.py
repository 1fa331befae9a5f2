"""Completion in bash: as click's, but it knows that bash breaks words at colons, and URIs are full of them."""

from __future__ import annotations

import os

from click.shell_completion import BashComplete, add_completion_class, split_arg_string

_SCRIPT = r"""%(complete_func)s() {
    local IFS=$'\n' line word response completion type value
    line="${COMP_LINE:0:COMP_POINT}"
    word="${line##* }"

    response=$(env COMP_LINE="$line" COMP_WORDS="${COMP_WORDS[*]}" COMP_CWORD=$COMP_CWORD \
        %(complete_var)s=bash_complete $1 2>/dev/null)

    for completion in $response; do
        IFS=',' read type value <<< "$completion"
        if [[ $type == 'dir' ]]; then
            COMPREPLY=()
            compopt -o dirnames
        elif [[ $type == 'file' ]]; then
            COMPREPLY=()
            compopt -o default
        elif [[ $type == 'plain' ]]; then
            # Bash replaces only what follows the last colon.
            [[ $COMP_WORDBREAKS == *:* ]] && value="${value#"${word%%"${word##*:}"}"}"
            COMPREPLY+=($value)
        fi
    done
    return 0
}

complete -o nosort -F %(complete_func)s %(prog_name)s
"""


class ColonComplete(BashComplete):
    """Completes the words of the line as they were typed, rather than bash's pieces of them."""

    source_template = _SCRIPT

    def get_completion_args(self) -> tuple[list[str], str]:
        """The words before the one that is completed, and that one so far."""
        line = os.environ.get("COMP_LINE")
        if line is None:
            return super().get_completion_args()
        words = split_arg_string(line)[1:]
        incomplete = words.pop() if words and not line[-1:].isspace() else ""
        return words, incomplete


def register() -> None:
    """Make click use it."""
    add_completion_class(ColonComplete)
