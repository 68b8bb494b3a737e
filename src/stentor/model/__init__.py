"""Nouns and ports: frozen values, no behaviour beyond arithmetic."""
