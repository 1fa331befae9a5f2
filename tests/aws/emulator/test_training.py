from __future__ import annotations

import io
import json
import tarfile
import zipfile

import pytest

from cloudops.offline.faults import FaultKind, Rule

from .rig import GROUP, IMAGE, ROLE, channel


def members(rig, key):
    with tarfile.open(fileobj=io.BytesIO(rig.text(key))) as archive:
        return {one.name: archive.extractfile(one).read() for one in archive if one.isfile()}


def statuses(job):
    return [one["Status"] for one in job["SecondaryStatusTransitions"]]


class TestLife:
    def test_goes_through_the_states_of_the_service_and_uploads_model_and_output(self, rig):
        job = rig.run("echo m > /opt/ml/model/m.txt; echo o > /opt/ml/output/data/o.txt")
        name = job["TrainingJobName"]
        assert job["TrainingJobStatus"] == "Completed", job
        assert statuses(job) == ["Starting", "Downloading", "Training", "Uploading", "Completed"]
        assert job["ModelArtifacts"]["S3ModelArtifacts"] == f"s3://data/{name}/out/{name}/output/model.tar.gz"
        assert members(rig, f"{name}/out/{name}/output/model.tar.gz") == {"m.txt": b"m\n"}
        assert members(rig, f"{name}/out/{name}/output/output.tar.gz") == {"o.txt": b"o\n"}
        assert job["CreationTime"] < job["TrainingStartTime"] < job["TrainingEndTime"]
        for before, after in zip(
            job["SecondaryStatusTransitions"], job["SecondaryStatusTransitions"][1:], strict=False
        ):
            assert before["EndTime"] == after["StartTime"]

    def test_is_not_born_finished(self, rig):
        name = rig.submit("sleep 1")
        job = rig.describe(name)
        assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("InProgress", "Starting")
        assert "TrainingStartTime" not in job
        assert rig.finish(name)["TrainingJobStatus"] == "Completed"

    def test_describes_what_was_asked_for(self, rig):
        request = rig.request(Environment={"A": "b"}, HyperParameters={"lr": "0.1"}, name=rig.name())
        rig.sm.create_training_job(**request)
        job = rig.finish(request["TrainingJobName"])
        for name, value in request.items():
            assert job[name] == value, name

    def test_plain_artifacts(self, rig):
        name = rig.name()
        rig.run(
            "mkdir /opt/ml/model/a; echo 1 > /opt/ml/model/a/b",
            name=name,
            OutputDataConfig={"S3OutputPath": f"s3://data/{name}/out/", "CompressionType": "NONE"},
        )
        assert rig.keys(f"{name}/out/") == [f"{name}/out/{name}/output/model/a/b"]

    def test_a_failure_tells_the_file_and_the_exit_code(self, rig):
        job = rig.run("echo 'no such column: x' > /opt/ml/output/failure; echo part > /opt/ml/output/data/p; exit 3")
        assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Failed", "Failed")
        assert job["FailureReason"] == "AlgorithmError: no such column: x, exit code: 3"
        assert "ModelArtifacts" not in job
        name = job["TrainingJobName"]
        assert rig.keys(f"{name}/out") == [f"{name}/out/{name}/output/output.tar.gz"]

    def test_a_failure_without_a_word(self, rig):
        assert rig.run("exit 1")["FailureReason"] == "AlgorithmError: , exit code: 1"

    def test_a_program_that_is_not_there(self, rig):
        job = rig.run(Algorithm={"ContainerEntrypoint": ["/no/such/program"]})
        assert job["FailureReason"] == "AlgorithmError: , exit code: 127"
        assert "cannot start '/no/such/program': No such file or directory" in rig.log(job["TrainingJobName"])

    def test_too_much_memory(self, rig):
        program = "python -c \"x = b'1' * (5 << 30)\""
        job = rig.run(program, Resource={"InstanceType": "ml.t3.medium"})
        assert job["TrainingJobStatus"] == "Failed"
        assert job["FailureReason"].startswith("AlgorithmError: out of memory: used ")
        assert job["FailureReason"].endswith(", exit code: 137")


