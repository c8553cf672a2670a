"""The search commands: hyper-parameters by Bayesian optimisation, and training the best point."""
