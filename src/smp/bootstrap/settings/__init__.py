"""The settings: environment variables that begin with ``SMP_``, and nothing else."""

from smp.bootstrap.settings.loading import load_settings, secret_source
from smp.bootstrap.settings.markdown import settings_markdown
from smp.bootstrap.settings.model import (
    Environment,
    LogFormat,
    LogLevel,
    Payments,
    Settings,
    SettingsInvalid,
)
from smp.bootstrap.settings.variables import FILE_SUFFIX, VARIABLES

__all__ = [
    "FILE_SUFFIX",
    "VARIABLES",
    "Environment",
    "LogFormat",
    "LogLevel",
    "Payments",
    "Settings",
    "SettingsInvalid",
    "load_settings",
    "secret_source",
    "settings_markdown",
]
