"""The manifests of jobs/: parsed by what will read them, and their commands run here.

No cluster is reached. KubeRay has no library with its schema: its own fields are named here, and
the pods in it are Kubernetes'.
"""

import copy
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from marks import quick

from tfrobust.runs import cluster

FOLDER = Path(__file__).parents[2] / "jobs" / "kubernetes"
# Of KubeRay's API reference, as far as ours is.
RAY_JOB = {"entrypoint", "shutdownAfterJobFinishes", "backoffLimit", "rayClusterSpec"}
GROUP = {"groupName", "replicas", "minReplicas", "maxReplicas", "rayStartParams", "template"}


def documents(name: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all((FOLDER / name).read_text()))


def of_kind(name: str, kind: str) -> dict[str, Any]:
    (one,) = [document for document in documents(name) if document["kind"] == kind]
    return one


def pods() -> dict[str, dict[str, Any]]:
    """The specs of all pods, by where they are."""
    found = {
        name: of_kind(f"{name}.yaml", "Job")["spec"]["template"]["spec"]
        for name in ("evaluate", "train")
    }
    runtime = of_kind("trainjob.yaml", "TrainingRuntime")["spec"]["template"]["spec"]
    found["trainjob"] = runtime["replicatedJobs"][0]["template"]["spec"]["template"]["spec"]
    ray = of_kind("rayjob.yaml", "RayJob")["spec"]["rayClusterSpec"]
    found["head"] = ray["headGroupSpec"]["template"]["spec"]
    found["worker"] = ray["workerGroupSpecs"][0]["template"]["spec"]
    return found


@pytest.mark.parametrize("name", ["work.yaml", "evaluate.yaml", "train.yaml"])
def test_kubernetes_own_kinds_fit_their_schemas(name: str) -> None:
    for document in documents(name):
        kubernetes_validate.validate(document, "1.34", strict=True)


@pytest.mark.parametrize("name", quick(pods(), "train"))
def test_pods_are_confined_and_share_one_disk(name: str) -> None:
    pod = pods()[name]
    whole = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": pod}
    kubernetes_validate.validate(whole, "1.34", strict=True)
    (container,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"] and not pod["automountServiceAccountToken"]
    # What the namespace's label "restricted" demands.
    assert container["securityContext"]["allowPrivilegeEscalation"] is False
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    claims = [volume.get("persistentVolumeClaim") for volume in pod["volumes"]]
    assert {
        "claimName": of_kind("work.yaml", "PersistentVolumeClaim")["metadata"]["name"]
    } in claims
    assert container["workingDir"] == "/work"
    assert {mount["name"] for mount in container["volumeMounts"]} == {
        volume["name"] for volume in pod["volumes"]
    }


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kind", "model"),
    [
        ("TrainJob", "TrainerV1alpha1TrainJob"),
        ("TrainingRuntime", "TrainerV1alpha1TrainingRuntime"),
    ],
)
def test_kubeflow_knows_every_field(kind: str, model: str) -> None:
    models = pytest.importorskip("kubeflow_trainer_api.models", reason="needs the extra dev")
    document = of_kind("trainjob.yaml", kind)
    kept = getattr(models, model).from_dict(copy.deepcopy(document))
    assert json.loads(kept.to_json()) == document  # what it does not know, it drops
    wrong = copy.deepcopy(document)
    wrong["spec"]["numHosts"] = 4
    assert json.loads(getattr(models, model).from_dict(wrong).to_json()) != wrong


def test_the_ray_job_has_the_fields_of_kuberay() -> None:
    job = of_kind("rayjob.yaml", "RayJob")
    assert job["apiVersion"] == "ray.io/v1" and set(job["spec"]) <= RAY_JOB
    ray = job["spec"]["rayClusterSpec"]
    assert set(ray) == {"rayVersion", "headGroupSpec", "workerGroupSpecs"}
    assert set(ray["headGroupSpec"]) == {"rayStartParams", "template"}
    (group,) = ray["workerGroupSpecs"]
    assert set(group) == GROUP
    # One for each worker that the entrypoint asks for; the head's have no part in it.
    assert f"--workers {group['replicas']}" in job["spec"]["entrypoint"]
    assert ray["headGroupSpec"]["rayStartParams"]["num-cpus"] == "0"


