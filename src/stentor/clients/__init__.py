"""A speaker and a listener without a browser."""
