"""Command templates: ``python train.py --data ${{inputs.train}} --lr ${{params.lr}} > "log of ${{params.who}}"``.

A value never becomes part of the shell's text. Each placeholder becomes a reference to an environment variable,
written for the quotes it stands in, so that whatever the value holds arrives as it is, in one piece:

==============================  =============================
where the placeholder stands    what the shell sees
==============================  =============================
outside quotes                  ``"${CLOUDOPS_PARAM_X}"``
``"..."``, here-document,       ``${CLOUDOPS_PARAM_X}``
``$((...))``
``'...'``                       ``'"${CLOUDOPS_PARAM_X}"'``
==============================  =============================

Command substitutions, ``${...}`` and comments are followed, as deep as they nest (POSIX Shell Command Language,
sections 2.2, 2.3 and 2.6). Not followed is an unbalanced ``)`` of a ``case`` pattern inside ``$(...)``: write
``(pattern)`` there.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from .errors import Problem

PLACEHOLDER = re.compile(r"\$\{\{\s*(.*?)\s*\}\}", re.DOTALL)
GROUPS = ("inputs", "outputs", "params")

_HEREDOC = re.compile(r"<<(-?)[ \t]*((?:'[^'\n]*'|\"[^\"\n]*\"|\\.|[^\s;&|<>()'\"\\])+)")
_LITERAL = re.compile(r"[^\\'\"`$(){}#<\n]+")  # text that changes nothing about the quotes
_QUOTES = re.compile(r"['\"\\]")
_ARITHMETIC = ("$((", "((")
_WORD_STARTS_AFTER = " \t\n;&|("


def placeholders(template: str) -> list[tuple[str, str]]:
    """The placeholders of ``template`` in order, as (group, name); the group is inputs, outputs or params.

    Raises:
        Problem: one is not of that form.
    """
    return [_split(match) for match in PLACEHOLDER.finditer(template)]


def render(template: str, variable_of: Callable[[str, str], str]) -> str:
    """The shell text of ``template``; ``variable_of(group, name)`` names the variable that holds the value.

    Raises:
        Problem: a placeholder has another form, or stands where the shell fills nothing in: directly after a
            backslash, or in a here-document whose delimiter is quoted.
    """
    return _Scanner(template, variable_of).run()


def _split(match: re.Match[str]) -> tuple[str, str]:
    group, _, name = match[1].partition(".")
    if group not in GROUPS or not name:
        raise Problem(
            f"the command has {match[0]}; a placeholder is ${{{{inputs.NAME}}}}, ${{{{outputs.NAME}}}} "
            "or ${{params.NAME}}"
        )
    return group, name


class _Scanner:
    """One pass over a template, with a stack of the constructs that enclose the current place.

    Frames: ``plain`` (the whole), ``$(``, ``(``, ```` ` ````, ``"``, ``'``, ``${``, ``$((`` and, inside it, ``((``.
    """

    def __init__(self, template: str, variable_of: Callable[[str, str], str]) -> None:
        self._text = template
        self._variable_of = variable_of
        self._at = 0
        self._frames = ["plain"]
        self._heredocs: list[tuple[str, bool, bool]] = []  # delimiter, tabs are stripped, body is expanded
        self._out: list[str] = []

    def run(self) -> str:
        while self._at < len(self._text):
            match = PLACEHOLDER.match(self._text, self._at)
            if match:
                self._out.append(self._reference(match))
                self._at = match.end()
            else:
                self._step()
        return "".join(self._out)

    def _step(self) -> None:
        frame, char = self._frames[-1], self._text[self._at]
        if frame == "'":
            self._close_on("'")
        elif char == "\\":
            self._backslash()
        elif char == frame and char in '"`':
            self._pop(1)
        elif frame == '"' and char not in "$`":
            self._take(1)
        elif self._opened():
            pass
        elif self._word_level() and char in "#<\n":
            self._line_level(char)
        else:
            self._close_or_take(char)

    def _close_on(self, char: str) -> None:
        if self._text[self._at] == char:
            self._frames.pop()
        self._take(1)

    def _close_or_take(self, char: str) -> None:
        frame = self._frames[-1]
        if frame == "$((" and self._text.startswith("))", self._at):
            self._pop(2)
        elif (char == ")" and frame in ("$(", "(", "((")) or (char == "}" and frame == "${"):
            self._pop(1)
        else:
            literal = _LITERAL.match(self._text, self._at)
            self._take(len(literal[0]) if literal else 1)

    def _opened(self) -> bool:
        """Enter the construct that begins here, if one does."""
        for opening in ("$((", "$(", "${", "`", '"', "'", "("):
            if self._text.startswith(opening, self._at) and self._opens(opening):
                self._frames.append("((" if opening == "(" and self._frames[-1] in _ARITHMETIC else opening)
                self._take(len(opening))
                return True
        return False

    def _opens(self, opening: str) -> bool:
        if opening in "'\"":  # inside "${x:-...}" and $((...)) a single quote is an ordinary character
            ordinary = opening == "'" and self._frames[-1] == "${" and self._quoted()
            return self._frames[-1] not in _ARITHMETIC and not ordinary
        return opening != "(" or self._word_level() or self._frames[-1] in _ARITHMETIC

    def _backslash(self) -> None:
        following = PLACEHOLDER.match(self._text, self._at + 1)
        if following:
            raise Problem(f"the command has a backslash directly before {following[0]}; remove it")
        if self._in_escaped_ticks() and self._text.startswith('\\"', self._at):
            if self._frames[-1] == '"':
                self._frames.pop()
            else:
                self._frames.append('"')
        self._take(2)

    def _line_level(self, char: str) -> None:
        if char == "\n":
            self._take(1)
            while self._heredocs:
                self._heredoc(*self._heredocs.pop(0))
        elif char == "#" and (self._at == 0 or self._text[self._at - 1] in _WORD_STARTS_AFTER):
            end = self._text.find("\n", self._at)
            self._copy_until(len(self._text) if end < 0 else end, self._bare)
        else:
            self._redirection()

    def _redirection(self) -> None:
        heredoc = _HEREDOC.match(self._text, self._at)
        if heredoc:
            tabs, word = bool(heredoc[1]), heredoc[2]
            self._heredocs.append((_QUOTES.sub("", word), tabs, not _QUOTES.search(word)))
            self._take(len(heredoc[0]))
        else:
            self._take(3 if self._text.startswith("<<<", self._at) else 1)

    def _heredoc(self, delimiter: str, tabs: bool, expanded: bool) -> None:
        """Copy the body of a here-document, to the line after its delimiter."""
        while self._at < len(self._text):
            end = self._text.find("\n", self._at) + 1 or len(self._text)
            line = self._text[self._at : end].rstrip("\n")
            self._copy_until(end, self._expanded if expanded else self._refused)
            if (line.lstrip("\t") if tabs else line) == delimiter:
                return

    def _copy_until(self, end: int, fill: Callable[[re.Match[str]], str]) -> None:
        self._out.append(PLACEHOLDER.sub(fill, self._text[self._at : end]))
        self._at = end

    def _bare(self, match: re.Match[str]) -> str:
        return f"${{{self._variable_of(*_split(match))}}}"

    def _expanded(self, match: re.Match[str]) -> str:
        if match.string.endswith("\\", 0, match.start()):
            raise Problem(f"the command has a backslash directly before {match[0]}; remove it")
        return self._bare(match)

    @staticmethod
    def _refused(match: re.Match[str]) -> str:
        raise Problem(
            f"the command has {match[0]} in a here-document whose delimiter is quoted, where the shell fills "
            "nothing in; take the quotes off the delimiter"
        )

    def _reference(self, match: re.Match[str]) -> str:
        bare = self._bare(match)
        quote = '\\"' if self._in_escaped_ticks() else '"'
        if self._frames[-1] == "'":
            return f"'{quote}{bare}{quote}'"
        return bare if self._quoted() else f"{quote}{bare}{quote}"

    def _quoted(self) -> bool:
        """Whether the current place is inside double quotes: its own or, in ``${...}``, those around it."""
        for frame in reversed(self._frames):
            if frame != "${":
                return frame == '"' or frame in _ARITHMETIC
        return False

    def _in_escaped_ticks(self) -> bool:
        """Whether this is inside backquotes that stand in double quotes, where quotes are written ``\\\"``."""
        if "`" not in self._frames:
            return False
        tick = len(self._frames) - 1 - self._frames[::-1].index("`")
        return '"' in self._frames[:tick] and "$(" not in self._frames[tick:]

    def _word_level(self) -> bool:
        return self._frames[-1] in ("plain", "$(", "(")

    def _pop(self, length: int) -> None:
        self._frames.pop()
        self._take(length)

    def _take(self, length: int) -> None:
        self._out.append(self._text[self._at : self._at + length])
        self._at += length
