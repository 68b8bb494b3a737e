"""Sans-IO machines, one a file: `now` and `rng` are arguments, decisions come back as values."""
