"""``smp serve``."""

from __future__ import annotations

import rich_click as click

from smp.adapters.cli.output import print_line, print_notice
from smp.adapters.cli.runtime import CliServices, StartupReporter


class ConsoleStartupReporter(StartupReporter):
    """A startup reporter that prints to the terminal."""

    def notice(self, text: str) -> None:
        """Print the notice on standard error."""
        print_notice(f"note: {text}")

    def admin_created(self, email: str, generated_password: str | None) -> None:
        """Print the email of the first administrator, and the password if it was generated."""
        if generated_password is None:
            print_line(f"First administrator created: {email}, with the password of the settings.")
            return
        print_line(
            "First administrator created. This password is shown only once:\n"
            f"    email:    {email}\n"
            f"    password: {generated_password}"
        )

    def starting(self, address: str, database: str) -> None:
        """Print the address and the database."""
        print_line(f"SMP on {address} (API: {address}/docs), database: {database}. Ctrl-C stops it.")


def serve_command(runtime: CliServices) -> click.Command:
    """Return the command ``serve``."""

    @click.command("serve")
    @click.option("--host", metavar="ADDRESS", help="Listen on this address instead of SMP_HOST.")
    @click.option("--port", metavar="PORT", help="Listen on this port instead of SMP_PORT.")
    def serve(*, host: str | None, port: str | None) -> None:
        """Serve the HTTP API until the process is stopped, with Ctrl-C or a signal.

        In development it first migrates the database (the embedded one, if SMP_DATABASE_URL is not set) and creates the
        first administrator. In production it refuses to start on an older schema.
        """
        runtime.serve(ConsoleStartupReporter(), host=host, port=port)

    return serve
