"""Sends what is owed: claim, send, record."""
