# ruff: noqa: E501 - a case is easier to read on one line
"""Each kind of mistake in a project file is one line: where, which key, what was given, what was expected."""

from __future__ import annotations

import pytest

from .documents import SMALL
from .loading import accepted, refused

pytestmark = pytest.mark.usefixtures("folder")

STEP = SMALL  # three lines: what follows at two spaces is in train, from line 4
AMOUNT = "expected a positive number without a unit, or one with + for 'at least'"
DURATION = "expected a duration with its unit, such as 200ms, 90s, 5m, 2h, 1h30m or 1d"
PERCENT = "expected a percentage from 0% to 100%, such as 10%"

UNKNOWN = {
    "nam: x": "1: nam: unknown key; did you mean 'name'?",
    "name: x\nqqqq: 1": "2: qqqq: unknown key; known here: batch, deploy, evaluate, monitor, name, overrides, ",
    STEP + "  timout: 2h": "4: train.timout: unknown key; did you mean 'timeout'?",
    STEP + "  hyperparameters: {lr: 1}": "4: train.hyperparameters: unknown key; did you mean 'params'?",
    "name: x\ndeploy: {endpoint: a, replicas: 2}": "2: deploy.replicas: unknown key; did you mean 'min_replicas'?",
    STEP + "  resources:\n    gpus: 1": "5: train.resources.gpus: unknown key; did you mean 'accelerators'?",
    "name: x\nprepare: {comand: a}": "2: prepare.comand: unknown key; did you mean 'command'?",
    "name: x\nevaluate: {command: a, requires: {}}": "2: evaluate.requires: unknown key; did you mean 'require'?",
    "name: x\ndeploy: {endpont: a}": "2: deploy.endpont: unknown key; did you mean 'endpoint'?",
    "name: x\ndeploy: {endpoint: a, traffic: {canari: 1%}}": "2: deploy.traffic.canari: unknown key; did you mean 'canary'?",
    "name: x\ndeploy: {endpoint: a, capture: {share: 1%}}": "2: deploy.capture.share: unknown key; known here: sample",
    "name: x\ndeploy: {endpoint: a, resources: {use_spot: true}}": "2: deploy.resources.use_spot: unknown key here; it "
    "belongs under prepare.resources, under train.resources or under evaluate.resources",
    "name: x\nmonitor: {check: {}}": "2: monitor.check: unknown key; did you mean 'checks'?",
    "name: x\nmonitor:\n  checks: {drift: {pis: 1}}": "3: monitor.checks.drift.pis: unknown key; did you mean 'psi'?",
    "name: x\nmonitor: {checks: {quality: {mising: 1%}}}": "2: monitor.checks.quality.mising: unknown key; did you mean",
    STEP + "timeout: 2h": "4: timeout: unknown key here; it belongs under prepare, under train or under evaluate",
    STEP + "  endpoint: a": "4: train.endpoint: unknown key here; it belongs under deploy or under monitor",
    STEP + "  provider: local": "4: train.provider: unknown key here; it belongs at the top of the file",
}

MISSING = {
    "": " the key 'name' is missing (The project's name",
    "provider: local": " the key 'name' is missing",
    "name: x\ntrain:\n  code: src": "2: train: the key 'command' is missing (A shell command;",
    "name: x\n\ndeploy: {}": "3: deploy: the key 'endpoint' is missing",
    "name: x\ntargets:\n  a: {region: b}": "3: targets.a: the key 'provider' is missing",
}

