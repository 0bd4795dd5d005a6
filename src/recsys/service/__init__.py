"""The HTTP service: a recommender behind routes, a page to try it, and a watch on the current release."""