def shell(name: str) -> tuple[str, str, int]:
    """A job's script, the name of the variable with its number of pods, and that number."""
    if name == "trainjob":
        trainer = of_kind("trainjob.yaml", "TrainJob")["spec"]["trainer"]
        runtime = of_kind("trainjob.yaml", "TrainingRuntime")["spec"]
        assert runtime["mlPolicy"]["numNodes"] == trainer["numNodes"]
        container, count = trainer, trainer["numNodes"]
    else:
        job = of_kind(f"{name}.yaml", "Job")["spec"]
        assert job["completionMode"] == "Indexed" and job["parallelism"] == job["completions"]
        (container,), count = job["template"]["spec"]["containers"], job["completions"]
    assert container["command"] == ["/bin/sh", "-ec"]
    (script,), (variable,) = container["args"], container["env"]
    assert variable["value"] == str(count)
    return script, variable["name"], count


@pytest.mark.parametrize("name", ["train", "trainjob"])
def test_hosts_find_each_other_by_the_names_of_their_pods(name: str, tmp_path: Path) -> None:
    script, variable, count = shell(name)
    program = tmp_path / "tfrobust-train"
    program.write_text('#!/bin/sh\nprintf %s "$TF_CONFIG"\n')
    program.chmod(0o755)
    read = []
    for index in range(count):
        environment = {"PATH": f"{tmp_path}:{os.environ['PATH']}", variable: str(count)}
        environment["JOB_COMPLETION_INDEX"] = str(index)
        printed = subprocess.run(
            ["/bin/sh", "-ec", script], env=environment, capture_output=True, text=True, check=True
        ).stdout
        read.append(cluster.read({"TF_CONFIG": printed}))
    assert [one.index for one in read] == list(range(count))
    # Kubernetes names a pod JOB-INDEX.SUBDOMAIN, and JobSet JOBSET-REPLICATED-0-INDEX.JOBSET.
    if name == "train":
        service, job = of_kind("train.yaml", "Service"), of_kind("train.yaml", "Job")
        spec = job["spec"]["template"]["spec"]
        assert spec["subdomain"] == service["metadata"]["name"] and not spec.get("hostname")
        assert service["spec"]["selector"] == job["spec"]["template"]["metadata"]["labels"]
        assert service["spec"]["clusterIP"] == "None"
        assert service["spec"]["publishNotReadyAddresses"]
        names = [f"{job['metadata']['name']}-{index}.{spec['subdomain']}" for index in range(count)]
    else:
        own = of_kind("trainjob.yaml", "TrainJob")["metadata"]["name"]
        (replicated,) = of_kind("trainjob.yaml", "TrainingRuntime")["spec"]["template"]["spec"][
            "replicatedJobs"
        ]
        names = [f"{own}-{replicated['name']}-0-{index}.{own}" for index in range(count)]
    assert read[0].addresses == tuple(f"{one}:2222" for one in names)


@pytest.mark.slow
def test_the_last_shard_of_the_indexed_job_writes_the_report(root: Path, tmp_path: Path) -> None:
    script, variable, _ = shell("evaluate")
    # The network and data of the package, of which there need be few.
    script = re.sub(r"saved_models/\w+", str(root / "saved_models" / "fashion_mnist_mini"), script)
    script = re.sub(r"--dataset \w+ --data_dir \w+", "--dataset fashion_mnist_mini", script)
    script = script.replace("--images 10000", "--images 4 --preset fast")
    program = tmp_path / "tfrobust-evaluate"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} {root}/tools/evaluate.py "$@"\n')
    program.chmod(0o755)
    printed = []
    for index in ("1", "0"):
        environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", variable: "2"}
        done = subprocess.run(
            ["/bin/sh", "-ec", script],
            env={**environment, "JOB_COMPLETION_INDEX": index},
            cwd=tmp_path,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr[-3000:]
        printed.append(done.stdout)
    (folder,) = (tmp_path / "runs").iterdir()
    assert "shard 2/2 is done; the last one to be done writes the report" in printed[0]
    assert "attack ARA" in printed[1] and (folder / "report.html").exists()
    assert len(json.loads((folder / "ara.json").read_text())["attack_rmse"]) == 4
