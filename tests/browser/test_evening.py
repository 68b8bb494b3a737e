"""A whole evening with the real processes and three real browsers: crew, speaker, listener; with kills in between."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Page, expect

from browser.shows import own_shows
from browser.waiting import until
from stentor.formats.crew import NewShow, ShowMade
from support.running import Running, installation

Announce = Callable[..., ShowMade]
Browse = Callable[..., Page]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with installation(tmp_path_factory.mktemp("evening")) as running:
        running.start()
        yield running


@pytest.fixture
def announce(running: Running) -> Iterator[Announce]:
    """Announces a show that starts in so many seconds with these on air."""
    with own_shows(running) as give:
        yield lambda starts_in_s, *on_air: give(
            NewShow("The Long Night", starts_in_s=starts_in_s, guests=("Grace",), host="Ada", on_air=on_air)
        )


def join(page: Page) -> None:
    page.get_by_role("button", name="Use the microphone").click()
    page.get_by_role("button", name="Join").click()
    expect(page.locator(".mic-state")).to_have_text("You are connected and hear the others.")


def test_from_the_link_to_the_recording(announce: Announce, browse: Browse) -> None:
    made = announce(600)
    crew, listener = browse(made.crew_link), browse(made.listener_link)
    speaker = browse(made.guest_links["Grace"])
    expect(crew.locator("#lamp")).to_have_text("Doors open")
    assert crew.locator("#listener-page").get_attribute("href") == made.listener_link
    listener.get_by_role("button", name="Play", exact=True).click()
    until(listener, "audio.currentTime > 0 && !audio.paused")

    join(speaker)
    expect(speaker.locator("#light")).to_have_text("Backstage")
    crew.get_by_role("button", name="Put on air: Grace").click()
    expect(speaker.locator("#light")).to_have_text("Stand by")
    crew.get_by_role("button", name="Go live now").click()
    expect(speaker.locator("#light")).to_have_text("On air")
    assert speaker.evaluate("document.body.dataset.air") == "on"
    expect(listener.locator("#lamp")).to_have_text("On air")
    expect(listener.locator("#voices")).to_have_text("with Grace")
    until(crew, "Number(document.querySelector('#air .meter').getAttribute('aria-valuenow')) > -40")

    crew.get_by_role("button", name="Mute: Grace").click()
    expect(speaker.locator("#light")).to_have_text("Muted")
    speaker.get_by_role("button", name="Unmute").click()
    expect(speaker.locator("#light")).to_have_text("On air")

    crew.get_by_label("Text").fill("We go on until ten.")
    crew.get_by_role("button", name="Post").click()
    expect(listener.locator("#notice-text")).to_have_text("We go on until ten.")

    crew.get_by_role("button", name="End the show").click()
    crew.locator("#ask-yes").click()
    expect(speaker.locator("#light")).to_have_text("Off air")
    expect(listener.locator("#lamp")).to_have_text("Recording")
    listener.get_by_role("button", name="Play the recording").click()
    until(listener, "audio.currentTime > 0.5")


def test_a_killed_edge_studio_and_desk(announce: Announce, browse: Browse, running: Running) -> None:
    made = announce(4, "Grace")
    listener, speaker = browse(made.listener_link), browse(made.guest_links["Grace"])
    join(speaker)
    expect(listener.locator("#lamp")).to_have_text("On air")
    listener.get_by_role("button", name="Play", exact=True).click()
    until(listener, "stentor.position_s !== null && audio.readyState > 2")
    for name in ("edge-0", "desk", "studio"):
        running.back(name, running.kill(name))
        n = listener.evaluate("stentor.n")
        until(listener, "(n) => stentor.n > n + 4 && audio.readyState > 2", n)
    assert listener.evaluate("stentor.skips") == 0
    expect(speaker.locator(".mic-state")).to_have_text("You are connected and hear the others.")
    until(speaker, "document.querySelector('#problem').hidden")


def test_a_guest_who_was_removed_is_told(announce: Announce, browse: Browse) -> None:
    made = announce(600)
    crew, speaker = browse(made.crew_link), browse(made.guest_links["Grace"])
    join(speaker)
    crew.get_by_role("button", name="Remove: Grace").click()
    crew.locator("#ask-yes").click()
    expect(speaker.locator("#light")).to_have_text("No entry")
    expect(speaker.locator("#problem")).to_contain_text("The seat was removed.")
    expect(crew.locator("#backstage .seat-name")).to_have_text(["Ada (you)"])
    speaker.wait_for_timeout(1_200)  # more than two redraws
    expect(speaker.locator("#light")).to_have_text("No entry", timeout=1)
    expect(speaker).to_have_title("No entry")


def test_a_new_guest_gets_a_link_that_works(announce: Announce, browse: Browse) -> None:
    crew = browse(announce(600).crew_link)
    crew.get_by_label("Name").fill("Barbara")
    crew.get_by_role("button", name="Make a link").click()
    link = crew.locator("#made-link")
    expect(link).to_contain_text("/crew/speak#")
    speaker = browse(link.text_content())
    expect(speaker.locator("#who")).to_have_text("Barbara")
    join(speaker)
