"""Plane coordinates: PCA against scikit-learn and its definition, UMAP where it is installed."""

import importlib.util
import sys
import types

import numpy as np
import pytest

from spectral_keras.analysis.embedding import embed, pca


def test_pca_against_scikit_learn():
    decomposition = pytest.importorskip("sklearn.decomposition")
    vectors = np.random.default_rng(0).normal(size=(40, 5)) * [5, 3, 2, 1, 0.5] + 7
    scores, shares = pca(vectors, 3)
    reference = decomposition.PCA(3).fit(vectors)
    expected = reference.transform(vectors)
    np.testing.assert_allclose(np.abs(scores), np.abs(expected), atol=1e-9)
    np.testing.assert_allclose(shares, reference.explained_variance_ratio_)
    np.testing.assert_array_equal(embed(vectors), scores[:, :2])


def test_pca_keeps_the_distances_of_points_in_a_plane():
    rng = np.random.default_rng(1)
    vectors = rng.normal(size=(12, 2)) @ rng.normal(size=(2, 6))
    scores, shares = pca(vectors, 2)
    assert shares.sum() == pytest.approx(1)

    def distances(points):
        return np.linalg.norm(points[:, None] - points[None], axis=-1)

    np.testing.assert_allclose(distances(scores), distances(vectors), atol=1e-9)


def test_the_sign_is_fixed():
    vectors = np.random.default_rng(2).normal(size=(10, 4))
    scores, _ = pca(vectors, 2)
    # Mirroring all vectors mirrors the points and leaves the axes.
    np.testing.assert_allclose(pca(-vectors, 2)[0], -scores, atol=1e-9)


def test_one_point_many_times():
    scores, shares = pca(np.ones((5, 3)), 2)
    assert not scores.any() and not shares.any()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"vectors": np.ones(4)}, r"`vectors` must have shape \(points, features\)"),
        ({"vectors": np.full((4, 4), np.inf)}, "`vectors` must be finite"),
        ({"components": 5}, r"`components` must be at most 4.*Received: components=5"),
        ({"components": 0}, "`components` must be a positive integer"),
        ({"method": "tsne"}, "`method` must be one of 'pca', 'umap'"),
        ({"method": "umap", "neighbors": 10}, "`neighbors` must be less than .* 10"),
        ({"method": "umap", "neighbors": 1}, "`neighbors` must be an integer of at least 2"),
    ],
)
def test_errors(arguments, message):
    with pytest.raises(ValueError, match=message):
        embed(**{"vectors": np.ones((10, 4)), **arguments})


def test_without_umap_one_line_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "umap", None)
    with pytest.raises(ImportError, match=r"spectral_keras\[umap\]") as caught:
        embed(np.ones((30, 4)), "umap")
    assert "\n" not in str(caught.value)


def test_umap_gets_the_settings(monkeypatch):
    seen = {}

    class UMAP:
        def __init__(self, **settings):
            seen.update(settings)

        def fit_transform(self, vectors):
            return vectors[:, :2].astype("float32")

    monkeypatch.setitem(sys.modules, "umap", types.SimpleNamespace(UMAP=UMAP))
    vectors = np.random.default_rng(0).random((30, 4))
    result = embed(vectors, "umap")
    assert seen == {"n_components": 2, "n_neighbors": 20, "random_state": 42, "n_jobs": 1}
    assert result.dtype == np.float64
    np.testing.assert_allclose(result, vectors[:, :2], rtol=1e-6)


@pytest.mark.skipif(importlib.util.find_spec("umap") is None, reason="umap-learn is not installed")
@pytest.mark.filterwarnings("ignore")
def test_umap_keeps_clusters_apart():
    rng = np.random.default_rng(0)
    centers = np.repeat(np.eye(4)[:3] * 10, 30, axis=0)
    vectors = centers + rng.normal(size=(90, 4))
    points = embed(vectors, "umap")
    np.testing.assert_array_equal(points, embed(vectors, "umap"))
    means = points.reshape(3, 30, 2).mean(1)
    spread = points.reshape(3, 30, 2).std(1).max()
    gaps = [np.linalg.norm(means[i] - means[j]) for i, j in ((0, 1), (0, 2), (1, 2))]
    assert min(gaps) > 3 * spread
