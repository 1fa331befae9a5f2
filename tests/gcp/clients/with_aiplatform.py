"""google.cloud.aiplatform: a custom job of a script, its model uploaded, deployed and asked in all ways."""

import json
import sys

from google.api_core.exceptions import InvalidArgument
from google.cloud import aiplatform, storage
from google.cloud.aiplatform import jobs

TRAINING = "us-docker.pkg.dev/vertex-ai/training/sklearn-cpu.1-6:latest"
SERVING = "us-docker.pkg.dev/vertex-ai/prediction/sklearn-cpu.1-5:latest"
jobs._JOB_WAIT_TIME = 0.2

client = storage.Client()
bucket = client.create_bucket("unmodified-aiplatform")
aiplatform.init(project=client.project, location="us-central1", staging_bucket=f"gs://{bucket.name}")

job = aiplatform.CustomJob.from_local_script(
    display_name="from-script",
    script_path=sys.argv[1],
    container_uri=TRAINING,
    args=["--slope", "3"],
    base_output_dir=f"gs://{bucket.name}/out",
    labels={"team": "a"},
)
job.run(timeout=600)
assert job.state == aiplatform.gapic.JobState.JOB_STATE_SUCCEEDED
assert bucket.blob("out/model/model.joblib").exists()
assert aiplatform.CustomJob.get(job.resource_name).display_name == "from-script"
assert [one.name for one in aiplatform.CustomJob.list(filter='labels.team="a"')] == [job.name]

model = aiplatform.Model.upload(
    display_name="slope", artifact_uri=f"gs://{bucket.name}/out/model", serving_container_image_uri=SERVING
)
assert model.version_id == "1"
endpoint = aiplatform.Endpoint.create(display_name="slope")
model.deploy(endpoint=endpoint, machine_type="n1-standard-2", min_replica_count=1, max_replica_count=1)
found = endpoint.predict(instances=[[2.0], [4.0]])
assert [round(one, 6) for one in found.predictions] == [6.0, 12.0], found
assert found.model_version_id == "1"
raw = endpoint.raw_predict(json.dumps({"instances": [[1.0]]}).encode(), headers={"Content-Type": "application/json"})
assert (raw.status_code, round(raw.json()["predictions"][0], 6)) == (200, 3.0)
try:
    endpoint.predict(instances=["no number"])
    raise SystemExit("a bad instance was taken")
except InvalidArgument as error:
    print("refused:", error)

bucket.blob("in/rows.jsonl").upload_from_string("[1.0]\n[2.0]\n[5.0]\n")
batch = model.batch_predict(
    job_display_name="batch",
    gcs_source=f"gs://{bucket.name}/in/rows.jsonl",
    gcs_destination_prefix=f"gs://{bucket.name}/predicted",
    machine_type="n1-standard-2",
)
assert batch.state == aiplatform.gapic.JobState.JOB_STATE_SUCCEEDED
lines = [json.loads(line) for blob in batch.iter_outputs() for line in blob.download_as_text().splitlines()]
assert sorted(round(line["prediction"], 6) for line in lines) == [3.0, 6.0, 15.0], lines
assert aiplatform.BatchPredictionJob(batch.resource_name).completion_stats.successful_count == 3

second = aiplatform.Model.upload(
    display_name="slope",
    parent_model=model.resource_name,
    is_default_version=False,
    artifact_uri=f"gs://{bucket.name}/out/model",
    serving_container_image_uri=SERVING,
)
assert second.version_id == "2"
endpoint.deploy(second, machine_type="n1-standard-2", traffic_percentage=40)
assert sorted(endpoint.traffic_split.values()) == [40, 60]
versions = {endpoint.predict(instances=[[1.0]]).model_version_id for _ in range(40)}
assert versions == {"1", "2"}, versions

own = aiplatform.Endpoint.create(display_name="own", dedicated_endpoint_enabled=True)
own.deploy(model, machine_type="n1-standard-2")
assert round(own.predict(instances=[[5.0]], use_dedicated_endpoint=True).predictions[0], 6) == 15.0
for one in (own, endpoint):
    one.delete(force=True)
model.delete()
assert not aiplatform.Endpoint.list()
assert not aiplatform.Model.list()
print("aiplatform: all done")
