"""A YAML file as plain values, with the line that each of them stands on."""

from __future__ import annotations

import math
import re
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import yaml

from .errors import ConfigError

#: A place in a document: the keys and list indices that lead to it.
Place = tuple[str | int, ...]

_MAX_BYTES = 1 << 20
_MAX_NODES = 50_000
_MAX_DEPTH = 32
_OPEN_FILES = (Path("/dev/stdin"), Path("/dev/fd"), Path("/proc/self/fd"))
_COLLECTIONS = ("tag:yaml.org,2002:map", "tag:yaml.org,2002:seq")
_MERGE = "tag:yaml.org,2002:merge"
_STARTS = (yaml.MappingStartEvent, yaml.SequenceStartEvent)
_ENDS = (yaml.MappingEndEvent, yaml.SequenceEndEvent)


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]
    """PyYAML's safe loader that takes ``1e-4`` for a number, as YAML 1.2 does and as everybody means it."""


_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)[eE][-+]?\d+", re.ASCII), list("-+.0123456789")
)


def load(path: Path) -> tuple[dict[str, Any], dict[Place, int]]:
    """The mapping in ``path`` and the line number of each place in it.

    Raises:
        ConfigError: no such file, not UTF-8, not YAML, a duplicate key, or not a mapping with string keys; one line
            with file and line.
    """
    name = printable(str(path))
    value, lines = parse(_read(path, name), lambda line: name if line is None else f"{name}:{line}")
    value = {} if value is None else value
    if not isinstance(value, dict):
        raise ConfigError(f"{name}:1: expected a mapping of keys such as name, train and deploy, got {kind_of(value)}")
    return value, lines


def parse(text: str, where: Callable[[int | None], str]) -> tuple[Any, dict[Place, int]]:
    """The value that ``text`` spells and the line number of each place in it.

    Args:
        text: one YAML document.
        where: what an error begins with, for a line number or None.

    Raises:
        ConfigError: not YAML, too much of it, or not plain values.
    """
    try:
        _check_size(text, where)
        loader = _Loader(text)
        try:
            root = loader.get_single_node()
            reader = _Reader(loader, where)
            return (None if root is None else reader.value(root, ())), reader.lines
        finally:
            loader.dispose()
    except yaml.YAMLError as error:
        raise ConfigError(_syntax_message(text, where, error)) from error
    except UnicodeEncodeError as error:
        raise ConfigError(f"{where(None)}: not UTF-8 text") from error


def _check_size(text: str, where: Callable[[int | None], str]) -> None:
    """Refuse what is nested so deeply, or is so large, that composing it would exhaust the stack or the memory."""
    depth = 0
    for count, event in enumerate(yaml.parse(text, Loader=_Loader)):
        depth += isinstance(event, _STARTS) - isinstance(event, _ENDS)
        if depth > _MAX_DEPTH or count > 2 * _MAX_NODES:
            what = f"nested more than {_MAX_DEPTH} levels deep" if depth > _MAX_DEPTH else "too many values"
            raise ConfigError(f"{where(event.start_mark.line + 1 if event.start_mark else None)}: {what}")


def _read(path: Path, name: str) -> str:
    try:
        data = _content(path)
    except FileNotFoundError as error:
        hint = "name it with -f, or make one with `cloudops init`"
        raise ConfigError(f"{name}: no such file", hint=hint) from error
    except (OSError, ValueError) as error:
        raise ConfigError(f"{name}: cannot be read: {getattr(error, 'strerror', None) or error}") from error
    if len(data) > _MAX_BYTES:
        raise ConfigError(f"{name}: larger than {_MAX_BYTES >> 20} MiB, so it is hardly a project file")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise ConfigError(f"{name}:{line}: not UTF-8 text (byte 0x{data[error.start]:02x})") from error


def _content(path: Path) -> bytes:
    mode = path.stat().st_mode
    # A pipe in the file system may wait for a writer for ever; one that is open already (`-f <(generate)`) has one.
    given = stat.S_ISFIFO(mode) and not {path, path.parent}.isdisjoint(_OPEN_FILES)
    if not stat.S_ISREG(mode) and not stat.S_ISDIR(mode) and not given:
        raise ValueError("not a regular file")
    with path.open("rb") as file:
        return file.read(_MAX_BYTES + 1)


def _syntax_message(text: str, where: Callable[[int | None], str], error: yaml.YAMLError) -> str:
    if isinstance(error, yaml.reader.ReaderError):
        code = error.character if isinstance(error.character, int) else ord(error.character)
        return f"{where(_line_of(text, code))}: the character U+{code:04X} is not allowed in YAML"
    mark = getattr(error, "problem_mark", None)
    began = getattr(error, "context_mark", None)
    problem = " ".join(str(getattr(error, "problem", None) or error).split())
    for jargon, meaning in _MEANINGS.items():
        problem = problem.replace(jargon, meaning)
    if began is not None and mark is not None and began.line != mark.line:
        problem += f" (begun in line {began.line + 1})"
    return f"{where(None if mark is None else mark.line + 1)}: not valid YAML: {printable(problem)[:200]}"


