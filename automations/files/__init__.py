"""Automations as files: what is written in YAML is compared with a server, and carried out over its API."""
