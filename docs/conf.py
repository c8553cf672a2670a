"""The documentation site: `make docs`.  Nothing on it comes from elsewhere."""

import os
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import spectral_keras  # noqa: E402

project = "spectral_keras"
author = copyright = "The spectral_keras authors"
release = version = spectral_keras.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx.ext.viewcode",
    "sphinx_gallery.gen_gallery",
    "docs._extension",
]
exclude_patterns = ["_extension", "gallery", "pictures", "examples/**/*.ipynb", "examples/**/*.py"]
default_role = "literal"

myst_enable_extensions = ["dollarmath", "colon_fence"]
myst_heading_anchors = 4
smartquotes = False

autodoc_inherit_docstrings = False
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True
maximum_signature_line_length = 72
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_custom_sections = [
    ("Call arguments", "params_style"),
    ("Parametrisations", "params_style"),
    "Input shape",
    "Output shape",
]

sphinx_gallery_conf = {
    "examples_dirs": "gallery",
    "gallery_dirs": "examples",
    "filename_pattern": r"/\w+\.py$",
    "within_subsection_order": "docs._extension.order.ReadingOrder",
    "image_scrapers": ("matplotlib",),
    "remove_config_comments": True,
    "show_memory": False,
    "show_signature": False,
    # The time on a busy machine says nothing of an example.
    "min_reported_time": 1e9,
    # Its page would load scripts from elsewhere.
    "write_computation_times": False,
    "download_all_examples": False,
}

html_theme = "furo"
html_title = f"spectral_keras {release}"
html_favicon = "_static/icon.svg"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_math_renderer = "mathml"
html_copy_source = False
html_show_sphinx = False
html_theme_options = {"navigation_with_keys": True}
pygments_style = "default"
pygments_dark_style = "monokai"
