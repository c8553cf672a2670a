"""What the site adds to Sphinx: docstrings and links."""

import pytest

import spectral_keras
from docs._extension import api, docstrings, links, zoo
from spectral_keras import models


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain text", "plain text"),
        ("a `code` span", "a ``code`` span"),
        ("several `code`s", "several ``code``\\ s"),
        ("two * three | four", "two \\* three \\| four"),
        ("x_{t+1} and y_ and z_1", "x\\_{t+1} and y\\_ and z_1"),
        ("`x_ * y` stays", "``x_ * y`` stays"),
        ("see `SpectralPool`", "see :py:obj:`SpectralPool <spectral_keras.layers.SpectralPool>`"),
        ("in docs/papers/fourier_masks.md.", "in :doc:`/papers/fourier_masks`."),
        ("arXiv 1506.03767", "`arXiv 1506.03767 <https://arxiv.org/abs/1506.03767>`__"),
    ],
)
def test_line_of_a_docstring(text, expected):
    assert docstrings.to_rest([text]) == [expected]


def test_blocks_of_a_docstring():
    text = """Text:

    [0 1 2 3 | 3 2 1]

Args:
    first, second,
        third: all `of` them.

- a list
- of two

```python
x = 2 * 3
```

>>> 2 * 3
6
"""
    expected = """Text:


.. code-block:: text

    [0 1 2 3 | 3 2 1]


Args:
    first, second, third: all ``of`` them.

- a list
- of two


.. code-block:: python

    x = 2 * 3



>>> 2 * 3
6
"""
    found = [line.rstrip() for line in docstrings.to_rest(text.splitlines())]
    assert [line for line in found if line] == [line for line in expected.splitlines() if line]


@pytest.mark.parametrize(
    ("page", "target", "expected"),
    [
        ("docs/index.md", "guides/layers.md", "/guides/layers.md"),
        ("docs/guides/layers.md", "beyond.md#learned-strides", "/guides/beyond.md#learned-strides"),
        ("docs/index.md", "../README.md", "/start.md"),
        ("CONTRIBUTING.md", "docs/faults.md", "/faults.md"),
        ("docs/guides/moving.md", "../gallery/plot_moving.py", "/examples/plot_moving.rst"),
        (
            "docs/guides/training.md",
            "../../results/deep_spectral-cifar10",
            f"{links.REPOSITORY}/tree/main/results/deep_spectral-cifar10",
        ),
        (
            "docs/papers/index.md",
            "../../figures/results/convergence.json",
            "../../figures/results/convergence.json",
        ),
        ("docs/index.md", "https://keras.io", "https://keras.io"),
    ],
)
def test_link_on_the_site(page, target, expected):
    on = page if page.startswith("docs/") else "docs/development/contributing.md"
    assert links.rewrite(f"[x]({target})", page, on) == f"[x]({expected})"


def test_code_is_not_a_link():
    text = "```python\nx[0](../README.md)\n```\n"
    assert links.rewrite(text, "docs/index.md", "docs/index.md") == text


def test_the_zoo_has_a_page_of_every_network_and_preset(tmp_path):
    zoo.write(tmp_path)
    index = (tmp_path / "zoo" / "index.md").read_text()
    pages = "".join(path.read_text() for path in (tmp_path / "zoo").glob("[!i]*.md"))
    for name in models.names():
        assert f"`{name}`" in index
        assert f"\n## {name}\n" in pages
    for name, metadata in models.presets().items():
        assert f"\n## {name}\n" in pages
        assert f"{100 * metadata['clean']['accuracy']:.2f} %" in index


def test_every_part_of_the_library_has_a_page():
    parts = {f"spectral_keras.{part}" for part in spectral_keras._PARTS} - {
        "spectral_keras.experiments"  # which has its functions in its commands
    }
    assert parts <= set(api.PACKAGES)


def test_see_also_has_what_is_named_on_either_side():
    pooling = api.related("spectral_keras.layers.SpectralPool")
    assert "spectral_keras.layers.HartleySpectralPool" in pooling
    assert "spectral_keras.layers.SpectralPool" in api.related(pooling[0])
    # `names` is there twice; the corruptions' is not the models'.
    corrupting = api.related("spectral_keras.corruptions.corrupt")
    assert "spectral_keras.corruptions.names" in corrupting
    assert "spectral_keras.models.names" not in corrupting
