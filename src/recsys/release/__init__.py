"""A release: staged, verified, published in one atomic step."""
