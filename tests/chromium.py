"""Chromium: the browser of this machine, for the tests of pages."""

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

PATIENCE = 180_000  # milliseconds for a browser on a busy machine
NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")


@contextmanager
def open_chromium() -> Iterator["Browser"]:
    """Chromium or Chrome of this machine. Where neither is there, the test is skipped, and fails with CI=true."""
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if not found and not os.environ.get("CI"):
        pytest.skip("no Chromium or Chrome on the PATH")
    assert found, "no Chromium or Chrome on the PATH: apt-get install chromium"
    from playwright.sync_api import sync_playwright

    with sync_playwright() as play:
        sandbox = [] if os.geteuid() else ["--no-sandbox"]  # root has none
        opened = play.chromium.launch(executable_path=found, args=sandbox, timeout=PATIENCE)
        yield opened
        opened.close()


def enter(browser: "Browser", site: str, name: str = "anna", **settings: object) -> "Page":
    """The overview of the review page, as somebody of this name sees it in a browser of their own."""
    context = browser.new_context(**settings)
    context.set_default_timeout(PATIENCE)
    page = context.new_page()
    page.goto(site)
    page.get_by_label("Name").fill(name)
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Overview").wait_for()
    return page
