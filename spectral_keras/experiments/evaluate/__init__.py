"""The evaluation command: accuracy of a run under attack and corruption."""
