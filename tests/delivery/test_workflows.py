"""The rules of .github/workflows that actionlint and zizmor, which `make check` runs, do not check."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

ROOT: Final = Path(__file__).parents[2]
FOLDER: Final = ROOT / ".github" / "workflows"
MAKEFILE: Final = (ROOT / "Makefile").read_text(encoding="utf-8")
RELEASING: Final = (ROOT / "docs" / "releasing.md").read_text(encoding="utf-8")

# BaseLoader: every value is a text, and the key `on` is not read as a boolean.
WORKFLOWS: Final[Mapping[str, Any]] = {
    file.name: yaml.load(file.read_text(encoding="utf-8"), Loader=yaml.BaseLoader)  # noqa: S506 - texts only
    for file in sorted(FOLDER.glob("*.yml"))
}
TEXT: Final = "\n".join(file.read_text(encoding="utf-8") for file in sorted(FOLDER.glob("*.yml")))
JOBS: Final[Mapping[str, Mapping[str, Any]]] = {
    f"{file}:{name}": job for file, workflow in WORKFLOWS.items() for name, job in workflow["jobs"].items()
}
RUNS: Final = [
    pytest.param(job, step, id=f"{name}-{step['run']}")
    for name, job in JOBS.items()
    for step in job.get("steps", [])
    if "run" in step and name != "checks.yml:required"
]
RECIPES: Final = dict(re.findall(r"(?m)^([a-z-]+):[^\n]*\n((?:\t[^\n]*\n)+)", MAKEFILE))

MAY_WRITE: Final = {
    "main.yml:image": {"packages", "id-token", "attestations"},
    "release.yml:distribution": {"id-token", "attestations"},
    "release.yml:image": {"packages"},
    "release.yml:publish": {"contents"},
}


@pytest.mark.parametrize(("job", "step"), RUNS)
def test_every_step_calls_one_make_target_and_gives_it_its_variables(
    job: Mapping[str, Any], step: Mapping[str, Any]
) -> None:
    """Everything that a workflow does can be run on any machine."""
    found = re.fullmatch(r"make ([a-z-]+)( PYTHON=python)?", step["run"])
    assert found, step["run"]
    required = set(re.findall(r"\$\$\{([A-Z_]+):\?\}", RECIPES[found[1]]))
    assert required <= {*step.get("env", {}), *job.get("env", {})}


@pytest.mark.parametrize("name", JOBS)
def test_a_job_has_only_the_rights_that_it_needs_and_a_time_limit(name: str) -> None:
    job = JOBS[name]
    writes = {right for right, level in job["permissions"].items() if level == "write"}
    assert writes == MAY_WRITE.get(name, set())
    assert "secrets." not in str(job) or "environment" in job, "only an environment can protect its secrets"
    assert "continue-on-error" not in str(job), "no check may fail"
    assert "uses" in job or 0 < int(job["timeout-minutes"]) <= 300


def test_every_action_is_published_by_github_or_docker_and_states_its_version() -> None:
    """That it is pinned to a commit is a rule of zizmor."""
    used = re.findall(r"uses: ((?!\./)[\w.-]+)/[\w./-]+@\w+(.*)", TEXT)
    assert {owner for owner, _ in used} == {"actions", "docker"}
    assert all(re.fullmatch(r" # v\d+\.\d+\.\d+", comment) for _, comment in used)


def test_a_change_is_merged_only_if_every_check_passed() -> None:
    jobs = WORKFLOWS["checks.yml"]["jobs"]
    required = jobs["required"]
    assert set(required["needs"]) == set(jobs) - {"required"}
    assert (required["if"], [step["run"] for step in required["steps"]]) == ("always()", ["exit 1"])
    (condition,) = [step["if"] for step in required["steps"]]
    results = ("failure", "cancelled", "skipped")
    assert condition == " || ".join(f"contains(needs.*.result, '{result}')" for result in results)


def test_the_tests_run_on_every_supported_python_and_postgresql() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    supported = [text.rpartition(" ")[2] for text in project["classifiers"] if re.search(r":: 3\.\d+$", text)]
    jobs = WORKFLOWS["checks.yml"]["jobs"]
    assert jobs["test"]["strategy"]["matrix"]["python"] == supported
    assert project["requires-python"] == f">={supported[0]}"
    assert jobs["postgres"]["strategy"]["matrix"]["postgres"] == ["15", "18"]
    assert "SMP_TEST_DATABASE_URL" in str(jobs["postgres"])


def test_an_image_is_built_once_from_a_checked_commit_and_then_named_by_its_digest() -> None:
    main = WORKFLOWS["main.yml"]["jobs"]
    assert main["checks"]["uses"] == "./.github/workflows/checks.yml"
    assert (main["image"]["needs"], main["staging"]["needs"]) == ("checks", "image")
    assert TEXT.count("docker/build-push-action@") == 1
    assert "@${{ needs.image.outputs.digest }}" in str(main["staging"])
    (build,) = [step["with"] for step in main["image"]["steps"] if step.get("id") == "build"]
    arguments = re.findall(r"(?m)^ARG (\w+)$", (ROOT / "Dockerfile").read_text(encoding="utf-8"))
    assert [line.partition("=")[0] for line in build["build-args"].splitlines()] == arguments
    assert (build["sbom"], build["provenance"]) == ("true", "mode=max")


def test_a_fork_pushes_its_image_nowhere() -> None:
    assert re.findall(r"[\w-]+\.(?:io|com|org|dev)\b", TEXT) == []
    for name in ("main.yml:image", "release.yml:image"):
        assert JOBS[name]["if"] == "vars.REGISTRY != ''"


def test_the_page_about_releases_names_every_workflow_variable_and_target() -> None:
    assert re.findall(r"(?m)^\| `(\w+)` \| ", RELEASING.partition("## Set up once")[0]) == [
        file.removesuffix(".yml") for file in ("checks.yml", "main.yml", "release.yml", "nightly.yml")
    ]
    used = set(re.findall(r"\b(?:vars|secrets)\.([A-Z_]+)\b", TEXT))
    assert set(re.findall(r"\| `([A-Z_]+)` \|", RELEASING)) == used
    assert set(re.findall(r"\bmake ([a-z-]+)`", RELEASING)) <= set(RECIPES)


def test_newer_versions_of_everything_that_is_pinned_are_proposed_a_week_late() -> None:
    updates = yaml.safe_load((ROOT / ".github" / "dependabot.yml").read_text(encoding="utf-8"))["updates"]
    assert {update["package-ecosystem"] for update in updates} == {"pip", "docker", "docker-compose", "github-actions"}
    assert all(update["cooldown"]["default-days"] >= 7 for update in updates)


def test_a_release_and_every_night_look_up_known_vulnerabilities_with_a_pinned_program() -> None:
    for job in ("nightly.yml:audit", "release.yml:distribution"):
        assert "make audit PYTHON=python" in [step.get("run") for step in JOBS[job]["steps"]]
    pinned = (ROOT / "requirements-audit.txt").read_text(encoding="utf-8")
    assert re.search(r"(?m)^pip-audit==[\d.]+ \\\n    --hash=sha256:", pinned)
    assert "://" not in pinned
    for file in ("requirements.txt", "requirements-embedded.txt", "requirements-build.txt"):
        assert f"-r {file}" in RECIPES["audit"]


def test_promtool_is_the_one_of_the_prometheus_that_is_started_by_its_digest() -> None:
    expression = re.search(r"sed -n 's\|(.*?)\|", RECIPES["alerts"])
    assert expression is not None
    pattern = expression[1].replace("\\(", "(").replace("\\)", ")").replace("$$", "$")
    (image,) = re.findall(f"(?m){pattern}", (ROOT / "compose.yaml").read_text(encoding="utf-8"))
    assert re.fullmatch(r"prom/prometheus:v[\d.]+@sha256:[0-9a-f]{64}", image)


def test_the_image_is_built_for_the_processors_of_servers_and_of_laptops() -> None:
    (build,) = [step["with"] for step in JOBS["main.yml:image"]["steps"] if step.get("id") == "build"]
    assert build["platforms"].split(",") == ["linux/amd64", "linux/arm64"]
