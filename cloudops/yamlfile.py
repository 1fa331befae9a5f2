"""A YAML file as plain values, with the line that each of them stands on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from .errors import ConfigError

#: A place in a document: the keys and list indices that lead to it.
Place = tuple[str | int, ...]

_KINDS = {
    str: "a string",
    bool: "true/false",
    int: "an integer",
    float: "a number",
    list: "a list",
    dict: "a mapping",
}
_MAX_NODES = 50_000
_MAX_BYTES = 4 << 20


def load(path: Path) -> tuple[dict[str, Any], dict[Place, int]]:
    """The mapping in ``path`` and the line number of each place in it.

    Raises:
        ConfigError: no such file, not UTF-8, not YAML, a duplicate key, or not a mapping with string keys; one line
            with file and line.
    """
    text = _read(path)
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)(text)
    try:
        root = loader.get_single_node()
        reader = _Reader(loader, path)
        value = reader.value(root, ()) if root is not None else {}
    except yaml.YAMLError as error:
        raise ConfigError(_syntax_message(path, error)) from error
    except RecursionError as error:
        raise ConfigError(f"{path}: nested too deeply or in itself") from error
    except ValueError as error:
        if isinstance(error, ConfigError):
            raise
        raise ConfigError(f"{path}: {error}") from error
    finally:
        loader.dispose()
    if not isinstance(value, dict):
        raise ConfigError(f"{path}:1: expected a mapping of keys such as name, train and deploy, got {kind_of(value)}")
    return value, reader.lines


def _read(path: Path) -> str:
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        hint = "name it with -f, or make one with `cloudops init`"
        raise ConfigError(f"{path}: no such file", hint=hint) from error
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror}") from error
    if len(data) > _MAX_BYTES:
        raise ConfigError(f"{path}: {len(data)} bytes, expected at most {_MAX_BYTES}")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise ConfigError(f"{path}:{line}: not UTF-8 text") from error


def _syntax_message(path: Path, error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    problem = " ".join(str(getattr(error, "problem", None) or error).split())
    where = f"{path}:{mark.line + 1}" if mark is not None else str(path)
    return f"{where}: not valid YAML: {problem[:200]}"


def kind_of(value: object) -> str:
    """What a YAML value is, in words: ``a string``, ``a list``."""
    names = {
        str: "a string",
        bool: "true/false",
        int: "an integer",
        float: "a number",
        list: "a list",
        dict: "a mapping",
    }
    return "nothing" if value is None else names.get(type(value), f"a {type(value).__name__}")


class _Reader:
    """Turns nodes into values; PyYAML's own constructor forgets lines and lets duplicate keys pass."""

    def __init__(self, loader: Any, path: Path) -> None:
        self.loader = loader
        self.path = path
        self.lines: dict[Place, int] = {}
        self.nodes = 0

    def value(self, node: yaml.Node, place: Place) -> Any:
        self.nodes += 1
        if self.nodes > _MAX_NODES:
            self._fail(node, f"more than {_MAX_NODES} values")
        self.lines.setdefault(place, node.start_mark.line + 1)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, place)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(child, (*place, index)) for index, child in enumerate(node.value)]
        return self._scalar(node, place)

    def _mapping(self, node: yaml.MappingNode, place: Place) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = self.value(key_node, (*place, "?"))
            if not isinstance(key, str):
                self._fail(key_node, f"the key {key!r} is {kind_of(key)}, expected a string (quote it)")
            if key in result:
                self._fail(key_node, f"{dotted((*place, key))}: the key occurs twice")
            self.lines[(*place, key)] = key_node.start_mark.line + 1
            result[key] = self.value(value_node, (*place, key))
        return result

    def _scalar(self, node: yaml.Node, place: Place) -> Any:
        try:
            value = self.loader.construct_object(node)
        except (ValueError, OverflowError) as error:
            if isinstance(error, ConfigError):
                raise
            self._fail(node, f"{dotted(place)}: {error}")
        if value is not None and not isinstance(value, str | bool | int | float):
            self._fail(
                node, f"{dotted(place)}: YAML reads this as a {type(value).__name__}; quote it to make it a string"
            )
        return value

    def _fail(self, node: yaml.Node, message: str) -> None:
        raise ConfigError(f"{self.path}:{node.start_mark.line + 1}: {' '.join(message.split())[:300]}")


def dotted(place: Place) -> str:
    """A place as text: ``train.inputs.data`` or ``deploy.secrets[0]``."""
    text = ""
    for part in place:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            shown = part if part.isprintable() and len(part) <= 60 else repr(part[:60])
            text += f".{shown}" if text else shown
    return text or "the file"
