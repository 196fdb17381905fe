"""The PostgreSQL of each overlay: in production one that loses nothing and only we reach, in dev one that just runs."""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml

from smp.bootstrap.settings import load_settings
from tests.support.manifests import K8S, Manifest, Rendered, overlay

SIZING: Final = K8S.parent / "docs" / "sizing.md"
PLUGIN: Final = "barman-cloud.cloudnative-pg.io"


def production() -> Rendered:
    return overlay("production")


def cluster() -> Manifest:
    spec: Manifest = production().one("Cluster", "smp-db")["spec"]
    return spec


def external(name: str) -> Manifest:
    spec: Manifest = production().one("ExternalSecret", name)["spec"]
    return spec


def test_a_commit_is_on_two_machines_before_it_is_answered() -> None:
    """And nobody is promoted who lacks it, even where that means to wait."""
    spec = cluster()
    assert spec["instances"] >= 3
    assert spec["postgresql"]["synchronous"] == {
        "method": "any",
        "number": 1,
        "dataDurability": "required",
        "failoverQuorum": True,
    }
    assert spec["affinity"]["enablePodAntiAffinity"] is True
    assert spec["affinity"]["podAntiAffinityType"] == "required"
    assert spec["affinity"]["topologyKey"] == "kubernetes.io/hostname"
    (spread,) = spec["topologySpreadConstraints"]
    assert spread["topologyKey"] == "topology.kubernetes.io/zone"
    assert spread["labelSelector"] == {"matchLabels": {"cnpg.io/cluster": "smp-db"}}
    assert spec["enablePDB"] is True
    assert spec["primaryUpdateMethod"] == "switchover"


def test_it_is_a_version_that_we_support_and_test() -> None:
    """README and settings say 15 to 18."""
    assert cluster()["imageCatalogRef"]["major"] == 18


def test_it_is_the_last_to_be_evicted() -> None:
    resources = cluster()["resources"]
    assert resources["requests"] == resources["limits"]
    assert set(resources["requests"]) == {"cpu", "memory"}


def test_memory_and_disk_are_shared_out() -> None:
    """Shared buffers are a quarter of the memory; the write-ahead log that may be kept fits its volume."""
    spec = cluster()
    parameters = spec["postgresql"]["parameters"]
    assert parameters["shared_buffers"] == "2GB"
    assert spec["resources"]["requests"]["memory"] == "8Gi"
    kept = int(parameters["max_slot_wal_keep_size"].removesuffix("GB"))
    flying = int(parameters["max_wal_size"].removesuffix("GB"))
    assert kept + flying < int(spec["walStorage"]["size"].removesuffix("Gi"))


def test_every_night_and_every_second_is_kept() -> None:
    """The plugin archives the write-ahead log and makes the backups, to the store that is defined, for a month."""
    (plugin,) = cluster()["plugins"]
    store = production().one("ObjectStore", plugin["parameters"]["barmanObjectName"])["spec"]
    backup = production().one("ScheduledBackup", "smp-db")["spec"]
    assert (plugin["name"], plugin["isWALArchiver"]) == (PLUGIN, True)
    assert (backup["method"], backup["pluginConfiguration"]["name"]) == ("plugin", PLUGIN)
    assert backup["cluster"]["name"] == "smp-db"
    assert re.fullmatch(r"[0-9]+ [0-9]+ [0-9]+ \* \* \*", backup["schedule"])
    assert backup["immediate"] is True
    assert store["retentionPolicy"] == "30d"


def test_secrets_come_from_the_store_outside() -> None:
    """Every secret that is asked for by name is made by an ExternalSecret, with the keys that are asked for."""
    made = {
        (spec["target"]["name"], key)
        for spec in (each["spec"] for each in production().of_kind("ExternalSecret"))
        for key in spec["target"]["template"].get("data", {each["secretKey"]: "" for each in spec["data"]})
    }
    credentials = production().one("ObjectStore", "smp-backups")["spec"]["configuration"]["s3Credentials"]
    asked = {(each["name"], each["key"]) for each in credentials.values()}
    asked |= {(cluster()["bootstrap"]["initdb"]["secret"]["name"], key) for key in ("username", "password")}
    asked |= {("smp-database", key) for key in ("uri", "replica-uri")}
    assert asked == made


@pytest.mark.parametrize(
    ("key", "variable", "service"),
    [("uri", "SMP_DATABASE_URL", "smp-db-rw"), ("replica-uri", "SMP_DATABASE_REPLICA_URL", "smp-db-ro")],
)
def test_the_urls_are_the_databases(key: str, variable: str, service: str) -> None:
    """Its owner at its service for that, whose certificate is checked by its own authority; and smp takes both."""
    template = external("smp-database")["target"]["template"]
    urls = {name: template["data"][name].replace("{{ .password | urlquery }}", "p%40ss") for name in ("uri", key)}
    parts, initdb = urlsplit(urls[key]), cluster()["bootstrap"]["initdb"]
    assert (parts.username, parts.path) == (initdb["owner"], f"/{initdb['database']}")
    assert template["data"]["username"] == initdb["owner"]
    assert (parts.hostname, parts.port) == (service, 5432)
    authority = "/run/secrets/smp/database-ca.crt"
    assert parse_qs(parts.query) == {"sslmode": ["verify-full"], "sslrootcert": [authority]}
    settings = load_settings({"SMP_ENV": "production", "SMP_DATABASE_URL": urls["uri"], variable: urls[key]})
    assert urls[key] in {settings.database_url, settings.database_replica_url}


def test_a_rotated_password_reaches_the_role() -> None:
    for spec in (external("smp-database"), external("smp-backups")):
        assert spec["target"]["template"]["metadata"]["labels"] == {"cnpg.io/reload": "true"}


