"""Measurements: ``python -m benchmarks`` compares this pipeline with the textbook's, step by step."""
