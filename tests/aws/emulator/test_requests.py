"""What CreateTrainingJob refuses, as the service refuses it; and the other operations of training jobs."""

from __future__ import annotations

import datetime as dt

import pytest

from .rig import IMAGE, ROLE, channel, refusal

TRUST = '{"Statement": [{"Effect": "Allow", "Principal": {"Service": "%s"}, "Action": "sts:AssumeRole"}]}'


def refused(rig, **changes):
    return rig.refused("create_training_job", **rig.request(**changes))


class TestCreate:
    def test_the_name_is_taken(self, rig):
        name = rig.run()["TrainingJobName"]
        code, message = refused(rig, name=name)
        assert code == "ResourceInUse"
        assert message.endswith(f":training-job/{name}")

    def test_of_many_at_once_one_gets_the_name(self, rig):
        from concurrent.futures import ThreadPoolExecutor

        request = rig.request()
        clients = [rig.client("sagemaker") for _ in range(8)]

        def create(client):
            try:
                return client.create_training_job(**request)
            except client.exceptions.ResourceInUse:
                return None

        with ThreadPoolExecutor(8) as pool:
            assert sum(one is not None for one in pool.map(create, clients)) == 1
        rig.finish(request["TrainingJobName"])

    @pytest.mark.parametrize(
        ("changes", "expected"),
        [
            (
                {"RoleArn": "arn:aws:iam::123456789012:role/nobody"},
                "Could not assume role arn:aws:iam::123456789012:role",
            ),
            (
                {"OutputDataConfig": {"S3OutputPath": "s3://no-such-bucket/x"}},
                "S3 bucket 'no-such-bucket' does not exist",
            ),
            ({"channels": [channel("code", "s3://data/")]}, "Duplicate channel names"),
            (
                {"EnableManagedSpotTraining": True},
                "Invalid MaxWaitTimeInSeconds. It must be present and be greater than",
            ),
            (
                {"StoppingCondition": {"MaxRuntimeInSeconds": 60, "MaxWaitTimeInSeconds": 60}},
                "MaxWaitTimeInSeconds is only supported when EnableManagedSpotTraining",
            ),
            ({"Algorithm": {"TrainingInputMode": "Pipe"}}, "Channel code: input mode Pipe is not emulated"),
            ({"Algorithm": {"ContainerEntrypoint": None}}, "would run its own program `train`"),
            ({"Algorithm": {"TrainingImage": "me/mine:1"}}, "--image 'me/mine:1=/path/to/python'"),
            (
                {"Algorithm": {"MetricDefinitions": [{"Name": "a", "Regex": "("}]}},
                "Invalid regular expression '(' of metric",
            ),
            (
                {"Resource": {"InstancePlacementConfig": {"EnableMultipleJobs": True}}},
                "Not emulated by the offline cloud: ResourceConfig.InstancePlacementConfig",
            ),
            (
                {"CheckpointConfig": {"S3Uri": "s3://data/c", "LocalPath": "/x"}},
                "LocalPath /x is emulated below /opt/ml",
            ),
        ],
    )
    def test_what_the_service_will_not_do(self, rig, changes, expected):
        request = rig.request(**changes)
        specification = request["AlgorithmSpecification"]
        request["AlgorithmSpecification"] = {key: value for key, value in specification.items() if value is not None}
        code, message = rig.refused("create_training_job", **request)
        assert code == "ValidationException"
        assert expected in message
        assert rig.refused("describe_training_job", TrainingJobName=request["TrainingJobName"]) == (
            "ValidationException",
            "Requested resource not found.",
        )

    def test_no_objects(self, rig):
        assert refused(rig, channels=[channel("x", "s3://data/no/such/")]) == (
            "ValidationException",
            'No S3 objects found under S3 URL "s3://data/no/such/" given in input data source. Please ensure that the '
            "bucket exists in the selected region (us-east-1), that objects exist under that S3 prefix, and that the "
            f'role "{ROLE}" has "s3:ListBucket" permissions on bucket "data".',
        )

    def test_a_bucket_elsewhere(self, rig):
        far = rig.client("s3", "eu-west-1")
        far.create_bucket(Bucket="far-away", CreateBucketConfiguration={"LocationConstraint": "eu-west-1"})
        far.put_object(Bucket="far-away", Key="x", Body=b"")
        code, message = refused(rig, channels=[channel("x", "s3://far-away/x")])
        assert code == "ValidationException"
        assert message == "The S3 bucket 'far-away' is in region eu-west-1; the training job is in us-east-1."

    def test_a_role_that_trusts_somebody_else(self, rig):
        iam = rig.client("iam")
        for name, service in (("ec2-only", "ec2.amazonaws.com"), ("mine", "sagemaker.amazonaws.com")):
            iam.create_role(RoleName=name, AssumeRolePolicyDocument=TRUST % service)
        code, message = refused(rig, RoleArn="arn:aws:iam::123456789012:role/ec2-only")
        assert (code, message[:21]) == ("ValidationException", "Could not assume role")
        assert rig.run(RoleArn="arn:aws:iam::123456789012:role/mine")["TrainingJobStatus"] == "Completed"

    def test_accelerators_are_over_the_limit(self, rig):
        code, message = refused(rig, Resource={"InstanceType": "ml.p3.2xlarge"})
        assert code == "ResourceLimitExceeded"
        assert message.startswith(
            "The account-level service limit 'ml.p3.2xlarge for training job usage' is 0 Instances, with current "
            "utilization of 0 Instances and a request delta of 1 Instances."
        )
        assert "no accelerators: choose an ml.m" in message

    def test_more_instances_than_the_account_has(self, rig):
        code, message = refused(rig, Resource={"InstanceCount": 1001})
        assert code == "ResourceLimitExceeded"
        assert "is 1000 Instances" in message

    def test_another_image_by_the_table(self, tmp_path):
        import sys

        from .rig import Rig

        rig = Rig(tmp_path, images={"me/*": sys.executable, "bad/*": "/no/python"})
        try:
            job = rig.run("python -c 'import numpy; print(1)'", Algorithm={"TrainingImage": "me/mine:1"})
            assert rig.log(job["TrainingJobName"]) == ["1"]
            _, message = refused(rig, Algorithm={"TrainingImage": "bad/one"})
            assert "mapped to a Python that does not run: /no/python" in message
        finally:
            rig.close()


