"""Every manifest is what its API takes: Kubernetes' own by the published schemas, the others by what theirs say.

The schemas of custom resources have tens of thousands of lines, so here stands the part of each that these manifests
use, written down from the published definitions:

- Cluster, ScheduledBackup: cloudnative-pg/cloudnative-pg, api/v1/cluster_types.go (1.28 and later) and
  config/crd/bases/postgresql.cnpg.io_scheduledbackups.yaml at 02a1a3bd
- ObjectStore: cloudnative-pg/plugin-barman-cloud, config/crd/bases/barmancloud.cnpg.io_objectstores.yaml at 06b1dee5
- PodMonitor: prometheus-operator/prometheus-operator, pkg/apis/monitoring/v1/podmonitor_types.go at 053d84e6
- ExternalSecret: external-secrets/external-secrets, apis/externalsecrets/v1/externalsecret_types.go at 0126c16c
- HTTPRoute: kubernetes-sigs/gateway-api, config/crd/standard/…_httproutes.yaml, v1 with timeouts (GEP-1742)

A field that is not here is refused: look it up in the published definition, then add it.
"""

from __future__ import annotations

from typing import Any, Final

import jsonschema_rs
import kubernetes_validate  # type: ignore[import-untyped]
import pytest
import yaml

from tests.support.manifests import K8S, OVERLAYS, Manifest, Rendered, overlay, render, traced

KUBERNETES: Final = ("1.32", "1.37")
"""The oldest and the newest version that the manifests are checked for."""

Schema = dict[str, Any]


def closed(required: tuple[str, ...] = (), **properties: Schema) -> Schema:
    """An object of these fields and no others."""
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


def array(items: Schema) -> Schema:
    return {"type": "array", "items": items, "minItems": 1}


def one_of(*values: str) -> Schema:
    return {"enum": list(values)}


TEXT: Final[Schema] = {"type": "string", "minLength": 1}
FLAG: Final[Schema] = {"type": "boolean"}
COUNT: Final[Schema] = {"type": "integer", "minimum": 1}
PORT: Final[Schema] = {"type": "integer", "minimum": 1, "maximum": 65_535}
TEXTS: Final[Schema] = {"type": "object", "additionalProperties": {"type": "string"}}
QUANTITY: Final[Schema] = {"type": "string", "pattern": r"^[0-9]+(m|Ki|Mi|Gi|Ti)?$"}
# A Go duration; the Gateway API's and Prometheus's are stricter in other ways, and what is used here is all of these.
DURATION: Final[Schema] = {"type": "string", "pattern": r"^[0-9]{1,5}(h|m|s|ms)$"}
NAMED: Final = closed(("name",), name=TEXT)
KEY: Final = closed(("name", "key"), name=TEXT, key=TEXT)
SELECTOR: Final = closed(matchLabels=TEXTS)
RESOURCES: Final = closed(
    requests={"type": "object", "additionalProperties": QUANTITY},
    limits={"type": "object", "additionalProperties": QUANTITY},
)
STORAGE: Final = closed(("size",), size=QUANTITY)

CLUSTER: Final = closed(
    ("instances",),
    instances=COUNT,
    imageCatalogRef=closed(
        ("apiGroup", "kind", "name", "major"),
        apiGroup=one_of("postgresql.cnpg.io"),
        kind=one_of("ImageCatalog", "ClusterImageCatalog"),
        name=TEXT,
        major=COUNT,
    ),
    inheritedMetadata=closed(labels=TEXTS),
    bootstrap=closed(initdb=closed(database=TEXT, owner=TEXT, secret=NAMED, dataChecksums=FLAG)),
    postgresql=closed(
        synchronous=closed(
            ("method", "number"),
            method=one_of("any", "first"),
            number=COUNT,
            dataDurability=one_of("required", "preferred"),
            failoverQuorum=FLAG,
        ),
        parameters=TEXTS,
    ),
    storage=STORAGE,
    walStorage=STORAGE,
    resources=RESOURCES,
    affinity=closed(
        enablePodAntiAffinity=FLAG,
        podAntiAffinityType=one_of("preferred", "required"),
        topologyKey=TEXT,
    ),
    topologySpreadConstraints=array(
        closed(
            ("maxSkew", "topologyKey", "whenUnsatisfiable"),
            maxSkew=COUNT,
            topologyKey=TEXT,
            whenUnsatisfiable=one_of("DoNotSchedule", "ScheduleAnyway"),
            labelSelector=SELECTOR,
        )
    ),
    primaryUpdateStrategy=one_of("unsupervised", "supervised"),
    primaryUpdateMethod=one_of("switchover", "restart"),
    enablePDB=FLAG,
    plugins=array(closed(("name",), name=TEXT, isWALArchiver=FLAG, parameters=TEXTS)),
)

