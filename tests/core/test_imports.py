"""What each part imports, by module: start-up stays cheap because nothing heavy is imported before it is needed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

#: Nothing on the way to ``--help`` may import these.
HEAVY = {
    "aiohttp",
    "asyncio",
    "cloudops_local",
    "importlib.metadata",
    "numpy",
    "pathspec",
    "pluggy",
    "polars",
    "psutil",
    "pydantic",
    "rich",
    "scipy",
    "sqlite3",
    "yaml",
}
_DUMP = "import atexit\natexit.register(lambda: print('MODULES', *sys.modules, file=sys.stderr))\n"


def imported(code: str, *arguments: str, cwd: Path = ROOT) -> set[str]:
    """The modules that running ``code`` in a fresh interpreter has imported at its end.

    Without ``site``: what the .pth files of other distributions import is none of our doing.
    """
    path = [str(Path(item).resolve()) for item in sys.path if item]
    code = f"import sys\nsys.path[:] = {path!r}\n{_DUMP}{code}"
    done = subprocess.run(
        [sys.executable, "-S", "-c", code, *arguments], check=False, capture_output=True, text=True, cwd=cwd, timeout=60
    )
    marked = [line for line in done.stderr.splitlines() if line.startswith("MODULES ")]
    assert marked, done.stderr
    return set(marked[-1].split()[1:])


def third_party(modules: set[str]) -> set[str]:
    """The top-level names that are neither the standard library's nor this interpreter's own."""
    tops = {name.partition(".")[0] for name in modules}
    return {name for name in tops if name not in sys.stdlib_module_names and not name.startswith("__")}


CLI = "sys.argv[0] = 'cloudops'\nfrom cloudops.cli.main import main\nmain()"


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], ["completion", "--help"], ["nonsense"], ["jobs", "--help"]]
)
def test_help_imports_click_and_our_own_words(arguments: list[str]) -> None:
    modules = imported(CLI, *arguments)
    if arguments != ["--version"]:  # click asks importlib.metadata
        assert modules & HEAVY == set()
    assert third_party(modules) == {"click", "cloudops"}


def test_importing_cloudops_imports_nothing_else() -> None:
    modules = imported("import cloudops")
    assert {name for name in modules if name.startswith("cloudops")} == {"cloudops"}
    assert third_party(modules) == {"cloudops"}


@pytest.mark.parametrize(
    ("name", "allowed"),
    [
        ("errors", {"cloudops", "cloudops.errors"}),
        ("refs", {"cloudops", "cloudops.refs"}),
        ("quantities", {"cloudops", "cloudops.quantities"}),
        ("registry", {"cloudops", "cloudops.errors", "cloudops.hookspecs", "cloudops.registry"}),
        ("events", {"cloudops", "cloudops.events"}),
        ("messages", {"cloudops", "cloudops.messages"}),
        ("provider", {"cloudops", "cloudops.messages", "cloudops.provider"}),
    ],
)
def test_the_lower_half_imports_only_what_is_below_it(name: str, allowed: set[str]) -> None:
    modules = imported(f"import cloudops.{name}")
    assert {module for module in modules if module.partition(".")[0] == "cloudops"} == allowed
    assert third_party(modules) - {"cloudops"} <= ({"pluggy"} if name == "registry" else set())


def test_handles_import_no_specs_and_no_session() -> None:
    """``cloudops.attach(uri)`` and ``cloudops status URI`` go this way."""
    modules = imported("import cloudops; cloudops.attach")
    assert modules & (HEAVY - {"pluggy", "importlib.metadata"}) == set()
    assert modules & {"cloudops.specs", "cloudops.session", "cloudops.config", "cloudops.store"} == set()


def _runtime_modules() -> list[str]:
    files = (ROOT / "cloudops" / "runtime").rglob("*.py")
    names = [".".join(file.relative_to(ROOT).with_suffix("").parts) for file in files]
    return sorted(name.removesuffix(".__init__") for name in names if not name.endswith("__main__"))


def test_the_runtime_imports_only_the_standard_library() -> None:
    """Libraries that a model needs are imported when a model needs them, and not before."""
    names = _runtime_modules()
    assert len(names) > 10
    modules = imported("".join(f"import {name}\n" for name in names))
    assert third_party(modules) == {"cloudops"}
    assert {
        name for name in modules if name.startswith("cloudops.") and not name.startswith("cloudops.runtime")
    } == set()


def test_loading_a_project_file_needs_no_tables_and_no_network(tmp_path: Path) -> None:
    (tmp_path / "cloudops.yaml").write_text("name: x\ntrain: {command: a}\n")
    modules = imported(CLI, "config", "show", cwd=tmp_path)
    assert {"pydantic", "yaml"} <= modules
    assert modules & (HEAVY - {"pydantic", "yaml", "importlib.metadata"}) == set()
    assert modules & {"cloudops.session", "cloudops.store", "cloudops.engine", "cloudops.monitoring"} == set()
