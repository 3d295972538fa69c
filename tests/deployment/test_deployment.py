"""The files of serving/: parsed by what will read them, as far as that is a library.

Docker, kubectl and tensorflow_model_server do not run here.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

import check_jsonschema
import grpc_tools
import jsonpatch
import jsonschema
import kubernetes_validate
import promql_parser
import pytest
import yaml
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format
from tensorflow_serving.config import model_server_config_pb2

from tfrobust.serving.channel import MOST_IMAGES
from tfrobust.serving.settings import Settings

SERVING = Path(__file__).parents[2] / "serving"
CPU, GPU = SERVING / "kubernetes" / "cpu", SERVING / "kubernetes" / "gpu"
# Counted by TF Serving, tensorflow_serving/servables/tensorflow/util.cc and batching_session.cc.
METRICS = {
    ":tensorflow:serving:request_count": {"model_name", "status"},
    ":tensorflow:serving:request_latency": {"model_name", "API", "entrypoint", "status"},
    ":tensorflow:serving:runtime_latency": {"model_name", "API", "runtime"},
    ":tensorflow:serving:batching_session:queuing_latency": {"thread_pool_name"},
}


@pytest.fixture(scope="module")
def messages(tmp_path_factory):
    """The classes of protos/serving_files.proto, compiled by protoc."""
    compiled = tmp_path_factory.mktemp("protos") / "serving_files.bin"
    own, google = Path(__file__).parent / "protos", Path(grpc_tools.__file__).parent / "_proto"
    arguments = [f"-I{own}", f"-I{google}", f"--descriptor_set_out={compiled}"]
    arguments += ["--include_imports", str(own / "serving_files.proto")]
    # In a process of its own: beside TensorFlow's protobuf, the compiler's crashes.
    subprocess.run([sys.executable, "-m", "grpc_tools.protoc", *arguments], check=True)
    files = descriptor_pb2.FileDescriptorSet.FromString(compiled.read_bytes())
    pool = descriptor_pool.DescriptorPool()
    for file in files.file:
        pool.Add(file)
    return lambda name: message_factory.GetMessageClass(
        pool.FindMessageTypeByName(f"tfrobust.deployment.{name}")
    )


def parsed(name, message):
    return text_format.Parse((SERVING / "config" / name).read_text(), message)


def test_models_config():
    config = parsed("models.config", model_server_config_pb2.ModelServerConfig())
    for model in config.model_config_list.config:
        assert model.base_path == f"/models/{model.name}"
        assert model.model_platform == "tensorflow"
        assert model.model_version_policy.latest.num_versions == 1
    # TF Serving answers nothing before each has a version: those that are shipped have.
    shipped = {path.parent.name for path in (SERVING.parent / "saved_models").glob("*/1")}
    assert {model.name for model in config.model_config_list.config} <= shipped


def test_canary_config_labels_versions_that_are_served():
    config = parsed("canary.config", model_server_config_pb2.ModelServerConfig())
    (model,) = config.model_config_list.config
    assert set(model.version_labels) == {"stable", "canary"}
    assert set(model.version_labels.values()) == set(model.model_version_policy.specific.versions)


def test_batching_config(messages):
    batching = parsed("batching.config", messages("BatchingParameters")())
    sizes = list(batching.allowed_batch_sizes)
    # What TF Serving demands of them.
    assert sizes == sorted(sizes) and sizes[-1] == batching.max_batch_size.value
    # The local server has the same limit, and the client splits at it.
    assert Settings().most_images == MOST_IMAGES == batching.max_batch_size.value
    assert batching.max_enqueued_batches.value > 0 and batching.num_batch_threads.value > 0


def test_monitoring_config_is_where_everybody_looks(messages):
    config = parsed("monitoring.config", messages("MonitoringConfig")()).prometheus_config
    assert config.enable
    (job,) = yaml.safe_load((SERVING / "monitoring" / "prometheus.yml").read_text())[
        "scrape_configs"
    ]
    assert job["metrics_path"] == config.path
    assert job["static_configs"] == [{"targets": ["serving:8501"]}]
    annotations = manifest("deployment.yaml")["spec"]["template"]["metadata"]["annotations"]
    assert annotations["prometheus.io/path"] == config.path


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """A key and a certificate of its own, by openssl."""
    folder = tmp_path_factory.mktemp("tls")
    command = "openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=localhost -days 1"
    made = [*command.split(), "-keyout", folder / "s.key", "-out", folder / "s.crt"]
    subprocess.run(made, check=True, capture_output=True)
    return folder / "s.key", folder / "s.crt"


def ssl_config(*arguments):
    command = [sys.executable, SERVING / "tls" / "ssl_config.py", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_ssl_config_holds_the_keys(messages, certificate, tmp_path):
    key, certified = certificate
    path = tmp_path / "ssl.config"
    done = ssl_config("--key", key, "--cert", certified, "--output", path)
    assert done.returncode == 0, done.stderr
    config = text_format.Parse(path.read_text(), messages("SSLConfig")())
    assert config.server_key == key.read_text() and config.server_cert == certified.read_text()
    assert not config.client_verify and not config.custom_ca
    assert path.stat().st_mode & 0o777 == 0o600
    done = ssl_config("--key", key, "--cert", certified, "--client_ca", certified, "--output", path)
    assert done.returncode == 0, done.stderr
    config = text_format.Parse(path.read_text(), messages("SSLConfig")())
    assert config.client_verify and config.custom_ca == certified.read_text()


def test_ssl_config_refuses_what_is_no_key(certificate, tmp_path):
    path = tmp_path / "ssl.config"
    for key in (certificate[1], tmp_path / "nowhere"):
        done = ssl_config("--key", key, "--cert", certificate[1], "--output", path)
        assert done.returncode == 1 and "expected a PEM" in done.stderr
        assert "Traceback" not in done.stderr and not path.exists()


def compose(name):
    return yaml.safe_load((SERVING / name).read_text())


@pytest.mark.parametrize("name", ["compose.yaml", "compose.gpu.yaml", "compose.tls.yaml"])
def test_compose_files_fit_their_schema(name):
    schema = Path(check_jsonschema.__file__).parent / "builtin_schemas/vendor/compose-spec.json"
    jsonschema.validate(compose(name), json.loads(schema.read_text()))


def test_compose_mounts_what_is_there_and_the_models_read_only():
    services = compose("compose.yaml")["services"]
    mounts = [mount.split(":") for service in services.values() for mount in service["volumes"]]
    for source, _, *mode in mounts:
        if source.startswith("."):
            assert mode == ["ro"] and (SERVING / source).exists(), source
    assert ["../saved_models", "/models", "ro"] in mounts
    serving = services["serving"]
    assert serving["read_only"] and serving["user"] != "0" and serving["mem_limit"]
    for service in services.values():
        for port in service["ports"]:
            assert port.startswith(("127.0.0.1:", "${BIND:-127.0.0.1}:")), port


def test_flags_name_files_that_are_mounted():
    command = compose("compose.yaml")["services"]["serving"]["command"]
    arguments = manifest("deployment.yaml")["spec"]["template"]["spec"]["containers"][0]["args"]
    for flag in (*command, *arguments):
        for name in re.findall(r"/config/(?:\$\{MODELS_CONFIG:-)?([\w.]+)", flag):
            assert (SERVING / "config" / name).exists(), flag
    (generated,) = yaml.safe_load((SERVING / "config" / "kustomization.yaml").read_text())[
        "configMapGenerator"
    ]
    mounted = {Path(flag.split("=")[1]).name for flag in arguments if "/config/" in flag}
    assert mounted == set(generated["files"])


def test_a_server_ends_at_sigterm():
    """No shell stands between, and the server is not the first process of its container."""
    binary = ["/usr/bin/tensorflow_model_server", "--port=8500", "--rest_api_port=8501"]
    serving = compose("compose.yaml")["services"]["serving"]
    assert serving["init"] is True and serving["entrypoint"] == binary
    for deployment in (manifest("deployment.yaml"), gpu_deployment()):
        pod = deployment["spec"]["template"]["spec"]
        assert pod["shareProcessNamespace"] is True
        assert pod["containers"][0]["command"] == binary


def test_the_tls_overlay_only_adds_its_flag():
    plain = compose("compose.yaml")["services"]["serving"]["command"]
    tls = compose("compose.tls.yaml")["services"]["serving"]
    assert tls["command"] == [*plain, "--ssl_config_file=/run/secrets/ssl.config"]
    assert tls["volumes"] == ["./tls/ssl.config:/run/secrets/ssl.config:ro"]


def manifest(name):
    return yaml.safe_load((CPU / name).read_text())


def gpu_deployment():
    """As kustomize patches it: RFC 6902 on the one target."""
    (patch,) = yaml.safe_load((GPU / "kustomization.yaml").read_text())["patches"]
    assert patch["target"] == {"kind": "Deployment", "name": "serving"}
    return jsonpatch.apply_patch(
        manifest("deployment.yaml"), json.loads((GPU / patch["path"]).read_text())
    )


MANIFESTS = sorted(path.name for path in CPU.glob("*.yaml") if path.name != "kustomization.yaml")


@pytest.mark.parametrize("name", MANIFESTS)
def test_kubernetes_manifests_fit_their_schemas(name):
    kubernetes_validate.validate(manifest(name), "1.34", strict=True)


def test_every_manifest_is_part_of_the_whole():
    resources = yaml.safe_load((CPU / "kustomization.yaml").read_text())["resources"]
    assert sorted(resources) == sorted([*MANIFESTS, "../../config"])
    (base,) = yaml.safe_load((GPU / "kustomization.yaml").read_text())["resources"]
    assert (GPU / base).resolve() == CPU


def test_the_gpu_overlay_fits_its_schema():
    deployment = gpu_deployment()
    kubernetes_validate.validate(deployment, "1.34", strict=True)
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert container["image"].endswith("-gpu")
    assert container["resources"]["limits"]["nvidia.com/gpu"] == "1"


def test_pods_are_confined():
    """What the namespace's label "restricted" demands (Kubernetes' Pod Security Standards)."""
    for deployment in (manifest("deployment.yaml"), gpu_deployment()):
        pod = deployment["spec"]["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"] and pod["securityContext"]["runAsUser"]
        assert pod["securityContext"]["seccompProfile"]["type"] == "RuntimeDefault"
        (container,) = pod["containers"]
        confined = container["securityContext"]
        assert confined["capabilities"] == {"drop": ["ALL"]}
        assert confined["readOnlyRootFilesystem"] and not confined["allowPrivilegeEscalation"]
        assert container["resources"]["limits"]["memory"]
        mounts = {mount["name"]: mount for mount in container["volumeMounts"]}
        assert mounts["models"]["readOnly"] and mounts["config"]["readOnly"]
        assert set(mounts) == {volume["name"] for volume in pod["volumes"]}


def test_names_of_ports_and_labels_agree():
    deployment, service = manifest("deployment.yaml"), manifest("service.yaml")
    pod = deployment["spec"]["template"]
    (container,) = pod["spec"]["containers"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    assert ports == {"grpc": 8500, "rest": 8501}
    assert {port["targetPort"] for port in service["spec"]["ports"]} == set(ports)
    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        (way,) = (value for value in container[probe].values() if isinstance(value, dict))
        assert way["port"] in ports
    selectors = [
        deployment["spec"]["selector"]["matchLabels"],
        service["spec"]["selector"],
        manifest("disruption.yaml")["spec"]["selector"]["matchLabels"],
        manifest("network.yaml")["spec"]["podSelector"]["matchLabels"],
    ]
    assert all(selector == pod["metadata"]["labels"] for selector in selectors)
    claim = pod["spec"]["volumes"][0]["persistentVolumeClaim"]["claimName"]
    assert claim == manifest("models.yaml")["metadata"]["name"]


def dashboard():
    path = SERVING / "monitoring" / "grafana" / "dashboards" / "tfrobust.json"
    return json.loads(path.read_text())


EXPRESSIONS = [target["expr"] for panel in dashboard()["panels"] for target in panel["targets"]]


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_the_dashboard_asks_for_what_is_counted(expression):
    query = expression.replace("$__rate_interval", "5m").replace("$model", ".*")
    promql_parser.parse(query)
    asked = set(re.findall(r":tensorflow:[\w:]+", query))
    for metric in asked:
        name = re.sub(r"_(bucket|sum|count)$", "", metric)
        name = metric if metric in METRICS else name
        assert name in METRICS, metric
        for labels in re.findall(r"(?<=\{)[^}]+(?=\})", query):
            assert set(re.findall(r"(\w+)=", labels)) <= METRICS[name]
        for labels in re.findall(r"by \(([^)]+)\)", query):
            assert set(labels.split(", ")) <= METRICS[name] | {"le"}


def test_grafana_finds_the_dashboard_and_its_data():
    provisioning = SERVING / "monitoring" / "grafana" / "provisioning"
    (source,) = yaml.safe_load((provisioning / "datasources" / "prometheus.yaml").read_text())[
        "datasources"
    ]
    assert source["url"] == "http://prometheus:9090"
    board = dashboard()
    asked = [panel["datasource"] for panel in board["panels"]]
    asked += [variable["datasource"] for variable in board["templating"]["list"]]
    assert all(one == {"type": source["type"], "uid": source["uid"]} for one in asked)
    (provider,) = yaml.safe_load((provisioning / "dashboards" / "tfrobust.yaml").read_text())[
        "providers"
    ]
    mounts = compose("compose.yaml")["services"]["grafana"]["volumes"]
    assert f"./monitoring/grafana/dashboards:{provider['options']['path']}:ro" in mounts
