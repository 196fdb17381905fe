"""A rollout: the script does its steps in order, and replacing the pods loses no request.

There is no cluster here. The script calls a stand-in for kubectl that renders for real and only records everything
else. The pods are real processes; they are replaced as the Deployment does it, while clients still call the old one.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any, Final

import asyncpg
import pytest
import yaml

from tests.support.clients import Call, send
from tests.support.manifests import K8S, OVERLAYS, Rendered, overlay, renderer
from tests.support.processes import Service, environment, short_folder, starting

DIGEST: Final = f"sha256:{'0123456789abcdef' * 4}"

LIMIT_S: Final = 60

STAND_IN: Final = """#!/bin/sh
# Renders for real, records every call, and keeps what is applied.
echo "$*" >> "$NOTES/calls"
case "$*" in
    kustomize*) shift; exec $RENDERER "$@" ;;
    apply*) cp "$3" "$NOTES/applied-$(grep -c '^apply' "$NOTES/calls").yaml" ;;
    *" wait "*) [ -e "$NOTES/waited" ] || { touch "$NOTES/waited"; exit 1; }; exit "$MIGRATION" ;;
    *" get cronjob smp-expire "*) printf '%s' "$PREVIOUS" ;;
    *" get job "*) [ "$MIGRATION" = 0 ] || [ "$(grep -c ' wait ' "$NOTES/calls")" = 1 ] || echo "it broke" ;;
    *" rollout status "*) exit "$ROLLOUT" ;;
esac
"""


@dataclass(frozen=True, slots=True)
class Run:
    """What the script did: its exit code, its errors, its calls of kubectl in order, and what it applied."""

    code: int
    error: str
    calls: Sequence[str]
    applied: Sequence[Sequence[Mapping[str, Any]]]


@dataclass(frozen=True, slots=True)
class Cluster:
    """A simulated cluster: the exit codes of the migration and of the rollout in it, and the image of the last one."""

    folder: Path
    migration: int = 0
    rollout: int = 0
    previous: str = ""
    renderer: Sequence[str] = ()

    def roll_out(self, *arguments: str) -> Run:
        stand_in = self.folder / "kubectl"
        stand_in.write_text(STAND_IN)
        stand_in.chmod(0o755)
        command, *options = self.renderer or renderer()
        environ = {
            **os.environ,
            "PATH": f"{self.folder}{os.pathsep}{os.environ['PATH']}",
            "NOTES": str(self.folder),
            "RENDERER": " ".join([shutil.which(command) or command, *options]),
            "MIGRATION": str(self.migration),
            "ROLLOUT": str(self.rollout),
            "PREVIOUS": self.previous,
        }
        command = str(K8S / "rollout.sh")
        done = subprocess.run(
            [command, *arguments], env=environ, capture_output=True, text=True, timeout=LIMIT_S, check=False
        )
        notes = self.folder / "calls"
        calls = notes.read_text().splitlines() if notes.exists() else []
        files = sorted(self.folder.glob("applied-*.yaml"))
        applied = [list(yaml.safe_load_all(file.read_text())) for file in files]
        return Run(done.returncode, done.stderr, calls, applied)


def images(manifests: Sequence[Mapping[str, Any]]) -> set[str]:
    """Return the images of the service's containers."""
    return {each.container["image"] for each in Rendered(manifests).workloads() if each.container["name"] == "smp"}


def test_the_migration_ends_before_any_pod_is_replaced(tmp_path: Path) -> None:
    run = Cluster(tmp_path).roll_out("production")
    assert run.code == 0, run.error
    steps = [call.replace("--namespace smp ", "") for call in run.calls if not call.startswith("kustomize")]
    assert [" ".join(step.split()[:2]) for step in steps if not step.startswith(("get", "logs"))] == [
        "delete job",
        "apply --filename",
        "wait job/smp-migrate",
        "wait job/smp-migrate",
        "apply --filename",
        "rollout status",
        "apply --filename",
    ]
    first, second, third = [step for step in steps if step.startswith("apply")]
    assert first.endswith("--selector app.kubernetes.io/component notin (api, sweep)")
    assert second.endswith("--selector app.kubernetes.io/component notin (sweep)")
    assert "--selector" not in third
    assert all(call.startswith(("--namespace smp ", "apply ", "kustomize ")) for call in run.calls)
    assert run.applied == [list(overlay("production").manifests)] * 3


