"""Metrics, alerts and the dashboard, compared with the metrics of a real service with two workers."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.request import urlopen

import promql_parser as promql
import pytest
import yaml

from smp.adapters.prometheus.definitions import FAMILIES, PROCESS_FAMILIES, REQUEST_TIME, REQUESTS, Family, Kind
from tests.support.clients import Browser
from tests.support.exposition import Scrape, read
from tests.support.manifests import overlay
from tests.support.pages import PROMETHEUS_RULE_FILE, prometheus_rule
from tests.support.postgres import Server
from tests.support.processes import ROOT, Service, environment, free_port, kill, serving, wait_until

PROMETHEUS: Final = ROOT / "observability" / "prometheus"
EMAIL: Final = "root@example.com"
PASSWORD: Final = "correct horse battery staple"
PLANS_ASKED: Final = 40

ADDED_BY_PROMETHEUS: Final = frozenset({"job", "instance", "namespace"})
SERIES_OF_OTHERS: Final[Mapping[str, Sequence[str]]] = {
    "ALERTS": (),
    "barman_cloud_cloudnative_pg_io_last_available_backup_timestamp": (),
    "cnpg_backends_total": ("state",),
    "cnpg_collector_pg_wal_archive_status": ("value",),
    "cnpg_collector_up": (),
    "cnpg_pg_replication_in_recovery": (),
    "cnpg_pg_replication_lag": (),
    "cnpg_pg_replication_streaming_replicas": (),
    "cnpg_pg_settings_setting": ("name",),
    "cnpg_pg_stat_archiver_last_archived_time": (),
    "cnpg_pg_stat_archiver_last_failed_time": (),
}
"""What Prometheus, CloudNativePG and its backup plugin report, and the labels that are used of it."""
SERIES_MAX: Final = 1_500
"""The limit of series of one service, for any number of requests."""

DOWNLOADED: Final = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache"), "smp", "promtool", "usr", "bin")
"""Where .ci/run unpacks promtool."""

Document = Mapping[str, Any]

RULES: Final[Document] = yaml.safe_load((PROMETHEUS / "rules.yml").read_text(encoding="utf-8"))
RULE_TESTS: Final[Document] = yaml.safe_load((PROMETHEUS / "rules_test.yml").read_text(encoding="utf-8"))
DASHBOARD: Final[Document] = json.loads((ROOT / "observability" / "grafana" / "smp.json").read_text(encoding="utf-8"))

ALL_RULES: Final[Sequence[Document]] = [rule for group in RULES["groups"] for rule in group["rules"]]
ALERTS: Final = {rule["alert"]: rule for rule in ALL_RULES if "alert" in rule}
RECORDED: Final = {rule["record"]: rule for rule in ALL_RULES if "record" in rule}
PANELS: Final[Sequence[Document]] = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]


def queries() -> Iterator[tuple[str, str]]:
    """Return the name of each rule or panel with its query; the dashboard's variables are replaced."""
    for rule in ALL_RULES:
        yield rule.get("alert") or rule["record"], rule["expr"]
    for panel in PANELS:
        for target in panel["targets"]:
            expr = target["expr"].replace("$__rate_interval", "5m").replace("$job", ".*")
            yield f"{panel['title']} {target['refId']}", expr
    for annotation in DASHBOARD["annotations"]["list"]:
        yield annotation["name"], annotation["expr"]


QUERIES: Final = dict(queries())


class Live:
    """A service with two workers, and its metrics port."""

    def __init__(self, service: Service, metrics_port: int) -> None:
        self.service = service
        self._metrics_port = metrics_port

    def scrape(self) -> Scrape:
        """Scrape the metrics."""
        with urlopen(f"http://127.0.0.1:{self._metrics_port}/metrics", timeout=10) as answer:
            return read(answer.read().decode())


@pytest.fixture(scope="module")
def live(
    postgres_server: Server, worker_id: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Live, Scrape]]:
    """The service, and its metrics after requests of every kind."""
    database, port, folder = f"smp_observed_{worker_id}", free_port(), tmp_path_factory.mktemp("observed")
    postgres_server.execute(f"CREATE DATABASE {database} TEMPLATE {postgres_server.template}")
    environ = environment(
        folder / "bytecode",
        SMP_DATABASE_URL=postgres_server.url(database),
        SMP_ADMIN_EMAIL=EMAIL,
        SMP_ADMIN_PASSWORD=PASSWORD,
        SMP_WORKERS="2",
        SMP_METRICS_PORT=str(port),
        SMP_LOG_LEVEL="warning",
    )
    try:
        with serving(environ, folder) as service:
            running = Live(service, port)
            traffic(service.port)
            wait_until(lambda: is_settled(running.scrape()))
            yield running, running.scrape()
    finally:
        postgres_server.execute(f"DROP DATABASE {database} WITH (FORCE)")


