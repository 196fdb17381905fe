"""What the manifests promise: pods that may do nothing, settings that exist, a stop that is long enough, right sums."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import pytest

from smp.adapters.cli.program import build_program
from smp.adapters.http import edge
from smp.adapters.postgres import pool
from smp.bootstrap.failures import EXIT_ASKED_WRONGLY
from smp.bootstrap.http import READINESS_LIMIT_S
from smp.bootstrap.runtime import ProcessServices
from smp.bootstrap.settings import FILE_SUFFIX, VARIABLES, Environment, Settings, load_settings
from tests.support.manifests import OVERLAYS, Manifest, Rendered, Workload, overlay

DATABASE_URL: Final = "postgresql://smp:secret@postgres:5432/smp"
PERFORMANCE: Final = Path(__file__).parents[2] / "docs" / "performance.md"

RESERVED_CONNECTIONS: Final = 13
"""PostgreSQL's own for superusers (3), and what an operator, an exporter and a person with psql take (10)."""

MIGRATION_CONNECTIONS: Final = 2

SMP: Final = ("Deployment smp", "Job smp-migrate", "CronJob smp-expire")

pytestmark = pytest.mark.parametrize("name", OVERLAYS)


@pytest.fixture
def rendered(name: str) -> Rendered:
    return overlay(name)


@pytest.fixture
def served(rendered: Rendered) -> Workload:
    """The pods that answer requests."""
    return rendered.workload("Deployment", "smp")


@pytest.fixture
def settings(rendered: Rendered, served: Workload, tmp_path: Path) -> Settings:
    """What the program makes of the environment that its pods get."""
    return settings_of(rendered, served, tmp_path)


def settings_of(rendered: Rendered, workload: Workload, folder: Path) -> Settings:
    """With a URL in each file that is named. Raises SettingsInvalid, as ``smp`` itself would at its start."""
    file = folder / "database-url"
    file.write_text(DATABASE_URL)
    variables = rendered.environment(workload)
    return load_settings({name: str(file) if name.endswith("_FILE") else text for name, text in variables.items()})


def selected(rendered: Rendered, selector: Mapping[str, Any]) -> list[Workload]:
    """The workloads whose pods have these labels."""
    assert set(selector) <= {"matchLabels"}
    wanted = selector.get("matchLabels", {}).items()
    return [each for each in rendered.workloads() if wanted <= each.pod_labels.items()]


def ports_of(workload: Workload) -> dict[str, int]:
    return {port["name"]: port["containerPort"] for port in workload.container.get("ports", [])}


def mebibytes(quantity: str) -> float:
    number, unit = re.fullmatch(r"([0-9]+)([KMG]i)", quantity).groups()  # type: ignore[union-attr]
    return int(number) * {"Ki": 1 / 1024, "Mi": 1, "Gi": 1024}[unit]


def processors(quantity: str) -> float:
    return int(quantity.removesuffix("m")) / 1000 if quantity.endswith("m") else int(quantity)


def measured_mib(what: str) -> float:
    """A figure of docs/performance.md."""
    found = re.search(
        rf"^\| {re.escape(what)} \| ([0-9.]+) MiB \|", PERFORMANCE.read_text(encoding="utf-8"), re.MULTILINE
    )
    assert found is not None, what
    return float(found[1])


def test_only_restricted_pods_are_let_in(rendered: Rendered) -> None:
    (namespace,) = rendered.of_kind("Namespace")
    levels = {
        mode: namespace["metadata"]["labels"][f"pod-security.kubernetes.io/{mode}"]
        for mode in ("enforce", "audit", "warn")
    }
    assert set(levels.values()) == {"restricted"}


def test_everything_is_in_it(rendered: Rendered) -> None:
    (namespace,) = rendered.of_kind("Namespace")
    places = {each["metadata"].get("namespace") for each in rendered.manifests if each is not namespace}
    assert places == {namespace["metadata"]["name"]}


def test_overlays_do_not_meet(rendered: Rendered, name: str) -> None:
    others = {overlay(each).of_kind("Namespace")[0]["metadata"]["name"] for each in OVERLAYS if each != name}
    assert rendered.of_kind("Namespace")[0]["metadata"]["name"] not in others