class TestContainer:
    def test_sees_its_settings_and_none_of_the_callers_variables(self, rig, monkeypatch):
        monkeypatch.setenv("CALLERS_SECRET", "do-not-tell")
        job = rig.run(
            "cat /opt/ml/input/config/hyperparameters.json; echo; env",
            HyperParameters={"lr": "0.1", "odd": 'it\'s "q" $x'},
            Environment={"MINE": 'it\'s "q" $x\u00fc'},
        )
        said = rig.log(job["TrainingJobName"])
        assert json.loads(said[0]) == {"lr": "0.1", "odd": 'it\'s "q" $x'}
        assert 'MINE=it\'s "q" $x\u00fc' in said
        assert f"TRAINING_JOB_NAME={job['TrainingJobName']}" in said
        assert f"TRAINING_JOB_ARN={job['TrainingJobArn']}" in said
        assert "AWS_REGION=us-east-1" in said
        assert "ALL_OVER=net" in said
        assert not any("do-not-tell" in line for line in said)
        assert not any(line.startswith(("CLOUDOPS_RANK", "CLOUDOPS_WORLD", "CLOUDOPS_MASTER")) for line in said)

    def test_two_hosts_know_each_other(self, rig):
        job = rig.run(
            "hostname; cat /opt/ml/input/config/resourceconfig.json; echo; getent hosts algo-2 | cut -c1-4",
            Resource={"InstanceCount": 2},
        )
        for number in (1, 2):
            host, settings, address = rig.log(job["TrainingJobName"], number)
            assert host == f"algo-{number}"
            assert json.loads(settings)["hosts"] == ["algo-1", "algo-2"]
            assert json.loads(settings)["current_host"] == host
            assert address == "127."

    def test_pip_install_changes_nothing_outside(self, rig):
        files = {
            "tinypack/__init__.py": "WORD = 'installed'",
            "tinypack-1.dist-info/METADATA": "Metadata-Version: 2.1\nName: tinypack\nVersion: 1\n",
            "tinypack-1.dist-info/WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        }
        files["tinypack-1.dist-info/RECORD"] = "".join(f"{name},,\n" for name in files)
        wheel = io.BytesIO()
        with zipfile.ZipFile(wheel, "w") as archive:
            for name, text in files.items():
                archive.writestr(name, text)
        base = rig.name()
        rig.put(f"{base}/tinypack-1-py3-none-any.whl", wheel.getvalue())
        script = """
        pip install --quiet --no-index /opt/ml/input/data/wheels/*.whl
        python3 -c 'import tinypack; print(tinypack.WORD)'
        python -c 'import numpy, tinypack; print(tinypack.__file__)'
        """
        job = rig.run(script, channels=[channel("wheels", f"s3://data/{base}/")])
        said = rig.log(job["TrainingJobName"])
        assert said[0] == "installed", said
        assert "/algo-1/python/lib/" in said[1]
        with pytest.raises(ImportError):
            __import__("tinypack")

    def test_isolated_it_reaches_nobody(self, rig):
        port = rig.server.server_port
        program = f"""
        env | grep -c 'ALL_OVER\\|AWS_ACCESS'
        python -c "import socket; socket.create_connection(('127.0.0.1', {port}))" 2>&1 | tail -1
        """
        job = rig.run(program, EnableNetworkIsolation=True)
        count, error = rig.log(job["TrainingJobName"])
        assert count == "0"
        assert "Connection refused" in error
        job = rig.run(program)
        assert rig.log(job["TrainingJobName"]) == ["2"]

    def test_what_has_no_effect_is_said(self, rig):
        network = {"Subnets": ["subnet-0a"], "SecurityGroupIds": ["sg-0a"]}
        job = rig.run(VpcConfig=network)
        assert "[offline] without effect here: VpcConfig" in rig.raw_log(job["TrainingJobName"])

    def test_input_has_to_fit_the_volume(self, rig, monkeypatch):
        monkeypatch.setattr("cloudops_sagemaker.emulator.training_machines.GIB", 1000)
        name = rig.name()
        data = rig.put(f"{name}/data/part", b"x" * 6000)
        job = rig.run(channels=[channel("train", data)])
        assert job["TrainingJobStatus"] == "Failed"
        assert "VolumeSizeInGB is 5" in job["FailureReason"]
        assert rig.run(channels=[channel("train", data)], Resource={"VolumeSizeInGB": 7})["TrainingTimeInSeconds"] >= 0
        streamed = channel("train", data, InputMode="FastFile")
        assert rig.run(channels=[streamed])["TrainingJobStatus"] == "Completed"

    def test_artifacts_are_encrypted_with_the_key(self, rig):
        name = rig.name()
        rig.run(name=name, OutputDataConfig={"S3OutputPath": f"s3://data/{name}/out", "KmsKeyId": "my-key"})
        head = rig.s3.head_object(Bucket="data", Key=f"{name}/out/{name}/output/model.tar.gz")
        assert (head["ServerSideEncryption"], head["SSEKMSKeyId"]) == ("aws:kms", "my-key")

    def test_its_folder_is_gone_afterwards(self, rig):
        name = rig.run("head -c 1000 /dev/zero > /opt/ml/model/x")["TrainingJobName"]
        assert list(rig.surroundings.folder.rglob(f"{name}-*")) == []

    def test_the_log_begins_with_what_stands_for_the_image(self, rig):
        job = rig.run()
        first = rig.raw_log(job["TrainingJobName"])[0]
        assert IMAGE in first
        assert "scikit-learn" in first
        assert "in place of 1.2-1-cpu-py3" in first

    def test_what_a_job_asks_of_aws_is_told_apart(self, rig):
        job = rig.run(
            "python -c \"import boto3; boto3.client('s3', endpoint_url='" + rig.url + "').put_object("
            "Bucket='data', Key='by-a-job', Body=b'1')\"",
            Environment={"NO_PROXY": "*"},
        )
        assert job["TrainingJobStatus"] == "Completed", rig.log(job["TrainingJobName"])
        call = next(one for one in rig.emulator.calls() if one["resource"] == "data/by-a-job")
        assert (call["principal"], call["operation"], call["status"]) == (ROLE, "s3:PutObject", 200)


class TestInput:
    def test_channels(self, rig):
        base = rig.name()
        for number in range(4):
            rig.put(f"{base}/set/deep/{number}.txt", str(number))
        rig.put(f"{base}/set/", "")
        rig.put(f"{base}/one.csv", "1")
        channels = [
            channel("whole", f"s3://data/{base}/set"),
            channel("one", f"s3://data/{base}/one.csv", InputMode="FastFile"),
            channel("shard", f"s3://data/{base}/set/deep/", S3DataDistributionType="ShardedByS3Key"),
        ]
        job = rig.run(
            "cd /opt/ml/input/data; find whole one shard -type f | sort; cat ../config/inputdataconfig.json",
            channels=channels,
            Resource={"InstanceCount": 2},
        )
        *first, settings = rig.log(job["TrainingJobName"], 1)
        whole = [f"whole/deep/{number}.txt" for number in range(4)]
        assert first == ["one/one.csv", "shard/0.txt", "shard/2.txt", *whole]
        assert rig.log(job["TrainingJobName"], 2)[:-1] == ["one/one.csv", "shard/1.txt", "shard/3.txt", *whole]
        told = json.loads(settings)
        assert told["one"]["TrainingInputMode"] == "FastFile"
        assert told["shard"]["S3DistributionType"] == "ShardedByS3Key"

    def test_manifest_and_gzip(self, rig):
        import gzip

        base = rig.name()
        rig.put(f"{base}/a/1.txt.gz", gzip.compress(b"packed"))
        rig.put(f"{base}/a/2.txt.gz", gzip.compress(b"unwanted"))
        rig.put(f"{base}/m.json", json.dumps([{"prefix": f"s3://data/{base}/a/"}, "1.txt.gz"]))
        chosen = channel("d", f"s3://data/{base}/m.json", S3DataType="ManifestFile", CompressionType="Gzip")
        job = rig.run("cd /opt/ml/input/data/d; ls; cat *", channels=[chosen])
        assert rig.log(job["TrainingJobName"]) == ["1.txt", "packed"]

    def test_an_object_that_is_gone_by_then(self, rig):
        name = rig.name()
        rig.put(f"{name}/in/x", "1")
        rig.faults.add(Rule(FaultKind.NO_CAPACITY, resource=name, seconds=3600, times=1))
        spot = {"MaxRuntimeInSeconds": 60, "MaxWaitTimeInSeconds": 7200}
        chosen = [channel("in", f"s3://data/{name}/in/")]
        rig.submit(name=name, channels=chosen, EnableManagedSpotTraining=True, StoppingCondition=spot)
        rig.s3.delete_object(Bucket="data", Key=f"{name}/in/x")
        rig.until(name, lambda job: "Insufficient" in job["SecondaryStatusTransitions"][-1]["StatusMessage"])
        rig.clock.advance(3601)
        job = rig.finish(name)
        assert job["FailureReason"].startswith('ClientError: Data download failed: No S3 objects found under S3 URL "')


class TestLogsAndMetrics:
    def test_arrive_while_it_runs(self, rig):
        name = rig.submit("echo first; while [ ! -e /opt/ml/output/data/go ]; do sleep 0.1; done; echo last")
        rig.wait_for_log(name, "first")
        assert rig.describe(name)["SecondaryStatus"] == "Training"
        rig.sm.stop_training_job(TrainingJobName=name)
        rig.finish(name)

    def test_unicode_and_split_lines(self, rig):
        job = rig.run("printf 'a\\xc3'; sleep 0.3; printf '\\xa9b'; sleep 0.2; echo c; echo; printf 'no end'")
        assert rig.log(job["TrainingJobName"]) == ["aébc", "", "no end"]

    def test_metrics(self, rig):
        job = rig.run(
            'for i in 3 2 1; do echo "epoch loss=$i.5e-1;"; done; echo acc=nan-sense',
            Algorithm={
                "MetricDefinitions": [
                    {"Name": "loss", "Regex": "loss=([0-9.eE+-]+)"},
                    {"Name": "acc", "Regex": "acc=(.*)"},
                ]
            },
        )
        (last,) = job["FinalMetricDataList"]
        assert (last["MetricName"], last["Value"]) == ("loss", pytest.approx(0.15))
        found = rig.client("cloudwatch").get_metric_statistics(
            Namespace=GROUP,
            MetricName="loss",
            Dimensions=[{"Name": "TrainingJobName", "Value": job["TrainingJobName"]}],
            StartTime="2020-01-01T00:00:00Z",
            EndTime="2100-01-01T00:00:00Z",
            Period=86400 * 365,
            Statistics=["Maximum", "SampleCount"],
        )
        (point,) = found["Datapoints"]
        assert (point["Maximum"], point["SampleCount"]) == (pytest.approx(0.35), 3)

    def test_what_it_uses_of_its_instance(self, rig):
        name = rig.submit("python -c \"x = b'1' * (400 << 20)\nwhile True: pass\"")
        watch = rig.client("cloudwatch")

        def points(metric):
            found = watch.get_metric_statistics(
                Namespace=GROUP,
                MetricName=metric,
                Dimensions=[{"Name": "Host", "Value": f"{name}/algo-1"}],
                StartTime="2020-01-01T00:00:00Z",
                EndTime="2100-01-01T00:00:00Z",
                Period=86400 * 365,
                Statistics=["Maximum"],
            )
            return [one["Maximum"] for one in found["Datapoints"]]

        rig.until(name, lambda _: points("CPUUtilization") and max(points("MemoryUtilization")) > 4)
        assert 4 < max(points("MemoryUtilization")) < 20  # of 8 GiB
        assert 5 < max(points("CPUUtilization")) < 200
        rig.sm.stop_training_job(TrainingJobName=name)
        rig.finish(name)

    @pytest.mark.slow
    def test_a_hundred_megabytes(self, rig):
        import time

        job = rig.run(f"yes 2>/dev/null {'0123456789' * 8} | head -n 1250000; true")
        begun = time.monotonic()
        count = len(rig.log(job["TrainingJobName"]))
        assert count == 1_250_000
        assert time.monotonic() - begun < 60


class TestStopping:
    def test_the_program_may_save_its_work(self, rig):
        name = rig.submit("trap 'echo saved > /opt/ml/model/w; exit 0' TERM; echo up; while :; do sleep 0.1; done")
        rig.wait_for_log(name, "up")
        rig.sm.stop_training_job(TrainingJobName=name)
        job = rig.finish(name)
        assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "Stopped")
        assert statuses(job)[-2:] == ["Stopping", "Stopped"]
        assert members(rig, f"{name}/out/{name}/output/model.tar.gz") == {"w": b"saved\n"}
        assert rig.refused("stop_training_job", TrainingJobName=name) == (
            "ValidationException",
            "The request was rejected because the training job is in status Stopped.",
        )

    def test_a_program_that_will_not_end_is_killed_after_two_minutes(self, rig):
        name = rig.submit("trap '' TERM; echo up; while :; do sleep 0.1; done")
        rig.wait_for_log(name, "up")
        rig.sm.stop_training_job(TrainingJobName=name)
        assert rig.describe(name)["TrainingJobStatus"] == "Stopping"
        rig.clock.advance(119)
        assert rig.describe(name)["TrainingJobStatus"] == "Stopping"
        rig.clock.advance(2)
        assert rig.finish(name)["TrainingJobStatus"] == "Stopped"

    def test_before_it_trains(self, rig):
        name = rig.name()
        rig.faults.add(Rule(FaultKind.NO_CAPACITY, resource=name, seconds=3600))
        rig.submit("echo m > /opt/ml/model/m", name=name)
        rig.sm.stop_training_job(TrainingJobName=name)
        job = rig.finish(name)
        assert job["TrainingJobStatus"] == "Stopped"
        assert "ModelArtifacts" not in job
        assert rig.keys(f"{name}/out") == []

    def test_runs_too_long(self, rig):
        name = rig.submit("trap 'exit 9' TERM; echo up; echo m > /opt/ml/model/m; while :; do sleep 0.1; done")
        rig.wait_for_log(name, "up")
        rig.clock.advance(3601)
        job = rig.finish(name)
        assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "MaxRuntimeExceeded")
        assert members(rig, f"{name}/out/{name}/output/model.tar.gz") == {"m": b"m\n"}
        assert job["TrainingTimeInSeconds"] >= 3600
        assert job["BillableTimeInSeconds"] >= 3600


