"""Untrusted text in the page: no output of a model can run script or become markup."""

from pathlib import Path

import pytest
from selenium.webdriver import Chrome

from support.browser import TITLE, Visit, heading, wait_until

pytestmark = pytest.mark.heavy


def test_no_output_can_run_script(visit: Visit) -> None:
    page = visit()
    for case in range(16):
        page.execute_script(f"location.hash = '#cell=tiny-thinking/anti/case-{case:03d}'")
        wait_until(page, lambda page, case=case: f"case-{case:03d}" in heading(page))
        page.execute_script(
            "document.querySelectorAll('#cell details').forEach((each) => { each.open = true; })"
        )
        planted = "#cell script, #cell img, #cell iframe, #cell svg, #cell a[href^=javascript]"
        assert page.find_elements("css selector", planted) == []
    page.find_element("id", "close").click()
    wait_until(page, lambda page: page.title == TITLE)
    assert page.get_log("browser") == []


PLANTED = """<script>document.title = 'broken'</script><svg onload="document.title = 'broken'">
<img src="x" onerror="document.title = 'broken'"><iframe srcdoc="<script>1</script>"></iframe>
<style>main { display: none }</style><script type="module">document.title = 'broken'</script>"""


def test_the_policy_stops_markup_that_got_in_all_the_same(
    browser: Chrome, folder: Path, tmp_path: Path
) -> None:
    page = (folder / "index.html").read_text(encoding="utf-8")
    broken = tmp_path / "broken.html"
    broken.write_text(page.replace("</main>", f"{PLANTED}</main>", 1), encoding="utf-8")
    browser.get_log("browser")
    browser.get(broken.as_uri())
    refused = [line["message"] for line in browser.get_log("browser")]
    assert sum("script-src" in message for message in refused) >= 4
    assert any("img-src" in message or "default-src" in message for message in refused)
    assert browser.title == TITLE
    assert browser.find_element("tag name", "main").is_displayed()


def test_the_policy_lets_no_text_become_markup(visit: Visit) -> None:
    page = visit()
    refused = page.execute_script(
        """
        const ways = [
          () => { document.body.innerHTML += "<b>"; },
          () => { document.createElement("script").textContent = "1"; },
          () => { document.body.setAttribute("onclick", "1"); },
          () => { setTimeout("1"); },
        ];
        return ways.map((way) => { try { way(); } catch (error) { return error.name; } });
        """
    )
    assert refused == ["TypeError"] * 4
