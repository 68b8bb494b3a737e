"""Alembic's migrations; `stentor.io.records` runs them when it opens a database."""
