"""Vertex AI behind the offline cloud: the first status, submitting and watching, beside google-cloud-aiplatform."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cloudops
from cloudops.offline import OfflineCloud

from .bench_startup import SDK_PYTHON

JOBS, ROUNDS = 500, 5
BUCKET = "bench-vertex"
IMAGE = "us-docker.pkg.dev/vertex-ai/training/sklearn-cpu.1-6:latest"
#: Asks for a job: NAME.
SDK_GET = """
import sys
from google.cloud import aiplatform

print(aiplatform.CustomJob.get(sys.argv[1]).state)
"""
#: Submits a script, without waiting: SCRIPT NUMBER.
SDK_SUBMIT = f"""
import sys
from google.cloud import aiplatform

aiplatform.init(location="us-central1", staging_bucket="gs://{BUCKET}")
aiplatform.CustomJob.from_local_script(
    display_name=f"sdk-{{sys.argv[2]}}", script_path=sys.argv[1], container_uri="{IMAGE}"
).submit()
"""


def run() -> list[tuple[str, float, str]]:
    """Ratios to cloudops, all against one offline cloud in turns."""
    with tempfile.TemporaryDirectory() as name, OfflineCloud() as cloud, cloud.active():
        folder = Path(name)
        session = _project(folder)
        # Jobs wait for machines that never come: what is measured is how they are submitted and watched.
        cloud.fault("no_capacity", on="aiplatform:custom-job", times=None, seconds=1e6)
        return [*_submitting(cloud, folder), *_asking(cloud, session, folder), *_watching(cloud, session)]


def _project(folder: Path) -> Any:
    (folder / "code").mkdir()
    (folder / "code" / "train.py").write_text("print('hello')\n")
    target = f"{{provider: vertex, bucket: {BUCKET}}}"
    train = "{command: python train.py, code: code, timeout: 1h, params: {n: 0}}"
    (folder / "cloudops.yaml").write_text(f"name: bench\ntargets: {{gcp: {target}}}\ntarget: gcp\ntrain: {train}\n")
    return cloudops.connect(provider="vertex", root=folder, project="bench", bucket=BUCKET)


def _submitting(cloud: OfflineCloud, folder: Path) -> list[tuple[str, float, str]]:
    """From the start of the command to the CreateCustomJob call."""
    cli = str(Path(sys.executable).with_name("cloudops"))
    script = str(folder / "code" / "train.py")
    commands = {
        "ours": lambda number: [cli, "train", "--no-wait", "--set", f"train.params.n={number}"],
        "sdk": lambda number: [str(SDK_PYTHON), "-c", SDK_SUBMIT, script, str(number)],
    }
    times: dict[str, list[float]] = {name: [] for name in commands}
    for number in range(ROUNDS + 1):
        for name, command in commands.items():
            before = len(_creations(cloud))
            started = time.time()
            _output(command(number), folder)
            called = _creations(cloud)[before]["time"]
            if number:
                times[name].append(called - started)
    ours, sdk = (statistics.median(times[name]) for name in ("ours", "sdk"))
    label = "CustomJob.from_local_script(...).submit() to CreateCustomJob"
    return [(label, sdk / ours, f"x cloudops train ({ours:.2f} s here)")]


def _creations(cloud: OfflineCloud) -> list[Any]:
    return [call for call in cloud.calls() if call["operation"] == "aiplatform:CreateCustomJob"]


def _asking(cloud: OfflineCloud, session: Any, folder: Path) -> list[tuple[str, float, str]]:
    """Import and first call, of processes of their own."""
    job = session.train(cloudops.TrainSpec(command="python train.py", code="code", timeout=3600.0))
    resource = _resource(folder)
    commands = {
        "ours": [str(Path(sys.executable).with_name("cloudops")), "status", str(job.uri)],
        "sdk": [str(SDK_PYTHON), "-c", SDK_GET, resource],
    }
    times: dict[str, list[float]] = {name: [] for name in commands}
    for number in range(ROUNDS + 1):
        for name, command in commands.items():
            started = time.perf_counter()
            _output(command, folder)
            if number:
                times[name].append(time.perf_counter() - started)
    ours, sdk = (statistics.median(times[name]) for name in ("ours", "sdk"))
    label = "from google.cloud import aiplatform, CustomJob.get"
    return [(label, sdk / ours, f"x cloudops status ({ours:.2f} s here)")]


def _resource(folder: Path) -> str:
    """What the service calls the newest job."""
    script = "from google.cloud import aiplatform; print(aiplatform.CustomJob.list()[0].resource_name)"
    return _output([str(SDK_PYTHON), "-c", script], folder).split()[-1]


def _watching(cloud: OfflineCloud, session: Any) -> list[tuple[str, float, str]]:
    """API calls for one look at the state of 1 job and of 500."""
    while (left := JOBS - len(_creations(cloud))) > 0:
        spec = cloudops.TrainSpec(command="python train.py", code="code", timeout=3600.0, params={"n": 1000 + left})
        job = session.train(spec)
    one = _calls(cloud, job.status)
    many = _calls(cloud, lambda: list(session.jobs()))
    return [
        ("API calls for a look at 1 job", one, "calls"),
        (f"API calls for a look at {JOBS} jobs", many, f"calls; a GetCustomJob for each: {JOBS}"),
    ]


def _calls(cloud: OfflineCloud, look: Any) -> float:
    look()  # what only the first look of a process asks for
    before = len(cloud.calls())
    look()
    return float(len(cloud.calls()) - before)


def _output(command: Sequence[str], folder: Path) -> str:
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)[:200]}: {done.stderr[-2000:]}")
    return done.stdout
