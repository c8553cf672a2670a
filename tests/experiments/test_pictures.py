"""Pictures: whole files, titles of any bytes."""

import os

import pytest

from spectral_keras.experiments.folder import dataset_label
from spectral_keras.experiments.pictures import make_drawable, write_picture


@pytest.mark.parametrize(
    "title", ["plain", os.fsdecode(b"\xff\xe9.npz"), "$x$ and $\\frac", "\u4e2d\u6587", "a\nb", ""]
)
def test_any_title_can_be_shown(tmp_path, title):
    from matplotlib import pyplot

    figure = pyplot.figure(figsize=(2, 1))
    figure.suptitle(make_drawable(title))
    write_picture(tmp_path / "x.png", figure)
    assert (tmp_path / "x.png").read_bytes()[:4] == b"\x89PNG"
    assert os.listdir(tmp_path) == ["x.png"] and not pyplot.get_fignums()


@pytest.mark.parametrize(
    ("dataset", "label"),
    [("cifar10", "cifar10"), ("/a/b/photos", "photos"), ("a/b.npz", "b"), ("b.npz", "b")],
)
def test_a_data_set_is_named_without_its_folder(dataset, label):
    assert dataset_label(dataset) == label