UNITS = {
    STEP + "  timeout: 2": f"4: train.timeout: got 2, {DURATION}",
    STEP + "  timeout: 2 hours": f"4: train.timeout: got '2 hours', {DURATION}",
    STEP + "  timeout: 1h1h": f"4: train.timeout: got '1h1h', {DURATION}",
    STEP + "  timeout: 0s": "4: train.timeout: got '0s', expected a duration of at least 1ms and less than 300 years",
    STEP + "  timeout: 99999w": "4: train.timeout: got '99999w', expected a duration of at least 1ms and less than",
    STEP
    + "  resources: {memory: 16GB}": f"4: train.resources.memory: got '16GB', {AMOUNT}, such as 4 or 4+ (Gigabytes",
    STEP + "  resources: {cpus: 0}": f"4: train.resources.cpus: got 0, {AMOUNT}",
    STEP + "  resources: {cpus: -4+}": f"4: train.resources.cpus: got '-4+', {AMOUNT}",
    STEP + "  resources: {cpus: true}": f"4: train.resources.cpus: got true, {AMOUNT}",
    STEP + "  resources: {cpus: 1e9}": f"4: train.resources.cpus: got 1000000000.0, {AMOUNT}",
    STEP
    + "  resources: {accelerators: 8}": "4: train.resources.accelerators: got 8, expected a kind and a count, such",
    STEP + "  resources: {accelerators: 'T4:0'}": "4: train.resources.accelerators: got 'T4:0', expected a kind and",
    STEP + "  resources: {accelerators: '8:A100'}": "4: train.resources.accelerators: got '8:A100', expected a kind",
    STEP + "  resources: {disk_size: 50GB}": "4: train.resources.disk_size: got '50GB', expected an integer (Gigabytes",
    "name: x\ndeploy: {endpoint: a, capture: {sample: 1}}": f"2: deploy.capture.sample: got 1, {PERCENT}",
    "name: x\ndeploy: {endpoint: a, capture: {sample: 101%}}": f"2: deploy.capture.sample: got '101%', {PERCENT}",
    "name: x\nmonitor: {checks: {quality: {missing: 0.05}}}": f"2: monitor.checks.quality.missing: got 0.05, {PERCENT}",
    "name: x\nmonitor: {checks: {latency_p99: 200}}": f"2: monitor.checks.latency_p99: got 200, {DURATION}",
    "name: x\nmonitor: {checks: {drift: {psi: 20%}}}": "2: monitor.checks.drift.psi: got '20%', expected a number",
    "name: x\nmonitor: {checks: {drift: {ks: 2}}}": "2: monitor.checks.drift.ks: got 2, expected a number less than or",
    "name: x\nmonitor: {checks: {drift: {psi: -1}}}": "2: monitor.checks.drift.psi: got -1, expected a number greater",
    "name: x\nevaluate: {command: a, require: {auc: 0.7}}": "2: evaluate.require.auc: got 0.7, expected a comparison "
    'with a number, such as ">= 0.70"',
    "name: x\nevaluate: {command: a, require: {auc: '>= x'}}": "2: evaluate.require.auc: got '>= x', expected a comparison",
    "name: x\nevaluate: {command: a, require: {auc: '>= 1e999'}}": "2: evaluate.require.auc: got '>= 1e999', expected a",
}

TYPES = {
    "name: 5": "1: name: got 5, expected a string; quote it to make it a string",
    "name: x\ntrain: 5": "2: train: got 5, expected a mapping of keys",
    "name: x\ntrain: [a]": "2: train: got a list, expected a mapping of keys",
    "name: x\ntrain: {command: }": "2: train.command: got nothing, expected a string (A shell command;",
    "name: x\ntrain: {command: ''}": "2: train.command: got '', expected a string that is not empty",
    "name: x\ntrain: {command: [python]}": "2: train.command: got a list, expected a string",
    STEP + "  retries: '1'": "4: train.retries: got '1', expected an integer; without quotes it is one",
    STEP + "  retries: 1.5": "4: train.retries: got 1.5, expected an integer",
    STEP + "  retries: -1": "4: train.retries: got -1, expected a number greater than or equal to 0",
    STEP
    + "  resources: {use_spot: 'true'}": "4: train.resources.use_spot: got 'true', expected true or false; without",
    STEP
    + "  resources: {num_nodes: 0}": "4: train.resources.num_nodes: got 0, expected a number greater than or equal",
    STEP + "  outputs: data": "4: train.outputs: got 'data', expected a list",
    STEP + "  inputs: [data]": "4: train.inputs: got a list, expected a mapping of names to values",
    STEP + "  inputs: {a: {str: x}}": "4: train.inputs.a: got a mapping, expected a string",
    STEP + "  envs: {A: on}": "4: train.envs.A: got true, expected a string; quote it to make it a string",
    STEP + "  envs:\n    A: x\n    B: 1.10": "6: train.envs.B: got 1.1, expected a string; quote it",
    STEP
    + "  params: {a: [1]}": "4: train.params.a: got a list, expected a string, true or false, an integer or a number",
    STEP + "  secrets: [A, 3]": "4: train.secrets[1]: got 3, expected a string",
    STEP + "overrides: {local: 5}": "4: overrides.local: got 5, expected a mapping",
    STEP + "targets: {a: 5}": "4: targets.a: got 5, expected a mapping of keys",
    STEP + "deploy: {endpoint: a, auth: secret}": "4: deploy.auth: got 'secret', expected 'none' or 'token'",
}

