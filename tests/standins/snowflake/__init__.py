"""A stand-in for Snowflake that the real connector talks to over HTTP.

``fakesnow`` runs the SQL (DuckDB behind it); the front here adds what it lacks: results in several
chunks of differing integer widths, tokens and keys that are really verified, answers about roles
and grants, reading as of a moment, and faults on demand.
"""
