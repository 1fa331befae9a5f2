"""Random mutations of a project file, of its tree and of its text."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import yaml
from hypothesis import strategies as st

from .documents import FULL

_REFERENCES = [
    "inputs.train",
    "inputs.none",
    "outputs.data",
    "params.lr",
    "prepare.outputs.data",
    "train.model",
    "x",
    "",
]
#: YAML texts: values of every type and unit, right and wrong, and what breaks readers.
SNIPPETS = [
    *("5", "-1", "0", "0.5", "1e-4", "1e999", ".nan", "-.inf", "0x_", "9" * 30, "9" * 5000, "0b", "1:30", "010"),
    *("4+", "16GB", "T4:1", "T4:0", "2h", "2 hours", "200ms", "10%", "110%", "0.1", '">= 0.70"', '"> x"', "eu-west-1"),
    *("true", "on", "null", "~", "''", "2020-01-01", "2020-13-01", "12:30:45", "=", "<<", "!!binary aGk=", "!!int x"),
    *("[]", "{}", "[a, b]", "{a: b}", "{a: 1, a: 2}", "{1: 2}", "{[a]: b}", "!foo bar", "!!set {a}", "!!timestamp x"),
    *("&a [*a]", "*nobody", "&b {c: *b}", "[" * 50 + "]" * 50, "!!python/object:os.system x", "!!bool x", "!!null x"),
    *(
        '"a\\nb"',
        '"\\e[31m"',
        '"\\0"',
        '"\\uD800"',
        "é 漢 🚀",
        "x" * 2000,
        '"\u202e"',
        '"${{"',
        '"${{a\\nb}}"',
        '"}} ${{"',
    ),
    *(
        "prepare.py",
        "src",
        "../x",
        "/abs",
        "s3://b/k",
        "cloudops://local/x/jobs/y",
        "local",
        "prod-aws",
        "none",
        "token",
    ),
]
_KEYS = [
    "name",
    "provider",
    "target",
    "command",
    "timeout",
    "Timeout",
    "resources",
    "1",
    "a b",
    "",
    "é",
    "x" * 300,
    "\x1b",
]
_NOISE = [
    *":-{}[]'\"\t\n#&*!|>%@`?,$0aé漢\x00\x85\u2028\ufeff\r",
    *("  ", "{{", "---\n", "...\n", "%YAML 9.9\n"),
]
_ENCODINGS = ["utf-8", "utf-8-sig", "utf-16", "latin-1", "utf-32-le"]


@dataclass
class Mapping:
    """A mapping whose keys may repeat; a leaf is YAML text."""

    pairs: list[list[Any]] = field(default_factory=list)

    def emit(self, depth: int = 0) -> str:
        """The mapping as YAML, one key per line."""
        pad = " " * (depth + 1)
        lines = [f"{pad}{json.dumps(key)}: {_emit(value, depth + 1)}" for key, value in self.pairs]
        return "{\n" + ",\n".join(lines) + "\n" + " " * depth + "}"


def _emit(value: Any, depth: int) -> str:
    return value.emit(depth) if isinstance(value, Mapping) else str(value)


def _tree(value: Any) -> Any:
    if isinstance(value, dict):
        return Mapping([[key, _tree(child)] for key, child in value.items()])
    return json.dumps(value)


def _mappings(root: Mapping) -> list[Mapping]:
    found = [root]
    for _, value in root.pairs:
        if isinstance(value, Mapping):
            found += _mappings(value)
    return found


_PLAIN = yaml.safe_load(FULL)
_HOW = ["drop", "rename", "name", "duplicate", "move", "swap", "value", "value", "reference", "wrap", "unwrap", "new"]


@st.composite
def trees(draw: st.DrawFn) -> str:
    """The text of a project file after one to four mutations of its tree."""
    root = _tree(_PLAIN)
    for _ in range(draw(st.integers(1, 4))):
        _mutate(draw, root)
    return root.emit()  # type: ignore[no-any-return]


def _mutate(draw: st.DrawFn, root: Mapping) -> None:
    full = [mapping for mapping in _mappings(root) if mapping.pairs]
    if not full:
        return
    mapping, other = (full[draw(st.integers(0, len(full) - 1))] for _ in range(2))
    index = draw(st.integers(0, len(mapping.pairs) - 1))
    pair = mapping.pairs[index]
    how = draw(st.sampled_from(_HOW))
    if how == "drop":
        del mapping.pairs[index]
    elif how == "rename":
        at = draw(st.integers(0, len(pair[0])))
        pair[0] = (
            pair[0][:at] + draw(st.sampled_from(["", "x", "_", "É", "-"])) + pair[0][at + draw(st.integers(0, 2)) :]
        )
    elif how == "name":
        pair[0] = draw(st.sampled_from(_KEYS))
    elif how == "duplicate":
        mapping.pairs.append(list(pair))
    elif how == "move":
        if not isinstance(pair[1], Mapping):
            other.pairs.append(mapping.pairs.pop(index))
    elif how == "swap":
        target = other.pairs[draw(st.integers(0, len(other.pairs) - 1))]
        if not isinstance(pair[1], Mapping) and not isinstance(target[1], Mapping):
            pair[1], target[1] = target[1], pair[1]
    elif how == "value":
        pair[1] = draw(st.sampled_from(SNIPPETS))
    elif how == "reference":
        pair[1] = json.dumps(
            "${{ " + draw(st.sampled_from(_REFERENCES)) + draw(st.sampled_from([" }}", "}}/x", "", "}"]))
        )
    elif how == "wrap":
        pair[1] = f"[{pair[1]}]" if isinstance(pair[1], str) else Mapping([["x", pair[1]]])
    elif how == "unwrap":
        if isinstance(pair[1], Mapping):
            mapping.pairs[index : index + 1] = pair[1].pairs
    else:
        mapping.pairs.append([draw(st.sampled_from(_KEYS)), draw(st.sampled_from(SNIPPETS))])


@st.composite
def texts(draw: st.DrawFn) -> bytes:
    """A project file after one to four mutations of its text or of its bytes."""
    text = FULL
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(text)))
        how = draw(st.sampled_from(["insert", "delete", "replace", "line", "indent", "dedent", "cut", "double"]))
        text = _edit(draw, text, at, how)
    data = text.encode(draw(st.sampled_from(_ENCODINGS)) if draw(st.integers(0, 20)) == 20 else "utf-8", "replace")
    if draw(st.integers(0, 20)) == 20 and data:
        at = draw(st.integers(0, len(data) - 1))
        data = data[:at] + bytes([draw(st.integers(0, 255))]) + data[at + 1 :]
    return data


def _edit(draw: st.DrawFn, text: str, at: int, how: str) -> str:
    end = at + draw(st.integers(1, 12))
    if how == "insert":
        return f"{text[:at]}{draw(st.sampled_from(_NOISE))}{text[at:]}"
    if how == "delete":
        return text[:at] + text[end:]
    if how == "replace":
        return f"{text[:at]}{draw(st.sampled_from(_NOISE + SNIPPETS))}{text[end:]}"
    if how == "cut":
        return text[:at]
    lines = text.splitlines(keepends=True) or [""]
    index = text.count("\n", 0, at) % len(lines)
    changed = {
        "line": "",
        "indent": " " * draw(st.integers(1, 3)) + lines[index],
        "dedent": lines[index].lstrip(" "),
        "double": lines[index] * 2,
    }
    return "".join([*lines[:index], changed[how], *lines[index + 1 :]])


documents = st.one_of(trees().map(lambda text: text.encode("utf-8", "surrogatepass")), texts())