class TestList:
    def test_filters_come_before_pages(self, rig):
        prefix = rig.name()
        names = [rig.submit(name=f"{prefix}-{letter}") for letter in "abcde"]
        for name in names:
            rig.finish(name)
        rig.run(name=f"other-{prefix[-2:]}x")
        found, token, pages = [], {}, 0
        while True:
            page = rig.sm.list_training_jobs(NameContains=f"{prefix}-", MaxResults=2, SortBy="Name", **token)
            assert len(page["TrainingJobSummaries"]) <= 2
            found += [one["TrainingJobName"] for one in page["TrainingJobSummaries"]]
            pages += 1
            if "NextToken" not in page:
                break
            token = {"NextToken": page["NextToken"]}
        assert (found, pages) == (names, 3)
        newest = rig.sm.list_training_jobs(NameContains=f"{prefix}-")["TrainingJobSummaries"]
        assert [one["TrainingJobName"] for one in newest] == names[::-1]

    def test_by_status_and_time(self, rig):
        name = rig.run("exit 1")["TrainingJobName"]
        created = rig.describe(name)["CreationTime"]
        second = dt.timedelta(seconds=1)

        def listed(**params):
            found = rig.sm.list_training_jobs(MaxResults=100, **params)["TrainingJobSummaries"]
            return name in [one["TrainingJobName"] for one in found]

        assert listed(StatusEquals="Failed")
        assert not listed(StatusEquals="Completed")
        assert listed(CreationTimeAfter=created - second, CreationTimeBefore=created + second)
        assert not listed(CreationTimeAfter=created + second)
        assert not listed(CreationTimeBefore=created - second)

    def test_a_token_of_somebody_else(self, rig):
        code, message = rig.refused("list_training_jobs", NextToken="eHl6")
        assert (code, message) == ("ValidationException", "Invalid pagination token")


class TestTags:
    def test_are_added_listed_searched_and_taken_away(self, rig):
        value = rig.name()
        arn = rig.sm.create_training_job(**rig.request(Tags=[{"Key": "project", "Value": value}]))["TrainingJobArn"]
        rig.sm.add_tags(ResourceArn=arn, Tags=[{"Key": "run", "Value": "é 1"}])
        assert rig.sm.list_tags(ResourceArn=arn)["Tags"] == [
            {"Key": "project", "Value": value},
            {"Key": "run", "Value": "é 1"},
        ]
        wanted = {"Filters": [{"Name": "Tags.project", "Operator": "Equals", "Value": value}]}
        (found,) = rig.sm.search(Resource="TrainingJob", SearchExpression=wanted)["Results"]
        assert found["TrainingJob"]["TrainingJobArn"] == arn
        assert {"Key": "run", "Value": "é 1"} in found["TrainingJob"]["Tags"]
        rig.sm.delete_tags(ResourceArn=arn, TagKeys=["project"])
        assert rig.sm.search(Resource="TrainingJob", SearchExpression=wanted)["Results"] == []

    def test_twice_the_same_key(self, rig):
        tags = [{"Key": "a", "Value": "1"}, {"Key": "a", "Value": "2"}]
        assert refused(rig, Tags=tags) == ("ValidationException", "Duplicate tag keys are not allowed")


class TestDelete:
    def test_only_what_has_ended(self, rig):
        name = rig.submit("sleep 60")
        assert rig.refused("delete_training_job", TrainingJobName=name)[0] == "ResourceInUse"
        rig.sm.stop_training_job(TrainingJobName=name)
        rig.finish(name)
        rig.sm.delete_training_job(TrainingJobName=name)
        assert rig.refused("describe_training_job", TrainingJobName=name)[1] == "Requested resource not found."

    def test_update_says_that_it_is_not_emulated(self, rig):
        name = rig.run()["TrainingJobName"]
        code, message = rig.refused(
            "update_training_job", TrainingJobName=name, ProfilerConfig={"DisableProfiler": True}
        )
        assert (code, message) == (
            "ValidationException",
            "Not emulated by the offline cloud: UpdateTrainingJob with ProfilerConfig.",
        )


def test_regions_are_apart(rig):
    name = rig.run()["TrainingJobName"]
    far = rig.client("sagemaker", "eu-west-1")
    assert refusal(far.describe_training_job, TrainingJobName=name)[1] == "Requested resource not found."


def test_every_image_of_the_table_is_known():
    import sys

    from cloudops_sagemaker.emulator.images import PREBUILT, find

    for repository in PREBUILT:
        uri = f"123456789012.dkr.ecr.eu-west-1.amazonaws.com/{repository}:1.0"
        assert find(uri, {}).python.path == sys.executable
    assert IMAGE.split("/")[1].split(":")[0] in PREBUILT