def test_prometheus_finds_service_and_database() -> None:
    monitors = {
        each["metadata"]["name"]: each["spec"]["selector"]["matchLabels"] for each in production().of_kind("PodMonitor")
    }
    served = production().workload("Deployment", "smp")
    assert set(monitors) == {"smp", "smp-db"}
    assert monitors["smp"].items() <= served.pod_labels.items()
    assert monitors["smp-db"] == {"cnpg.io/cluster": "smp-db"}
    (endpoint,) = production().one("PodMonitor", "smp")["spec"]["podMetricsEndpoints"]
    assert endpoint["port"] == "metrics"
    assert "metrics" in {port["name"] for port in served.container["ports"]}
    assert endpoint["path"] == "/metrics"


def test_the_operator_and_the_instances_reach_each_other() -> None:
    """CloudNativePG's own list: operator to instances at 8000 and 5432, instances among themselves, the API server."""
    policy = production().one("NetworkPolicy", "smp-db")["spec"]
    assert policy["podSelector"] == {"matchLabels": {"cnpg.io/cluster": "smp-db"}}
    instances = {"podSelector": {"matchLabels": {"cnpg.io/cluster": "smp-db"}}}
    operator = {
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "cnpg-system"}},
        "podSelector": {"matchLabels": {"app.kubernetes.io/name": "cloudnative-pg"}},
    }
    for peer in (instances, operator):
        assert [ports(rule) for rule in policy["ingress"] if peer in rule["from"]] == [{5432, 8000}]
    assert [ports(rule) for rule in policy["egress"] if instances in rule.get("to", [])] == [{5432, 8000}]
    assert [ports(rule) for rule in policy["egress"] if "to" not in rule] == [{443, 6443}]


def test_the_page_on_sizing_has_the_same_sum() -> None:
    page = SIZING.read_text(encoding="utf-8")
    (configuration,) = production().of_kind("ConfigMap")
    pool = int(configuration["data"]["SMP_DATABASE_POOL_SIZE"])
    pods = production().one("HorizontalPodAutoscaler", "smp")["spec"]["maxReplicas"]
    assert f"(2 * {pods} + 1) * 1 * {pool} + {pool} + 2 + 13 = {(2 * pods + 1) * pool + pool + 15}" in page
    assert f"`max_connections` is {cluster()['postgresql']['parameters']['max_connections']}" in page


def test_dev_keeps_its_data_where_the_image_puts_them() -> None:
    """From 18 on below /var/lib/postgresql; a volume at the old place would stay empty."""
    workload = overlay("dev").workload("StatefulSet", "postgres")
    assert re.fullmatch(r"postgres:18\.[0-9]+", workload.container["image"])
    (claim,) = workload.manifest["spec"]["volumeClaimTemplates"]
    assert {"name": claim["metadata"]["name"], "mountPath": "/var/lib/postgresql"} in workload.container["volumeMounts"]
    assert workload.manifest["spec"]["replicas"] == 1


def test_dev_can_write_where_it_has_to() -> None:
    """With a read-only root the socket's folder and the one for temporary files are volumes."""
    workload = overlay("dev").workload("StatefulSet", "postgres")
    mounts = {mount["mountPath"]: mount["name"] for mount in workload.container["volumeMounts"]}
    writable = {volume["name"] for volume in workload.pod["volumes"] if "emptyDir" in volume}
    assert {mounts["/var/run/postgresql"], mounts["/tmp"]} <= writable  # noqa: S108 - a mount


def test_devs_service_finds_it() -> None:
    workload = overlay("dev").workload("StatefulSet", "postgres")
    service = overlay("dev").one("Service", "postgres")["spec"]
    assert service["selector"].items() <= workload.pod_labels.items()
    assert workload.manifest["spec"]["selector"]["matchLabels"].items() <= workload.pod_labels.items()
    assert workload.manifest["spec"]["serviceName"] == "postgres"
    assert [port["targetPort"] for port in service["ports"]] == ["postgres"]
    assert workload.container["ports"] == [{"name": "postgres", "containerPort": 5432}]


def test_the_example_secret_fits_dev() -> None:
    """User, password and URI are what the server is made with."""
    secret = yaml.safe_load((K8S / "base" / "secret.example.yaml").read_text(encoding="utf-8"))
    values = secret["stringData"]
    workload = overlay("dev").workload("StatefulSet", "postgres")
    variables = {variable["name"]: variable["value"] for variable in workload.container["env"]}
    parts = urlsplit(values["uri"])
    assert parts.username == values["username"] == variables["POSTGRES_USER"]
    assert parts.password == values["password"]
    assert parts.path == f"/{variables['POSTGRES_DB']}"
    assert (parts.hostname, parts.port) == ("postgres", 5432)
    (volume,) = [volume for volume in workload.pod["volumes"] if volume["name"] == "secrets"]
    (source,) = volume["projected"]["sources"]
    assert source["secret"]["name"] == secret["metadata"]["name"]
    assert [item["key"] for item in source["secret"]["items"]] == ["password"]
    (mount,) = [mount for mount in workload.container["volumeMounts"] if mount["name"] == "secrets"]
    assert variables["POSTGRES_PASSWORD_FILE"] == f"{mount['mountPath']}/password"


def test_dev_is_ready_when_it_answers_by_tcp() -> None:
    """While it is being made it answers at its socket only."""
    workload = overlay("dev").workload("StatefulSet", "postgres")
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        command = workload.container[probe]["exec"]["command"]
        assert command[0] == "pg_isready"
        assert command[command.index("-h") + 1] == "127.0.0.1"


def ports(rule: Manifest) -> set[int]:
    return {port["port"] for port in rule["ports"]}