def traffic(port: int) -> None:
    """Send requests of every kind. A new connection for each lets both workers answer."""
    with Browser(port) as admin:
        admin.log_in(EMAIL, PASSWORD)
        plan = {"code": "pro", "name": "Pro", "price": {"amount": 1990, "currency": "USD"}, "period": "P1M"}
        plan |= {"trial_period": "P14D", "features": {"export": True}}
        assert admin.ask("POST", "/v1/plans", plan).status == 201
        statuses = [
            admin.ask("POST", "/v1/me/subscription/activate", {"plan": "pro", "payment_method": method}).status
            for method in ("sim_declined", "sim_down", "sim_ok")
        ]
        assert statuses == [402, 503, 201]
        assert admin.ask("GET", "/v1/me/access/export").status == 200
    for number in range(PLANS_ASKED):
        with Browser(port) as browser:
            assert browser.ask("GET", "/v1/plans").status == 200
            assert browser.ask("GET", f"/v1/nowhere-{number}").status == 404
            assert browser.ask("GET", f"/v1/plans/no-such-{number}").status == 404


def is_settled(scrape: Scrape) -> bool:
    """Return whether both workers have reported every gauge and one has run the expiry job.

    A worker that starts sets its gauges one after another, and `smp_ready` is the least of all workers.
    """
    expired = scrape("smp_job_runs_total", job_name="expire", outcome="succeeded")
    ready = [scrape("smp_ready", check=check) for check in ("database", "migrations", "clock")] == [1, 1, 1]
    all_pools = scrape("smp_database_pool_size") == 20
    return ready and all_pools and scrape("smp_subscriptions", status="active") == 1 and expired >= 1


def samples(family: Family) -> Sequence[str]:
    """Return the names of the series of a metric."""
    if family.kind is not Kind.HISTOGRAM:
        return [family.name]
    return [f"{family.name}_{part}" for part in ("bucket", "sum", "count")]


