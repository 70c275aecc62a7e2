"""What everybody uses and what uses nobody: checks, numerics, environments, progress, versions."""