class TestFaults:
    def test_no_capacity(self, rig):
        name = rig.name()
        rig.faults.add(Rule(FaultKind.NO_CAPACITY, resource=name, seconds=600))
        rig.submit(name=name)
        rig.until(name, lambda job: "Insufficient" in job["SecondaryStatusTransitions"][-1]["StatusMessage"])
        rig.clock.advance(601)
        job = rig.finish(name)
        assert job["TrainingJobStatus"] == "Failed"
        assert job["FailureReason"].startswith("CapacityError: Unable to provision requested ML compute capacity.")

    def test_a_spot_job_waits_no_longer_than_it_may(self, rig):
        name = rig.name()
        rig.faults.add(Rule(FaultKind.NO_CAPACITY, resource=name, times=None))
        limits = {"MaxRuntimeInSeconds": 60, "MaxWaitTimeInSeconds": 100}
        rig.submit(name=name, EnableManagedSpotTraining=True, StoppingCondition=limits)
        for _ in range(3):
            rig.clock.advance(61)
        job = rig.finish(name)
        assert (job["TrainingJobStatus"], job["SecondaryStatus"]) == ("Stopped", "MaxWaitTimeExceeded")

    def test_a_spot_job_trains_no_longer_than_it_may_wait(self, rig):
        name = rig.name()
        rig.faults.add(Rule(FaultKind.NO_CAPACITY, resource=name, seconds=500))
        limits = {"MaxRuntimeInSeconds": 1000, "MaxWaitTimeInSeconds": 1000}
        rig.submit("echo up; sleep 600", name=name, EnableManagedSpotTraining=True, StoppingCondition=limits)
        rig.until(name, lambda job: "Insufficient" in job["SecondaryStatusTransitions"][-1]["StatusMessage"])
        rig.clock.advance(501)
        rig.wait_for_log(name, "up")
        rig.clock.advance(501)
        assert rig.finish(name)["SecondaryStatus"] == "MaxWaitTimeExceeded"

    def test_a_spot_machine_is_taken_away_and_the_job_goes_on_from_its_checkpoint(self, rig):
        name = rig.name()
        program = """
        cd /opt/ml/checkpoints
        if [ -e step ]; then echo resumed at $(cat step); echo done > /opt/ml/model/m; exit 0; fi
        trap 'echo 7 > step; exit 1' TERM
        echo up; echo stale > /opt/ml/model/stale; while :; do sleep 0.1; done
        """
        rig.submit(
            program,
            name=name,
            EnableManagedSpotTraining=True,
            StoppingCondition={"MaxRuntimeInSeconds": 600, "MaxWaitTimeInSeconds": 900},
            CheckpointConfig={"S3Uri": f"s3://data/{name}/ckpt"},
        )
        rig.wait_for_log(name, "up")
        rig.faults.add(Rule(FaultKind.SPOT_INTERRUPTION, on="sagemaker:training-job", resource=name))
        job = rig.finish(name)
        assert job["TrainingJobStatus"] == "Completed", job
        assert "resumed at 7" in rig.log(name)
        assert "Interrupted" in statuses(job)
        assert statuses(job).count("Training") == 2
        assert rig.text(f"{name}/ckpt/step") == b"7\n"
        assert members(rig, f"{name}/out/{name}/output/model.tar.gz") == {"m": b"done\n"}

    def test_half_an_upload(self, rig):
        name = rig.name()
        rig.faults.add(Rule(FaultKind.PARTIAL_UPLOAD, resource=name))
        job = rig.run("head -c 100000 /dev/urandom > /opt/ml/model/m", name=name)
        assert job["TrainingJobStatus"] == "Failed"
        assert job["FailureReason"].startswith("InternalServerError")
        assert 1000 < len(rig.text(f"{name}/out/{name}/output/model.tar.gz")) < 90000

    def test_half_an_upload_is_tried_again(self, rig):
        name = rig.name()
        rig.faults.add(Rule(FaultKind.PARTIAL_UPLOAD, resource=name))
        job = rig.run("echo m > /opt/ml/model/m", name=name, RetryStrategy={"MaximumRetryAttempts": 1})
        assert job["TrainingJobStatus"] == "Completed"
        assert statuses(job).count("Restarting") == 1
        assert members(rig, f"{name}/out/{name}/output/model.tar.gz") == {"m": b"m\n"}

    def test_a_state_that_nobody_knows(self, rig):
        name = rig.run()["TrainingJobName"]
        rig.faults.add(Rule(FaultKind.UNKNOWN_STATE, resource=name))
        assert rig.describe(name)["TrainingJobStatus"] == "Hibernating"
        assert rig.describe(name)["TrainingJobStatus"] == "Completed"


class TestCheckpoints:
    def test_are_uploaded_while_it_runs_and_fetched_at_the_start(self, rig):
        name = rig.name()
        rig.put(f"{name}/ckpt/old/a", "before")
        rig.submit(
            "cd /opt/ml/checkpoints; cat old/a; echo; echo new > b; echo up; while :; do sleep 0.1; done",
            name=name,
            CheckpointConfig={"S3Uri": f"s3://data/{name}/ckpt/", "LocalPath": "/opt/ml/checkpoints"},
        )
        rig.wait_for_log(name, "up")
        assert rig.log(name)[0] == "before"
        rig.clock.advance(2)
        while f"{name}/ckpt/b" not in rig.keys(f"{name}/ckpt/"):
            rig.describe(name)
        assert rig.describe(name)["SecondaryStatus"] == "Training"
        rig.sm.stop_training_job(TrainingJobName=name)
        rig.finish(name)