def test_the_service_has_exactly_the_documented_metrics_types_labels_and_values(live: tuple[Live, Scrape]) -> None:
    _, scrape = live
    expected = {name for family in (*FAMILIES, *PROCESS_FAMILIES) for name in samples(family)}
    assert scrape.names == expected
    for family in FAMILIES:
        assert scrape.types[family.name.removesuffix("_total")] == family.kind
        for name in samples(family):
            for labels in scrape.labels(name):
                assert set(labels) - {"le"} == set(family.labels), name
                assert all(labels[each] in values for each, values in family.labels.items() if values), labels
    closed = [family for family in FAMILIES if family.labels and all(family.labels.values())]
    for family in closed:
        for label, values in family.labels.items():
            assert {labels[label] for labels in scrape.labels(samples(family)[0])} == set(values)
    listed = re.findall(r"^\| `(\w+)` \|", (ROOT / "docs" / "metrics.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert listed == [family.name for family in (*FAMILIES, *PROCESS_FAMILIES)]


def test_callers_cannot_create_series(live: tuple[Live, Scrape]) -> None:
    """The number of routes and statuses is limited, and all unknown paths share one series."""
    _, scrape = live
    values = {value for _, labels in scrape.values for _, value in labels}
    assert not [value for value in values if "nowhere" in value or "no-such" in value or "@" in value]
    assert scrape(REQUESTS.name, method="GET", route="unmatched", status="404") == PLANS_ASKED
    assert scrape(REQUESTS.name, method="GET", route="/v1/plans/{plan}", status="404") == PLANS_ASKED
    assert len(scrape.values) < SERIES_MAX


def test_workers_are_added_up_and_the_counts_of_a_dead_worker_stay(live: tuple[Live, Scrape]) -> None:
    """A counter must not go down. The gauges of a dead worker disappear, and those of its successor appear."""
    running, scrape = live
    assert scrape(REQUESTS.name, method="GET", route="/v1/plans", status="200") == PLANS_ASKED
    assert scrape(f"{REQUEST_TIME.name}_count", method="GET", route="/v1/plans") == PLANS_ASKED
    assert scrape("smp_payments_total", outcome="charged") == 1
    assert scrape("smp_build_info", **next(iter(scrape.labels("smp_build_info")))) == 1
    first, second = running.service.workers()
    kill(first)
    # Its gauges stay until the parent notices that it is dead; its successor takes longer than that to start.
    wait_until(lambda: running.scrape()("smp_database_pool_size") == 10)
    wait_until(lambda: len(running.service.workers()) == 2 and is_settled(running.scrape()))
    again = running.scrape()
    assert second in running.service.workers()
    assert again(REQUESTS.name, method="GET", route="/v1/plans", status="200") == PLANS_ASKED
    assert again("smp_database_pool_size") == 20


@pytest.mark.parametrize("where", QUERIES)
def test_every_query_finds_series_and_groups_by_existing_labels(where: str, live: tuple[Live, Scrape]) -> None:
    _, scrape = live
    for selector in selectors(QUERIES[where]):
        assert selector.name is not None
        if selector.name in SERIES_OF_OTHERS:
            continue
        if selector.name in RECORDED:
            assert not selector.matchers.matchers
            continue
        matching = [labels for labels in scrape.labels(selector.name) if matches(selector, labels)]
        assert matching, f"{selector.prettify()} finds nothing"
    known = labels_of(QUERIES[where], scrape) | ADDED_BY_PROMETHEUS
    assert set(grouped_by(QUERIES[where])) <= known


def selectors(query: str) -> Iterable[promql.VectorSelector]:
    """Return every selector of the query."""
    found: list[promql.VectorSelector] = []

    def visit(node: promql.Expr) -> bool:
        if isinstance(node, promql.VectorSelector):
            found.append(node)
        return True

    promql.walk(promql.parse(query), visit)
    return found


def grouped_by(query: str) -> Iterable[str]:
    """Return the labels of every ``by`` and ``without``."""
    found: list[str] = []

    def visit(node: promql.Expr) -> bool:
        if isinstance(node, promql.AggregateExpr) and node.modifier is not None:
            found.extend(node.modifier.labels)
        return True

    promql.walk(promql.parse(query), visit)
    return found


def labels_of(query: str, scrape: Scrape) -> set[str]:
    """Return the labels of all series that the query reads."""
    names = [str(selector.name) for selector in selectors(query)]
    ours = {label for name in names for labels in scrape.labels(name) for label in labels}
    return ours.union(*(SERIES_OF_OTHERS.get(name, ()) for name in names))


def matches(selector: promql.VectorSelector, labels: Mapping[str, str]) -> bool:
    """Return whether the selector selects the series. Labels that Prometheus adds match always."""
    return all(
        is_matched(matcher, labels[matcher.name]) if matcher.name in labels else matcher.name in ADDED_BY_PROMETHEUS
        for matcher in selector.matchers.matchers
    )


def is_matched(matcher: promql.Matcher, value: str) -> bool:
    if matcher.op == promql.MatchOp.Equal:
        return matcher.value == value
    if matcher.op == promql.MatchOp.NotEqual:
        return matcher.value != value
    return (re.fullmatch(matcher.value, value) is not None) is (matcher.op == promql.MatchOp.Re)


def test_a_query_with_a_wrong_name_label_or_value_finds_nothing(live: tuple[Live, Scrape]) -> None:
    """Otherwise the test above could not fail."""
    _, scrape = live
    for wrong in ('smp_ready{check="disk"}', 'smp_ready{checks="database"}', "smp_redy", 'smp_ready{check=~"data"}'):
        (selector,) = selectors(f"sum(rate({wrong}[5m])) > 0")
        assert not any(matches(selector, labels) for labels in scrape.labels(str(selector.name)))
    assert list(grouped_by("sum by (jobs) (smp_ready)")) == ["jobs"]


def test_every_metric_is_used_by_the_dashboard_or_an_alert() -> None:
    """A metric that is not used only costs."""
    asked = {str(selector.name) for query in QUERIES.values() for selector in selectors(query)}
    unseen = [family.name for family in FAMILIES if not asked & set(samples(family))]
    assert unseen == []
    assert asked >= set(RECORDED)


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_says_what_is_wrong_how_urgent_it_is_and_what_to_do(name: str) -> None:
    alert = ALERTS[name]
    assert name.startswith("Smp")
    assert alert["labels"] == {"severity": alert["labels"]["severity"]}
    assert alert["labels"]["severity"] in {"page", "ticket"}
    assert re.fullmatch(r"[1-9][0-9]*m", alert["for"])
    assert set(alert["annotations"]) == {"summary", "description", "runbook_url"}
    assert len(alert["annotations"]["summary"]) < 80
    page, _, anchor = alert["annotations"]["runbook_url"].partition("#")
    assert anchor == name.lower()
    headings = re.findall(r"^#+ (\S+)$", (ROOT / page).read_text(encoding="utf-8"), re.MULTILINE)
    assert name in headings


def test_the_runbook_has_no_other_alerts() -> None:
    text = (ROOT / "docs" / "operations" / "monitoring-and-alerts.md").read_text(encoding="utf-8")
    assert set(re.findall(r"^### (Smp\w+)$", text, re.MULTILINE)) == set(ALERTS)


@pytest.mark.parametrize("name", ALERTS)
def test_the_rule_tests_cover_an_alert_that_fires_and_one_that_does_not(name: str) -> None:
    """Promtool runs the rule tests."""
    cases = [case for test in RULE_TESTS["tests"] for case in test["alert_rule_test"] if case["alertname"] == name]
    assert {bool(case["exp_alerts"]) for case in cases} == {True, False}


@pytest.mark.parametrize(
    "command", [("check", "rules", "rules.yml"), ("test", "rules", "rules_test.yml")], ids=" ".join
)
def test_promtool_accepts_the_rules_and_their_tests(command: Sequence[str]) -> None:
    promtool = shutil.which("promtool", path=f"{os.environ['PATH']}{os.pathsep}{DOWNLOADED}")
    if promtool is None:
        pytest.skip("promtool is not installed; on Debian and Ubuntu it comes with the package prometheus")
    done = subprocess.run([promtool, *command], cwd=PROMETHEUS, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_rules_of_a_cluster_are_the_same_rules() -> None:
    assert PROMETHEUS_RULE_FILE.read_text(encoding="utf-8") == prometheus_rule(), "run: make docs"
    rule = overlay("production").one("PrometheusRule", "smp")
    assert rule["spec"] == RULES


def test_the_alerts_about_the_database_use_the_job_that_production_scrapes_and_no_other() -> None:
    """The Prometheus Operator names the job NAMESPACE/NAME, and a Prometheus may have the metrics of many databases."""
    (group,) = [group for group in RULES["groups"] if group["name"] == "smp-database"]
    monitor = overlay("production").one("PodMonitor", "smp-db")["metadata"]
    used = [selector for rule in group["rules"] for selector in selectors(rule["expr"])]
    assert {selector.name for selector in used} <= set(SERIES_OF_OTHERS)
    for selector in used:
        for job, is_found in (
            (f"{monitor['namespace']}/{monitor['name']}", True),
            ("smp-db", True),
            ("shop/shop-smp-db", False),
        ):
            assert all(
                is_matched(matcher, job) is is_found for matcher in selector.matchers.matchers if matcher.name == "job"
            )
        assert "job" in {matcher.name for matcher in selector.matchers.matchers}


def test_every_panel_uses_the_chosen_data_source_and_has_its_own_id() -> None:
    panels = DASHBOARD["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels) > 20
    assert len({panel["title"] for panel in PANELS}) == len(PANELS)
    for panel in PANELS:
        sources = [panel["datasource"], *(target["datasource"] for target in panel["targets"])]
        assert all(source == {"type": "prometheus", "uid": "${datasource}"} for source in sources)
    assert [variable["name"] for variable in DASHBOARD["templating"]["list"]] == ["datasource", "job"]


def test_the_panels_name_every_alert_that_exists_and_no_other() -> None:
    named = {word for panel in PANELS for word in re.findall(r"Smp\w+", panel["description"])}
    assert named == set(ALERTS)


def test_rules_and_dashboard_contain_no_address() -> None:
    """They are the same for every installation."""
    for file in (PROMETHEUS / "rules.yml", ROOT / "observability" / "grafana" / "smp.json"):
        assert not re.search(r"https?://|localhost|127\.0\.0\.1", file.read_text(encoding="utf-8"))