@pytest.mark.parametrize("name", OVERLAYS)
def test_only_the_service_and_the_expiry_job_wait_for_the_migration(name: str) -> None:
    """The selector of the first step excludes exactly these objects."""
    waiting = {
        (each["kind"], each["metadata"]["name"])
        for each in overlay(name).manifests
        if each["metadata"].get("labels", {}).get("app.kubernetes.io/component") in {"api", "sweep"}
    }
    serving = {"Deployment", "Service", "HorizontalPodAutoscaler", "PodDisruptionBudget", "HTTPRoute"}
    ours = {(each["kind"], each["metadata"]["name"]) for each in overlay(name).manifests}
    assert waiting == ours & ({(kind, "smp") for kind in serving} | {("CronJob", "smp-expire")})


@pytest.mark.parametrize(
    ("name", "image"),
    [
        ("production", f"registry.example.org:5000/team/smp@{DIGEST}"),
        ("production", "registry.example.org:5000/team/smp:1.2.3"),
        ("dev", f"localhost/other@{DIGEST}"),
    ],
)
def test_every_pod_of_the_service_runs_the_given_image(tmp_path: Path, name: str, image: str) -> None:
    run = Cluster(tmp_path).roll_out(name, image)
    assert run.code == 0, run.error
    assert images(run.applied[-1]) == {image}
    assert "--selector" not in run.calls[-1]


def test_a_failed_migration_stops_the_rollout_and_prints_the_reason(tmp_path: Path) -> None:
    run = Cluster(tmp_path, migration=1).roll_out("production")
    assert run.code == 1
    assert "the migration failed, so nothing was rolled out: it broke" in run.error
    assert len(run.applied) == 1
    assert not any(" rollout " in call for call in run.calls)


def test_pods_that_do_not_get_ready_are_an_error_that_names_the_way_back(tmp_path: Path) -> None:
    """The expiry job is not replaced then, so its image is the one to go back to."""
    previous = f"registry.example.org/smp@{DIGEST}"
    run = Cluster(tmp_path, rollout=1, previous=previous).roll_out("dev", "smp:2")
    assert run.code == 1
    assert run.error.endswith(
        "the new pods do not get ready; the previous ones still serve."
        f" To go back: {K8S / 'rollout.sh'} dev {previous}\n"
    )
    assert run.calls[-1] == "--namespace smp-dev rollout status deployment/smp"
    assert "--selector app.kubernetes.io/component notin (sweep)" in run.calls[-2]


def test_a_first_rollout_that_fails_names_no_way_back(tmp_path: Path) -> None:
    assert Cluster(tmp_path, rollout=1).roll_out("dev").error.endswith("the new pods do not get ready\n")


def test_going_back_is_a_rollout_of_the_previous_image_for_the_expiry_job_as_well(tmp_path: Path) -> None:
    for folder, image in (("forward", "smp:2"), ("back", "smp:1")):
        (tmp_path / folder).mkdir()
        run = Cluster(tmp_path / folder).roll_out("production", image.replace("smp", "registry.example.org/smp"))
        assert run.code == 0, run.error
        job = Rendered(run.applied[-1]).one("CronJob", "smp-expire")["spec"]["jobTemplate"]["spec"]["template"]["spec"]
        assert [each["image"] for each in job["containers"]] == [f"registry.example.org/{image}"]


