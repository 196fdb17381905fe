"""The workflows keep the rules that make a pipeline safe to run, and call nothing but make."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
import yaml

ROOT: Final = Path(__file__).parents[2]
FOLDER: Final = ROOT / ".github" / "workflows"
FILES: Final = sorted(path.name for path in FOLDER.iterdir())

PINNED: Final = re.compile(r"(?P<action>[\w.-]+/[\w./-]+)@(?P<commit>[0-9a-f]{40})")
LOCAL: Final = re.compile(r"\./\.github/workflows/[\w-]+\.yml")
MAKE: Final = re.compile(r"make (?P<target>[a-z-]+)(?: [A-Z]+=[\w./-]+)*")

ALLOWED_RUNS: Final = {"exit 1": "the required job has nothing to make: it only says that another job did not pass"}

# What a job of this workflow may write; all the others only read.
WRITES: Final = {
    ("main.yml", "image"): {"packages", "id-token", "attestations"},
    ("release.yml", "distribution"): {"id-token", "attestations"},
    ("release.yml", "image"): {"packages"},
    ("release.yml", "publish"): {"contents"},
}


@dataclass(frozen=True, slots=True)
class Job:
    """A job, and the file that it stands in."""

    file: str
    name: str
    body: Mapping[str, Any]

    @property
    def steps(self) -> list[Mapping[str, Any]]:
        return list(self.body.get("steps", []))

    @property
    def calls_a_workflow(self) -> bool:
        return "uses" in self.body

    def __str__(self) -> str:
        return f"{self.file}:{self.name}"


def load(file: str) -> dict[str, Any]:
    document = yaml.safe_load((FOLDER / file).read_text(encoding="utf-8"))
    # YAML 1.1 reads the word as a boolean.
    return {"on" if key is True else key: value for key, value in document.items()}


def jobs() -> list[Job]:
    return [Job(file, name, body) for file in FILES for name, body in load(file)["jobs"].items()]


def runs() -> list[tuple[Job, str]]:
    return [(job, each["run"].strip()) for job in jobs() for each in job.steps if "run" in each]


def targets() -> set[str]:
    return set(re.findall(r"(?m)^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8")))


def needs(job: Job) -> set[str]:
    wanted = job.body.get("needs", [])
    return {wanted} if isinstance(wanted, str) else set(wanted)


def test_the_four_workflows_are_there() -> None:
    assert FILES == ["checks.yml", "main.yml", "nightly.yml", "release.yml"]


# --- who may do what --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("file", FILES)
def test_a_workflow_has_no_rights_of_its_own(file: str) -> None:
    assert load(file)["permissions"] == {}


@pytest.mark.parametrize("job", jobs(), ids=str)
def test_a_job_writes_only_what_it_is_there_for(job: Job) -> None:
    granted = job.body["permissions"]
    assert isinstance(granted, dict)
    assert set(granted.values()) <= {"read", "write"}
    assert {name for name, level in granted.items() if level == "write"} == WRITES.get((job.file, job.name), set())


@pytest.mark.parametrize("file", FILES)
def test_strangers_code_never_runs_with_our_rights(file: str) -> None:
    """Of the events, those that run a stranger's code do it without secrets, and those with secrets run ours."""
    assert set(load(file)["on"]) <= {
        *("pull_request", "merge_group", "workflow_call", "push", "schedule", "workflow_dispatch")
    }


def test_changes_are_checked_before_and_after_they_are_merged() -> None:
    assert set(load("checks.yml")["on"]) == {"pull_request", "merge_group", "workflow_call"}
    assert load("main.yml")["on"] == {"push": {"branches": ["main"]}}
    assert load("release.yml")["on"] == {"push": {"tags": ["v*"]}}
    assert {"schedule", "workflow_dispatch"} == set(load("nightly.yml")["on"])


def test_secrets_are_seen_only_by_a_job_with_an_environment() -> None:
    """An environment may ask a person first, and holds its secrets back from every other job."""
    for job in jobs():
        if "secrets." in str(job.body):
            assert "environment" in job.body, job


@pytest.mark.parametrize("job", [job for job in jobs() if not job.calls_a_workflow], ids=str)
def test_a_check_out_keeps_no_credentials(job: Job) -> None:
    for step in job.steps:
        if step.get("uses", "").startswith("actions/checkout@"):
            assert step["with"]["persist-credentials"] is False


# --- what they are made of --------------------------------------------------------------------------------------------


def uses() -> Iterator[tuple[str, str, str]]:
    """The file, what is used, and the comment behind it."""
    for file in FILES:
        for line in (FOLDER / file).read_text(encoding="utf-8").splitlines():
            if found := re.fullmatch(r"\s*(?:- )?uses: (\S+)(?: # (.+))?", line):
                yield file, found[1], found[2] or ""


def test_no_use_is_overlooked() -> None:
    """Those found line by line are those that the parser finds."""
    parsed = [step["uses"] for job in jobs() for step in job.steps if "uses" in step]
    parsed += [job.body["uses"] for job in jobs() if job.calls_a_workflow]
    assert sorted(parsed) == sorted(used for _, used, _ in uses())


