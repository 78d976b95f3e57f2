"""One headless Chromium for all browser tests; skipped, and said so, where there is none."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

CHROMIUM = ("/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome")
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
    "--no-first-run",
)


def chromium_path() -> str | None:
    """Find a Chromium of the system; playwright's own download is not used."""
    return next((path for path in CHROMIUM if Path(path).exists()), shutil.which("chromium"))


@pytest.fixture(scope="session")
def chromium() -> Iterator[Browser]:
    """Start Chromium with an empty profile, which goes when it does."""
    path = chromium_path()
    if path is None:
        pytest.skip("no Chromium: apt-get install chromium, then the browser tests run")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=list(ARGUMENTS))
        yield browser
        browser.close()
