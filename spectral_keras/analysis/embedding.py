"""Points in a plane for vectors of many dimensions: PCA, or UMAP where it is installed."""

import numpy as np
from numpy.typing import ArrayLike

from spectral_keras.ops.validation import check_choice, check_positive_int

__all__ = ["embed", "pca"]

METHODS = ("pca", "umap")


def pca(vectors: ArrayLike, components: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Principal components by the singular value decomposition.

    Args:
        vectors: real array (points, features).
        components: number of components, at most min(points, features).

    Returns:
        (scores, shares): float64 arrays (points, components), centred, and (components,), the
        share of the variance that each explains (0 where all points are one).  The sign of a
        component is free; here its loading of largest size is positive.

    Example:

    >>> import numpy as np
    >>> from spectral_keras.analysis.embedding import pca
    >>> scores, shares = pca(np.array([[0.0, 0.0], [3.0, 4.0], [6.0, 8.0]]), components=1)
    >>> scores.round(6).ravel() + 0.0, shares.round(6)
    (array([-5.,  0.,  5.]), array([1.]))
    """
    vectors = _check_vectors(vectors)
    components = check_positive_int("components", components)
    if components > min(vectors.shape):
        raise ValueError(
            f"`components` must be at most {min(vectors.shape)} for vectors of shape "
            f"{vectors.shape}. Received: components={components}"
        )
    left, values, right = np.linalg.svd(vectors - vectors.mean(0), full_matrices=False)
    chosen = right[:components]
    signs = np.sign(chosen[np.arange(components), np.abs(chosen).argmax(1)])
    variance = values**2
    total = variance.sum()
    shares = variance[:components] / total if total > 0 else np.zeros(components)
    return left[:, :components] * values[:components] * signs, shares


def embed(
    vectors: ArrayLike,
    method: str = "pca",
    *,
    components: int = 2,
    neighbors: int = 20,
    seed: int = 42,
) -> np.ndarray:
    """Coordinates for a scatter plot, as in figure 8 of Karantzas et al. (2022).

    The figure shows the outputs of a linear classifier on the masks, not the masks: whatever the
    classifier separated is apart in it, training masks included.  Mark the test masks.

    Args:
        vectors: real array (points, features).
        method: "pca", or "umap" (McInnes et al. 2018) with the paper's settings as defaults;
            needs the package umap-learn.
        components: dimensions of the plot.
        neighbors: of UMAP; at least 2 and less than the number of points.
        seed: of UMAP.

    Returns:
        float64 array (points, components).

    Raises:
        ImportError: "umap" without the package; one line that names the extra.
        ValueError: for an argument that does not fit.

    Example:

    >>> import numpy as np
    >>> from spectral_keras.analysis import embed
    >>> embed(np.eye(4)).shape
    (4, 2)
    """
    check_choice("method", method, METHODS)
    if method == "pca":
        return pca(vectors, components)[0]
    vectors = _check_vectors(vectors)
    components = check_positive_int("components", components)
    neighbors = check_positive_int("neighbors", neighbors, minimum=2)
    seed = check_positive_int("seed", seed, minimum=0)
    if neighbors >= len(vectors):
        raise ValueError(
            f"`neighbors` must be less than the number of points, {len(vectors)}. "
            f"Received: neighbors={neighbors}"
        )
    try:
        import umap
    except ImportError as error:
        raise ImportError(
            f"method='umap' needs umap-learn ({error}): pip install 'spectral_keras[umap]', "
            f"or use method='pca'"
        ) from error
    # A seed needs one thread; UMAP warns if the number is left to it.
    reducer = umap.UMAP(n_components=components, n_neighbors=neighbors, random_state=seed, n_jobs=1)
    return np.asarray(reducer.fit_transform(vectors), "float64")


def _check_vectors(vectors: ArrayLike) -> np.ndarray:
    vectors = np.asarray(vectors, "float64")
    if vectors.ndim != 2 or 0 in vectors.shape:
        raise ValueError(
            f"`vectors` must have shape (points, features). Received: shape {vectors.shape}"
        )
    if not np.all(np.isfinite(vectors)):
        raise ValueError("`vectors` must be finite. Received: NaN or infinity in vectors")
    return vectors
