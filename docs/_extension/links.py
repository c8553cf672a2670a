"""Links of the Markdown pages, which lead through the repository, on the site.

On the host of the repository every link is a path; the site has pages in place of some of the
files.  A page that is a single link to a file of the repository's root becomes that file.
"""

import os
import re

from docs._extension.files import ROOT
from docs._extension.zoo import family_of_preset

REPOSITORY = "https://github.com/spectral-keras/spectral_keras"
# Files outside docs/ that are pages.
PAGES = {
    "README.md": "/start.md",
    "CONTRIBUTING.md": "/development/contributing.md",
    "CHANGELOG.md": "/development/changes.md",
}
_LINK = re.compile(r"(?<=\]\()(?!https?:|#|/)([^)\s]+)(?=\))")
_FENCE = re.compile(r"^([ \t]*)```.*?^\1```[ \t]*$", re.MULTILINE | re.DOTALL)


def target_on_site(path, page):
    """Where a link from `page` to `path`, both relative to the repository's root, leads."""
    if path in PAGES:
        return PAGES[path]
    example = re.fullmatch(r"docs/gallery/(\w+)\.py", path)
    if example:
        return f"/examples/{example[1]}.rst"
    if path == "docs/gallery":
        return "/examples/index.rst"
    part = re.fullmatch(r"(spectral_keras(?:/\w+)*?)(?:/__init__)?\.py", path)
    if part:
        name = part[1].replace("/", ".")
        if (ROOT / "docs" / "api" / f"{name}.rst").exists():
            return f"/api/{name}.rst"
    card = re.fullmatch(r"spectral_keras/models/presets/(\w+)(?:/README\.md)?", path)
    if card:
        return f"/zoo/{family_of_preset(card[1])}.md"
    if path in ("spectral_keras/models", "models"):
        return "/zoo/index.md"
    if (ROOT / path).is_dir():
        return f"{REPOSITORY}/tree/main/{path}"
    if path.startswith("docs/") and path.endswith(".md"):
        return path.removeprefix("docs")
    return os.path.relpath(path, os.path.dirname(page))


def rewrite(text, source, page):
    """`text` of the file `source` with its links as they are on the site's `page`."""

    def replace(match):
        name, mark, anchor = match[1].partition("#")
        path = os.path.normpath(os.path.join(os.path.dirname(source), name))
        return target_on_site(path, page) + mark + anchor

    pieces, end = [], 0
    for fence in _FENCE.finditer(text):
        pieces += [_LINK.sub(replace, text[end : fence.start()]), fence[0]]
        end = fence.end()
    return "".join(pieces) + _LINK.sub(replace, text[end:])


def resolve(app, docname, content):
    """Sphinx's event: change the source of a page in place."""
    page = f"docs/{docname}.md"
    if not (ROOT / page).exists():
        return
    text, source = content[0], page
    whole = re.fullmatch(r"\[[^\]]+\]\((?:\.\./)+([A-Z]+\.md)\)\s*", text)
    if whole:
        source = whole[1]
        text = (ROOT / source).read_text()
        app.env.note_dependency(str(ROOT / source))
    content[0] = rewrite(text, source, page)
