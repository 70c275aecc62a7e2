"""Rules that choose structures: MSC, its Pareto improvement, and the baselines of the field."""
