"""The built site: pages in a browser, links, search, and what can be downloaded."""

import html.parser
import json
import pathlib
import time
import urllib.parse

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
EXAMPLES = sorted(path.stem for path in (ROOT / "docs" / "gallery").glob("*.py"))
# What a browser fetches for a page.
LOADED = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src"}


class _Page(html.parser.HTMLParser):
    """Links, names that links lead to, and addresses of what is loaded with a page."""

    def __init__(self, text):
        super().__init__()
        self.links, self.names, self.loaded = [], set(), []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        if attributes.get("id"):
            self.names.add(attributes["id"])
        if tag == "a" and attributes.get("href"):
            self.links.append(attributes["href"])
        address = attributes.get(LOADED.get(tag, ""))
        if address and attributes.get("rel") not in ("index", "search", "next", "prev"):
            self.loaded.append(address)


@pytest.fixture(scope="module")
def pages(site):
    """Name of a page -> its links and names."""
    return {
        path.relative_to(site).as_posix(): _Page(path.read_text())
        for path in sorted(site.rglob("*.html"))
    }


def _inside(page, link):
    """(page, anchor) that a link inside the site leads to, or None."""
    parts = urllib.parse.urlsplit(link)
    if parts.scheme or parts.netloc:
        return None
    path = urllib.parse.urljoin(page, urllib.parse.unquote(parts.path)) if parts.path else page
    return path, urllib.parse.unquote(parts.fragment)


def test_links_inside_the_site_resolve(site, pages):
    broken = []
    for name, page in pages.items():
        for link in [*page.links, *page.loaded]:
            target = _inside(name, link)
            if target is None:
                continue
            path, anchor = target
            found = (site / path).is_file()
            if found and anchor and path in pages:
                found = anchor in pages[path].names
            if not found:
                broken.append(f"{name}: {link}")
    assert broken == []


def test_nothing_is_loaded_from_elsewhere(pages):
    elsewhere = [
        f"{name}: {address}"
        for name, page in pages.items()
        for address in page.loaded
        if urllib.parse.urlsplit(address).netloc
    ]
    assert elsewhere == []


def test_every_page_opens(pages, browser, address):
    """Without a line in the console or a request elsewhere, and no wider than its screen."""
    problems = []
    for name in pages:
        browser.set_width(1280)
        console, asked = browser.open(f"{address}/{name}")
        problems += [f"{name}: {line}" for line in console]
        problems += [
            f"{name}: asks for {url}"
            for url in asked
            if not url.startswith((f"{address}/", "data:", "chrome://"))
        ]
        for width in (1280, 400):
            browser.set_width(width)
            wide = browser.driver.execute_script("return document.documentElement.scrollWidth")
            if wide > width:
                problems.append(f"{name}: {wide} pixels wide on a screen of {width}")
    assert not problems, "\n".join(problems)


@pytest.mark.parametrize(
    ("words", "target"),
    [
        ("SpectralPool", "api/spectral_keras.layers.SpectralPool.html"),
        ("PGD", "api/spectral_keras.attacks.pgd.html"),
        ("mCE", "guides/corruptions.html"),
        ("deep_spectral_digits", "zoo/deep_spectral.html"),
    ],
)
def test_search_finds(words, target, browser, address):
    browser.set_width(1280)
    console, _ = browser.open(f"{address}/search.html?q={words}")
    end = time.monotonic() + 30
    found = []
    while not any(target in link for link in found) and time.monotonic() < end:
        time.sleep(0.1)
        found = browser.driver.execute_script(
            "return [...document.querySelectorAll('#search-results a')].map(a => a.href)"
        )
    assert any(target in link for link in found), found
    assert console == []


@pytest.mark.parametrize("name", EXAMPLES)
def test_example_has_pictures_and_a_notebook(name, site, pages):
    page = pages[f"examples/{name}.html"]
    assert any("sphx_glr" in address and "_001." in address for address in page.loaded)
    (notebook,) = (link for link in page.links if link.endswith(f"/{name}.ipynb"))
    path = site / "examples" / notebook
    cells = json.loads(path.resolve().read_text())["cells"]
    source = (ROOT / "docs" / "gallery" / f"{name}.py").read_text()
    code = ["".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"]
    # Every line of code of the script, which ran when the site was built, is in the notebook.
    written = {line.strip() for cell in code for line in cell.splitlines()}
    body = source.split('"""', 2)[2]
    lines = {line.strip() for line in body.splitlines() if line.strip()[:1] not in ("", "#")}
    assert lines <= written


@pytest.mark.parametrize("name", EXAMPLES)
def test_notebook_runs(name, site, pages, tmp_path, monkeypatch):
    nbclient = pytest.importorskip("nbclient")
    import nbformat

    monkeypatch.chdir(tmp_path)
    (link,) = (link for link in pages[f"examples/{name}.html"].links if link.endswith(".ipynb"))
    notebook = nbformat.read((site / "examples" / link).resolve(), as_version=4)
    nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3").execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
    assert any("image/png" in output.get("data", {}) for output in outputs)
    assert not any(output["output_type"] == "error" for output in outputs)
