"""Imports one generated client of Google's without the hundreds of modules that its packages' ``__init__`` import.

``google.cloud.aiplatform_v1`` and its package ``types`` import everything below them. Here a module of the same name
takes their place that finds each name when it is asked for (PEP 562), as written in the real ``__init__``: the rest of
the SDK works with it as before, in the same process, and pays then.
"""

from __future__ import annotations

import ast
import importlib
import importlib.util
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any


@contextmanager
def lazily(*packages: str) -> Iterator[None]:
    """Within this, ``packages`` are imported without what their ``__init__`` would import."""
    finder = _Finder(packages)
    sys.meta_path.insert(0, finder)
    try:
        yield
    finally:
        sys.meta_path.remove(finder)


class _Finder(MetaPathFinder):
    def __init__(self, packages: tuple[str, ...]) -> None:
        self._packages = packages

    def find_spec(self, fullname: str, path: Any = None, target: ModuleType | None = None) -> ModuleSpec | None:
        if fullname not in self._packages:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.origin is not None:
            spec.loader = _Init(spec.origin)
        return spec


class _Init(Loader):
    """The loader of a package whose real ``__init__`` is at ``origin``."""

    def __init__(self, origin: str) -> None:
        self._origin = origin

    def exec_module(self, module: ModuleType) -> None:
        names = _Names(module, self._origin)
        module.__dict__["__getattr__"] = names.find
        module.__dict__["__dir__"] = names.all


class _Names:
    """What a package's ``__init__`` would have defined; the file is read once a name is no module's below it."""

    def __init__(self, module: ModuleType, origin: str) -> None:
        self._module = module
        self._origin = origin
        self._table: dict[str, tuple[str, str]] | None = None
        self._constants: dict[str, Any] = {}

    def all(self) -> list[str]:
        """As ``dir`` shows them."""
        return sorted({*self._module.__dict__, *self._read(), *self._constants})

    def find(self, name: str) -> Any:
        """The value of ``name``, which is imported now.

        Raises:
            AttributeError: the package has no such name.
        """
        value = self._value(name)
        self._module.__dict__[name] = value
        return value

    def _value(self, name: str) -> Any:
        if self._is_module(name):
            return importlib.import_module(f"{self._module.__name__}.{name}")
        source = self._read().get(name)
        if source is None:
            if name in self._constants:
                return self._constants[name]
            raise AttributeError(f"module {self._module.__name__!r} has no attribute {name!r}")
        module, attribute = source
        if not attribute:
            return importlib.import_module(module)
        try:
            return getattr(importlib.import_module(module), attribute)
        except AttributeError:
            return importlib.import_module(f"{module}.{attribute}")

    def _is_module(self, name: str) -> bool:
        base = os.path.join(os.path.dirname(self._origin), name)
        return name.isidentifier() and (os.path.isfile(f"{base}.py") or os.path.isfile(f"{base}/__init__.py"))

    def _read(self) -> dict[str, tuple[str, str]]:
        """Name to the module that has it, and how it is called there (empty: the name is the module)."""
        if self._table is None:
            with open(self._origin, encoding="utf-8") as file:
                tree = ast.parse(file.read())
            table: dict[str, tuple[str, str]] = {}
            for node in tree.body:
                if isinstance(node, ast.ImportFrom):
                    module = importlib.util.resolve_name("." * node.level + (node.module or ""), self._package)
                    table.update({each.asname or each.name: (module, each.name) for each in node.names})
                elif isinstance(node, ast.Import):
                    table.update({each.asname: (each.name, "") for each in node.names if each.asname})
                elif isinstance(node, ast.Assign):
                    self._constant(node, table)
            self._table = table
        return self._table

    @property
    def _package(self) -> str:
        return self._module.__name__

    def _constant(self, node: ast.Assign, table: dict[str, tuple[str, str]]) -> None:
        target = node.targets[0]
        if not isinstance(target, ast.Name):
            return
        if target.id == "__version__":  # package_version.__version__
            table["__version__"] = (f"{self._package}.gapic_version", "__version__")
            return
        try:
            self._constants[target.id] = ast.literal_eval(node.value)
        except ValueError:
            return