def test_every_action_is_pinned_to_a_commit_and_says_its_version() -> None:
    pinned: dict[str, set[tuple[str, str]]] = {}
    for file, used, comment in uses():
        if LOCAL.fullmatch(used):
            assert (ROOT / used).is_file()
            continue
        found = PINNED.fullmatch(used)
        assert found, f"{file}: {used}"
        assert re.fullmatch(r"v\d+\.\d+\.\d+", comment), f"{file}: {used} {comment}"
        pinned.setdefault(found["action"], set()).add((found["commit"], comment))
    assert {action: pins for action, pins in pinned.items() if len(pins) > 1} == {}


def test_actions_are_of_the_code_host_and_of_docker_alone() -> None:
    owners = {used.partition("/")[0] for _, used, _ in uses() if not LOCAL.fullmatch(used)}
    assert owners == {"actions", "docker"}


@pytest.mark.parametrize("job", jobs(), ids=str)
def test_a_job_ends(job: Job) -> None:
    """One that calls another workflow has the limits of that one's jobs."""
    if not job.calls_a_workflow:
        assert 0 < job.body["timeout-minutes"] <= 300
        assert job.body["runs-on"] == "ubuntu-24.04"


@pytest.mark.parametrize("file", FILES)
def test_runs_of_a_workflow_know_of_each_other(file: str) -> None:
    """And only the older run of a pull request is ended for a newer one: half a release is worse than a late one."""
    concurrency = load(file)["concurrency"]
    assert concurrency["group"]
    ends = concurrency["cancel-in-progress"]
    assert ends == ("${{ github.event_name == 'pull_request' }}" if file == "checks.yml" else False)


def test_no_two_workflows_share_a_group() -> None:
    """A workflow that waits for the one that it has called waits for ever."""
    groups = [load(file)["concurrency"]["group"].partition("-$")[0] for file in FILES]
    assert len(set(groups)) == len(groups)


# --- what they run ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("job", "run"), [pytest.param(job, run, id=f"{job}-{run}") for job, run in runs()])
def test_a_step_calls_one_target_of_make(job: Job, run: str) -> None:
    """So that everything a workflow does can be tried on any machine; nothing is put into a command's text."""
    if run not in ALLOWED_RUNS:
        found = MAKE.fullmatch(run)
        assert found, run
        assert found["target"] in targets()


def test_what_is_allowed_beside_make_is_used() -> None:
    assert {run for _, run in runs()} >= set(ALLOWED_RUNS)


def test_the_variables_of_a_target_are_given() -> None:
    """A target that insists on an environment variable finds it at the step or at the job."""
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    recipes = dict(re.findall(r"(?m)^([a-z-]+):[^\n]*\n((?:\t[^\n]*\n)+)", text))
    insisting = 0
    for job in jobs():
        for step in job.steps:
            if not (found := MAKE.fullmatch(str(step.get("run", "")).strip())):
                continue
            wanted = set(re.findall(r"\$\$\{([A-Z_]+):\?\}", recipes[found["target"]]))
            assert wanted <= {*step.get("env", {}), *job.body.get("env", {})}, f"{job} {step}"
            insisting += len(wanted)
    assert insisting > 5


def test_tests_run_on_every_python_that_we_promise() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    promised = {text.rpartition(" ")[2] for text in project["classifiers"] if re.search(r":: 3\.\d+$", text)}
    assert set(load("checks.yml")["jobs"]["test"]["strategy"]["matrix"]["python"]) == promised
    oldest = min(promised, key=lambda version: int(version.partition(".")[2]))
    assert project["requires-python"] == f">={oldest}"


def test_tests_run_on_the_oldest_and_the_newest_postgresql() -> None:
    """As a server that is given and, the newest, in a container that the tests start."""
    checks = load("checks.yml")["jobs"]
    assert checks["postgres"]["strategy"]["matrix"]["postgres"] == ["15", "18"]
    service = checks["postgres"]["services"]["postgres"]
    url = checks["postgres"]["steps"][-1]["env"]["SMP_TEST_DATABASE_URL"]
    assert url == f"postgresql://postgres:{service['env']['POSTGRES_PASSWORD']}@127.0.0.1:5432/postgres"
    assert checks["testcontainers"]["steps"][-1]["env"] == {"SMP_TEST_DOCKER": "1"}


@pytest.mark.parametrize("job", [job for job in jobs() if "matrix" in str(job.body.get("strategy"))], ids=str)
def test_one_failure_does_not_hide_another(job: Job) -> None:
    assert job.body["strategy"]["fail-fast"] is False


def test_one_job_stands_for_all_the_checks() -> None:
    """It runs whatever happened to them, and fails unless each has passed; a skipped one has not."""
    required = next(job for job in jobs() if str(job) == "checks.yml:required")
    assert needs(required) == {job.name for job in jobs() if job.file == "checks.yml"} - {"required"}
    assert required.body["if"] == "always()"
    (step,) = required.steps
    assert step["run"] == "exit 1"
    for result in ("failure", "cancelled", "skipped"):
        assert f"contains(needs.*.result, '{result}')" in step["if"]
    assert "&&" not in step["if"]


