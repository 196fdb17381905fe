"""compose.yaml and what it mounts: confined, reachable from this machine only, with no password in it, and complete."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

from smp.bootstrap.settings import FILE_SUFFIX, VARIABLES, Environment, load_settings

ROOT: Final = Path(__file__).parents[2]
COMPOSE: Final[dict[str, Any]] = yaml.safe_load((ROOT / "compose.yaml").read_text(encoding="utf-8"))
SERVICES: Final[dict[str, dict[str, Any]]] = COMPOSE["services"]
OURS: Final = ("secrets", "migrate", "smp")
ONE_SHOT: Final = ("secrets", "migrate")


def document(path: str) -> dict[str, Any]:
    """A YAML file of the repository."""
    found: dict[str, Any] = yaml.safe_load((ROOT / path).read_text(encoding="utf-8"))
    return found


def defaults(text: object) -> str:
    """The value where nothing is set: `${NAME:-default}` is the default."""
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", str(text))


def mounts(service: str) -> dict[str, tuple[str, str]]:
    """By the place inside: what is mounted there, and how."""
    split = [volume.split(":") for volume in SERVICES[service]["volumes"]]
    return {inside: (source, "".join(mode)) for source, inside, *mode in split}


@pytest.mark.parametrize("name", SERVICES)
def test_every_container_is_confined(name: str) -> None:
    """It cannot write, has no privilege and gets none, and takes its share of the machine at most."""
    service = SERVICES[name]
    assert service["read_only"] is True
    assert (service["cap_drop"], service.get("cap_add")) == (["ALL"], None)
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not {"privileged", "pid", "ipc", "devices"} & service.keys()
    assert service["deploy"]["resources"]["limits"].keys() == {"cpus", "memory", "pids"}
    assert service["logging"]["options"]["max-size"]
    assert all("noexec" in place and "size=" in place for place in service.get("tmpfs", []))


@pytest.mark.parametrize("name", [name for name in SERVICES if name not in OURS])
def test_an_image_of_others_is_one_image_for_ever(name: str) -> None:
    """By its version and its digest, and not as root."""
    assert re.fullmatch(r"[\w./-]+:v?\d+\.\d+[\w.-]*@sha256:[0-9a-f]{64}", SERVICES[name]["image"])
    assert int(SERVICES[name]["user"].partition(":")[0]) > 0


def test_postgres_is_one_that_is_tested() -> None:
    """The newest of those that the settings name."""
    assert SERVICES["postgres"]["image"].startswith("postgres:18.")
    (url,) = [variable for variable in VARIABLES if variable.name == "SMP_DATABASE_URL"]
    assert "15 to 18" in url.description


def test_ours_is_built_here_once_and_runs_as_the_image_says() -> None:
    """But for the one that writes into new volumes, which has neither capability nor network."""
    assert {SERVICES[name]["image"] for name in OURS} == {"smp:local"}
    assert [name for name in SERVICES if "build" in SERVICES[name]] == ["secrets"]
    assert {name: SERVICES[name].get("user") for name in OURS} == {"secrets": "0:0", "migrate": None, "smp": None}
    assert SERVICES["secrets"]["network_mode"] == "none"


@pytest.mark.parametrize("name", SERVICES)
def test_ports_are_this_machines_only(name: str) -> None:
    """Whoever publishes them further puts TLS in front."""
    assert all(defaults(port).startswith("127.0.0.1:") for port in SERVICES[name].get("ports", []))


def test_the_database_is_reached_by_ours_only() -> None:
    """It has no port and no way out."""
    assert COMPOSE["networks"]["database"] == {"internal": True}
    reaching = {name for name, service in SERVICES.items() if "database" in service.get("networks", [])}
    assert reaching == {"postgres", "migrate", "smp"}
    assert SERVICES["postgres"]["networks"] == ["database"]
    assert "ports" not in SERVICES["postgres"]


def test_each_begins_after_what_it_needs() -> None:
    """Passwords, database, schema, service."""
    conditions = {
        name: {needed: how["condition"] for needed, how in service.get("depends_on", {}).items()}
        for name, service in SERVICES.items()
    }
    ended = "service_completed_successfully"
    assert conditions == {
        "secrets": {},
        "postgres": {"secrets": ended},
        "migrate": {"postgres": "service_healthy"},
        "smp": {"migrate": ended},
        "prometheus": {},
        "grafana": {"secrets": ended},
    }
    assert {name for name, service in SERVICES.items() if service["restart"] == "no"} == set(ONE_SHOT)


@pytest.mark.parametrize("name", [name for name in SERVICES if name not in ONE_SHOT])
def test_what_stays_is_asked_how_it_is(name: str) -> None:
    """By a question of its own, or by its image's."""
    check = SERVICES[name]["healthcheck"]
    assert "interval" in check
    assert ("test" in check) == (name != "smp")


