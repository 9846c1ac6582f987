"""Training on a cluster: the GPUs asked for, one launcher a node, and every way in which a job can end too early."""

from __future__ import annotations

import signal

import pytest
from safetensors.torch import load

from slurm.cluster import NODES, wait_for
from slurm.cluster_project import PROFILE, WATCHED_STEP

pytestmark = [pytest.mark.slow, pytest.mark.slurm, pytest.mark.xdist_group("slurm")]

LAUNCHER, COMMAND = "torch.distributed.run", "train_run.py"


def assert_same_up_to_rounding(found: bytes, expected: bytes) -> None:
    one, other = load(found), load(expected)
    assert one.keys() == other.keys()
    assert max((one[name] - other[name]).abs().max().item() for name in one) < 1e-4


def test_two_gpus_of_one_node_are_asked_for_and_the_command_is_started_once(watched, trained):
    watched.configure_training(device="auto", processes=2)
    watched.edit(PROFILE, lambda text: text.replace("    # gpu_model: h100  ", "    gpu_model: h100  "))
    snakemake = watched.start("train")
    job = watched.running_job()
    description = watched.cluster.describe(job["id"])
    assert job["partition"] == "gpu"
    assert job["node_count"] == "1"
    assert "TresPerJob=gres:gpu:h100:2" in description
    assert "GRES=gpu:h100:2(IDX:0-1)" in description
    (launcher,) = watched.cluster.processes(LAUNCHER)
    assert launcher["CUDA_VISIBLE_DEVICES"] == "0,1"
    watched.go()
    watched.finish(snakemake)
    assert watched.training_log().count("process 1 of 2") == watched.training_log().count("process 2 of 2") == 1
    assert watched.record()["processes"] == 2
    assert_same_up_to_rounding(watched.weights(), trained.weights())


def test_a_run_on_two_nodes_has_one_launcher_and_one_gpu_on_each(watched, trained):
    watched.configure_training(device="auto", processes=2, nodes=2, staging_directory="$TMPDIR/staged tokens")
    snakemake = watched.start("train")
    job = watched.running_job()
    assert (job["partition"], job["node_count"]) == ("gpu", "2")
    launchers = watched.cluster.processes(LAUNCHER)
    assert sorted(launcher["SLURMD_NODENAME"] for launcher in launchers) == sorted(NODES)
    assert [launcher["CUDA_VISIBLE_DEVICES"] for launcher in launchers] == ["0", "0"]
    watched.go()
    watched.finish(snakemake)
    assert len(watched.training_jobs()) == 1
    assert watched.record()["processes"] == 2
    assert "tokens to " in watched.training_log()
    assert_same_up_to_rounding(watched.weights(), trained.weights())


def test_a_cancelled_job_saves_its_state_and_the_next_goes_on(watched, trained):
    snakemake = watched.start("train")
    watched.cluster.run("scancel", watched.running_job()["id"])
    watched.await_stop()
    watched.go()
    watched.finish(snakemake)
    assert [job["state"] for job in watched.training_jobs()] == ["CANCELLED", "COMPLETED"]
    assert f"stopped after step {WATCHED_STEP + 1} of" in watched.logs_of_failed_jobs()
    assert watched.record()["resumed"] == 1
    assert watched.weights() == trained.weights()


def test_a_restarted_controller_disturbs_no_job(watched, trained):
    snakemake = watched.start("train")
    watched.running_job()
    watched.cluster.restart_controller(seconds_down=8)
    watched.go()
    watched.finish(snakemake)
    assert [job["state"] for job in watched.training_jobs()] == ["COMPLETED"]
    assert watched.record()["resumed"] == 0
    assert watched.weights() == trained.weights()


def test_ctrl_c_cancels_what_was_submitted_and_the_next_call_goes_on(watched, trained):
    snakemake = watched.start("train")
    job = watched.running_job()
    snakemake.send_signal(signal.SIGINT)
    assert watched.end(snakemake, 180).code != 0
    wait_for(lambda: watched.cluster.jobs(id=job["id"])[0]["state"] == "CANCELLED", 60, "the job to be cancelled")
    watched.go()
    watched.finish(watched.start("train"))
    assert len(watched.training_jobs()) == 2
    assert watched.record()["resumed"] == 1
    assert watched.weights() == trained.weights()


def test_training_that_meets_its_limit_three_times_ends_with_the_weights_of_an_uninterrupted_one(interrupted, trained):
    project, snakemake = interrupted
    project.finish(snakemake)
    assert [job["limit"] for job in project.training_jobs()] == ["1:00"] * 4
    assert project.logs_of_failed_jobs().count("SIGUSR1: the step ends") == 3
    assert project.record()["resumed"] == 3
    assert project.weights() == trained.weights()


# What follows disturbs other jobs, so it comes after the training that takes several limits.
def test_a_job_whose_node_dies_goes_on_elsewhere(watched, trained):
    snakemake = watched.start("train")
    node = watched.running_job()["nodes"]
    watched.cluster.kill_node(node)
    watched.go()
    try:
        watched.finish(snakemake)
    finally:
        watched.cluster.start_node(node)
    assert watched.training_jobs()[-1]["nodes"] != node
    assert watched.record()["resumed"] == 1
    assert watched.weights() == trained.weights()
    wait_for(lambda: watched.cluster.node_state(node) in ("idle", "mix"), 60, f"{node} to be back")


def test_a_preempted_job_makes_room_and_goes_on_after(watched, trained):
    snakemake = watched.start("train")
    watched.running_job()
    urgent = ["sbatch", "--parsable", "-p", "urgent", "-N", "2", "--exclusive", "-o", "/dev/null", "--wrap", "sleep 5"]
    watched.cluster.run(*urgent)
    watched.await_stop()
    watched.go()
    watched.finish(snakemake)
    assert watched.record()["resumed"] == 1
    assert watched.weights() == trained.weights()


def test_a_full_queue_is_waited_for(project, trained):
    holder = [
        "sbatch",
        "--parsable",
        "-p",
        "urgent",
        "-N",
        "2",
        "--exclusive",
        "-o",
        "/dev/null",
        "--wrap",
        "sleep 600",
    ]
    holding = project.cluster.run(*holder).strip()
    wait_for(lambda: project.cluster.jobs(id=holding)[0]["state"] == "RUNNING", 60, "the cluster to be full")
    snakemake = project.start("train")
    wait_for(lambda: [job["state"] for job in project.training_jobs()] == ["PENDING"], 120, "the job to be queued")
    project.cluster.run("scancel", holding)
    project.finish(snakemake)
    assert len(project.training_jobs()) == 1
    assert project.weights() == trained.weights()
