"""Shared foundations: checks, defaults, sizes, numerics, environments, progress, versions."""
