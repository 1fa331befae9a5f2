"""An unmodified script of the sagemaker SDK, version 3: ModelTrainer and the core resources."""

from __future__ import annotations

import io
import json
import sys
import tarfile
from pathlib import Path

import boto3
from sagemaker.core.helper.session_helper import Session
from sagemaker.core.resources import Endpoint, EndpointConfig, Model
from sagemaker.core.shapes import ContainerDefinition, OutputDataConfig, ProductionVariant
from sagemaker.train import ModelTrainer
from sagemaker.train.configs import Compute, InputData, SourceCode

code, role, training_image, inference_image = Path(sys.argv[1]), *sys.argv[2:5]
s3 = boto3.client("s3")
bucket = "sdk-bucket"
s3.create_bucket(Bucket=bucket)
s3.put_object(Bucket=bucket, Key="train/a.csv", Body=b"1,12\n2,14\n3,16\n")

trainer = ModelTrainer(
    sagemaker_session=Session(default_bucket=bucket),
    training_image=training_image,
    role=role,
    source_code=SourceCode(source_dir=str(code), entry_script="train.py"),
    compute=Compute(instance_type="ml.m5.large", instance_count=1),
    hyperparameters={"slope": 2},
    output_data_config=OutputDataConfig(s3_output_path=f"s3://{bucket}/out"),
    base_job_name="sdk-job",
)
trainer.train(input_data_config=[InputData(channel_name="train", data_source=f"s3://{bucket}/train/")], wait=True)
job = trainer._latest_training_job
job.refresh()
assert job.training_job_status == "Completed", job.failure_reason

artifact = job.model_artifacts.s3_model_artifacts
trained = io.BytesIO(s3.get_object(Bucket=bucket, Key=artifact.split("/", 3)[3])["Body"].read())
served = io.BytesIO()
with tarfile.open(fileobj=trained) as source, tarfile.open(fileobj=served, mode="w:gz") as target:
    for member in source:
        target.addfile(member, source.extractfile(member) if member.isfile() else None)
    target.add(code / "inference.py", "code/inference.py")
s3.put_object(Bucket=bucket, Key="served/model.tar.gz", Body=served.getvalue())

container = ContainerDefinition(
    image=inference_image,
    model_data_url=f"s3://{bucket}/served/model.tar.gz",
    environment={"SAGEMAKER_PROGRAM": "inference.py", "SAGEMAKER_SUBMIT_DIRECTORY": "/opt/ml/model/code"},
)
model = Model.create(model_name="sdk-model", primary_container=container, execution_role_arn=role)
variant = ProductionVariant(
    variant_name="main",
    model_name="sdk-model",
    instance_type="ml.m5.large",
    initial_instance_count=1,
    initial_variant_weight=1.0,
)
config = EndpointConfig.create(endpoint_config_name="sdk-config", production_variants=[variant])
endpoint = Endpoint.create(endpoint_name="sdk-endpoint", endpoint_config_name="sdk-config")
endpoint.wait_for_status("InService")
answer = endpoint.invoke(body=b"1\n5\n", content_type="text/csv")
assert json.loads(answer.body.read()) == [12.0, 20.0]
endpoint.delete()
config.delete()
model.delete()
print("sagemaker SDK: all done")
