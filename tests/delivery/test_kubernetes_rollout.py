"""A new version comes to a cluster: by the script in its order, and by the pods' way of stopping with no lost request.

There is no cluster here. The script meets a kubectl that renders for real and only notes the rest; the pods are real
processes, replaced one by one as the Deployment says, by clients that learn late who has gone.
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
from tests.support.manifests import K8S, overlay, renderer
from tests.support.processes import Service, environment, short_folder, starting

SERVING: Final = frozenset({"Deployment", "Service", "HorizontalPodAutoscaler", "PodDisruptionBudget", "HTTPRoute"})
DIGEST: Final = f"sha256:{'0123456789abcdef' * 4}"

LIMIT_S: Final = 60

STAND_IN: Final = """#!/bin/sh
# Renders for real; notes everything else, and keeps what is applied.
echo "$*" >> "$NOTES/calls"
case "$*" in
    kustomize*) shift; exec $RENDERER "$@" ;;
    apply*) cp "$3" "$NOTES/applied-$(grep -c '^apply' "$NOTES/calls").yaml" ;;
    *" wait "*) [ -e "$NOTES/waited" ] || { touch "$NOTES/waited"; exit 1; }; exit "$MIGRATION" ;;
    *" get job "*) [ "$MIGRATION" = 0 ] || [ "$(grep -c ' wait ' "$NOTES/calls")" = 1 ] || echo "it broke" ;;
    *" rollout status "*) exit "$ROLLOUT" ;;