def test_they_are_the_ones_that_are_expected(rendered: Rendered, name: str) -> None:
    database = ["StatefulSet postgres"] if name == "dev" else []
    assert sorted(f"{each.kind} {each.name}" for each in rendered.workloads()) == sorted([*SMP, *database])


def test_they_may_do_nothing(rendered: Rendered) -> None:
    """Pod Security Standards, "restricted", and beyond it a read-only root and no token for the Kubernetes API."""
    for workload in rendered.workloads():
        pod = workload.pod
        context = pod["securityContext"]
        assert context["runAsNonRoot"] is True
        assert context["runAsUser"] == context["runAsGroup"] == context["fsGroup"] > 0
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False
        assert not {"hostNetwork", "hostPID", "hostIPC"} & set(pod)
        for container in workload.containers:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert not any("hostPort" in port for port in container.get("ports", []))
        assert {kind for volume in pod.get("volumes", []) for kind in volume if kind != "name"} <= {
            "emptyDir",
            "projected",
        }
        assert all(volume["emptyDir"]["sizeLimit"] for volume in pod["volumes"] if "emptyDir" in volume)


def test_their_accounts_exist_and_have_no_token(rendered: Rendered) -> None:
    for workload in rendered.workloads():
        account = rendered.one("ServiceAccount", workload.pod["serviceAccountName"])
        assert account["automountServiceAccountToken"] is False
    assert not any("Role" in each["kind"] for each in rendered.manifests)


def test_images_are_exact(rendered: Rendered) -> None:
    for workload in rendered.workloads():
        assert re.fullmatch(r"[a-z0-9./-]+:[a-z0-9][a-z0-9.-]*", workload.container["image"])
        assert not workload.container["image"].endswith(":latest")


def test_ours_are_alike(rendered: Rendered) -> None:
    """One image, one user, the same environment, secrets and folder for temporary files."""
    ours = [each for each in rendered.workloads() if each.container["name"] == "smp"]
    assert {f"{each.kind} {each.name}" for each in ours} == set(SMP)
    for workload in ours:
        assert workload.pod["securityContext"]["runAsUser"] == 10_001
        assert workload.pod["volumes"] == ours[0].pod["volumes"]
        for same in ("image", "envFrom", "volumeMounts", "securityContext"):
            assert workload.container[same] == ours[0].container[same]
        assert {"name": "tmp", "mountPath": "/tmp"} in workload.container["volumeMounts"]  # noqa: S108 - a mount


def test_our_commands_exist(rendered: Rendered) -> None:
    """The image's entry point is ``smp``; the arguments are the command."""
    program = build_program(ProcessServices({}))
    commands = {f"{each.kind} {each.name}": each.container["args"] for each in rendered.workloads()}
    assert [commands[each][0] for each in SMP] == ["serve", "migrate", "expire"]
    for name in SMP:
        command = program.commands[commands[name][0]]
        options = {option for parameter in command.params for option in parameter.opts}
        assert set(commands[name][1:]) <= options


def test_everything_has_its_share_and_its_limit(rendered: Rendered) -> None:
    for workload in rendered.workloads():
        requests, limits = (workload.container["resources"][kind] for kind in ("requests", "limits"))
        assert 0 < mebibytes(requests["memory"]) <= mebibytes(limits["memory"])
        assert 0 < processors(requests["cpu"]) <= processors(limits["cpu"])


def test_memory_is_what_was_measured(rendered: Rendered, served: Workload) -> None:
    """A worker and its parent, whose memory they share in part, fit into the request; a sweep of any size, too."""
    worker, sweep = measured_mib("worker: memory after work"), measured_mib("sweep of 1,000,000: greatest memory")
    assert worker * 1.4 < mebibytes(served.container["resources"]["requests"]["memory"])
    assert worker * 3 < mebibytes(served.container["resources"]["limits"]["memory"])
    expire = rendered.workload("CronJob", "smp-expire")
    assert sweep < mebibytes(expire.container["resources"]["requests"]["memory"])
    assert sweep * 2 < mebibytes(expire.container["resources"]["limits"]["memory"])


