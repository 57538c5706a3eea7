"""The commands, a module each: `add` puts one on the command line, with the function that runs it.

That takes the settings and the options, and returns the exit code. What it raises is told in a line and is 2 for
SettingsError, 1 for ValueError, MigrationError and PostgresUnavailable.
"""
