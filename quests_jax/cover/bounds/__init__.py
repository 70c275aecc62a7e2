"""Upper bounds of what any selection can cover."""
