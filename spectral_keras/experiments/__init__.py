"""Commands: train, evaluate, explain, corrupt, search.  The only part that prints and plots."""
