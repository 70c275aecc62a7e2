"""Solvers of the cover problem: greedy, relaxed, exact, staged and differentiable."""
