"""Hyper-parameter search over the zoo, or over any function that builds a Keras model.

`python -m tuning.search` searches, `python -m tuning.retrain` trains the best point in full,
`tuning.api.search` is the same search from Python.
"""
