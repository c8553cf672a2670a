"""Files of the site that are written at build time."""

import pathlib

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


def write_folder(folder, pages):
    """Make `folder` hold exactly these pages, a dict of name -> text.

    A page that has not changed keeps its time, so that Sphinx does not read it again.
    """
    folder = pathlib.Path(folder)
    folder.mkdir(exist_ok=True)
    for path in folder.iterdir():
        if path.name not in pages:
            path.unlink()
    for name, text in pages.items():
        path = folder / name
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