NAMES = {
    "name: Flight": "1: name: got 'Flight', expected 1 to 32 of a-z, 0-9 and '-', a letter first",
    "name: x-": "1: name: got 'x-', expected 1 to 32",
    f"name: {'x' * 33}": "1: name: got 'xxxxx",
    'name: "x\\n"': "1: name: got 'x\\n', expected 1 to 32",
    'name: "a\\e[31mb"': "1: name: got 'a\\x1b[31mb', expected 1 to 32",
    STEP
    + "  inputs: {my data: x}": "4: train.inputs.my data: this key is not valid, expected a name of letters, digits",
    STEP + "  inputs: {é: x}": "4: train.inputs.é: this key is not valid, expected a name of letters, digits",
    STEP + '  inputs: {"a\\nb": x}': "4: train.inputs.a\\nb: this key is not valid",
    STEP + "  params: {a: 1, A: 2}": "2: train: expected names that differ in more than case, not a and A",
    STEP + "  outputs: [a, a]": "2: train: expected each output once, not a twice",
    STEP + "  envs: {1A: x}": "4: train.envs.1A: this key is not valid, expected the name of an environment variable",
    STEP + "  secrets: [A B]": "4: train.secrets[0]: got 'A B', expected the name of an environment variable",
    STEP + "  framework: sklearn": "4: train.framework: got 'sklearn', expected a framework and its version, such as",
    STEP + "  framework: sklearn@latest": "4: train.framework: got 'sklearn@latest', expected a framework and its",
    STEP + "targets: {1a: {provider: x}}": "4: targets.1a: this key is not valid, expected a name of letters",
    STEP + "  params: {a: '" + "v" * 2000 + "', b: []}": "4: train.params.b: got a list",
    STEP + "  timeout: '" + "v" * 2000 + "'": "4: train.timeout: got 'vvvvv",
}

TOGETHER = {
    STEP + "  image: i\n  framework: sklearn@1": "2: train: expected either framework or image, not both",
    STEP + "  envs: {A: b}\n  secrets: [A]": "2: train: expected A under envs or under secrets, not both",
    "name: x\nevaluate:\n  command: a\n  inputs: {model: x}": "2: evaluate: expected no input named model",
    "name: x\ndeploy:\n  endpoint: a\n  traffic: {canary: 10%}": "4: deploy.traffic: expected canary and bake together",
    "name: x\ndeploy:\n  endpoint: a\n  traffic: {canary: 0%, bake: 5m}": "4: deploy.traffic: expected a canary between",
    "name: x\ndeploy:\n  endpoint: a\n  min_replicas: 3\n  max_replicas: 2": "2: deploy: expected max_replicas of at least",
    "name: x\ndeploy: {endpoint: a, image: i, framework: a@1}": "2: deploy: expected either framework or image, not both",
}