def test_every_name_is_a_setting(rendered: Rendered) -> None:
    known = {variable.name for variable in VARIABLES}
    known |= {f"{variable.name}{FILE_SUFFIX}" for variable in VARIABLES if variable.secret}
    for workload in rendered.workloads():
        ours = {each for each in rendered.environment(workload) if each.startswith("SMP_")}
        assert ours <= known
        assert bool(ours) is (workload.container["name"] == "smp")


def test_the_program_takes_them(rendered: Rendered, tmp_path: Path) -> None:
    for workload in rendered.workloads():
        if workload.container["name"] == "smp":
            assert settings_of(rendered, workload, tmp_path).database_url == DATABASE_URL


def test_kubernetes_adds_none(rendered: Rendered) -> None:
    """For the Service named smp it would set SMP_PORT to an address, and names that smp refuses."""
    for workload in rendered.workloads():
        assert workload.pod["enableServiceLinks"] is False


def test_they_are_as_the_manifests_need_them(served: Workload, settings: Settings, name: str) -> None:
    assert settings.environment is {"dev": Environment.DEVELOPMENT, "production": Environment.PRODUCTION}[name]
    assert settings.host == "0.0.0.0"  # noqa: S104 - a pod's address is its own
    assert ports_of(served) == {"http": settings.port, "metrics": settings.metrics_port}
    assert settings.workers == 1
    assert settings.log_format == "json"


def test_one_thing_sweeps(rendered: Rendered, settings: Settings) -> None:
    assert settings.sweep_interval_s == 0
    assert rendered.one("CronJob", "smp-expire")["spec"]["schedule"] == "* * * * *"
    assert "suspend" not in rendered.one("CronJob", "smp-expire")["spec"]


def test_a_change_replaces_the_pods(rendered: Rendered) -> None:
    """The ConfigMap's name has a hash of what is in it."""
    (configuration,) = rendered.of_kind("ConfigMap")
    assert re.fullmatch(r"smp-[a-z0-9]{10}", configuration["metadata"]["name"])


def test_proxies_in_front_are_counted(rendered: Rendered, settings: Settings) -> None:
    assert settings.trusted_proxies == len(rendered.of_kind("HTTPRoute"))


def test_none_is_in_a_file(rendered: Rendered, name: str) -> None:
    """No Secret object, none in an environment, and in a URL the place only where it will stand."""
    assert not rendered.of_kind("Secret")
    for workload in rendered.workloads():
        assert not any("valueFrom" in variable for variable in workload.container.get("env", []))
        assert not any("secretRef" in source for source in workload.container.get("envFrom", []))
    urls = [text for text in texts(list(rendered.manifests)) if text.startswith("postgresql://")]
    assert [urlsplit(url).password for url in urls] == {"dev": [], "production": ["{{ .password | urlquery }}"] * 2}[
        name
    ]


def test_database_urls_are_read_from_mounted_files(rendered: Rendered, name: str) -> None:
    files = {
        "dev": {"database-url": ("smp-database", "uri")},
        "production": {
            "database-url": ("smp-database", "uri"),
            "database-replica-url": ("smp-database", "replica-uri"),
            "database-ca.crt": ("smp-db-ca", "ca.crt"),
        },
    }
    for each in SMP:
        workload = rendered.workload(*each.split())
        (mount,) = [mount for mount in workload.container["volumeMounts"] if mount["name"] == "secrets"]
        (volume,) = [volume for volume in workload.pod["volumes"] if volume["name"] == "secrets"]
        found = {
            item["path"]: (source["secret"]["name"], item["key"])
            for source in volume["projected"]["sources"]
            for item in source["secret"]["items"]
        }
        assert mount["readOnly"] is True
        assert volume["projected"]["defaultMode"] == 0o440
        assert found == files[name]
        named = {text for key, text in rendered.environment(workload).items() if key.endswith("_FILE")}
        assert named == {f"{mount['mountPath']}/{file}" for file in files[name] if file.endswith("-url")}
        assert rendered.environment(workload)["SMP_DATABASE_URL_FILE"] == f"{mount['mountPath']}/database-url"


