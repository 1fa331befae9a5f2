"""Which providers and plugins are installed, and what is said of one that is absent or broken."""

from __future__ import annotations

import importlib.metadata
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from cloudops import registry
from cloudops.errors import MissingDependency, PluginError, ProviderBroken, ProviderNotFound
from cloudops.hookspecs import PLUGINS, PROVIDERS
from cloudops.provider import ProviderContext

from .distributions import PROVIDER, install


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder in front of the import path; what is imported from it is forgotten."""
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)
    yield tmp_path
    for name in set(sys.modules) - before:
        if str(tmp_path) in str(getattr(sys.modules[name], "__file__", "")):
            del sys.modules[name]


def provide(site: Path, name: str, source: str, *, value: str | None = None, group: str = PROVIDERS) -> None:
    module = f"module_{name.replace('-', '_')}"
    install(site, f"dist-{name}", "1.2", points={group: {name: value or module}}, modules={module: source})


def expected(group: str) -> dict[str, tuple[str, str, str]]:
    """What ``importlib.metadata`` answers."""
    found: dict[str, tuple[str, str, str]] = {}
    for point in importlib.metadata.entry_points(group=group):
        assert point.dist is not None
        module = point.value.split("[")[0].strip()
        found.setdefault(point.name, (module, normal(point.dist.name), point.dist.version))
    return found


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def answered(group: str) -> dict[str, tuple[str, str, str]]:
    return {name: (p.module, normal(p.distribution), p.version) for name, p in registry.entry_points(group).items()}


@pytest.mark.parametrize("group", [PROVIDERS, PLUGINS, "console_scripts", "pytest11", "no.such.group"])
def test_the_scan_answers_as_importlib_metadata(group: str) -> None:
    assert answered(group) == expected(group)


def test_the_installed_local_provider_is_found() -> None:
    point = registry.entry_points(PROVIDERS)["local"]
    assert (point.module, point.distribution) == ("cloudops_local.plugin", "cloudops-ml")


def test_the_scan_reads_what_installers_write(site: Path) -> None:
    install(
        site,
        "Some_Dist.x",
        "2.0.post1",
        points={
            "other": {"n": "no"},
            PROVIDERS: {"a": "mod.sub:attr [extra, more]", "b.c-d": "mod", "with space": "mod", "# comment": "no"},
            "another": {"n": "no"},
        },
        modules={},
    )
    (site / "empty-1.dist-info").mkdir()
    (site / "file.egg-info").write_text("")
    assert answered(PROVIDERS).keys() >= {"a", "b.c-d", "with space", "local"}
    assert "# comment" not in answered(PROVIDERS)
    assert answered(PROVIDERS) == expected(PROVIDERS)


def test_a_distribution_that_cannot_be_read_hides_no_other(site: Path) -> None:
    """``importlib.metadata`` raises UnicodeDecodeError here, for every group."""
    (site / "broken-1.dist-info").mkdir()
    (site / "broken-1.dist-info" / "entry_points.txt").write_bytes(b"\xff\xfe[nothing")
    assert "local" in registry.entry_points(PROVIDERS)


def test_the_first_on_the_path_shadows_the_others(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder, version, names in (("new", "2", ["a"]), ("old", "1", ["a", "gone"])):
        points = {PROVIDERS: {name: f"{folder}_{name}" for name in names}}
        install(tmp_path / folder, "my-dist", version, points=points, modules={})
    monkeypatch.setattr(sys, "path", [str(tmp_path / "new"), str(tmp_path / "old"), str(tmp_path / "none"), *sys.path])
    found = registry.entry_points(PROVIDERS)
    assert (found["a"].module, found["a"].version) == ("new_a", "2")
    assert "gone" not in found
    assert answered(PROVIDERS) == expected(PROVIDERS)


def test_a_provider_is_created_from_its_distribution(site: Path) -> None:
    provide(site, "mine", PROVIDER.format(name="mine", module="module_mine"))
    info = registry.provider_info("mine")
    context = ProviderContext(root=site)
    created: object = registry.create_provider(info, context)
    assert created == ("created", context)


def test_looking_up_one_provider_imports_no_other(site: Path) -> None:
    provide(site, "mine", PROVIDER.format(name="mine", module="module_mine"))
    provide(site, "other", "raise SystemExit('imported')")
    assert registry.provider_info("mine").name == "mine"
    assert "module_other" not in sys.modules


def test_an_absent_provider_names_the_nearest(site: Path) -> None:
    provide(site, "sagemaker", "")
    with pytest.raises(ProviderNotFound) as caught:
        registry.provider_info("sagemakr")
    assert str(caught.value) == (
        "the provider 'sagemakr' is not installed (installed: local, sagemaker, vertex); did you mean 'sagemaker'?"
    )
    assert caught.value.exit_code == 2


def test_an_absent_provider_without_a_near_one_lists_what_there_is() -> None:
    with pytest.raises(ProviderNotFound, match=r"^the provider 'zzz' is not installed \(installed: .*local.*\)$"):
        registry.provider_info("zzz")


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        ("import does_not_exist_anywhere", "cannot be imported: ModuleNotFoundError: No module named 'does_not_exist"),
        ("1 / 0", "cannot be imported: ZeroDivisionError: division by zero"),
        ("def f(:", "cannot be imported: SyntaxError"),
        (
            PROVIDER.replace("def cloudops_provider():", "def cloudops_provider(wrong):"),
            "cannot be registered: PluginVal",
        ),
        (
            PROVIDER.replace("    return ProviderInfo(", "    1 / 0\n    return ("),
            "cannot be registered: ZeroDivisionError",
        ),
    ],
)
def test_a_broken_provider_is_told_from_an_absent_one(site: Path, source: str, reason: str) -> None:
    provide(site, "mine", source.replace("{name}", "mine").replace("{module}", "module_mine"))
    with pytest.raises(ProviderBroken) as caught:
        registry.provider_info("mine")
    message = str(caught.value)
    assert message.startswith(f"the provider 'mine' of dist-mine 1.2 is installed but {reason}")
    assert message.endswith("reinstall or upgrade that distribution")
    assert caught.value.__cause__ is not None


@pytest.mark.parametrize(
    ("source", "what"),
    [
        ("", "nothing"),
        (PROVIDER.format(name="other", module="m"), "itself as 'other'"),
        (
            "from cloudops.hookspecs import hookimpl\n@hookimpl\ndef cloudops_provider():\n    return {'name': 1}",
            "itself as {",
        ),
    ],
)
def test_a_provider_that_registers_something_else_is_broken(site: Path, source: str, what: str) -> None:
    provide(site, "mine", source)
    with pytest.raises(ProviderBroken) as caught:
        registry.provider_info("mine")
    assert str(caught.value).startswith(f"the provider 'mine' of dist-mine registers {what}")


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("module_mine:nothing", "AttributeError: module 'module_mine' has no attribute 'nothing'"),
        ("module_none:create", "ModuleNotFoundError: No module named 'module_none'"),
        ("module_bad:create", "RuntimeError: no"),
    ],
)
def test_a_part_that_cannot_be_loaded_is_named(site: Path, path: str, reason: str) -> None:
    provide(site, "mine", PROVIDER.format(name="mine", module="module_mine"))
    (site / "module_bad.py").write_text("raise RuntimeError('no')")
    with pytest.raises(ProviderBroken) as caught:
        registry.load(registry.provider_info("mine"), path)
    assert caught.value.message == f"the provider 'mine' cannot load {path}: {reason}"


def test_a_missing_sdk_keeps_its_own_message(site: Path) -> None:
    provide(site, "mine", PROVIDER.format(name="mine", module="module_mine"))
    source = "from cloudops.errors import MissingDependency as M\nraise M('boto3 is missing', hint='install x[sdk]')"
    (site / "module_sdk.py").write_text(source)
    with pytest.raises(MissingDependency, match=r"^boto3 is missing; install x\[sdk\]$"):
        registry.load(registry.provider_info("mine"), "module_sdk:create")


@pytest.mark.parametrize(
    "source", ["1 / 0", "from cloudops.hookspecs import hookimpl\n@hookimpl\ndef before_submit(wrong): ..."]
)
def test_a_broken_observer_is_not_passed_over(site: Path, source: str) -> None:
    provide(site, "guard", source, group=PLUGINS)
    with pytest.raises(PluginError, match=r"the plugin 'guard' of dist-guard 1\.2 is installed but cannot be"):
        registry.observers()
