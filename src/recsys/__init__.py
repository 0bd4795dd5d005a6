"""From clean warehouse tables to one verified recommender release."""

__version__ = "0.1.0"
