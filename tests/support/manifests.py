"""The Kubernetes manifests as a cluster would get them: rendered by Kustomize, once a process."""

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
KUSTOMIZE_MAJOR: Final = 5
NEEDED: Final = "kubectl 1.27 or newer, or kustomize 5 or newer, on the PATH"
RENDER_LIMIT_S: Final = 60

Manifest = Mapping[str, Any]
"""One object, as YAML has it."""


@dataclass(frozen=True, slots=True)
class Workload:
    """Something that makes pods; ``pod`` is the template's spec, ``pod_labels`` are its labels."""

    kind: str
    name: str
    manifest: Manifest
    pod_labels: Mapping[str, str]
    pod: Mapping[str, Any]

    @property
    def containers(self) -> Sequence[Mapping[str, Any]]:
        """All of them; there are no init containers."""
        assert "initContainers" not in self.pod
        containers: Sequence[Mapping[str, Any]] = self.pod["containers"]
        return containers

    @property
    def container(self) -> Mapping[str, Any]:
        """The only one."""
        (container,) = self.containers
        return container


@dataclass(frozen=True, slots=True)
class Rendered:
    """What one folder renders to."""

    manifests: Sequence[Manifest]

    def of_kind(self, kind: str) -> Sequence[Manifest]:
        """All objects of this kind."""
        return [manifest for manifest in self.manifests if manifest["kind"] == kind]

    def one(self, kind: str, name: str) -> Manifest:
        """The object of this kind and name."""
        (manifest,) = [each for each in self.of_kind(kind) if each["metadata"]["name"] == name]
        return manifest

    def workloads(self) -> Iterator[Workload]:
        """Everything that makes pods and is no custom resource."""
        for manifest in self.manifests:
            template = manifest.get("spec", {}).get("template")
            if manifest["kind"] == "CronJob":
                template = manifest["spec"]["jobTemplate"]["spec"]["template"]
            if manifest["kind"] in {"Deployment", "StatefulSet", "Job", "CronJob"}:
                labels = template["metadata"]["labels"]
                yield Workload(manifest["kind"], manifest["metadata"]["name"], manifest, labels, template["spec"])

    def workload(self, kind: str, name: str) -> Workload:
        """The one of this kind and name."""
        (workload,) = [each for each in self.workloads() if (each.kind, each.name) == (kind, name)]
        return workload

    def environment(self, workload: Workload) -> Mapping[str, str]:
        """What the only container's environment is made of."""
        variables: dict[str, str] = {}
        for source in workload.container.get("envFrom", []):
            variables |= self.one("ConfigMap", source["configMapRef"]["name"])["data"]
        return variables | {variable["name"]: variable["value"] for variable in workload.container.get("env", [])}


@cache
def render(folder: str) -> Rendered:
    """What ``k8s/{folder}`` renders to; the test is skipped where there is nothing to render it with."""
    return _render(K8S / folder)


def overlay(name: str) -> Rendered:
    """What the overlay renders to."""
    return render(f"overlays/{name}")


@cache
def traced() -> Rendered:
    """What production renders to with the component that sends traces."""
    with tempfile.TemporaryDirectory() as folder:
        # Kustomize takes no path from the root.
        root = os.path.relpath(K8S, Path(folder).resolve())
        lines = [
            f"resources: [{root}/overlays/production]",
            f"components: [{root}/components/tracing]",
            "namespace: smp",
        ]
        (Path(folder) / "kustomization.yaml").write_text("\n".join(lines), encoding="utf-8")
        return _render(Path(folder))


def _render(folder: Path) -> Rendered:
    rendered = subprocess.run(
        [*renderer(), str(folder)], capture_output=True, text=True, timeout=RENDER_LIMIT_S, check=False
    )
    assert rendered.returncode == 0, rendered.stderr
    return Rendered([manifest for manifest in yaml.safe_load_all(rendered.stdout) if manifest])


@cache
def renderer() -> Sequence[str]:
    """The command that renders the folder which is its last argument; the test is skipped where there is none."""
    for command, version_of in (
        (("kubectl", "kustomize"), _kustomize_in_kubectl),
        (("kustomize", "build"), _kustomize_alone),
    ):
        if shutil.which(command[0]) is not None and version_of() >= KUSTOMIZE_MAJOR:
            return command
    pytest.skip(f"needs {NEEDED}")


def _kustomize_in_kubectl() -> int:
    said = _say("kubectl", "version", "--client", "--output=json")
    version: str = json.loads(said).get("kustomizeVersion", "v0.") if said else "v0."
    return _major(version)


def _kustomize_alone() -> int:
    return _major(_say("kustomize", "version"))


def _say(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, timeout=RENDER_LIMIT_S, check=False).stdout.strip()


def _major(version: str) -> int:
    digits = version.rpartition("/v")[2].removeprefix("v").partition(".")[0]
    return int(digits) if digits.isdigit() else 0
