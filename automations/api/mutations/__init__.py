"""Mutations, one file a noun: a thin layer that hands plain values to the functions that do the work."""