@pytest.mark.parametrize("environment", ["production", "development"])
@pytest.mark.parametrize("name", ["migrate", "smp"])
def test_ours_is_given_settings_that_exist(name: str, environment: str, tmp_path: Path) -> None:
    """Production unless said otherwise; the database and the sweep are the service's own."""
    environ = {variable: defaults(value) for variable, value in SERVICES[name]["environment"].items()}
    assert environ["SMP_ENV"] == "production"
    make_secrets(tmp_path)
    for variable, value in environ.items():
        if variable.endswith(FILE_SUFFIX):
            environ[variable] = str(tmp_path / Path(value).relative_to("/run/secrets"))
    settings = load_settings({**environ, "SMP_ENV": environment})
    assert settings.database_url is not None
    assert settings.database_url.endswith("@postgres:5432/smp")
    if name == "smp":
        assert (settings.metrics_port, settings.sweep_interval_s > 0) == (9_000, True)
        assert f"{settings.port}" == SERVICES["smp"]["ports"][0].rpartition(":")[2]
        assert int(SERVICES["smp"]["stop_grace_period"].removesuffix("s")) > settings.shutdown_grace_s
        assert settings.environment is Environment(environment)


@pytest.mark.parametrize("name", SERVICES)
def test_what_is_mounted_is_there(name: str) -> None:
    """A file of the repository, which nobody inside can change, or a volume that is declared."""
    for inside, (source, mode) in mounts(name).items():
        if source.startswith("./"):
            assert (ROOT / source).is_file(), source
            assert mode == "ro"
        else:
            assert source in COMPOSE["volumes"]
            assert (mode == "ro") == (inside.startswith("/run/secrets") and name != "secrets")


def test_secrets_are_known_to_those_who_need_them() -> None:
    """And stand in no environment."""
    knowing = {
        volume: {name for name in SERVICES for source, _ in mounts(name).values() if source == volume}
        for volume in COMPOSE["volumes"]
        if volume.endswith("-secrets")
    }
    assert knowing == {
        "database-secrets": {"secrets", "postgres", "migrate", "smp"},
        "admin-secrets": {"secrets", "smp"},
        "grafana-secrets": {"secrets", "grafana"},
    }
    for service in SERVICES.values():
        for variable, value in service.get("environment", {}).items():
            if re.search(r"PASSWORD|DATABASE_URL", variable):
                assert variable.endswith("_FILE")
                assert str(value).startswith("/run/secrets/")


def make_secrets(folder: Path) -> None:
    for name in ("database", "admin", "grafana"):
        (folder / name).mkdir(exist_ok=True)
    script = ROOT / "compose" / "make_secrets.py"
    subprocess.run([sys.executable, "-I", script, folder], check=True, timeout=30)


def test_passwords_are_made_once(tmp_path: Path) -> None:
    """Each of its own, readable for the accounts of the other containers, and the same ever after."""
    make_secrets(tmp_path)
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    first = {str(path.relative_to(tmp_path)): path.read_text(encoding="ascii") for path in files}
    assert first.keys() == {"database/password", "database/url", "admin/password", "grafana/password"}
    assert first["database/url"] == f"postgresql://smp:{first['database/password']}@postgres:5432/smp"
    assert len({first[f"{who}/password"] for who in ("database", "admin", "grafana")}) == 3
    assert all(len(first[f"{who}/password"]) == 43 for who in ("database", "admin", "grafana"))
    assert {path.stat().st_mode & 0o777 for path in files} == {0o444}
    make_secrets(tmp_path)
    assert {str(path.relative_to(tmp_path)): path.read_text(encoding="ascii") for path in files} == first


def test_a_password_that_was_lost_is_made_anew_alone(tmp_path: Path) -> None:
    """As after a volume was removed: the other ones stay, for a database knows them."""
    make_secrets(tmp_path)
    kept = (tmp_path / "database" / "password").read_text(encoding="ascii")
    lost = (tmp_path / "grafana" / "password").read_text(encoding="ascii")
    (tmp_path / "grafana" / "password").unlink()
    make_secrets(tmp_path)
    assert (tmp_path / "database" / "password").read_text(encoding="ascii") == kept
    assert (tmp_path / "grafana" / "password").read_text(encoding="ascii") != lost


def test_prometheus_reads_the_service_and_the_rules() -> None:
    """At the port of the metrics; where the rules are mounted."""
    config = document("compose/prometheus/prometheus.yml")
    targets = {job["job_name"]: job["static_configs"][0]["targets"] for job in config["scrape_configs"]}
    port = SERVICES["smp"]["environment"]["SMP_METRICS_PORT"]
    assert targets["smp"] == [f"smp:{port}"]
    (pattern,) = config["rule_files"]
    assert [inside for inside in mounts("prometheus") if Path(inside).match(pattern)] == [
        "/etc/prometheus/rules/smp.yml"
    ]
    (configured,) = [text for text in SERVICES["prometheus"]["command"] if text.startswith("--config.file=")]
    assert configured.removeprefix("--config.file=") in mounts("prometheus")


def test_grafana_shows_the_dashboard_from_that_prometheus() -> None:
    """Found where it is mounted, as the page that one begins with, with a source of data that is there."""
    (source,) = document("compose/grafana/datasource.yaml")["datasources"]
    assert (source["type"], source["url"], source["isDefault"]) == ("prometheus", "http://prometheus:9090", True)
    (provider,) = document("compose/grafana/dashboards.yaml")["providers"]
    home = SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    assert str(Path(home).parent) == provider["options"]["path"]
    dashboard = json.loads((ROOT / mounts("grafana")[home][0]).read_text(encoding="utf-8"))
    variables = {f"${{{variable['name']}}}" for variable in dashboard["templating"]["list"]}
    used = {panel["datasource"]["uid"] for panel in dashboard["panels"] if "datasource" in panel}
    assert used
    assert used <= variables | {source["uid"]}