SCHEDULED_BACKUP: Final = closed(
    ("cluster", "schedule"),
    # Six fields: seconds come first.
    schedule={"type": "string", "pattern": r"^(\S+ ){5}\S+$"},
    immediate=FLAG,
    backupOwnerReference=one_of("none", "self", "cluster"),
    cluster=NAMED,
    target=one_of("primary", "prefer-standby"),
    method=one_of("barmanObjectStore", "volumeSnapshot", "plugin"),
    pluginConfiguration=closed(("name",), name=TEXT, parameters=TEXTS),
)

OBJECT_STORE: Final = closed(
    ("configuration",),
    retentionPolicy={"type": "string", "pattern": "^[1-9][0-9]*[dwm]$"},
    # Without serverName, which the plugin refuses.
    configuration=closed(
        ("destinationPath",),
        destinationPath=TEXT,
        endpointURL=TEXT,
        s3Credentials=closed(accessKeyId=KEY, secretAccessKey=KEY, inheritFromIAMRole=FLAG),
        wal=closed(compression=one_of("gzip", "bzip2", "lz4", "snappy", "xz", "zstd"), maxParallel=COUNT),
        data=closed(compression=one_of("bzip2", "gzip", "snappy"), jobs=COUNT),
    ),
    instanceSidecarConfiguration=closed(resources=RESOURCES, retentionPolicyIntervalSeconds=COUNT),
)

POD_MONITOR: Final = closed(
    ("selector", "podMetricsEndpoints"),
    selector=SELECTOR,
    podMetricsEndpoints=array(
        closed(
            ("port",),
            port=TEXT,
            path=TEXT,
            scheme=one_of("http", "https"),
            interval=DURATION,
            scrapeTimeout=DURATION,
        )
    ),
)

EXTERNAL_SECRET: Final = closed(
    ("secretStoreRef", "target", "data"),
    refreshInterval=DURATION,
    secretStoreRef=closed(("name",), name=TEXT, kind=one_of("SecretStore", "ClusterSecretStore")),
    target=closed(
        name=TEXT,
        creationPolicy=one_of("Owner", "Orphan", "Merge", "None"),
        deletionPolicy=one_of("Delete", "Merge", "Retain"),
        template=closed(type=TEXT, metadata=closed(labels=TEXTS, annotations=TEXTS), data=TEXTS),
    ),
    data=array(
        closed(
            ("secretKey", "remoteRef"),
            secretKey={"type": "string", "pattern": "^[-._a-zA-Z0-9]+$"},
            remoteRef=closed(("key",), key=TEXT, property=TEXT),
        )
    ),
)

HTTP_ROUTE: Final = closed(
    ("parentRefs", "rules"),
    parentRefs=array(closed(("name",), name=TEXT, namespace=TEXT, sectionName=TEXT)),
    hostnames=array({"type": "string", "pattern": r"^(\*\.)?[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9-]+)*$"}),
    rules=array(
        closed(
            matches=array(
                closed(path=closed(type=one_of("Exact", "PathPrefix", "RegularExpression"), value=TEXT)),
            ),
            timeouts=closed(request=DURATION, backendRequest=DURATION),
            backendRefs=array(closed(("name", "port"), name=TEXT, port=PORT)),
        )
    ),
)

CUSTOM: Final[dict[tuple[str, str], Schema]] = {
    ("postgresql.cnpg.io/v1", "Cluster"): CLUSTER,
    ("postgresql.cnpg.io/v1", "ScheduledBackup"): SCHEDULED_BACKUP,
    ("barmancloud.cnpg.io/v1", "ObjectStore"): OBJECT_STORE,
    ("monitoring.coreos.com/v1", "PodMonitor"): POD_MONITOR,
    ("external-secrets.io/v1", "ExternalSecret"): EXTERNAL_SECRET,
    ("gateway.networking.k8s.io/v1", "HTTPRoute"): HTTP_ROUTE,
}