def test_they_ask_the_right_thing(served: Workload) -> None:
    paths = {
        probe: (served.container[probe]["httpGet"]["path"], served.container[probe]["httpGet"]["port"])
        for probe in ("startupProbe", "livenessProbe", "readinessProbe")
    }
    assert paths == {
        "startupProbe": ("/health/live", "http"),
        "livenessProbe": ("/health/live", "http"),
        "readinessProbe": ("/health/ready", "http"),
    }


def test_they_have_patience(served: Workload) -> None:
    """A minute to start, half a minute of silence before a restart, and more than the readiness check itself takes."""
    startup, liveness, readiness = (served.container[f"{probe}Probe"] for probe in ("startup", "liveness", "readiness"))
    assert startup["periodSeconds"] * startup["failureThreshold"] >= 60
    assert liveness["periodSeconds"] * liveness["failureThreshold"] >= 30
    assert readiness["timeoutSeconds"] > READINESS_LIMIT_S
    assert readiness["periodSeconds"] * readiness["failureThreshold"] <= 10


def test_the_pod_serves_on_until_everybody_knows(served: Workload) -> None:
    assert served.container["lifecycle"]["preStop"]["sleep"]["seconds"] >= 10


def test_the_grace_is_longer_than_pause_and_drain(served: Workload, settings: Settings) -> None:
    """The grace period runs from the start of the pause; then come the drain, the pool's close, and some to spare."""
    pause_s = served.container["lifecycle"]["preStop"]["sleep"]["seconds"]
    needed_s = pause_s + settings.shutdown_grace_s + pool._CLOSE_TIMEOUT_S
    assert served.pod["terminationGracePeriodSeconds"] >= needed_s + 5


def test_no_request_lives_longer_than_the_drain(settings: Settings) -> None:
    """A body's deadline and a statement's, one after the other, are over before the drain is."""
    assert settings.shutdown_grace_s > edge.BODY_DEADLINE_S + pool.STATEMENT_TIMEOUT_MS / 1000


def test_no_pod_goes_before_its_successor_is_ready(served: Workload) -> None:
    strategy = served.manifest["spec"]["strategy"]
    assert strategy["type"] == "RollingUpdate"
    assert strategy["rollingUpdate"]["maxUnavailable"] == 0
    assert strategy["rollingUpdate"]["maxSurge"] >= 1
    assert served.manifest["spec"]["minReadySeconds"] >= served.container["readinessProbe"]["periodSeconds"]
    assert served.manifest["spec"]["progressDeadlineSeconds"] >= 300


def test_the_number_of_pods_is_the_autoscalers(rendered: Rendered, served: Workload, name: str) -> None:
    scaler = rendered.one("HorizontalPodAutoscaler", "smp")["spec"]
    target = scaler["scaleTargetRef"]
    assert "replicas" not in served.manifest["spec"]
    assert (target["apiVersion"], target["kind"], target["name"]) == ("apps/v1", "Deployment", "smp")
    assert scaler["minReplicas"] >= {"dev": 1, "production": 3}[name]
    assert scaler["maxReplicas"] > scaler["minReplicas"]
    (metric,) = scaler["metrics"]
    assert metric["resource"]["name"] == "cpu"
    assert metric["resource"]["target"]["averageUtilization"] < 100
    assert scaler["behavior"]["scaleDown"]["stabilizationWindowSeconds"] >= 300


def test_a_node_can_be_drained_and_most_pods_stay(rendered: Rendered, name: str) -> None:
    budget = rendered.one("PodDisruptionBudget", "smp")["spec"]
    scaler = rendered.one("HorizontalPodAutoscaler", "smp")["spec"]
    assert budget["maxUnavailable"] == 1
    assert budget["unhealthyPodEvictionPolicy"] == "AlwaysAllow"
    assert name == "dev" or scaler["minReplicas"] - budget["maxUnavailable"] >= 2


