"""Managed warm pools: machines that wait for the next job of the same make."""

from __future__ import annotations

from cloudops.offline.faults import FaultKind, Rule

KEEP = {"KeepAlivePeriodInSeconds": 600}
SPOT = {"MaxRuntimeInSeconds": 60, "MaxWaitTimeInSeconds": 60}


def pool(rig, name):
    return rig.describe(name).get("WarmPoolStatus", {})


class TestLife:
    def test_is_kept_until_its_time_is_over(self, rig):
        name = rig.submit("sleep 1", Resource={**KEEP, "InstanceType": "ml.m6i.large"})
        assert pool(rig, name) == {"Status": "InUse"}
        rig.finish(name)
        rig.clock.advance(300)
        found = pool(rig, name)
        assert found["Status"] == "Available"
        assert 300 <= found["ResourceRetainedBillableTimeInSeconds"] < 330
        assert ("warm-pool", name) in [(one.kind, one.name) for one in rig.emulator.resources()]
        rig.clock.advance(301)
        assert pool(rig, name)["Status"] == "Terminated"
        assert ("warm-pool", name) not in [(one.kind, one.name) for one in rig.emulator.resources()]

    def test_the_next_job_takes_it_over_and_needs_no_capacity(self, rig):
        kind = {"InstanceType": "ml.c5.xlarge"}
        program = 'ls $SAGEMAKER_MANAGED_WARMPOOL_CACHE_DIRECTORY; touch "/opt/ml/sagemaker/warmpoolcache/of-$RUN"'
        first = rig.run(program, Resource={**kind, **KEEP}, Environment={"RUN": "one"})["TrainingJobName"]
        rig.faults.add(Rule(FaultKind.NO_CAPACITY, "sagemaker:training-job", times=None, seconds=0.1))
        second = rig.submit(program, Resource=kind, Environment={"RUN": "two"})
        assert pool(rig, second) == {"Status": "InUse"}
        found = pool(rig, first)
        assert (found["Status"], found["ReusedByJob"]) == ("Reused", second)
        assert rig.finish(second)["TrainingJobStatus"] == "Completed"
        assert rig.log(second) == ["of-one"]
        # It asked for no time of its own.
        assert pool(rig, second)["Status"] == "Terminated"
        assert rig.run(Resource=kind)["FailureReason"].startswith("CapacityError")

    def test_another_make_of_machine_is_another_pool(self, rig):
        kind = {"InstanceType": "ml.c5.2xlarge"}
        first = rig.run(Resource={**kind, **KEEP})["TrainingJobName"]
        for other in (
            {"Resource": {**kind, "VolumeSizeInGB": 6}},
            {"Resource": {**kind, "InstanceCount": 2}},
            {"Resource": kind, "EnableNetworkIsolation": True},
            {"Resource": kind, "EnableManagedSpotTraining": True, "StoppingCondition": SPOT},
        ):
            assert pool(rig, rig.submit(**other)) == {}, other
        assert pool(rig, first)["Status"] == "Available"

    def test_a_job_that_fails_by_itself_keeps_it_and_one_that_the_service_fails_does_not(self, rig):
        kind = {"InstanceType": "ml.c5.4xlarge", **KEEP}
        assert pool(rig, rig.run("exit 3", Resource=kind)["TrainingJobName"])["Status"] == "Available"
        name = rig.name()
        rig.faults.add(Rule(FaultKind.PARTIAL_UPLOAD, "sagemaker:training-job", name))
        job = rig.run("echo x > /opt/ml/model/x", name=name, Resource=kind)
        assert job["FailureReason"].startswith("InternalServerError")
        assert job["WarmPoolStatus"]["Status"] == "Terminated"

    def test_a_stopped_job_keeps_it_once_it_had_machines(self, rig):
        name = rig.submit("echo up; exec sleep 60", Resource={"InstanceType": "ml.c5.9xlarge", **KEEP})
        rig.wait_for_log(name, "up")
        rig.sm.stop_training_job(TrainingJobName=name)
        assert rig.finish(name)["WarmPoolStatus"]["Status"] == "Available"
        waits = rig.name()
        rig.faults.add(Rule(FaultKind.NO_CAPACITY, "sagemaker:training-job", waits, seconds=3600))
        rig.submit(name=waits, Resource={"InstanceType": "ml.c5.18xlarge", **KEEP})
        rig.sm.stop_training_job(TrainingJobName=waits)
        assert rig.finish(waits)["WarmPoolStatus"]["Status"] == "Terminated"


class TestOperations:
    def test_a_job_with_a_pool_cannot_be_deleted_until_it_is_given_back(self, rig):
        name = rig.run(Resource={"InstanceType": "ml.m5.4xlarge", **KEEP})["TrainingJobName"]
        code, text = rig.refused("delete_training_job", TrainingJobName=name)
        assert code == "ResourceInUse"
        assert "Available warm pool" in text
        rig.sm.update_training_job(TrainingJobName=name, ResourceConfig={"KeepAlivePeriodInSeconds": 0})
        assert pool(rig, name)["Status"] == "Terminated"
        rig.sm.delete_training_job(TrainingJobName=name)

    def test_its_time_can_be_changed(self, rig):
        name = rig.run(Resource={"InstanceType": "ml.m5.12xlarge", **KEEP})["TrainingJobName"]
        rig.sm.update_training_job(TrainingJobName=name, ResourceConfig={"KeepAlivePeriodInSeconds": 1200})
        rig.clock.advance(900)
        job = rig.describe(name)
        assert job["WarmPoolStatus"]["Status"] == "Available"
        assert job["ResourceConfig"]["KeepAlivePeriodInSeconds"] == 1200
        rig.clock.advance(400)
        code, text = rig.refused(
            "update_training_job", TrainingJobName=name, ResourceConfig={"KeepAlivePeriodInSeconds": 3600}
        )
        assert (code, "its warm pool is Terminated" in text) == ("ValidationException", True)

    def test_a_job_without_one_has_no_time_to_change(self, rig):
        name = rig.run()["TrainingJobName"]
        _, text = rig.refused(
            "update_training_job", TrainingJobName=name, ResourceConfig={"KeepAlivePeriodInSeconds": 10}
        )
        assert "it has no warm pool" in text

    def test_jobs_are_listed_by_the_state_of_their_pool(self, rig):
        name = rig.run(Resource={"InstanceType": "ml.m5.24xlarge", **KEEP})["TrainingJobName"]

        def listed(status):
            found = rig.sm.list_training_jobs(WarmPoolStatusEquals=status, MaxResults=100)
            return {one["TrainingJobName"]: one["WarmPoolStatus"]["Status"] for one in found["TrainingJobSummaries"]}

        assert listed("Available")[name] == "Available"
        rig.clock.advance(601)
        assert name not in listed("Available")
        assert listed("Terminated")[name] == "Terminated"

    def test_spot_machines_are_not_kept_nor_any_for_more_than_six_hours(self, rig):
        request = rig.request(EnableManagedSpotTraining=True, StoppingCondition=SPOT, Resource=KEEP)
        assert "EnableManagedSpotTraining" in rig.refused("create_training_job", **request)[1]
        request = rig.request(Resource={"KeepAlivePeriodInSeconds": 21601})
        assert rig.refused("create_training_job", **request)[0] == "ValidationException"
