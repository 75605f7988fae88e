"""What deploy/ names exists: files, ports, rules and addresses agree with each other and with the config's defaults. No container is started here."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from proxy.config import Config, parse

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
SERVICES = COMPOSE["services"]
MANIFESTS = {path.stem: list(yaml.safe_load_all(path.read_text(encoding="utf-8"))) for path in sorted(DEPLOY.glob("kubernetes/*.yaml"))}
PORTS = {"proxy": Config().listen.port, "admin": Config().admin.port}
PROMETHEUS = yaml.safe_load((DEPLOY / "prometheus.yml").read_text(encoding="utf-8"))
DOCKERFILE = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
UNIT = (DEPLOY / "weighbridge.service").read_text(encoding="utf-8")


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def mounts_of(service: str) -> dict[str, str]:
    """Where a service sees what: path in the container → path here, or name of a volume."""
    return {there: here for here, there in (volume.split(":")[:2] for volume in SERVICES[service].get("volumes", []))}


@pytest.mark.parametrize("service", SERVICES)
def test_what_a_service_mounts_is_there(service: str) -> None:
    for here in mounts_of(service).values():
        assert (DEPLOY / here).exists() if here.startswith(".") else here in COMPOSE["volumes"], here
    assert set(SERVICES[service].get("depends_on", [])) <= set(SERVICES)


@pytest.mark.parametrize("service", SERVICES)
def test_images_are_pinned_and_ports_are_for_this_machine_only(service: str) -> None:
    assert re.fullmatch(r"[\w./-]+:v?\d+\.\d+\.\d+", SERVICES[service]["image"])
    assert all(port.startswith("127.0.0.1:") for port in SERVICES[service]["ports"])


def test_the_ports_are_those_of_the_config() -> None:
    assert SERVICES["weighbridge"]["ports"] == [f"127.0.0.1:{port}:{port}" for port in PORTS.values()]
    assert f"EXPOSE {PORTS['proxy']} {PORTS['admin']}" in DOCKERFILE and f"127.0.0.1:{PORTS['admin']}/readyz" in DOCKERFILE
    assert PROMETHEUS["scrape_configs"][0]["static_configs"] == [{"targets": [f"weighbridge:{PORTS['admin']}"]}]


def test_services_name_each_other() -> None:
    (alertmanager,) = PROMETHEUS["alerting"]["alertmanagers"][0]["static_configs"][0]["targets"]
    environment = SERVICES["grafana"]["environment"]
    for address in (alertmanager, environment["PROMETHEUS_URL"], environment["WEIGHBRIDGE_URL"]):
        host, port = address.removeprefix("http://").split(":")
        assert any(published.endswith(f":{port}") for published in SERVICES[host]["ports"]), address


def test_prometheus_finds_all_rules_and_no_test() -> None:
    here = DEPLOY / mounts_of("prometheus")["/etc/weighbridge/rules"]
    assert here.resolve() == ROOT / "dashboards" / "rules"
    found = {path.resolve() for pattern in PROMETHEUS["rule_files"] for path in here.glob(str(Path(pattern).relative_to("/etc/weighbridge/rules")))}
    assert found == set((ROOT / "dashboards" / "rules").rglob("*.yml")) - set((ROOT / "dashboards" / "rules" / "tests").iterdir())


def test_grafana_finds_its_sources_and_dashboards() -> None:
    mounts, environment = mounts_of("grafana"), SERVICES["grafana"]["environment"]
    provisioning = DEPLOY / mounts["/etc/grafana/provisioning"]
    (provider,) = yaml.safe_load(read(provisioning / "dashboards" / "weighbridge.yaml"))["providers"]
    assert list((DEPLOY / mounts[provider["options"]["path"]]).glob("*.json"))
    sources = read(provisioning / "datasources" / "weighbridge.yaml")
    asked = {name for line in sources.splitlines() if not line.lstrip().startswith("#") for name in re.findall(r"(?<!\$)\$([A-Z_]+)", line)}
    assert asked <= set(environment)
    assert environment["GF_PLUGINS_PREINSTALL"] in sources


def test_what_the_image_copies_and_runs_is_there() -> None:
    for names in re.findall(r"^COPY (.+) \S+$", DOCKERFILE, re.MULTILINE):
        assert all((ROOT / name).exists() for name in names.split())
    assert mounts_of("weighbridge")["/etc/weighbridge/weighbridge.yaml"] == "./weighbridge.yaml"
    assert "/etc/weighbridge/weighbridge.yaml" in DOCKERFILE.splitlines()[-1]
    assert COMPOSE["services"]["weighbridge"]["build"] == {"context": "..", "dockerfile": "deploy/Dockerfile"}


def list_configs() -> dict[str, str]:
    found = {"compose": (DEPLOY / "weighbridge.yaml").read_text(encoding="utf-8")}
    for name, manifests in MANIFESTS.items():
        found[name] = next(one for one in manifests if one["kind"] == "ConfigMap")["data"]["weighbridge.yaml"]
    return found


@pytest.mark.parametrize(("name", "text"), list_configs().items())
def test_the_configs_have_no_fault_and_are_kept_on_a_volume(name: str, text: str) -> None:
    config = parse(text, environment={"OPENAI_API_KEY": "sk-test-0123456789abcdef"})
    assert (config.listen.port, config.admin.port) == tuple(PORTS.values())
    assert Path(config.state_dir).parent == Path("/var/lib/weighbridge")


def containers_of(manifest: dict[str, Any]) -> list[dict[str, Any]]:
    pod = manifest["spec"]["template"]["spec"]
    return [*pod.get("initContainers", []), *pod["containers"]]


@pytest.mark.parametrize("name", MANIFESTS)
def test_manifests_hang_together(name: str) -> None:
    by_kind = {one["kind"]: one for one in MANIFESTS[name]}
    deployment = by_kind["Deployment"]
    pod = deployment["spec"]["template"]
    assert pod["metadata"]["labels"] == deployment["spec"]["selector"]["matchLabels"]
    assert pod["metadata"]["annotations"]["prometheus.io/port"] == str(PORTS["admin"])
    volumes = {volume["name"]: volume for volume in pod["spec"]["volumes"]}
    assert volumes["config"]["configMap"]["name"] == by_kind["ConfigMap"]["metadata"]["name"]
    (ours,) = (container for container in containers_of(deployment) if container["name"] == "weighbridge")
    assert ours["image"] == SERVICES["weighbridge"]["image"] and {mount["name"] for mount in ours["volumeMounts"]} == set(volumes)
    ports = {port["name"]: port["containerPort"] for port in ours["ports"]}
    assert ports.items() <= PORTS.items()
    assert {ours[probe]["httpGet"]["port"] for probe in ours if probe.endswith("Probe")} <= set(ports)
    if "Service" in by_kind:
        assert by_kind["Service"]["spec"]["selector"] == pod["metadata"]["labels"]
        assert {port["targetPort"]: port["port"] for port in by_kind["Service"]["spec"]["ports"]} == ports
        assert volumes["state"]["persistentVolumeClaim"]["claimName"] == by_kind["PersistentVolumeClaim"]["metadata"]["name"]


def test_whatever_stops_it_waits_longer_than_its_grace() -> None:
    longest = Config().limits.stop_grace_s + 3.0
    assert float(SERVICES["weighbridge"]["stop_grace_period"].removesuffix("s")) > longest
    stop = re.search(r"^TimeoutStopSec=(\d+)$", UNIT, re.MULTILINE)
    assert stop and float(stop[1]) > longest
    for manifests in MANIFESTS.values():
        assert all(one["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] > longest for one in manifests if one["kind"] == "Deployment")


def test_prometheus_and_alertmanager_accept_their_configs(tmp_path: Path) -> None:
    prometheus = tmp_path / "prometheus.yml"
    prometheus.write_text(read(DEPLOY / "prometheus.yml").replace("/etc/weighbridge", str(ROOT / "dashboards")), encoding="utf-8")
    for command in (["promtool", "check", "config", str(prometheus)], ["amtool", "check-config", str(DEPLOY / "alertmanager.yml")]):
        done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stdout + done.stderr


def test_every_file_stands_in_the_readme_and_every_named_one_is_there() -> None:
    table = re.findall(r"^\| (`.+?) \|", read(DEPLOY / "README.md"), re.MULTILINE)
    named = {name for cell in table for name in re.findall(r"`(.+?)`", cell)}
    there = {str(path.relative_to(DEPLOY)) for path in DEPLOY.rglob("*") if path.is_file() and "__pycache__" not in path.parts}
    assert named == there - {"README.md"}