def test_pods_are_spread(served: Workload) -> None:
    """Over nodes strictly, over zones as far as it goes, each version by itself."""
    spread = {each["topologyKey"]: each for each in served.pod["topologySpreadConstraints"]}
    assert {key: each["whenUnsatisfiable"] for key, each in spread.items()} == {
        "kubernetes.io/hostname": "DoNotSchedule",
        "topology.kubernetes.io/zone": "ScheduleAnyway",
    }
    for each in spread.values():
        assert each["maxSkew"] == 1
        assert each["matchLabelKeys"] == ["pod-template-hash"]
        assert each["labelSelector"]["matchLabels"].items() <= served.pod_labels.items()


def test_each_finds_its_pods_and_no_others(rendered: Rendered, served: Workload) -> None:
    found = {
        "Service": selected(rendered, {"matchLabels": rendered.one("Service", "smp")["spec"]["selector"]}),
        "PodDisruptionBudget": selected(rendered, rendered.one("PodDisruptionBudget", "smp")["spec"]["selector"]),
        "Deployment": selected(rendered, served.manifest["spec"]["selector"]),
    }
    assert {kind: [each.name for each in workloads] for kind, workloads in found.items()} == {
        kind: ["smp"] for kind in found
    }


def test_the_route_leads_to_the_pods(rendered: Rendered, served: Workload, name: str) -> None:
    """Gateway, Service and container name the same port; /metrics is at another one, which the Service has not."""
    (port,) = rendered.one("Service", "smp")["spec"]["ports"]
    assert port["targetPort"] in ports_of(served)
    assert port["targetPort"] == "http"
    routes = rendered.of_kind("HTTPRoute")
    assert len(routes) == {"dev": 0, "production": 1}[name]
    for route in routes:
        (rule,) = route["spec"]["rules"]
        assert rule["backendRefs"] == [{"name": "smp", "port": port["port"]}]
        limit_s = int(rule["timeouts"]["request"].removesuffix("s"))
        assert limit_s > edge.BODY_DEADLINE_S + pool.STATEMENT_TIMEOUT_MS / 1000


def test_what_is_not_allowed_is_denied(rendered: Rendered) -> None:
    spec = rendered.one("NetworkPolicy", "default-deny")["spec"]
    assert spec == {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}


def test_rules_are_about_ports_that_exist(rendered: Rendered) -> None:
    """Every port let in is one that the selected pods listen at."""
    for policy, rule in rules(rendered, "ingress"):
        workloads = selected(rendered, policy["spec"]["podSelector"])
        for workload in workloads:
            known = ports_of(workload)
            assert {port["port"] for port in rule["ports"]} <= {*known, *known.values()}
        assert workloads or policy["metadata"]["name"] == "smp-db"


def test_nothing_is_open_to_everybody(rendered: Rendered) -> None:
    """Every rule in names who, and every rule at all names ports."""
    for _, rule in rules(rendered, "ingress"):
        assert rule["from"]
        assert all(each for each in rule["from"])
    for _, rule in (*rules(rendered, "ingress"), *rules(rendered, "egress")):
        assert rule["ports"]


def test_our_pods_reach_names_and_the_database_only(rendered: Rendered) -> None:
    for workload in rendered.workloads():
        if workload.container["name"] == "smp":
            reached = sorted(
                (policy["metadata"]["name"], port["port"])
                for policy, rule in rules(rendered, "egress")
                if workload in selected(rendered, policy["spec"]["podSelector"])
                for port in rule["ports"]
            )
            assert reached == [("allow-dns", 53), ("allow-dns", 53), ("smp-out", 5432)]


