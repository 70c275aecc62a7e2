"""What a person asks of a data set: functions from environments to named tuples. No study prints."""
