"""Orders: the best of many scores, how good a list is, and random numbers that belong to an id."""
