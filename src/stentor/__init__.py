"""Stentor: live audio that starts on time, whatever the crowd, whatever the attack."""

__version__ = "0.1.0"
