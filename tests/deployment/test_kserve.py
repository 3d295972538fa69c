"""The manifests of serving/kserve/, read by KServe's SDK and by Kubernetes' schemas."""

from pathlib import Path

import kubernetes_validate
import pytest
import yaml

FOLDER = Path(__file__).parents[2] / "serving" / "kserve"
SHIPPED = FOLDER.parents[1] / "saved_models"


def manifest(name):
    return yaml.safe_load((FOLDER / name).read_text())


def merged(whole, patch):
    """RFC 7396, as `kubectl patch --type merge` does it."""
    if not isinstance(patch, dict):
        return patch
    whole = whole if isinstance(whole, dict) else {}
    kept = {key: one for key, one in whole.items() if patch.get(key, one) is not None}
    return kept | {key: merged(kept.get(key), one) for key, one in patch.items() if one is not None}


SERVICES = {
    "cifar10": manifest("cifar10.yaml"),
    "model": manifest("model.yaml"),
    "canary": merged(manifest("cifar10.yaml"), manifest("canary.yaml")),
}


PLAIN = {"int": int, "str": str, "bool": bool}


def unknown(data, kind, models, path="") -> list[str]:
    """The fields that KServe's models do not have, and the values of another type than theirs."""
    if kind in PLAIN:
        return [] if type(data) is PLAIN[kind] else [path]
    if kind.startswith("list["):
        return [name for one in data for name in unknown(one, kind[5:-1], models, path)]
    model = getattr(models, kind, None)
    if model is None:  # It is one of Kubernetes' own, which have a test of theirs.
        return []
    kinds = {model.attribute_map[name]: kind for name, kind in model.openapi_types.items()}
    found = [f"{path}.{name}" for name in data if name not in kinds]
    for name in set(data) & set(kinds):
        found += unknown(data[name], kinds[name], models, f"{path}.{name}")
    return found


@pytest.mark.parametrize("name", SERVICES)
def test_kserve_knows_every_field(name, monkeypatch):
    # The SDK parses the command line when it is imported, and refuses some of pytest's flags.
    monkeypatch.setattr("sys.argv", ["pytest"])
    kserve = pytest.importorskip("kserve", reason="needs the extra kserve")
    assert SERVICES[name]["apiVersion"] == "serving.kserve.io/v1beta1"
    assert not unknown(SERVICES[name], "V1beta1InferenceService", kserve.models)
    # The walk finds what is wrong.
    wrong = merged(SERVICES[name], {"spec": {"predictor": {"scaleTarget": "70", "replicas": 1}}})
    found = unknown(wrong, "V1beta1InferenceService", kserve.models)
    assert sorted(found) == [".spec.predictor.replicas", ".spec.predictor.scaleTarget"]


@pytest.mark.parametrize("name", SERVICES)
def test_containers_fit_the_schema_of_kubernetes(name):
    containers = [
        one for part in SERVICES[name]["spec"].values() for one in part.get("containers", [])
    ]
    assert containers
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}}
    kubernetes_validate.validate(pod | {"spec": {"containers": containers}}, "1.34", strict=True)
    for one in containers:
        assert one["name"] == "kserve-container"
        assert one["securityContext"]["runAsNonRoot"]
        assert one["args"][one["args"].index("--model_name") + 1] == "cifar10"


def test_storage_is_the_folder_above_the_versions():
    uris = [
        SERVICES["cifar10"]["spec"]["predictor"]["model"]["storageUri"],
        SERVICES["model"]["spec"]["predictor"]["containers"][0]["env"][0]["value"],
    ]
    for uri in uris:
        claim, folder = uri.removeprefix("pvc://").split("/", 1)
        assert claim == "models" and (SHIPPED / folder / "1" / "saved_model.pb").is_file()


def test_the_canary_is_another_model_for_some_requests():
    predictor, before = (SERVICES[one]["spec"]["predictor"] for one in ("canary", "cifar10"))
    assert 0 < predictor["canaryTrafficPercent"] < 100
    assert predictor["model"]["storageUri"] != before["model"]["storageUri"]
    assert predictor["model"]["modelFormat"] == before["model"]["modelFormat"]
