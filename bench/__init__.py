"""Benchmarks: `python -m bench [--quick] [name ...]` prints one JSON document.

Figures of two machines cannot be compared, so each benchmark measures floors beside the product, in turns: the same
work done with as little as possible. Nothing here asserts a time.
"""
