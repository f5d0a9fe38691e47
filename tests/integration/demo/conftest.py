"""The page's tests have a browser."""

from tests.support.browser import browser, chromium

__all__ = ["browser", "chromium"]