CASES: Final = ("base", "traced", *(f"overlays/{name}" for name in OVERLAYS))


def rendered(case: str) -> Rendered:
    """A folder of k8s/, or production with its optional component."""
    return traced() if case == "traced" else render(case)


def named(manifest: Manifest) -> str:
    return f"{manifest['apiVersion']} {manifest['kind']} {manifest['metadata']['name']}"


@pytest.mark.parametrize("version", KUBERNETES)
@pytest.mark.parametrize("folder", CASES)
def test_kubernetes_takes_its_own(folder: str, version: str) -> None:
    """No wrong type and no field that the API does not know, which a server would drop without a word."""
    own = [each for each in rendered(folder).manifests if (each["apiVersion"], each["kind"]) not in CUSTOM]
    assert len(own) >= 12
    for manifest in own:
        try:
            kubernetes_validate.validate(manifest, version, strict=True)
        except kubernetes_validate.ValidationError as invalid:
            pytest.fail(f"{named(manifest)}: {'.'.join(map(str, invalid.path))}: {invalid.message}")


@pytest.mark.parametrize("folder", CASES)
def test_custom_resources_are_as_their_definitions_say(folder: str) -> None:
    for manifest in rendered(folder).manifests:
        schema = CUSTOM.get((manifest["apiVersion"], manifest["kind"]))
        if schema is not None:
            assert set(manifest) == {"apiVersion", "kind", "metadata", "spec"}, named(manifest)
            wrong = [
                f"{'.'.join(map(str, error.instance_path))}: {error.message}"
                for error in jsonschema_rs.validator_for(schema).iter_errors(manifest["spec"])
            ]
            assert not wrong, f"{named(manifest)}: {wrong}"


def test_production_has_every_custom_resource() -> None:
    """So that each of the schemas above is used."""
    found = {(each["apiVersion"], each["kind"]) for each in overlay("production").manifests}
    assert found >= set(CUSTOM)


def test_the_check_finds_what_is_wrong() -> None:
    """A field of another name, and a text where a number belongs: in Kubernetes' own and in a custom resource."""
    deployment = render("base").one("Deployment", "smp")
    for wrong in ({**deployment["spec"], "replica": 3}, {**deployment["spec"], "minReadySeconds": "5"}):
        with pytest.raises(kubernetes_validate.ValidationError):
            kubernetes_validate.validate({**deployment, "spec": wrong}, KUBERNETES[0], strict=True)
    cluster = overlay("production").one("Cluster", "smp-db")["spec"]
    check = jsonschema_rs.validator_for(CLUSTER)
    assert check.is_valid(cluster)
    assert not check.is_valid({**cluster, "instance": 3})
    assert not check.is_valid({**cluster, "instances": "3"})


def test_the_example_secret_is_one() -> None:
    """It is shown and never applied: no kustomization names it."""
    example = yaml.safe_load((K8S / "base" / "secret.example.yaml").read_text(encoding="utf-8"))
    for version in KUBERNETES:
        kubernetes_validate.validate(example, version, strict=True)


def test_every_file_is_of_use() -> None:
    """Each YAML or .env file is named by the kustomization beside it, save the example."""
    # By name: other tests make folders beside the overlays, and take them away.
    folders = [K8S / "base", *(K8S / "components").iterdir(), *(K8S / "overlays" / name for name in OVERLAYS)]
    for folder in folders:
        document = yaml.safe_load((folder / "kustomization.yaml").read_text(encoding="utf-8"))
        names = {
            "kustomization.yaml",
            *document.get("resources", []),
            *(patch["path"] for patch in document.get("patches", []) if "path" in patch),
            *(file for generator in document.get("configMapGenerator", []) for file in generator.get("envs", [])),
        }
        files = {path.name for path in folder.iterdir()}
        assert "secret.example.yaml" not in names
        assert files - names == ({"secret.example.yaml"} if folder.name == "base" else set())
