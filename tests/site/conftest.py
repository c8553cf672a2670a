"""The built site, a server for it on this machine and a headless browser.

`make docs docs-check` builds the site and gives its folder; without `--site` there is nothing to
open, and the tests that need it are skipped.  With it a missing browser is an error.
"""

import functools
import http.server
import json
import pathlib
import shutil
import threading

import pytest

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
    "--window-size=1280,900",
    # Whatever is not on this machine does not exist.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)


def pytest_addoption(parser):
    parser.addoption("--site", type=pathlib.Path, help="folder of the built documentation site")


@pytest.fixture(scope="session")
def site(pytestconfig):
    folder = pytestconfig.getoption("--site", None)
    if folder is None:
        pytest.skip("no --site FOLDER: make docs docs-check")
    assert (folder / "index.html").exists(), f"there is no site in {folder}: make docs"
    return folder.resolve()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_):
        pass


@pytest.fixture(scope="session")
def address(site):
    handler = functools.partial(_Quiet, directory=str(site))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


class Browser:
    """Chromium with a record of what its console says and which addresses it asks for."""

    def __init__(self, folder):
        from selenium import webdriver

        program = next(filter(None, map(shutil.which, BROWSERS)), None)
        driver = shutil.which("chromedriver")
        assert program and driver, "the check needs Chromium and chromedriver"
        options = webdriver.ChromeOptions()
        options.binary_location = program
        for flag in (*FLAGS, f"--user-data-dir={folder}"):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL", "performance": "ALL"})
        service = webdriver.ChromeService(executable_path=driver)
        self.driver = webdriver.Chrome(options=options, service=service)
        self.driver.set_page_load_timeout(60)
        self.open("about:blank")  # and forget what the browser's own first page asked for

    def open(self, url):
        """Open a page; returns (lines of the console, addresses that were asked for)."""
        self.driver.get(url)
        return self.read()

    def read(self):
        """What has come up since the last time."""
        console = [
            f"{entry['level']}: {entry['message']}" for entry in self.driver.get_log("browser")
        ]
        addresses = []
        for entry in self.driver.get_log("performance"):
            message = json.loads(entry["message"])["message"]
            if message["method"] == "Network.requestWillBeSent":
                addresses.append(message["params"]["request"]["url"])
        return console, addresses

    def set_width(self, width):
        """Show pages as a screen of so many pixels does; a low one, as painting takes the time."""
        size = {"width": width, "height": 200, "deviceScaleFactor": 1, "mobile": width < 600}
        self.driver.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)

    def set_scheme(self, scheme):
        """Prefer "light" or "dark"."""
        feature = {"name": "prefers-color-scheme", "value": scheme}
        self.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})


@pytest.fixture(scope="session")
def browser(site, tmp_path_factory):
    browser = Browser(tmp_path_factory.mktemp("chromium"))
    yield browser
    browser.driver.quit()
