"""``docs/settings.md``, written from the table of variables."""

from __future__ import annotations

import re

from smp.bootstrap.settings.variables import FILE_SUFFIX, VARIABLES


def settings_markdown() -> str:
    """Write the list of all settings in Markdown."""
    rows = [
        f"| `{variable.name}` | {_code(variable.default_text)} | {variable.kind.expected} | {variable.description} |"
        for variable in VARIABLES
    ]
    files = [
        f"`{variable.name}{FILE_SUFFIX}` may name a file that holds the value of `{variable.name}`."
        for variable in VARIABLES
        if variable.secret
    ]
    return "\n".join(
        [
            "# Settings",
            "",
            "SMP is configured by environment variables only. A name that begins with `SMP_` and is not listed here is",
            "an error, and so is a value that is not allowed: `smp` then prints one line for each wrong variable and",
            "exits with code 2. An empty value is an error; unset the variable instead.",
            "`smp doctor` checks the settings too.",
            "",
            "| variable | default | value | purpose |",
            "| --- | --- | --- | --- |",
            *rows,
            "",
            "## Secrets in files",
            "",
            *files,
            "One line end at the end of the file is removed. Setting both variables is an error.",
            "",
            "## In production",
            "",
            "With `SMP_ENV=production`, `SMP_DATABASE_URL` is required, and `SMP_PAYMENTS=simulated` and",
            "`SMP_TEST_CLOCK=1` are refused.",
            "",
            "## In Kubernetes",
            "",
            "If there is a Service named `smp`, Kubernetes sets `SMP_PORT`, `SMP_SERVICE_HOST` and similar variables",
            "in every pod of its namespace. Set `enableServiceLinks: false` in the pod,",
            "as the manifests of this repository do.",
            "",
        ]
    )


def _code(default: str) -> str:
    """Put code marks around the values of a default such as ``json in production``."""
    if not default:
        return "none"
    return re.sub(r"(^|, )([^ ,]+)", r"\1`\2`", default)
