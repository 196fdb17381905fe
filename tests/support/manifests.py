"""The Kubernetes manifests as a cluster gets them: rendered by Kustomize, once per process."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

K8S: Final = Path(__file__).parents[2] / "k8s"
OVERLAYS: Final = ("dev", "production")
CASES: Final = (*OVERLAYS, "traced")
"""The overlays, and production with the component for traces."""

KUSTOMIZE_MAJOR: Final = 5
NEEDED: Final = "kubectl 1.27 or newer, or kustomize 5 or newer, on the PATH"
RENDER_LIMIT_S: Final = 60

Manifest = Mapping[str, Any]
"""One object, as decoded from YAML."""


@dataclass(frozen=True, slots=True)
class Workload:
    """An object that creates pods. ``pod`` is the spec of their template, ``pod_labels`` are its labels."""

    kind: str
    name: str
    manifest: Manifest
    pod_labels: Mapping[str, str]
    pod: Mapping[str, Any]

    @property
    def container(self) -> Mapping[str, Any]:
        """The only container; there are no init containers."""
        assert "initContainers" not in self.pod
        container: Mapping[str, Any]
        (container,) = self.pod["containers"]
        return container

    @property
    def ports(self) -> Mapping[str, int]:
        """The ports of the container, by name."""
        return {port["name"]: port["containerPort"] for port in self.container.get("ports", [])}


@dataclass(frozen=True, slots=True)
class Rendered:
    """The objects of a rendered folder."""

    manifests: Sequence[Manifest]

    def of_kind(self, kind: str) -> Sequence[Manifest]:
        """Return all objects of this kind."""
        return [manifest for manifest in self.manifests if manifest["kind"] == kind]

    def one(self, kind: str, name: str) -> Manifest:
        """Return the object of this kind and name."""
        (manifest,) = [each for each in self.of_kind(kind) if each["metadata"]["name"] == name]
        return manifest

    def workloads(self) -> Iterator[Workload]:
        """Return the objects that create pods, without custom resources."""
        for manifest in self.manifests:
            template = manifest.get("spec", {}).get("template")
            if manifest["kind"] == "CronJob":
                template = manifest["spec"]["jobTemplate"]["spec"]["template"]
            if manifest["kind"] in {"Deployment", "StatefulSet", "Job", "CronJob"}:
                labels = template["metadata"]["labels"]
                yield Workload(manifest["kind"], manifest["metadata"]["name"], manifest, labels, template["spec"])

    def workload(self, kind: str, name: str) -> Workload:
        """Return the workload of this kind and name."""
        (workload,) = [each for each in self.workloads() if (each.kind, each.name) == (kind, name)]
        return workload

    def environment(self, workload: Workload) -> Mapping[str, str]:
        """Return the environment variables of the container."""
        variables: dict[str, str] = {}
        for source in workload.container.get("envFrom", []):
            variables |= self.one("ConfigMap", source["configMapRef"]["name"])["data"]
        return variables | {variable["name"]: variable["value"] for variable in workload.container.get("env", [])}


@cache
def overlay(name: str) -> Rendered:
    """Render an overlay. The test is skipped if no renderer is installed."""
    return _render(K8S / "overlays" / name)


@cache
def traced() -> Rendered:
    """Render production with the component that sends traces."""
    with tempfile.TemporaryDirectory() as folder:
        # Kustomize accepts relative paths only.
        root = os.path.relpath(K8S, Path(folder).resolve())
        lines = [
            f"resources: [{root}/overlays/production]",
            f"components: [{root}/components/tracing]",
            "namespace: smp",
        ]
        (Path(folder) / "kustomization.yaml").write_text("\n".join(lines), encoding="utf-8")
        return _render(Path(folder))


def rendered(case: str) -> Rendered:
    """Render one of ``CASES``."""
    return traced() if case == "traced" else overlay(case)


def _render(folder: Path) -> Rendered:
    done = subprocess.run(
        [*renderer(), str(folder)], capture_output=True, text=True, timeout=RENDER_LIMIT_S, check=False
    )
    assert done.returncode == 0, done.stderr
    return Rendered([manifest for manifest in yaml.safe_load_all(done.stdout) if manifest])


@cache
def renderer() -> Sequence[str]:
    """Return a command that renders the folder in its last argument. The test is skipped if there is none."""
    for command, version_of in (
        (("kubectl", "kustomize"), _kustomize_in_kubectl),
        (("kustomize", "build"), _kustomize_alone),
    ):
        if shutil.which(command[0]) is not None and version_of() >= KUSTOMIZE_MAJOR:
            return command
    pytest.skip(f"needs {NEEDED}")


def _kustomize_in_kubectl() -> int:
    output = _output("kubectl", "version", "--client", "--output=json")
    version: str = json.loads(output).get("kustomizeVersion", "v0.") if output else "v0."
    return _major(version)


def _kustomize_alone() -> int:
    return _major(_output("kustomize", "version"))


def _output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, timeout=RENDER_LIMIT_S, check=False).stdout.strip()


def _major(version: str) -> int:
    digits = version.rpartition("/v")[2].removeprefix("v").partition(".")[0]
    return int(digits) if digits.isdigit() else 0
