"""`Visitor`: somebody who works with one Trac project in a browser."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote, urlsplit

from selenium.common.exceptions import TimeoutException
from selenium.webdriver import Chrome
from selenium.webdriver.common.by import By
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

from tests.waiting import until

PATIENCE = 15.0


class Visitor:
    """Verbs of a Trac user; `url` is the project's address, without a slash at the end."""

    def __init__(self, browser: Chrome, url: str, place: Path) -> None:
        self.browser = browser
        self.url = url
        self.downloads = place / "downloads"

    def reads(self, *texts: str) -> None:
        """The page at our address shows all of these."""
        self.browser.get(self.url)
        until(
            lambda: all(text in self.browser.page_source for text in texts),
            PATIENCE,
            f"the page does not show all of {texts}",
            lambda: str(self.browser.page_source),
        )

    def log_in(self, user: str, password: str) -> None:
        """Answer the server's request for HTTP Basic, as typed into the browser's own dialogue."""
        parts = urlsplit(self.url)
        credentials = f"{quote(user)}:{quote(password)}@"
        self.browser.get(f"{parts.scheme}://{credentials}{parts.netloc}{parts.path}/login")
        assert f"logged in as {user}" in self._text("#metanav"), self._text("body")

    def log_out(self) -> None:
        """The Logout button in the corner."""
        self.browser.get(self.url)
        self._press("#logout button, #logout input[type=submit]")
        self._wait_for("#metanav a[href$='/login']")

    def create_ticket(self, summary: str, description: str, attachment: Path) -> int:
        """A new ticket with one file; its number."""
        self.browser.get(f"{self.url}/newticket")
        self._type("#field-summary", summary)
        self._type("#field-description", description)
        self._press("input[name=attachment][type=checkbox]")
        self._press("#propertyform input[name=submit]")
        self._wait_for("input[type=file]").send_keys(str(attachment))
        self._press("#attachment input[type=submit]:not([name=cancel])")
        self._wait_for("#attachments a.trac-rawlink")
        return int(urlsplit(self.browser.current_url).path.rstrip("/").rpartition("/")[2])

    def edit_wiki(self, name: str, text: str) -> str:
        """Replace a wiki page's text; what the saved page shows."""
        self.browser.get(f"{self.url}/wiki/{name}?action=edit")
        area = self._wait_for("textarea#text")
        area.clear()
        area.send_keys(text)
        self._press("#edit input[name=save]")
        self._wait_for("#wikipage")
        return self._text("#wikipage")

    def download(self, ticket: int, filename: str) -> bytes:
        """Press the download link of a ticket's attachment; what the browser has stored."""
        self.browser.get(f"{self.url}/attachment/ticket/{ticket}/")
        self._press(f"#attachments a.trac-rawlink[href$='/raw-attachment/ticket/{ticket}/{filename}']")
        stored = self.downloads / filename
        until(stored.exists, PATIENCE, f"no {stored}")
        return stored.read_bytes()

    def shows(self, target: str) -> str:
        """The text of a page of the project."""
        self.browser.get(f"{self.url}{target}")
        return self._text("body")

    def _wait_for(self, selector: str) -> WebElement:
        try:
            return WebDriverWait(self.browser, PATIENCE).until(
                lambda browser: browser.find_element(By.CSS_SELECTOR, selector)
            )
        except TimeoutException:
            text = self.browser.find_element(By.TAG_NAME, "body").text
            where = self.browser.current_url
            raise AssertionError(f"no {selector!r} on {where}, which says:\n{text}") from None

    def _type(self, selector: str, text: str) -> None:
        self._wait_for(selector).send_keys(text)

    def _press(self, selector: str) -> None:
        element = self._wait_for(selector)
        self.browser.execute_script("arguments[0].scrollIntoView({block: 'center'})", element)
        element.click()

    def _text(self, selector: str) -> str:
        return self._wait_for(selector).text