@pytest.mark.parametrize(
    "arguments", [(), ("nowhere",), ("dev", "smp"), ("dev", "registry.example.org:5000/smp"), ("dev", "smp:1", "more")]
)
def test_wrong_arguments_change_nothing(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    run = Cluster(tmp_path).roll_out(*arguments)
    assert (run.code, run.calls) == (2, [])


def test_an_overlay_that_does_not_use_the_image_is_not_rolled_out(tmp_path: Path) -> None:
    """As after a change of the overlay's image name that render.sh does not understand."""
    renderer_without_images = tmp_path / "renderer"
    renderer_without_images.write_text("#!/bin/sh\necho 'kind: Namespace'\n")
    renderer_without_images.chmod(0o755)
    run = Cluster(tmp_path, renderer=(str(renderer_without_images),)).roll_out("dev", "smp:1")
    assert (run.code, run.applied) == (1, [])
    assert "the overlay dev does not use the image smp:1" in run.error


def test_the_working_folder_is_removed_however_the_rollout_ends(tmp_path: Path) -> None:
    for ending in (Cluster(tmp_path), Cluster(tmp_path, migration=1)):
        folders = [call.split()[1] for call in ending.roll_out("dev").calls if call.startswith("kustomize")]
        assert folders
        assert not any(Path(folder).exists() for folder in folders)


# --- the pods ---------------------------------------------------------------------------------------------------------

CLIENTS: Final = 4
PRE_STOP_S: Final = 1.0
"""The preStop pause, which is ten seconds in the manifest."""

ENDPOINT_DELAY_S: Final = 0.6
"""The time until clients stop calling a pod that is stopping."""


@dataclass(slots=True)
class Balancer:
    """Sends each request to the next pod of its list, on a new connection."""

    known: list[int] = field(default_factory=list)
    answered: int = 0
    failed: list[str] = field(default_factory=list)
    is_over: bool = False

    async def ask(self) -> None:
        """Send one request after the other until ``is_over``."""
        for turn in count():
            if self.is_over:
                return
            port = self.known[turn % len(self.known)]
            try:
                reply = await send(Call(port, "GET", "/v1/plans"))
            except OSError as error:
                self.failed.append(f"{port}: {error!r}")
            else:
                self.answered += reply.status == 200
                self.failed += [] if reply.status == 200 else [f"{port}: {reply.status}"]


@pytest.fixture
def folder() -> Iterator[Path]:
    with short_folder() as folder:
        yield folder


@pytest.fixture
def environ(tmp_path_factory: pytest.TempPathFactory, worker_id: str, database_url: str) -> dict[str, str]:
    """Return the settings of a pod without its addresses. Compiled modules are kept for the whole test run."""
    mine = tmp_path_factory.getbasetemp()
    bytecode = (mine if worker_id == "master" else mine.parent) / "bytecode"
    (configuration,) = overlay("production").of_kind("ConfigMap")
    own = {"SMP_HOST", "SMP_PORT", "SMP_METRICS_PORT", "SMP_DATABASE_URL_FILE", "SMP_DATABASE_REPLICA_URL_FILE"}
    settings = {name: value for name, value in configuration["data"].items() if name not in own}
    return environment(bytecode, **settings, SMP_DATABASE_URL=database_url, SMP_LOG_LEVEL="warning")


async def replace(old: Service, new: Service, balancer: Balancer) -> None:
    """Replace a pod as the Deployment does: the old one serves on during its pause, then gets SIGTERM."""
    balancer.known = [*balancer.known, new.port]

    async def remove_endpoint() -> None:
        await asyncio.sleep(ENDPOINT_DELAY_S)
        balancer.known = [new.port]

    removing = asyncio.create_task(remove_endpoint())
    await asyncio.sleep(PRE_STOP_S)
    assert await asyncio.to_thread(old.stop) == 0
    await removing


async def test_a_rolling_update_loses_no_request(environ: dict[str, str], folder: Path, database_url: str) -> None:
    """The schema is already newer than the old pod, and clients call that pod until the endpoint is removed."""
    connection = await asyncpg.connect(database_url)
    try:
        # The first step of the rollout has applied the migrations of the next version.
        await connection.execute("UPDATE smp_schema_version SET version_num = version_num || 'a'")
    finally:
        await connection.close()
    with ExitStack() as pods:
        old, new = (pods.enter_context(starting(environ, folder)) for _ in range(2))
        for service in (old, new):
            await asyncio.to_thread(service.wait_until_ready)
        balancer = Balancer(known=[old.port])
        clients = [asyncio.create_task(balancer.ask()) for _ in range(CLIENTS)]
        await replace(old, new, balancer)
        balancer.is_over = True
        await asyncio.gather(*clients)
    assert balancer.failed == []
    assert balancer.answered > 20
