"""Questions about a data set, as functions from environments to named tuples. No study prints."""
