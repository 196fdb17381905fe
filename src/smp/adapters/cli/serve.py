"""``smp serve``."""

from __future__ import annotations

import rich_click as click

from smp.adapters.cli.output import print_line, print_notice
from smp.adapters.cli.runtime import CliServices, StartupReporter


class ConsoleStartupReporter(StartupReporter):
    """Tells the person at the terminal."""

    def notice(self, text: str) -> None:
        """On standard error."""
        print_notice(f"note: {text}")

    def admin_made(self, email: str, generated_password: str | None) -> None:
        """With the password where it was generated: it is shown this once."""
        if generated_password is None:
            print_line(f"First administrator made: {email}, with the password that is set.")
            return
        print_line(
            "First administrator made. This password is shown once:\n"
            f"    email:    {email}\n"
            f"    password: {generated_password}"
        )

    def starting(self, address: str, database: str) -> None:
        """Where to look."""
        print_line(f"SMP on {address} (API: {address}/docs), database: {database}. Ctrl-C stops it.")


def serve_command(runtime: CliServices) -> click.Command:
    """The command over this runtime."""

    @click.command("serve")
    def serve() -> None:
        """Answer requests over HTTP until told to stop.

        In development it brings the database up to date first, the embedded one where SMP_DATABASE_URL is not set, and
        makes the first administrator. In production it refuses to run on an old schema.
        """
        runtime.serve(ConsoleStartupReporter())

    return serve
