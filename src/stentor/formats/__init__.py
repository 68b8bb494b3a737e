"""Bytes to values and back: pure functions, nothing opened, nothing kept."""
