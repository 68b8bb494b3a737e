"""Roles: each file builds, connects and supervises its stretch of the data path."""
