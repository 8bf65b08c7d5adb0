"""What deploy/ brings is well-formed, agrees with the program, and leaves a stop the time it takes."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import jsonschema_rs
import kubernetes_validate
import pytest
import yaml

from tests.deploy.page import DEPLOY, ROOT, TEXT
from tracklayer.model.duration import parse_duration
from tracklayer.settings import CLIENT_VARIABLES, Settings, SettingsError, load_settings, settings_table

UNITS = sorted((DEPLOY / "systemd").glob("*.service"))
FILES = sorted(path for path in DEPLOY.rglob("*") if path.is_file())
STOP = Settings().stop_timeout
OLDEST, NEWEST = "1.25", "1.37"  # Kubernetes whose schemas the manifest is held against


def manifest(kind: str) -> Iterator[dict[str, Any]]:
    found = list(yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text(encoding="utf-8")))
    yield from (each for each in found if each["kind"] == kind)


def compose() -> Any:
    return yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))


def options(unit: Path) -> dict[str, list[str]]:
    """A unit's lines by name; one that comes twice has two values."""
    found: dict[str, list[str]] = {}
    for name, value in re.findall(r"^(\w+)=(.*)$", unit.read_text(encoding="utf-8"), re.MULTILINE):
        found.setdefault(name, []).append(value)
    return found


@pytest.mark.parametrize("path", [*FILES, ROOT / "docs" / "deploy.md"], ids=lambda path: str(path.name))
def test_every_variable_that_is_named_is_a_setting(path: Path) -> None:
    known = {entry.variable for entry in settings_table()} | set(CLIENT_VARIABLES)
    assert set(re.findall(r"TRACKLAYER_[A-Z][A-Z_]*[A-Z]", path.read_text(encoding="utf-8"))) <= known


def test_every_file_is_on_the_page() -> None:
    named = {
        path.resolve() for path in (ROOT / "docs" / link for link in re.findall(r"\]\((\.\./deploy/[^)]*)\)", TEXT))
    }
    assert not [path for path in named if not path.exists()]
    unnamed = {path for path in FILES if not named & {path, *path.parents}}
    assert unnamed == {DEPLOY / "Dockerfile.dockerignore"}


