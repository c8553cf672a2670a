"""The explanation command: which frequencies a saved classifier needs."""
