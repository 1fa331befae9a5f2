"""SageMaker behind the offline cloud: submitting, uploading and watching, beside boto3 and the sagemaker SDK."""

from __future__ import annotations

import itertools
import random
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

ROLE = "arn:aws:iam::123456789012:role/cloudops-sagemaker"
BUCKET = "bench-bucket"
JOBS, ROUNDS = 500, 5
FILES, SIZE, LARGE = 2000, 20_000, 200 << 20
#: Submits as ModelTrainer does, without waiting: CODE NUMBER.
SDK_SUBMIT = f"""
import sys
from sagemaker.core.helper.session_helper import Session
from sagemaker.train import ModelTrainer
from sagemaker.train.configs import Compute, SourceCode

code, number = sys.argv[1:]
ModelTrainer(
    sagemaker_session=Session(default_bucket="{BUCKET}"),
    training_image="763104351884.dkr.ecr.us-east-1.amazonaws.com/pytorch-training:2.6.0-cpu-py312",
    role="{ROLE}",
    source_code=SourceCode(source_dir=code, entry_script="train.py"),
    compute=Compute(instance_type="ml.m5.large", instance_count=1),
    base_job_name=f"sdk-{{number}}",
).train(wait=False)
"""
#: Each uploads the folder CODE and prints the seconds that it took; what it imports does not count.
UPLOADS = {
    "boto3's upload_file, one file after the other": f"""
import sys, time
from pathlib import Path
import boto3

s3, code = boto3.client("s3"), Path(sys.argv[1])
started = time.perf_counter()
for path in sorted(path for path in code.rglob("*") if path.is_file()):
    s3.upload_file(str(path), "{BUCKET}", f"loop/{{sys.argv[2]}}/{{path.relative_to(code)}}")
print(time.perf_counter() - started)
""",
    "the sagemaker SDK's packer": f"""
import sys, time
import boto3
from sagemaker.core.fw_utils import tar_and_upload_dir

session = boto3.Session()
started = time.perf_counter()
tar_and_upload_dir(session, "{BUCKET}", f"packed/{{sys.argv[2]}}", "module_0.py", sys.argv[1])
print(time.perf_counter() - started)
""",
}
OURS = f"""
import sys, tempfile, time
from pathlib import Path
from cloudops.store.snapshot import pack
from cloudops_sagemaker.client import Client
from cloudops_sagemaker.names import Place
from cloudops_sagemaker.options import SageMakerTarget
from cloudops_sagemaker.storage import Storage

with tempfile.TemporaryDirectory() as folder:
    client = Client(SageMakerTarget(bucket="{BUCKET}"), None, Path(folder))
    storage = Storage(client)
    client.s3
    started = time.perf_counter()
    packed = pack(Path(sys.argv[1]), Path(folder))
    storage.upload_all(Place("{BUCKET}", f"ours/{{sys.argv[2]}}/{{packed.digest}}"), {{"code.tar": packed.archive}})
    print(time.perf_counter() - started)
"""


def run() -> list[tuple[str, float, str]]:
    """Ratios to cloudops, all against one offline cloud in turns."""
    with tempfile.TemporaryDirectory() as name, OfflineCloud() as cloud, cloud.active():
        folder = Path(name)
        session = _project(folder)
        # Jobs wait for machines that never come: what is measured is how they are submitted and watched.
        cloud.fault("no_capacity", on="sagemaker:training-job", times=None, seconds=1e6)
        return [*_submitting(cloud, folder), *_uploading(folder), *_watching(cloud, session)]


def _project(folder: Path) -> Any:
    import boto3

    boto3.client("s3").create_bucket(Bucket=BUCKET)
    (folder / "code").mkdir()
    (folder / "code" / "train.py").write_text("print('hello')\n")
    target = f"{{provider: sagemaker, role: '{ROLE}', bucket: {BUCKET}}}"
    train = "{command: python train.py, code: code, timeout: 1h, params: {n: 0}}"
    (folder / "cloudops.yaml").write_text(f"name: bench\ntargets: {{aws: {target}}}\ntarget: aws\ntrain: {train}\n")
    return cloudops.connect(provider="sagemaker", root=folder, project="bench", role=ROLE, bucket=BUCKET)


def _submitting(cloud: OfflineCloud, folder: Path) -> list[tuple[str, float, str]]:
    """From the start of the command to the CreateTrainingJob call."""
    cli = str(Path(sys.executable).with_name("cloudops"))
    commands = {
        "ours": lambda number: [cli, "train", "--no-wait", "--set", f"train.params.n={number}"],
        "sdk": lambda number: [str(SDK_PYTHON), "-c", SDK_SUBMIT, str(folder / "code"), str(number)],
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
    return [("ModelTrainer.train to CreateTrainingJob", sdk / ours, f"x cloudops train ({ours:.2f} s here)")]


def _creations(cloud: OfflineCloud) -> list[Any]:
    return [call for call in cloud.calls() if call["operation"] == "sagemaker:CreateTrainingJob"]


def _uploading(folder: Path) -> list[tuple[str, float, str]]:
    found = []
    for label, large in ((f"{FILES:,} small files", False), (f"{FILES:,} small files and one of 200 MB", True)):
        code = folder / f"upload-{large}"
        _files(code, large)
        scripts = {"ours": (sys.executable, OURS), **{name: (str(SDK_PYTHON), text) for name, text in UPLOADS.items()}}
        times: dict[str, list[float]] = {name: [] for name in scripts}
        for number, (name, (python, script)) in itertools.product(range(3), scripts.items()):
            seconds = _output([python, "-c", script, str(code), f"{large}-{number}"], folder).split()[-1]
            times[name].append(float(seconds))
        ours = statistics.median(times.pop("ours"))
        what = f"x cloudops' packing and upload ({ours:.2f} s here): {label}"
        found += [(name, statistics.median(values) / ours, what) for name, values in times.items()]
    return found


def _files(code: Path, large: bool) -> None:
    content = random.Random(0)
    for number in range(FILES):
        path = code / f"package_{number % 20}" / f"module_{number}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.randbytes(SIZE))
    (code / "module_0.py").write_text("print('hello')\n")
    if large:
        (code / "weights.bin").write_bytes(content.randbytes(LARGE))


def _watching(cloud: OfflineCloud, session: Any) -> list[tuple[str, float, str]]:
    """API calls for one look at the state of 1 job and of 500."""
    while (left := JOBS - len(_creations(cloud))) > 0:
        spec = cloudops.TrainSpec(command="python train.py", code="code", timeout=3600.0, params={"n": 1000 + left})
        job = session.train(spec)
    one = _calls(cloud, job.status)
    many = _calls(cloud, lambda: list(session.jobs()))
    return [
        ("API calls for a look at 1 job", one, "calls"),
        (f"API calls for a look at {JOBS} jobs", many, f"calls; a DescribeTrainingJob for each: {JOBS}"),
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
