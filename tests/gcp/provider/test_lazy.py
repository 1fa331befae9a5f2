"""The generated client costs no more than itself, and the rest of the SDK works beside it."""

from __future__ import annotations

import subprocess
import sys

_LAZY = """
import sys
from cloudops_vertex import sdk
from google.auth.credentials import AnonymousCredentials
service = sdk.JobService(AnonymousCredentials(), "us-central1-aiplatform.googleapis.com", "projects/p/locations/l")
loaded = [name for name in sys.modules if name.startswith("google.cloud.aiplatform_v1.services.")]
assert not [name for name in loaded if name.split(".")[4] != "job_service"], loaded
assert "google.cloud.aiplatform" not in sys.modules
assert "google.cloud.storage" not in sys.modules
"""
_FULL = """
from google.cloud import aiplatform, aiplatform_v1
from google.cloud.aiplatform_v1 import *
from google.cloud.aiplatform_v1 import types
assert aiplatform_v1.types.CustomJob is service._types.CustomJob is types.custom_job.CustomJob
assert aiplatform.gapic is not None and aiplatform.CustomJob is not None
assert EndpointServiceClient is aiplatform_v1.services.endpoint_service.EndpointServiceClient
assert aiplatform_v1.__version__ and "ModelServiceClient" in dir(aiplatform_v1)
assert set(aiplatform_v1.__all__) <= set(dir(aiplatform_v1))
for name in aiplatform_v1.__all__:
    getattr(aiplatform_v1, name)
for name in types.__all__:
    getattr(types, name)
try:
    aiplatform_v1.NoSuchName
except AttributeError as error:
    assert "NoSuchName" in str(error)
else:
    raise SystemExit("found what is not there")
from google.cloud.aiplatform_v1.services.job_service import JobServiceAsyncClient, JobServiceClient
assert JobServiceClient is type(service._client)
"""


def run(program: str) -> None:
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_one_client_alone_is_imported() -> None:
    run(_LAZY)


def test_the_whole_sdk_works_in_the_same_process() -> None:
    run(_LAZY + _FULL)


def test_a_client_is_made_where_the_whole_sdk_is_there_already() -> None:
    before = "from google.cloud import aiplatform, aiplatform_v1\n"
    program = _LAZY.partition("loaded =")[0] + "assert aiplatform_v1.CustomJob is service._types.CustomJob\n"
    run(before + program)


def test_importing_the_provider_imports_no_sdk() -> None:
    run(
        "import sys, cloudops_vertex.provider\n"
        "assert not [name for name in sys.modules if name.startswith(('google.auth', 'google.api', 'requests'))]"
    )