esac
"""


@dataclass(frozen=True, slots=True)
class Run:
    """What the script did: its exit code, its words, its calls of kubectl in order, and what it applied."""

    code: int
    error: str
    calls: Sequence[str]
    applied: Sequence[Sequence[Mapping[str, Any]]]


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster that is not there, and how what is rolled out to it ends."""

    folder: Path
    migration: int = 0
    rollout: int = 0

    def roll_out(self, *arguments: str) -> Run:
        stand_in = self.folder / "kubectl"
        stand_in.write_text(STAND_IN)
        stand_in.chmod(0o755)
        command, *options = renderer()
        environ = {
            **os.environ,
            "PATH": f"{self.folder}{os.pathsep}{os.environ['PATH']}",
            "NOTES": str(self.folder),
            "RENDERER": " ".join([shutil.which(command) or command, *options]),
            "MIGRATION": str(self.migration),
            "ROLLOUT": str(self.rollout),
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
    """Those of the pods that are ours."""
    found = set()
    for manifest in manifests:
        template = manifest.get("spec", {}).get("jobTemplate", manifest).get("spec", {}).get("template", {})
        found |= {each["image"] for each in template.get("spec", {}).get("containers", []) if each["name"] == "smp"}
    return found


def test_the_migration_comes_before_the_pods(tmp_path: Path) -> None:
    """The old Job goes, all that does not serve comes, its Job is waited for; then the rest, which is waited for."""
    run = Cluster(tmp_path).roll_out("production")
    assert run.code == 0, run.error
    steps = [call.replace("--namespace smp ", "") for call in run.calls]
    assert [" ".join(step.split()[:2]) for step in steps if not step.startswith(("get", "logs"))] == [
        f"kustomize {steps[0].split()[1]}",
        "delete job",
        "apply --filename",
        "wait job/smp-migrate",
        "wait job/smp-migrate",
        "apply --filename",
        "rollout status",
    ]
    assert all(call.startswith("--namespace smp ") for call in run.calls if not call.startswith(("kust", "apply")))
    assert steps[1] == "delete job smp-migrate --ignore-not-found"
    assert steps[2].endswith("--selector app.kubernetes.io/component notin (api, sweep)")
    assert "--selector" not in [step for step in steps if step.startswith("apply")][1]
    assert run.applied[0] == run.applied[1] == list(overlay("production").manifests)


def test_what_waits_for_the_migration_is_what_serves_and_sweeps() -> None:
    """The selector leaves out just these, in each overlay."""
    for name in ("dev", "production"):
        waiting = {
            each["kind"]
            for each in overlay(name).manifests
            if each["metadata"].get("labels", {}).get("app.kubernetes.io/component") in {"api", "sweep"}
        }
        assert waiting == {each["kind"] for each in overlay(name).manifests} & (SERVING | {"CronJob"})
        left = [each for each in overlay(name).manifests if each["kind"] == "Service"]
        assert {each["metadata"]["name"] for each in left} - {"smp"} <= {"postgres"}


@pytest.mark.parametrize(
    ("name", "image"),
    [
        ("production", f"registry.example.org:5000/team/smp@{DIGEST}"),
        ("production", "registry.example.org:5000/team/smp:1.2.3"),
        ("dev", f"localhost/other@{DIGEST}"),
    ],
)
def test_the_image_is_the_one_that_was_asked_for(tmp_path: Path, name: str, image: str) -> None:
    """In every pod of ours; whatever the overlay calls it, by digest or by tag."""
    run = Cluster(tmp_path).roll_out(name, image)
    assert run.code == 0, run.error
    assert images(run.applied[1]) == {image}


def test_a_failed_migration_stops_it(tmp_path: Path) -> None:
    """The pods stay as they are, and the reason is told."""
    run = Cluster(tmp_path, migration=1).roll_out("production")
    assert run.code == 1
    assert "the migration failed, so nothing was rolled out: it broke" in run.error
    assert len(run.applied) == 1
    assert not any(" rollout " in call for call in run.calls)


def test_pods_that_do_not_get_ready_are_told_with_the_way_back(tmp_path: Path) -> None:
    run = Cluster(tmp_path, rollout=1).roll_out("dev")
    assert run.code == 1
    assert "back: kubectl --namespace smp-dev rollout undo deployment/smp" in run.error


@pytest.mark.parametrize(
    "arguments", [(), ("nowhere",), ("dev", "smp"), ("dev", "registry.example.org:5000/smp"), ("dev", "smp:1", "more")]
)
def test_asked_for_wrongly_it_touches_nothing(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    run = Cluster(tmp_path).roll_out(*arguments)
    assert run.code == 2
    assert run.calls == []


def test_it_leaves_nothing_behind(tmp_path: Path) -> None:
    """Its folder is gone, however it ended."""
    for ending in (Cluster(tmp_path), Cluster(tmp_path, migration=1)):
        folders = [call.split()[1] for call in ending.roll_out("dev").calls if call.startswith("kustomize")]
        assert folders
        assert not any(Path(folder).exists() for folder in folders)


# ------------------------------------------------------------------------------------------------------ the pods

PODS: Final = 1
"""Replaced one after the other; each costs the test two processes."""

CLIENTS: Final = 4
PAUSE_S: Final = 1.0
"""The preStop pause, which is ten seconds in the manifest."""

NEWS_TAKE_S: Final = 0.6
"""Until the clients know that a pod has gone."""


@dataclass(slots=True)
class Balancer:
    """Sends each request to the next pod that it knows of, on a connection of its own."""

    known: list[int] = field(default_factory=list)
    answered: int = 0
    failed: list[str] = field(default_factory=list)
    is_over: bool = False

    async def ask(self) -> None:
        """One request after the other until it is over."""
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
    """A pod's settings, but for its address; compiled modules are kept for the whole test run."""
    mine = tmp_path_factory.getbasetemp()
    bytecode = (mine if worker_id == "master" else mine.parent) / "bytecode"
    (configuration,) = overlay("production").of_kind("ConfigMap")
    own = {"SMP_HOST", "SMP_PORT", "SMP_METRICS_PORT", "SMP_DATABASE_URL_FILE", "SMP_DATABASE_REPLICA_URL_FILE"}
    settings = {name: value for name, value in configuration["data"].items() if name not in own}
    return environment(bytecode, **settings, SMP_DATABASE_URL=database_url, SMP_LOG_LEVEL="warning")


async def replace(old: Service, new: Service, balancer: Balancer) -> None:
    """As the Deployment does once the new pod is ready: the old one has to go, and serves on through the pause."""
    balancer.known = [*balancer.known, new.port]

    async def tell() -> None:
        await asyncio.sleep(NEWS_TAKE_S)
        balancer.known = [port for port in balancer.known if port != old.port]

    telling = asyncio.create_task(tell())
    await asyncio.sleep(PAUSE_S)
    assert await asyncio.to_thread(old.stop) == 0
    await telling


async def test_a_rolling_update_loses_no_request(environ: dict[str, str], folder: Path, database_url: str) -> None:
    """Not one fails or is refused, though the schema is newer than the pods and the news of their end comes late."""
    connection = await asyncpg.connect(database_url)
    try:
        # The next version's migration has run, as the first step of its rollout.
        await connection.execute("UPDATE alembic_version SET version_num = '0001a'")
    finally:
        await connection.close()
    balancer = Balancer()
    with ExitStack() as pods:
        services = [pods.enter_context(starting(environ, folder)) for _ in range(2 * PODS)]
        for service in services:
            await asyncio.to_thread(service.wait_until_ready)
        balancer.known = [service.port for service in services[:PODS]]
        clients = [asyncio.create_task(balancer.ask()) for _ in range(CLIENTS)]
        for old, new in zip(services[:PODS], services[PODS:], strict=True):
            await replace(old, new, balancer)
        balancer.is_over = True
        await asyncio.gather(*clients)
    assert balancer.failed == []
    assert balancer.answered > 20