def test_the_database_lets_our_pods_in(rendered: Rendered, name: str) -> None:
    """Both ends of the way are open: the label that we may go to is on the database's pods."""
    (rule,) = rendered.one("NetworkPolicy", "smp-out")["spec"]["egress"]
    (to,) = rule["to"]
    wanted = to["podSelector"]["matchLabels"]
    if name == "dev":
        database = rendered.workload("StatefulSet", "postgres")
        labels, ports = database.pod_labels, ports_of(database)
    else:
        spec = rendered.one("Cluster", "smp-db")["spec"]
        labels, ports = spec["inheritedMetadata"]["labels"], {"postgresql": 5432}
    assert wanted.items() <= labels.items()
    policy = rendered.one("NetworkPolicy", {"dev": "postgres", "production": "smp-db"}[name])["spec"]
    ours = [
        rule
        for rule in policy["ingress"]
        if {"podSelector": {"matchLabels": {"app.kubernetes.io/name": "smp"}}} in rule["from"]
    ]
    assert [ports.get(port["port"], port["port"]) for rule in ours for port in rule["ports"]] == [5432]


def test_the_gateway_and_prometheus_may_come(rendered: Rendered) -> None:
    """The gateway to the API only, Prometheus to the figures only."""
    let_in = {
        rule["from"][0]["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"]: [
            port["port"] for port in rule["ports"]
        ]
        for rule in rendered.one("NetworkPolicy", "smp-in")["spec"]["ingress"]
    }
    assert let_in == {"gateway": ["http"], "monitoring": ["metrics"]}
    for route in rendered.of_kind("HTTPRoute"):
        assert {parent["namespace"] for parent in route["spec"]["parentRefs"]} == {"gateway"}


def test_a_migration_is_tried_again_unless_it_cannot_work(rendered: Rendered) -> None:
    spec = rendered.one("Job", "smp-migrate")["spec"]
    hopeless = [rule["onExitCodes"] for rule in spec["podFailurePolicy"]["rules"] if rule["action"] == "FailJob"]
    assert hopeless == [{"containerName": "smp", "operator": "In", "values": [EXIT_ASKED_WRONGLY]}]
    # 10 s, doubled each time: the database has ten minutes to come.
    assert sum(10 * 2**turn for turn in range(spec["backoffLimit"])) >= 600
    assert spec["activeDeadlineSeconds"] >= 1800
    assert spec["ttlSecondsAfterFinished"] > 0
    assert spec["template"]["spec"]["restartPolicy"] == "Never"


def test_sweeps_do_not_pile_up(rendered: Rendered) -> None:
    spec = rendered.one("CronJob", "smp-expire")["spec"]
    assert spec["concurrencyPolicy"] == "Forbid"
    assert 60 < spec["startingDeadlineSeconds"] < 100 * 60
    assert spec["timeZone"] == "Etc/UTC"
    job = spec["jobTemplate"]["spec"]
    assert job["backoffLimit"] == 0
    assert job["activeDeadlineSeconds"] >= 600
    assert job["ttlSecondsAfterFinished"] > 0
    assert job["template"]["spec"]["restartPolicy"] == "Never"


def test_all_pools_together_fit(rendered: Rendered, settings: Settings, name: str) -> None:
    """At the most pods, in the middle of a rollout, when the old ones are still leaving and all pools are full."""
    scaler, served = rendered.one("HorizontalPodAutoscaler", "smp"), rendered.one("Deployment", "smp")
    pods = 2 * scaler["spec"]["maxReplicas"] + served["spec"]["strategy"]["rollingUpdate"]["maxSurge"]
    served_at_most = pods * settings.workers * settings.database_pool_size
    swept_at_most = settings.database_pool_size
    wanted = served_at_most + swept_at_most + MIGRATION_CONNECTIONS + RESERVED_CONNECTIONS
    assert wanted <= max_connections(rendered, name)


def max_connections(rendered: Rendered, name: str) -> int:
    if name == "production":
        return int(rendered.one("Cluster", "smp-db")["spec"]["postgresql"]["parameters"]["max_connections"])
    given = " ".join(rendered.workload("StatefulSet", "postgres").container["args"])
    return int(given.removeprefix("-c max_connections="))


def rules(rendered: Rendered, direction: str) -> Iterator[tuple[Manifest, Mapping[str, Any]]]:
    for policy in rendered.of_kind("NetworkPolicy"):
        for rule in policy["spec"].get(direction, []):
            yield policy, rule


def texts(value: object) -> Iterator[str]:
    """Every text in a document."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from texts(each)