@pytest.mark.parametrize("unit", UNITS, ids=lambda unit: str(unit.name))
def test_a_unit_is_what_systemd_expects(unit: Path, tmp_path: Path) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed: apt-get install systemd")
    program = tmp_path / "tracklayer"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    name = unit.name.replace("@.", "@8080.")
    text = unit.read_text(encoding="utf-8")
    assert "ExecStart=/opt/tracklayer/bin/tracklayer serve\n" in text
    (tmp_path / name).write_text(text.replace("/opt/tracklayer/bin/tracklayer", str(program)))
    for check in (["verify"], ["security", "--offline=true", "--threshold=20"]):  # tenths: of 10, the less the better
        done = subprocess.run(
            ["systemd-analyze", *check, f"./{name}"], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr
        assert tmp_path.name not in done.stderr, "verify warns, and ends with 0"


def test_units_keep_the_process_in_bounds_and_let_it_end_in_good_order() -> None:
    assert {unit.name for unit in UNITS} == {
        "tracklayer.service",
        "tracklayer-api@.service",
        "tracklayer-worker@.service",
    }
    for unit in UNITS:
        given = options(unit)
        for name, value in {
            "DynamicUser": "yes",
            "NoNewPrivileges": "yes",
            "ProtectSystem": "strict",
            "ProtectHome": "yes",
            "PrivateTmp": "yes",
            "KillSignal": "SIGTERM",
            "KillMode": "mixed",
            "Restart": "on-failure",
            "RestartPreventExitStatus": "2",  # wrong settings, see `cli.main`
        }.items():
            assert given[name] == [value], (unit.name, name)
        assert int(given["LimitNOFILE"][0]) >= 65536
        assert parse_duration(given["TimeoutStopSec"][0]) >= 2 * STOP
        environment = dict(word.split("=") for line in given["Environment"] for word in line.split())
        made = {name: value.replace("%i", "8080") for name, value in environment.items()}
        settings = load_settings(made)
        assert settings.role == ("all" if "@" not in unit.name else unit.name.split("@")[0].split("-")[1])
        assert str(settings.data_dir) == f"/var/lib/{given['StateDirectory'][0].replace('%i', '8080')}"


@pytest.mark.parametrize("version", [OLDEST, NEWEST])
def test_the_manifest_is_what_kubernetes_expects(version: str) -> None:
    documents = list(yaml.safe_load_all((DEPLOY / "kubernetes.yaml").read_text(encoding="utf-8")))
    for document in documents:
        kubernetes_validate.validate(document, version, strict=True)
    assert [document["kind"] for document in documents] == [
        "Secret",
        "ConfigMap",
        "Deployment",
        "Deployment",
        "Service",
        "PodDisruptionBudget",
        "PodDisruptionBudget",
    ]


def test_a_manifest_with_an_unknown_field_would_be_noticed() -> None:
    (service,) = manifest("Service")
    service["spec"]["sessionAfinity"] = "ClientIP"
    with pytest.raises(kubernetes_validate.ValidationError, match="sessionAfinity"):
        kubernetes_validate.validate(service, NEWEST, strict=True)


def test_pods_are_asked_what_they_answer_and_have_the_time_to_stop() -> None:
    labels = {}
    for deployment in manifest("Deployment"):
        template = deployment["spec"]["template"]
        pod = template["spec"]
        (container,) = pod["containers"]
        role = container["env"][0]
        assert role["name"] == "TRACKLAYER_ROLE"
        assert deployment["metadata"]["name"] == f"tracklayer-{role['value']}"
        assert deployment["spec"]["selector"]["matchLabels"] == template["metadata"]["labels"]
        labels[role["value"]] = template["metadata"]["labels"]
        assert (
            container["livenessProbe"]["httpGet"]["path"] == container["startupProbe"]["httpGet"]["path"] == "/healthz"
        )
        assert container["readinessProbe"]["httpGet"]["path"] == "/readyz"
        waits = container.get("lifecycle", {}).get("preStop", {"exec": {"command": ["sleep", "0"]}})
        paused = int(waits["exec"]["command"][1])
        assert pod["terminationGracePeriodSeconds"] >= paused + 2 * STOP
        assert pod["enableServiceLinks"] is False
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert container["securityContext"]["allowPrivilegeEscalation"] is False
    assert labels.keys() == {"api", "worker"}
    (service,) = manifest("Service")
    assert service["spec"]["selector"] == labels["api"]
    assert [budget["spec"]["selector"]["matchLabels"] for budget in manifest("PodDisruptionBudget")] == list(
        labels.values()
    )


def test_settings_of_the_manifest_are_taken_and_its_placeholders_refused() -> None:
    (config,), (secret,) = manifest("ConfigMap"), manifest("Secret")
    load_settings(config["data"])
    for name, value in secret["stringData"].items():
        with pytest.raises(SettingsError, match=name):
            load_settings({name: value})


def test_the_compose_file_is_what_compose_expects() -> None:
    found = find_spec("check_jsonschema")
    assert found is not None
    assert found.origin is not None
    schema = json.loads((Path(found.origin).parent / "builtin_schemas/vendor/compose-spec.json").read_text("utf-8"))
    validator = jsonschema_rs.validator_for(schema)
    validator.validate(compose())
    assert not validator.is_valid({"services": {"api": {"imagee": "tracklayer"}}})


def test_compose_runs_one_who_takes_events_and_two_who_deliver_and_lets_them_end() -> None:
    services = compose()["services"]
    assert services.keys() == {"postgres", "api", "worker", "proxy"}
    assert services["worker"]["deploy"]["replicas"] == 2
    for role in ("api", "worker"):
        service = services[role]
        assert parse_duration(service["stop_grace_period"]) >= 2 * STOP
        values = {"POSTGRES_PASSWORD": "pw", "TRACKLAYER_MASTER_KEY": 43 * "A" + "=", "TRACKLAYER_ADMIN_KEY": 40 * "k"}
        given = {name: _filled(value, values) for name, value in service["environment"].items()}
        settings = load_settings(given)
        assert settings.role == role
        assert settings.database_url == "postgresql+asyncpg://tracklayer:pw@postgres/tracklayer"
        assert service["build"]["dockerfile"] == "deploy/Dockerfile"
    assert all(port.startswith("127.0.0.1:") for port in services["proxy"]["ports"]), "plain HTTP is for this host only"


def _filled(text: str, values: dict[str, str]) -> str:
    """As compose fills variables in: `${NAME:?message}`, `${NAME:-default}`."""
    return re.sub(
        r"\$\{(\w+):([?-])([^}]*)\}",
        lambda found: values[found[1]] if found[2] == "?" else values.get(found[1], found[3]),
        text,
    )


def test_the_image_is_made_of_files_that_are_there() -> None:
    text = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
    let_in = (DEPLOY / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    copied = [source for line in re.findall(r"^COPY (?!--)(.*) \S+$", text, re.MULTILINE) for source in line.split()]
    assert len(copied) >= 6
    for source in copied:
        assert (ROOT / source).exists(), source
        assert f"!{source}" in let_in
    load_settings(dict(re.findall(r"(TRACKLAYER_[A-Z_]+)=(\S+)", text)))
    user = re.findall(r"^USER (\d+):", text, re.MULTILINE)
    assert (
        user
        == [str(pod["spec"]["template"]["spec"]["securityContext"]["runAsUser"]) for pod in manifest("Deployment")][:1]
    )
