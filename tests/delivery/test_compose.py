"""The rules that compose.yaml obeys: confined containers, local ports, no password in a file, and nothing missing."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from smp.bootstrap.settings import FILE_SUFFIX, load_settings

ROOT: Final = Path(__file__).parents[2]
COMPOSE: Final[dict[str, Any]] = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
SERVICES: Final[dict[str, dict[str, Any]]] = COMPOSE["services"]
OURS: Final = ("secrets", "migrate", "smp")


def mounts(service: str) -> dict[str, tuple[str, str]]:
    """Return what is mounted, and how, by its path in the container."""
    split = [volume.split(":") for volume in SERVICES[service]["volumes"]]
    return {path: (source, "".join(mode)) for source, path, *mode in split}


def default(text: object) -> str:
    """Return the value of ``${NAME:-default}`` if NAME is not set."""
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", str(text))


@pytest.mark.parametrize("name", SERVICES)
def test_a_container_is_confined_has_limits_and_is_reachable_from_this_machine_only(name: str) -> None:
    service = SERVICES[name]
    assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not {"cap_add", "privileged", "pid", "ipc", "devices"} & service.keys()
    assert service["deploy"]["resources"]["limits"].keys() == {"cpus", "memory", "pids"}
    assert service["logging"]["options"]["max-size"]
    assert all("noexec" in place and "size=" in place for place in service.get("tmpfs", []))
    assert all(default(port).startswith("127.0.0.1:") for port in service.get("ports", []))
    assert service["restart"] == "no" or "healthcheck" in service
    # Only the container that writes into new volumes is root; it has no network.
    assert service.get("user") != "0:0" or service["network_mode"] == "none"
    if name not in OURS:
        assert re.fullmatch(r"[\w./-]+:v?\d+\.\d+[\w.-]*@sha256:[0-9a-f]{64}", service["image"])


def test_only_the_service_reaches_the_database() -> None:
    assert COMPOSE["networks"]["database"] == {"internal": True}
    reaching = {name for name, service in SERVICES.items() if "database" in service.get("networks", [])}
    assert reaching == {"postgres", "migrate", "smp"}
    assert SERVICES["postgres"]["networks"] == ["database"]


@pytest.mark.parametrize("name", SERVICES)
def test_a_container_starts_after_what_it_needs_and_every_mount_exists(name: str) -> None:
    earlier = [name]
    for each in earlier:
        earlier.extend(SERVICES[each].get("depends_on", {}))
    assert name != "smp" or {"migrate", "postgres"} <= set(earlier)
    for path, (source, mode) in mounts(name).items():
        assert not source.endswith("-secrets") or "secrets" in earlier
        assert source in COMPOSE["volumes"] or ((ROOT / source).is_file() and mode == "ro")
        assert not path.startswith("/run/secrets") or name == "secrets" or mode == "ro"


def test_a_secret_is_in_no_variable_and_mounted_only_where_it_is_needed() -> None:
    mounted = {
        volume: {name for name in SERVICES for source, _ in mounts(name).values() if source == volume}
        for volume in COMPOSE["volumes"]
        if volume.endswith("-secrets")
    }
    assert mounted == {
        "database-secrets": {"secrets", "postgres", "migrate", "smp"},
        "admin-secrets": {"secrets", "smp"},
        "grafana-secrets": {"secrets", "grafana"},
    }
    for service in SERVICES.values():
        for variable, value in service.get("environment", {}).items():
            if re.search(r"PASSWORD|DATABASE_URL", variable):
                assert variable.endswith("_FILE")
                assert str(value).startswith("/run/secrets/")


@pytest.mark.parametrize("environment", ["production", "development"])
@pytest.mark.parametrize("name", ["migrate", "smp"])
def test_the_program_accepts_its_settings(name: str, environment: str, tmp_path: Path) -> None:
    make_secrets(tmp_path)
    environ = {variable: default(value) for variable, value in SERVICES[name]["environment"].items()}
    assert environ["SMP_ENV"] == "production"
    for variable, value in environ.items():
        if variable.endswith(FILE_SUFFIX):
            environ[variable] = str(tmp_path / Path(value).relative_to("/run/secrets"))
    settings = load_settings({**environ, "SMP_ENV": environment})
    assert str(settings.database_url).endswith("@postgres:5432/smp")
    if name == "smp":
        assert SERVICES["smp"]["ports"][0].endswith(f":{settings.port}")
        assert int(SERVICES["smp"]["stop_grace_period"].removesuffix("s")) > settings.shutdown_grace_s
        assert settings.sweep_interval_s > 0


def make_secrets(folder: Path) -> dict[str, str]:
    """Run the script, and return the content of its files."""
    for name in ("database", "admin", "grafana"):
        (folder / name).mkdir(exist_ok=True)
    script = ROOT / "compose" / "make_secrets.py"
    subprocess.run([sys.executable, "-I", script, folder], check=True, timeout=30)
    files = [path for path in folder.rglob("*") if path.is_file()]
    # Each container has another account.
    assert {path.stat().st_mode & 0o777 for path in files} == {0o444}
    return {str(path.relative_to(folder)): path.read_text(encoding="ascii") for path in files}


def test_passwords_are_created_once_and_only_a_lost_one_is_replaced(tmp_path: Path) -> None:
    first = make_secrets(tmp_path)
    passwords = [first[f"{name}/password"] for name in ("database", "admin", "grafana")]
    assert first["database/url"] == f"postgresql://smp:{passwords[0]}@postgres:5432/smp"
    assert (len(set(passwords)), {len(password) for password in passwords}) == (3, {43})
    assert make_secrets(tmp_path) == first
    (tmp_path / "grafana" / "password").unlink()
    second = make_secrets(tmp_path)
    assert {name for name in first if first[name] != second[name]} == {"grafana/password"}


def test_prometheus_scrapes_the_service_and_loads_the_rules() -> None:
    config = yaml.safe_load((ROOT / "compose" / "prometheus" / "prometheus.yml").read_text(encoding="utf-8"))
    targets = {job["job_name"]: job["static_configs"][0]["targets"] for job in config["scrape_configs"]}
    assert targets["smp"] == [f"smp:{SERVICES['smp']['environment']['SMP_METRICS_PORT']}"]
    (pattern,) = config["rule_files"]
    assert any(Path(path).match(pattern) for path in mounts("prometheus"))
    (option,) = [text for text in SERVICES["prometheus"]["command"] if text.startswith("--config.file=")]
    assert option.removeprefix("--config.file=") in mounts("prometheus")


def test_grafana_shows_the_dashboard_with_the_data_of_prometheus() -> None:
    files = {name: ROOT / "compose" / "grafana" / f"{name}.yaml" for name in ("datasource", "dashboards")}
    (source,) = yaml.safe_load(files["datasource"].read_text(encoding="utf-8"))["datasources"]
    (provider,) = yaml.safe_load(files["dashboards"].read_text(encoding="utf-8"))["providers"]
    assert (source["type"], source["url"], source["isDefault"]) == ("prometheus", "http://prometheus:9090", True)
    home = SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert str(Path(home).parent) == provider["options"]["path"]
    assert json.loads((ROOT / mounts("grafana")[home][0]).read_text(encoding="utf-8"))["uid"] == "smp"
