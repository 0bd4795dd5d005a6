"""What a run is made of: from two tables to a release."""
