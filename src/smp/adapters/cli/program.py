"""The program ``smp``: its commands, and its errors and exit codes."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import rich_click as click

from smp.adapters.cli.admin import admin_commands
from smp.adapters.cli.api_keys import api_key_commands
from smp.adapters.cli.backup import backup_command
from smp.adapters.cli.demo import demo_command
from smp.adapters.cli.doctor import doctor_command
from smp.adapters.cli.expire import expire_command
from smp.adapters.cli.jobs import fold_counts_command, purge_command
from smp.adapters.cli.migrate import migrate_command
from smp.adapters.cli.output import print_error, print_json, print_line, print_notice
from smp.adapters.cli.restore import restore_command
from smp.adapters.cli.runtime import CliServices
from smp.adapters.cli.serve import serve_command

EXIT_FAILED = 1
_CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 120}


def run_program(runtime: CliServices, arguments: Sequence[str]) -> int:
    """Run one command, and return its exit code: 0 for success, 1 for a failure, 2 for wrong usage or settings.

    Every error is a line on standard error. A traceback is only shown if the log level asks for it.
    """
    try:
        exit_code = build_program(runtime).main(args=list(arguments), prog_name="smp", standalone_mode=False)
    except click.Abort:
        print_error("stopped before it was done")
        return EXIT_FAILED
    except click.ClickException as error:
        return _report_usage(error)
    except BrokenPipeError:
        # The reader of the output has closed it, as `head` does. The interpreter must not try to flush the rest.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return EXIT_FAILED
    except Exception as error:  # noqa: BLE001 - the outermost place, where every error becomes a line
        return _report_failure(runtime, error)
    return exit_code if isinstance(exit_code, int) else 0


def build_program(runtime: CliServices) -> click.Group:
    """Return the group of all commands, without reading a setting or opening anything."""

    @click.version_option(runtime.version, prog_name="smp", message="%(prog)s %(version)s", help="Print the version.")
    @click.group(context_settings=_CONTEXT, epilog="smp settings lists the environment variables that configure SMP.")
    def smp() -> None:
        """Run and maintain a Subscription Management Platform."""

    smp.add_command(serve_command(runtime))
    smp.add_command(migrate_command(runtime))
    smp.add_command(expire_command(runtime))
    smp.add_command(purge_command(runtime))
    smp.add_command(fold_counts_command(runtime))
    smp.add_command(admin_commands(runtime))
    smp.add_command(api_key_commands(runtime))
    smp.add_command(demo_command(runtime))
    smp.add_command(backup_command(runtime))
    smp.add_command(restore_command(runtime))
    smp.add_command(doctor_command(runtime))
    smp.add_command(_settings_command(runtime))
    smp.add_command(_version_command(runtime))
    return smp


def _settings_command(runtime: CliServices) -> click.Command:
    @click.command("settings")
    @click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
    def settings(*, as_json: bool) -> None:
        """List the environment variables that configure SMP, with their defaults and allowed values."""
        rows = runtime.settings_help()
        if as_json:
            names = ("name", "default", "expected", "description")
            print_json([{name: getattr(row, name) for name in names} for row in rows])
            return
        for row in rows:
            print_line(f"{row.name}={row.default}\n    {row.description}\n    It must be {row.expected}.")

    return settings


def _version_command(runtime: CliServices) -> click.Command:
    @click.command("version")
    @click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
    def version(*, as_json: bool) -> None:
        """Print the version of SMP."""
        if as_json:
            print_json({"version": runtime.version})
        else:
            print_line(f"smp {runtime.version}")

    return version


def _report_usage(error: click.ClickException) -> int:
    context = error.ctx if isinstance(error, click.UsageError) else None
    advice = f"; see {context.command_path if context else 'smp'} --help"
    print_error(error.format_message().rstrip(".") + advice)
    return error.exit_code


def _report_failure(runtime: CliServices, error: Exception) -> int:
    failure = runtime.explain(error)
    if (traceback := runtime.traceback_of(error)) is not None:
        print_notice(traceback)
    for line in failure.lines:
        print_error(line)
    return failure.exit_code