REFERENCES = {
    STEP
    + "  code: ${{inputs.x}}": "4: train.code: the reference ${{inputs.x}} leads nowhere; no reference can be used",
    STEP + "  envs: {A: '${{params.x}}'}": "4: train.envs.A: the reference ${{params.x}} leads nowhere; no reference",
    STEP
    + "  params: {a: '${{params.a}}'}": "4: train.params.a: the reference ${{params.a}} leads nowhere; no reference",
    STEP
    + "  resources: {instance_type: '${{params.x}}'}": "4: train.resources.instance_type: the reference ${{params.x}}",
    STEP
    + "  inputs: {a: '${{inputs.b}}'}": "4: train.inputs.a: the reference ${{inputs.b}} leads nowhere; no step before",
    STEP + "  inputs: {a: '${{prepare.outputs.d}}'}": "4: train.inputs.a: the reference ${{prepare.outputs.d}} leads",
    STEP + "  inputs: {a: '${{ '}": "4: train.inputs.a: a reference is opened with ${{ and not closed with }}",
    STEP
    + "  inputs: {a: '${{ a ${{ b }}'}": "4: train.inputs.a: a reference is opened with ${{ and not closed with }}",
    STEP + '  inputs: {a: "${{a\\nb}}"}': "4: train.inputs.a: the reference ${{a\\nb}} leads nowhere",
    "name: x\ntrain: {command: '${{inputs.dta}}', inputs: {data: d}}": "2: train.command: the reference ${{inputs.dta}} "
    "leads nowhere; did you mean 'inputs.data'?",
    "name: x\ntrain: {command: '${{zzz}}', params: {lr: 1}}": "2: train.command: the reference ${{zzz}} leads nowhere; "
    "known here: params.lr",
    "name: x\ntrain: {command: '${{inputs.a}}'}": "2: train.command: the reference ${{inputs.a}} leads nowhere; this step "
    "has no inputs, outputs or params",
    "name: x\nprepare: {command: a, inputs: {m: '${{train.model}}'}}\n"
    + STEP[8:]: "2: prepare.inputs.m: the reference",
    STEP
    + "monitor: {reference: x, endpoint: '${{train.model}}'}": "4: monitor.endpoint: the reference ${{train.model}} leads nowhere;",
    STEP + "monitor: {reference: '${{inputs.x}}'}": "4: monitor.reference: the reference ${{inputs.x}} leads nowhere",
    "name: x\ndeploy: {endpoint: a, model: '${{train.model}}'}": "2: deploy.model: the reference ${{train.model}} leads",
    "name: x\ntrain: {command: '${{" + "y" * 3000 + "}}'}": "2: train.command: the reference ${{yyyy",
}

TABLES = {
    "unknown": UNKNOWN,
    "missing": MISSING,
    "units": UNITS,
    "types": TYPES,
    "names": NAMES,
    "together": TOGETHER,
    "references": REFERENCES,
}
CASES = [
    pytest.param(text, line, id=f"{kind}-{index}")
    for kind, table in TABLES.items()
    for index, (text, line) in enumerate(table.items())
]


@pytest.mark.parametrize(("text", "line"), CASES)
def test_a_mistake_is_one_line(text: str, line: str) -> None:
    assert refused(text).startswith(f"cloudops.yaml:{line}")


def test_an_unknown_key_goes_before_the_one_it_replaces() -> None:
    """The missing key is the misspelt one, and a wrong value elsewhere is less telling than either."""
    assert "unknown key; did you mean 'command'?" in refused("name: X\ntrain: {comand: a, timeout: 1}")
    assert "the key 'command' is missing" in refused("name: X\ntrain: {timeout: 1}")


@pytest.mark.parametrize(
    "text",
    [
        "name: x",
        "name: x\ntrain:\ndeploy:\n",
        STEP + "  params: {a: 1e-4, b: 2, c: x, d: true, e: null, f: ''}",
        STEP + "  resources: {cpus: 0.5, memory: 1.5+, accelerators: T4}",
        STEP + "  timeout: 1h30m",
        STEP + "  inputs: {a: 'my file (1).csv', b: 'é/漢.csv'}\n  code: 'my code'",
        STEP + "overrides: {azureml: {x: '${{anything}}'}}",
        STEP + "targets: {a: {provider: vertex, deep: {er: [1, {x: y}]}}}",
    ],
)
def test_what_is_right_is_accepted(text: str) -> None:
    assert accepted(text).project.name == "x"


def test_a_number_in_scientific_notation_is_a_number() -> None:
    """YAML 1.1 reads 1e-4 as text; nobody who writes a learning rate means that."""
    project = accepted(STEP + "  params: {a: 1e-4, b: -2.5E+3, c: .5e1, d: '1e-4', e: e5, f: 1e}").project
    assert project.train is not None
    assert project.train.params == {"a": 1e-4, "b": -2500.0, "c": 5.0, "d": "1e-4", "e": "e5", "f": "1e"}