#: What libyaml says, and what it means to somebody who does not know its grammar.
_MEANINGS = {
    "mapping values are not allowed in this context": "a ':' where no key can stand; quote the value, or mend the "
    "indentation",
    "found character that cannot start any token": "a value cannot begin with this character; quote it",
    "found a tab character that violates indentation": "a tab in the indentation; use spaces",
    "found unexpected end of stream": "the file ends within a quoted string; close the quote",
    "could not find expected ':'": "a key without ':'",
    "did not find expected key": "expected a key here; look at the indentation and the quotes",
    "but found another document": "a second document (---); a project file is one document",
    "found undefined alias": "an alias (*) without its anchor (&); quote the value if it is meant as text",
    "did not find expected node content": "expected a value here; quote what begins with a special character",
}


def _line_of(text: str, code: int) -> int | None:
    position = text.find(chr(code))
    return None if position < 0 else text.count("\n", 0, position) + 1


class _Reader:
    """Turns nodes into values; PyYAML's own constructor forgets lines and lets duplicate keys pass."""

    def __init__(self, loader: Any, where: Callable[[int | None], str]) -> None:
        self.loader = loader
        self.where = where
        self.lines: dict[Place, int] = {}
        self.nodes = 0

    def value(self, node: yaml.Node, place: Place) -> Any:
        self.nodes += 1
        self.lines.setdefault(place, node.start_mark.line + 1)
        if self.nodes > _MAX_NODES:
            self._fail(
                self.lines[place[:1]], place[:1], f"more than {_MAX_NODES} values; are there aliases of aliases?"
            )
        if len(place) > _MAX_DEPTH:
            self._fail(self.lines[place[:1]], place[:1], "an alias that contains itself")
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node, place)
        if node.tag not in _COLLECTIONS:
            self._fail(node, place, f"the tag {node.tag} means nothing here")
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, place)
        return [self.value(child, (*place, index)) for index, child in enumerate(node.value)]

    def _mapping(self, node: yaml.MappingNode, place: Place) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = self._key(key_node, place)
            if key in result:
                first = self.lines[(*place, key)]
                self._fail(key_node, (*place, key), f"the key occurs twice, first in line {first}")
            self.lines[(*place, key)] = key_node.start_mark.line + 1
            result[key] = self.value(value_node, (*place, key))
        return result

    def _key(self, node: yaml.Node, place: Place) -> str:
        if not isinstance(node, yaml.ScalarNode):
            self._fail(node, place, f"a key that is {_AN.get(node.tag, 'no string')}, expected a string")
        if node.tag == _MERGE:
            self._fail(node, place, "merge keys (<<) are not read; write the keys out")
        key = self._scalar(node, (*place, node.value))
        if not isinstance(key, str):
            self._fail(node, place, f"the key {node.value[:60]!r} is {kind_of(key)}, expected a string (quote it)")
        return key

    def _scalar(self, node: yaml.ScalarNode, place: Place) -> Any:
        try:
            value = self.loader.construct_object(node)
        except yaml.constructor.ConstructorError:
            self._fail(node, place, f"the tag {node.tag} means nothing here")
        # Explicit tags (!!int x) and impossible dates (2001-13-45) fail in PyYAML in any of these ways.
        except (ValueError, ArithmeticError, LookupError, AttributeError, TypeError) as error:
            kind = node.tag.rpartition(":")[2]
            why = f" ({error})" if kind == "timestamp" and isinstance(error, ValueError) else ""
            self._fail(node, place, f"{node.value[:60]!r} is no valid {kind}{why}; quote it to make it a string")
        return self._plain(value, node, place)

    def _plain(self, value: Any, node: yaml.ScalarNode, place: Place) -> Any:
        if value is not None and not isinstance(value, str | bool | int | float):
            self._fail(node, place, f"YAML reads this as {kind_of(value)}; quote it to make it a string")
        if isinstance(value, float) and not math.isfinite(value):
            self._fail(node, place, f"{node.value[:60]!r} is not a finite number")
        if isinstance(value, int) and abs(value) >= 1 << 64:
            self._fail(node, place, "an integer of more than 64 bits")
        if isinstance(value, str) and "\x00" in value:
            self._fail(node, place, "a string with a NUL character, which no command and no variable can hold")
        return value

    def _fail(self, at: yaml.Node | int, place: Place, message: str) -> NoReturn:
        line = at if isinstance(at, int) else at.start_mark.line + 1
        lead = f"{dotted(place)}: " if place else ""
        raise ConfigError(f"{self.where(line)}: {lead}{printable(message)[:300]}")


_AN = {"tag:yaml.org,2002:map": "a mapping", "tag:yaml.org,2002:seq": "a list"}
_KINDS = {
    type(None): "nothing",
    str: "a string",
    bool: "true or false",
    int: "an integer",
    float: "a number",
    list: "a list",
    dict: "a mapping",
    bytes: "binary data",
}


def kind_of(value: object) -> str:
    """What a YAML value is, in words: ``a string``, ``a list``."""
    return _KINDS.get(type(value), f"a {type(value).__name__}")


def printable(text: str) -> str:
    """``text`` on one line, whatever it holds."""
    return text if text.isprintable() else repr(text)[1:-1]


def dotted(place: Place) -> str:
    """A place as text: ``train.inputs.data`` or ``deploy.secrets[0]``; long keys are cut, and long places too."""
    text = ""
    for part in place:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            shown = printable(part)
            shown = shown if len(shown) <= 60 else f"{shown[:57]}..."
            text += f".{shown}" if text else shown
    return (text if len(text) <= 200 else f"{text[:100]}...{text[-97:]}") or "the file"
