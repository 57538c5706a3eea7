"""Turns what happened into what is owed."""
