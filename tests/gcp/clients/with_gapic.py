"""The generated clients, over the transport that is named: gRPC, which is the default, and REST."""

import sys
import time

import google.auth
from google.api_core.exceptions import BadRequest, NotFound
from google.cloud import aiplatform_v1 as v1
from google.cloud import aiplatform_v1beta1 as beta
from google.cloud.resourcemanager_v3 import ProjectsClient
from google.protobuf import field_mask_pb2

transport = sys.argv[2]
options = {"api_endpoint": "us-central1-aiplatform.googleapis.com"}
_, project = google.auth.default()
parent = f"projects/{project}/locations/us-central1"

jobs = v1.JobServiceClient(transport=transport, client_options=options)
pool = {
    "machine_spec": {"machine_type": "n1-standard-4"},
    "replica_count": 1,
    "container_spec": {
        "image_uri": "us-docker.pkg.dev/vertex-ai/training/sklearn-cpu.1-6:latest",
        "command": ["python", "-c", "print('hello')"],
    },
}
job = jobs.create_custom_job(
    parent=parent, custom_job={"display_name": "job", "job_spec": {"worker_pool_specs": [pool]}}
)
assert job.state == v1.JobState.JOB_STATE_PENDING
while jobs.get_custom_job(name=job.name).state not in (v1.JobState.JOB_STATE_SUCCEEDED, v1.JobState.JOB_STATE_FAILED):
    time.sleep(0.1)
done = beta.JobServiceClient(transport=transport, client_options=options).get_custom_job(name=job.name)
assert done.state == beta.JobState.JOB_STATE_SUCCEEDED, done
assert [one.name for one in jobs.list_custom_jobs(parent=parent)] == [job.name]
for name, error in ((f"{parent}/customJobs/none", BadRequest), (f"{parent}/customJobs/7", NotFound)):
    try:
        jobs.get_custom_job(name=name)
        raise SystemExit(f"{name} was found")
    except error:
        pass
jobs.delete_custom_job(name=job.name).result(timeout=60)

endpoints = v1.EndpointServiceClient(transport=transport, client_options=options)
made = endpoints.create_endpoint(parent=parent, endpoint={"display_name": "e"}, endpoint_id="mine").result(timeout=60)
mask = field_mask_pb2.FieldMask(paths=["display_name", "labels"])
changed = endpoints.update_endpoint(
    endpoint={"name": made.name, "display_name": "f", "labels": {"a": "b"}}, update_mask=mask
)
assert (changed.display_name, dict(changed.labels)) == ("f", {"a": "b"})
assert [one.display_name for one in endpoints.list_endpoints({"parent": parent, "filter": 'labels.a="b"'})] == ["f"]
endpoints.delete_endpoint(name=made.name).result(timeout=60)

projects = ProjectsClient(transport=transport)
assert projects.get_project(name=f"projects/{project}").project_id == project
print(f"gapic {transport}: all done")
