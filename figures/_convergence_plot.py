"""Drawing of `figures.convergence`."""


def draw(stored):
    from matplotlib import pyplot

    return pyplot.figure()
