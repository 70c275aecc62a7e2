"""What a choice is to make large: coverage, other concave measures, facility location, or one of your own."""
