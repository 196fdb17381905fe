"""The Kubernetes manifests agree with the program: settings, commands, ports, time-outs, exit codes and connections."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml

from smp.adapters.cli.program import build_program
from smp.adapters.http.health.controllers import LIVE_PATH, READY_PATH
from smp.adapters.http.middleware.limits import BODY_DEADLINE_S
from smp.adapters.postgres import pool, pool_settings
from smp.bootstrap.failures import EXIT_ASKED_WRONGLY
from smp.bootstrap.http import READINESS_LIMIT_S
from smp.bootstrap.runtime import ProcessServices
from smp.bootstrap.settings import Environment, Settings, load_settings
from smp.bootstrap.tracing import are_traces_enabled
from tests.support.manifests import K8S, OVERLAYS, Workload, overlay, traced

DOCS: Final = K8S.parent / "docs"
OURS: Final = (("Deployment", "smp"), ("Job", "smp-migrate"), ("CronJob", "smp-expire"))
OTHER_CONNECTIONS: Final = 2 + 13
"""Two for a migration; three that PostgreSQL reserves, and ten for an operator, an exporter and a person with psql."""

LONGEST_REQUEST_S: Final = BODY_DEADLINE_S + pool_settings.STATEMENT_TIMEOUT_MS / 1000

pytestmark = pytest.mark.parametrize("name", OVERLAYS)


def settings_of(workload: Workload, variables: Mapping[str, str], folder: Path) -> Settings:
    """Load the settings as the program does, with the files that the workload mounts. An unknown name raises."""
    (mount,) = [each for each in workload.container["volumeMounts"] if each["name"] == "secrets"]
    (volume,) = [each for each in workload.pod["volumes"] if each["name"] == "secrets"]
    for source in volume["projected"]["sources"]:
        for item in source["secret"]["items"]:
            (folder / item["path"]).write_text("postgresql://smp:secret@db:5432/smp")
    return load_settings({key: text.replace(mount["mountPath"], str(folder)) for key, text in variables.items()})


@pytest.fixture
def served(name: str) -> Workload:
    """The pods that answer requests."""
    return overlay(name).workload("Deployment", "smp")


@pytest.fixture
def settings(name: str, served: Workload, tmp_path: Path) -> Settings:
    """The settings of the pods that answer requests."""
    return settings_of(served, overlay(name).environment(served), tmp_path)


@pytest.mark.parametrize(("kind", "workload"), OURS)
def test_the_program_accepts_the_command_and_the_settings_of_a_pod(
    name: str, kind: str, workload: str, tmp_path: Path
) -> None:
    pod = overlay(name).workload(kind, workload)
    assert settings_of(pod, overlay(name).environment(pod), tmp_path).database_url is not None
    command, *options = pod.container["args"]
    parameters = build_program(ProcessServices({})).commands[command].params
    assert set(options) <= {option for parameter in parameters for option in parameter.opts}


def test_the_settings_fit_the_cluster(name: str, served: Workload, settings: Settings) -> None:
    """One worker per pod, JSON logs, and a CronJob instead of the expiry job inside the service."""
    assert settings.environment is {"dev": Environment.DEVELOPMENT, "production": Environment.PRODUCTION}[name]
    assert served.ports == {"http": settings.port, "metrics": settings.metrics_port}
    assert (settings.host, settings.workers, settings.log_format) == ("0.0.0.0", 1, "json")  # noqa: S104 - in a pod
    assert settings.trusted_proxies == len(overlay(name).of_kind("HTTPRoute"))
    assert settings.sweep_interval_s == 0
    assert "suspend" not in overlay(name).one("CronJob", "smp-expire")["spec"]


def test_changed_settings_replace_the_pods(name: str) -> None:
    """The name of the ConfigMap contains a hash of its content."""
    (configuration,) = overlay(name).of_kind("ConfigMap")
    assert re.fullmatch(r"smp-[a-z0-9]{10}", configuration["metadata"]["name"])


def test_a_pod_restarts_when_the_process_hangs_and_not_when_the_database_is_away(name: str, served: Workload) -> None:
    startup, liveness, readiness = (served.container[f"{probe}Probe"] for probe in ("startup", "liveness", "readiness"))
    assert {startup["httpGet"]["path"], liveness["httpGet"]["path"]} == {LIVE_PATH}, name
    assert {readiness["httpGet"]["path"]} == {READY_PATH}
    assert {probe["httpGet"]["port"] for probe in (startup, liveness, readiness)} == {"http"}
    assert startup["periodSeconds"] * startup["failureThreshold"] >= 60
    assert liveness["periodSeconds"] * liveness["failureThreshold"] >= 30
    assert readiness["timeoutSeconds"] > READINESS_LIMIT_S


def test_a_stopping_pod_finishes_every_request(name: str, served: Workload, settings: Settings) -> None:
    """It serves until gateways have removed it, then finishes its requests and closes its pool before it is killed."""
    pause_s = served.container["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert pause_s >= 10
    assert settings.shutdown_grace_s > LONGEST_REQUEST_S
    needed_s = pause_s + settings.shutdown_grace_s + pool._CLOSE_TIMEOUT_S
    assert served.pod["terminationGracePeriodSeconds"] >= needed_s + 5
    for route in overlay(name).of_kind("HTTPRoute"):
        (rule,) = route["spec"]["rules"]
        (port,) = overlay(name).one("Service", "smp")["spec"]["ports"]
        assert rule["backendRefs"] == [{"name": "smp", "port": port["port"]}]
        assert int(rule["timeouts"]["request"].removesuffix("s")) > LONGEST_REQUEST_S


def test_enough_pods_serve_during_a_rollout_and_while_a_node_is_drained(name: str, served: Workload) -> None:
    spec = served.manifest["spec"]
    scaler = overlay(name).one("HorizontalPodAutoscaler", "smp")["spec"]
    budget = overlay(name).one("PodDisruptionBudget", "smp")["spec"]
    assert "replicas" not in spec, "every apply would undo the autoscaler's number"
    assert (spec["strategy"]["rollingUpdate"]["maxUnavailable"], budget["maxUnavailable"]) == (0, 1)
    assert scaler["minReplicas"] >= {"dev": 1, "production": 3}[name]
    spread = {each["topologyKey"]: each for each in served.pod["topologySpreadConstraints"]}
    assert spread["kubernetes.io/hostname"]["whenUnsatisfiable"] == "DoNotSchedule"


def test_a_migration_is_repeated_unless_its_settings_are_wrong(name: str) -> None:
    spec = overlay(name).one("Job", "smp-migrate")["spec"]
    final = [rule["onExitCodes"]["values"] for rule in spec["podFailurePolicy"]["rules"] if rule["action"] == "FailJob"]
    assert final == [[EXIT_ASKED_WRONGLY]]
    # Kubernetes waits 10 s and doubles that each time; a new database may need ten minutes.
    assert sum(10 * 2**turn for turn in range(spec["backoffLimit"])) >= 600


def test_only_one_expiry_job_runs_at_a_time_and_a_hanging_one_ends(name: str) -> None:
    spec = overlay(name).one("CronJob", "smp-expire")["spec"]
    assert (spec["schedule"], spec["concurrencyPolicy"]) == ("* * * * *", "Forbid")
    # After 100 missed starts without a deadline, Kubernetes starts no more.
    assert 60 < spec["startingDeadlineSeconds"] < 100 * 60
    assert spec["jobTemplate"]["spec"]["activeDeadlineSeconds"] >= 600


def test_all_connections_together_fit_the_database(name: str, settings: Settings) -> None:
    """At the maximum of pods, in the middle of a rollout, while the old pods are still stopping."""
    pods = overlay(name).one("HorizontalPodAutoscaler", "smp")["spec"]["maxReplicas"]
    surge = overlay(name).one("Deployment", "smp")["spec"]["strategy"]["rollingUpdate"]["maxSurge"]
    size = settings.database_pool_size
    needed = (2 * pods + surge) * settings.workers * size + size + OTHER_CONNECTIONS
    if name == "dev":
        server = overlay(name).workload("StatefulSet", "postgres").container
        (given,) = re.findall(r"max_connections=(\d+)", str(server["args"]))
    else:
        given = overlay(name).one("Cluster", "smp-db")["spec"]["postgresql"]["parameters"]["max_connections"]
        page = (DOCS / "sizing.md").read_text(encoding="utf-8")
        assert f"(2 * {pods} + {surge}) * 1 * {size} + {size} + 2 + 13 = {needed}" in page
        assert f"`max_connections` is {given}" in page
    assert needed <= int(given)


def test_the_memory_limits_fit_the_measurements(name: str) -> None:
    """A worker shares memory with its parent; the expiry job needs the same memory for any number of subscriptions."""
    page = (DOCS / "performance.md").read_text(encoding="utf-8")
    for kind, workload, measured, request, limit in (
        ("Deployment", "smp", "worker: memory after work", 1.4, 3),
        ("CronJob", "smp-expire", "sweep of 1,000,000: greatest memory", 1, 2),
    ):
        (mib,) = re.findall(rf"(?m)^\| {measured} \| ([0-9.]+) MiB \|", page)
        resources = overlay(name).workload(kind, workload).container["resources"]
        assert float(mib) * request < int(resources["requests"]["memory"].removesuffix("Mi"))
        assert float(mib) * limit < int(resources["limits"]["memory"].removesuffix("Mi"))


def test_traces_are_sent_only_with_the_component(name: str) -> None:
    for kind, workload in OURS:
        assert not are_traces_enabled(overlay(name).environment(overlay(name).workload(kind, workload)))
        assert are_traces_enabled(traced().environment(traced().workload(kind, workload)))


# --- the databases ----------------------------------------------------------------------------------------------------


def test_the_database_urls_lead_to_the_database_over_verified_tls(name: str, served: Workload) -> None:
    """In ``dev`` the URL is the one of the example secret, without TLS."""
    if name == "dev":
        example = yaml.safe_load((K8S / "base" / "secret.example.yaml").read_text(encoding="utf-8"))["stringData"]
        variables = overlay(name).environment(overlay(name).workload("StatefulSet", "postgres"))
        user, database = variables["POSTGRES_USER"], variables["POSTGRES_DB"]
        urls = {example["uri"]: "postgres"}
        assert (example["username"], urlsplit(example["uri"]).password) == (user, example["password"])
    else:
        initdb = overlay(name).one("Cluster", "smp-db")["spec"]["bootstrap"]["initdb"]
        user, database = initdb["owner"], initdb["database"]
        data = overlay(name).one("ExternalSecret", "smp-database")["spec"]["target"]["template"]["data"]
        urls = {data["uri"]: "smp-db-rw", data["replica-uri"]: "smp-db-ro"}
    for url, host in urls.items():
        parts = urlsplit(url)
        assert (parts.username, parts.hostname, parts.port, parts.path) == (user, host, 5432, f"/{database}")
        query = parse_qs(parts.query)
        assert query.get("sslmode") == {"dev": None, "production": ["verify-full"]}[name]
        for authority in query.get("sslrootcert", []):
            assert f"'path': '{Path(authority).name}'" in str(served.pod["volumes"])
            assert str(Path(authority).parent) in {mount["mountPath"] for mount in served.container["volumeMounts"]}


def test_production_loses_no_committed_change(name: str) -> None:
    """Each commit is on two machines; every backup and the write-ahead log are stored outside."""
    if name == "dev":
        return
    cluster: Mapping[str, Any] = overlay(name).one("Cluster", "smp-db")["spec"]
    synchronous = cluster["postgresql"]["synchronous"]
    assert cluster["instances"] >= 3
    assert (synchronous["dataDurability"], synchronous["failoverQuorum"]) == ("required", True)
    assert cluster["affinity"]["podAntiAffinityType"] == "required"
    (plugin,) = cluster["plugins"]
    assert plugin["isWALArchiver"] is True
    assert overlay(name).one("ObjectStore", plugin["parameters"]["barmanObjectName"])["spec"]["retentionPolicy"]
    backup = overlay(name).one("ScheduledBackup", "smp-db")["spec"]
    assert backup["cluster"]["name"] == "smp-db"
    # CloudNativePG's schedules begin with the seconds.
    assert re.fullmatch(r"\d+ \d+ \d+ \* \* \*", backup["schedule"])
    assert backup["pluginConfiguration"]["name"] == plugin["name"]
    parameters = cluster["postgresql"]["parameters"]
    kept, in_use = (int(parameters[key].removesuffix("GB")) for key in ("max_slot_wal_keep_size", "max_wal_size"))
    assert kept + in_use < int(cluster["walStorage"]["size"].removesuffix("Gi"))
