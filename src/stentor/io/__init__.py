"""Packages that touch one outside thing each, and do not know each other."""
