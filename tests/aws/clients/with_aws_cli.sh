#!/usr/bin/env bash
# The AWS CLI, unmodified: create, describe, wait, logs, invoke, delete.
# usage: with_aws_cli.sh AWS CODE ROLE TRAINING_IMAGE INFERENCE_IMAGE
set -euo pipefail
cli=$1 code=$2 role=$3 training_image=$4 inference_image=$5
aws() { "$cli" "$@"; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
bucket=aws-cli-bucket

aws s3 mb "s3://$bucket"
aws s3 cp "$code/train.py" "s3://$bucket/code/train.py"
printf '1,12\n2,14\n3,16\n' | aws s3 cp - "s3://$bucket/train/data.csv"

channel() {
  printf '{"ChannelName":"%s","DataSource":{"S3DataSource":{"S3DataType":"S3Prefix","S3Uri":"s3://%s/%s/"}}}' "$1" "$bucket" "$1"
}
aws sagemaker create-training-job --training-job-name cli-job --role-arn "$role" \
  --algorithm-specification "TrainingImage=$training_image,TrainingInputMode=File,ContainerEntrypoint=python3,/opt/ml/input/data/code/train.py,ContainerArguments=--slope,2" \
  --input-data-config "[$(channel code),$(channel train)]" \
  --output-data-config "S3OutputPath=s3://$bucket/out" \
  --resource-config InstanceType=ml.m5.large,InstanceCount=1,VolumeSizeInGB=5 \
  --stopping-condition MaxRuntimeInSeconds=600 --query TrainingJobArn --output text
# The CLI's waiter asks once a minute; this asks as the waiter does, sooner.
until state=$(aws sagemaker describe-training-job --training-job-name cli-job --query TrainingJobStatus --output text) \
  && [ "$state" != InProgress ]; do sleep 0.2; done
test "$state" = Completed
aws sagemaker wait training-job-completed-or-stopped --training-job-name cli-job
aws sagemaker list-training-jobs --status-equals Completed --query 'TrainingJobSummaries[].TrainingJobName' --output text | grep -x cli-job

group=/aws/sagemaker/TrainingJobs
stream=$(aws logs describe-log-streams --log-group-name $group --log-stream-name-prefix cli-job/ --query 'logStreams[0].logStreamName' --output text)
aws logs get-log-events --log-group-name $group --log-stream-name "$stream" --start-from-head --query 'events[].message' --output text | grep 'rows=3 offset=10.0'

artifact=$(aws sagemaker describe-training-job --training-job-name cli-job --query ModelArtifacts.S3ModelArtifacts --output text)
mkdir -p "$work/model/code"
aws s3 cp "$artifact" - | tar -xz -C "$work/model"
cp "$code/inference.py" "$work/model/code/"
tar -cz -C "$work/model" . | aws s3 cp - "s3://$bucket/served/model.tar.gz"
aws sagemaker create-model --model-name cli-model --execution-role-arn "$role" --primary-container \
  "{\"Image\":\"$inference_image\",\"ModelDataUrl\":\"s3://$bucket/served/model.tar.gz\",\"Environment\":{\"SAGEMAKER_PROGRAM\":\"inference.py\",\"SAGEMAKER_SUBMIT_DIRECTORY\":\"/opt/ml/model/code\"}}"
aws sagemaker create-endpoint-config --endpoint-config-name cli-config --production-variants \
  VariantName=main,ModelName=cli-model,InstanceType=ml.m5.large,InitialInstanceCount=1,InitialVariantWeight=1
aws sagemaker create-endpoint --endpoint-name cli-endpoint --endpoint-config-name cli-config
until state=$(aws sagemaker describe-endpoint --endpoint-name cli-endpoint --query EndpointStatus --output text) \
  && [ "$state" != Creating ]; do sleep 0.2; done
test "$state" = InService
aws sagemaker wait endpoint-in-service --endpoint-name cli-endpoint
printf '1\n5\n' > "$work/rows.csv"
aws sagemaker-runtime invoke-endpoint --endpoint-name cli-endpoint --content-type text/csv --body "fileb://$work/rows.csv" "$work/answer"
test "$(cat "$work/answer")" = "[12.0, 20.0]"
aws sagemaker delete-endpoint --endpoint-name cli-endpoint
aws sagemaker wait endpoint-deleted --endpoint-name cli-endpoint
aws sagemaker delete-endpoint-config --endpoint-config-name cli-config
aws sagemaker delete-model --model-name cli-model
echo "AWS CLI: all done"