def test_no_check_may_fail() -> None:
    for job in jobs():
        assert "continue-on-error" not in str(job.body), job


def test_everything_that_is_checked_here_is_checked_there() -> None:
    called = {MAKE.fullmatch(run)["target"] for job, run in runs() if job.file == "checks.yml" and run != "exit 1"}  # type: ignore[index]
    assert called == {"check", "test", "image", "manifests", "dist"}


# --- from the main branch to a release --------------------------------------------------------------------------------


def step(file: str, job: str, action: str) -> Mapping[str, Any]:
    (found,) = [each for each in load(file)["jobs"][job]["steps"] if each.get("uses", "").startswith(f"{action}@")]
    return dict(found["with"])


def test_the_image_is_built_once_and_only_of_what_has_passed() -> None:
    main, release = load("main.yml")["jobs"], load("release.yml")["jobs"]
    assert main["checks"]["uses"] == "./.github/workflows/checks.yml"
    assert main["image"]["needs"] == "checks"
    assert main["staging"]["needs"] == "image"
    assert "build-push-action" not in str(release)
    assert {"distribution", "image"} == set(release["publish"]["needs"])
    assert release["image"]["needs"] == "distribution"


def test_the_image_carries_its_parts_list_and_its_origin() -> None:
    build = step("main.yml", "image", "docker/build-push-action")
    assert build["sbom"] is True
    assert build["provenance"] == "mode=max"
    assert build["push"] is True
    assert build["tags"] == "${{ env.IMAGE }}:${{ github.sha }}"
    attest = step("main.yml", "image", "actions/attest-build-provenance")
    assert attest["subject-digest"] == "${{ steps.build.outputs.digest }}"
    assert attest["push-to-registry"] is True


def test_the_images_labels_are_given() -> None:
    arguments = step("main.yml", "image", "docker/build-push-action")["build-args"].splitlines()
    given = {line.partition("=")[0] for line in arguments}
    assert given == set(re.findall(r"(?m)^ARG (\w+)$", (ROOT / "Dockerfile").read_text(encoding="utf-8")))


def test_staging_is_rolled_out_by_digest_and_then_asked() -> None:
    staging = load("main.yml")["jobs"]["staging"]
    rollout, smoke = (each for each in staging["steps"] if "run" in each)
    assert rollout["run"] == "make rollout"
    assert rollout["env"]["IMAGE"].endswith("@${{ needs.image.outputs.digest }}")
    assert smoke["run"].startswith("make smoke")
    assert smoke["env"] == {"URL": "${{ vars.STAGING_URL }}"}


def test_no_host_is_written_down() -> None:
    """Where an image goes is the repository's variable: a fork pushes nowhere."""
    for file in FILES:
        code = "\n".join(line.partition(" # ")[0] for line in (FOLDER / file).read_text(encoding="utf-8").splitlines())
        assert re.findall(r"[\w-]+\.(?:io|com|org|dev)\b", code) == [], file
    for name, job in [("main.yml", "image"), ("release.yml", "image")]:
        assert load(name)["jobs"][job]["if"] == "vars.REGISTRY != ''"


def test_everything_that_has_to_be_set_up_is_explained() -> None:
    """Each variable and secret of the workflows is in the page's table, and no other."""
    text = "\n".join((FOLDER / file).read_text(encoding="utf-8") for file in FILES)
    used = set(re.findall(r"\b(?:vars|secrets)\.([A-Z_]+)\b", text))
    page = (ROOT / "docs" / "releasing.md").read_text(encoding="utf-8")
    table = page.partition("## Set up once")[2].partition("## Make a release")[0]
    assert set(re.findall(r"\| `([A-Z_]+)` \|", table)) == used
    assert len(used) == 5


def test_the_page_tells_of_every_workflow_and_calls_only_targets() -> None:
    page = (ROOT / "docs" / "releasing.md").read_text(encoding="utf-8")
    assert {f"{name}.yml" for name in re.findall(r"(?m)^\| `(\w+)` \| (?:pull|a commit|a tag|every)", page)} == set(
        FILES
    )
    assert set(re.findall(r"\bmake ([a-z-]+)`", page)) <= targets()


# --- what keeps it up to date -----------------------------------------------------------------------------------------


def test_everything_that_is_pinned_is_kept_up_to_date() -> None:
    updates = yaml.safe_load((ROOT / ".github" / "dependabot.yml").read_text(encoding="utf-8"))["updates"]
    assert {update["package-ecosystem"] for update in updates} == {"pip", "docker", "docker-compose", "github-actions"}
    for update in updates:
        assert update["directory"] == "/"
        assert update["schedule"] == {"interval": "weekly"}
        assert update["cooldown"]["default-days"] >= 7


def test_the_checks_lint_the_workflows() -> None:
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    recipe = re.search(r"(?m)^check:.*\n((?:\t.*\n)+)", text)
    assert recipe
    assert "$(BIN)/actionlint .github/workflows/*.yml" in recipe[1]
    assert "$(BIN)/zizmor --offline" in recipe[1]
