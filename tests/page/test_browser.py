"""The page as people have it: every view, an outage, an alarm and its acknowledgement, hostile texts, widths, languages, a screen reader's needs."""

import json
import os
import time

import pytest
from rig import kafka as kafkas
from rig import wait

VIEWS = ["overview", "sources", "tags", "alarms", "events", "ledger", "quarantine", "dead-letters", "configuration"]
# All numbers of the page that the status object has, together, in one moment of the page.
NUMBERS = """() => ({status: state.status, shown: [...document.querySelectorAll("[data-path]")].map(e => [e.dataset.path, e.dataset.value])})"""


def until(tab, script, seconds=30):
    """Looked at from outside: the page's policy allows no eval, which the driver's own waiting would need."""
    return wait.until(script, seconds, lambda: tab.evaluate(script), every=0.1)


def go(tab, view):
    tab.goto(tab.home + "#" + view)
    tab.wait_for_selector(f'[data-view="{view.split("?")[0]}"]')


def of(status, path):
    for key in path.split("."):
        status = status[int(key)] if isinstance(status, list) else (status or {}).get(key)
    return status


@pytest.mark.parametrize("view", VIEWS)
def test_each_view(tab, view):
    go(tab, view)
    until(tab, "() => state.status")
    assert tab.title().endswith(tab.evaluate("state.session.gateway"))
    got = tab.evaluate(NUMBERS)
    for path, value in got["shown"]:
        assert json.loads(value) == of(got["status"], path), path
    if view in ("overview", "sources"):
        assert got["shown"]


def test_weight_and_first_picture(tab, paged):
    weight = len(paged.ask("/")[2])
    assert weight <= 100 * 1024
    begin = time.monotonic()
    tab.goto(tab.home)
    tab.wait_for_selector("[data-view=overview] svg.river")
    print(f"page: {weight} bytes gzipped, first picture after {time.monotonic() - begin:.2f} s")
    with open(os.path.join(paged.agent.folder, "first-picture"), "w", encoding="ascii") as f:
        f.write(f"{weight} {time.monotonic() - begin:.2f}\n")


def test_an_outage_is_seen_coming_and_going(tab, paged):
    go(tab, "overview")
    until(tab, "() => state.status && state.status.held === 0")
    paged.room.kafka.freeze()
    try:
        paged.publisher.publish((paged.room.topic("press-1", "vib"), b"%d" % i, 10000 + i) for i in range(300))
        until(tab, "() => state.status.held >= 300", 60)
        got = tab.evaluate(NUMBERS)
        said = paged.agent.answer()
        shown = dict(got["shown"])
        assert json.loads(shown["held"]) == said["held"] and json.loads(shown["accepted"]) == said["accepted"]
        until(tab, "() => document.querySelector('.verdict').dataset.health !== 'ok'", 60)
        assert "What to do" in tab.inner_text(".verdict")
    finally:
        paged.room.kafka.thaw()
    until(tab, "() => state.status.held === 0", 60)
    until(tab, "() => document.querySelector('.verdict').dataset.health === 'ok'", 90)


def test_an_alarm_is_acknowledged_by_a_click(tab, paged):
    paged.publisher.publish([(paged.room.topic("press-1", "temp"), b"99", 20000)])
    go(tab, "alarms")
    row = '[data-alarm^="press-1/temp"]'
    tab.wait_for_selector(row)
    assert tab.is_disabled(row + ' [data-act="ack"]'), "one may look, but not act"
    tab.click("#login")
    tab.fill("dialog input >> nth=0", "kim")
    tab.fill("dialog input >> nth=1", "a long password")
    tab.keyboard.press("Enter")
    tab.wait_for_selector(row + ' [data-act="ack"]:not([disabled])')
    tab.click(row + ' [data-act="ack"]')
    paged.agent.wait("it acknowledged", lambda s: s["alarms"]["unacked"] == 0)
    tab.wait_for_selector(row + ' [data-act="ack"]', state="detached")
    wait.until("kim's word in Kafka", 30, lambda: any(e.get("kind") == "alarm" and "kim" in json.dumps(e) for e in seen(paged)), every=0.5)
    tab.click(row + ' [data-act="shelve"]')
    tab.select_option("dialog select", "900")
    tab.fill("dialog input", "<b>a valve</b>")
    tab.click("dialog button.main")
    paged.agent.wait("it shelved", lambda s: s["alarms"]["shelved"] == 1)
    tab.wait_for_selector(row + ' [data-act="unshelve"]')
    tab.click(row + ' [data-act="curve"]')
    tab.wait_for_selector("[data-view=alarms] canvas")
    until(tab, "() => document.querySelector('[data-view=alarms]').innerText.includes('<b>a valve</b>')")


def seen(paged):
    return [r.data or json.loads(r.value) for r in paged.room.kafka.read(kafkas.EVENTS, paged.room.since[kafkas.EVENTS])]


def test_a_curve(tab, paged):
    go(tab, "tags")
    tab.fill("input[type=search]", "press-1 temp")
    until(tab, "() => document.querySelectorAll('[data-view=tags] tbody tr').length === 1")
    tab.click("[data-view=tags] tbody a")
    tab.wait_for_selector(".chip")
    dark = "() => { const c = document.querySelector('canvas'), d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data; let n = 0; for (let i = 0; i < d.length; i += 4) n += d[i] === 31 && d[i + 1] === 119; return n; }"
    assert tab.evaluate(dark) > 20, "no curve is drawn"
    tab.click("summary")
    tab.wait_for_selector("details tbody tr")
    with tab.expect_download() as download:
        tab.click('[data-act="csv"]')
    with open(download.value.path(), encoding="utf-8") as f:
        assert f.readline() == "time,tag,min,max,first,last,n,quality\n" and "press-1/temp" in f.readline()
    with tab.expect_download() as download:
        tab.click('[data-act="png"]')
    with open(download.value.path(), "rb") as f:
        assert f.read(8) == b"\x89PNG\r\n\x1a\n"


def test_hostile_texts_are_texts(tab, paged):
    evil = "<img src=x onerror=alert(1)>\u202e\u2066" + "x" * 4000
    topic = f"state-{paged.room.gateway}/press-9"
    paged.publisher.publish([(topic, ("{" + evil).encode(), 30000)])
    paged.agent.wait("it in the quarantine", lambda s: s["quarantined"] >= 1)
    tab.on("dialog", lambda d: tab.wrong.append("a dialog"))
    for view in ("quarantine", "events", "overview"):
        go(tab, view)
        tab.wait_for_timeout(500)
        assert tab.evaluate("document.querySelectorAll('main img').length") == 0
        assert tab.evaluate("document.documentElement.scrollWidth <= innerWidth")


@pytest.mark.parametrize("width", [320, 640, 1024, 2560])
def test_widths(tab, paged, width):
    tab.set_viewport_size({"width": width, "height": 800})
    for view in VIEWS:
        go(tab, view)
        tab.wait_for_timeout(150)
        assert tab.evaluate("document.documentElement.scrollWidth") <= width, view


@pytest.mark.parametrize("language", ["en", "ko", "de"])
def test_languages_and_themes(tab, paged, language):
    go(tab, "overview")
    tab.select_option("#language", language)
    until(tab, f"() => document.documentElement.lang === '{language}'")
    with open(os.path.join(os.path.dirname(__file__), "..", "..", "agent", "page", "web", "words.json"), encoding="utf-8") as f:
        words = json.load(f)
    assert words["sources"][language] in tab.inner_text("nav")
    before = tab.evaluate("getComputedStyle(document.body.parentElement).backgroundColor")
    tab.click("#theme")
    assert tab.evaluate("getComputedStyle(document.body.parentElement).backgroundColor") != before


def test_words_are_there_and_used():
    web = os.path.join(os.path.dirname(__file__), "..", "..", "agent", "page", "web")
    with open(os.path.join(web, "words.json"), encoding="utf-8") as f:
        words = json.load(f)
    text = "".join(open(os.path.join(web, name), encoding="utf-8").read() for name in os.listdir(web) if name.endswith((".js", ".html")))
    for key, of_key in words.items():
        if key.startswith("c."):  # kinds of conditions: the daemon's own words are English
            assert set(of_key) == {"ko", "de"} and all(of_key.values()), key
            continue
        assert set(of_key) == {"en", "ko", "de"} and all(of_key.values()), key
        assert f'"{key}"' in text or f"'{key}'" in text or key in ("ok", "degraded", "failed", "unshelve"), f"{key} is not used"


def test_the_keyboard_alone(tab, paged):
    go(tab, "overview")
    tab.keyboard.press("Tab")
    assert tab.evaluate("document.activeElement.className") == "skip"
    for _ in range(3):
        tab.keyboard.press("Tab")
    assert tab.evaluate("document.activeElement.tagName") == "A"
    tab.keyboard.press("Enter")
    until(tab, "() => document.activeElement.id === 'main'")


def test_what_a_screen_reader_needs(tab, paged):
    import axe_playwright_python

    with open(os.path.join(os.path.dirname(axe_playwright_python.__file__), "axe.min.js"), encoding="utf-8") as f:
        axe = f.read()
    for theme in ("light", "dark"):
        for view in VIEWS:
            go(tab, view)
            tab.evaluate(f"theme('{theme}')")
            tab.wait_for_timeout(300)
            tab.evaluate(axe)
            found = tab.evaluate("axe.run(document, {resultTypes: ['violations']})")["violations"]
            serious = [(v["id"], v["nodes"][0]["html"][:200]) for v in found if v["impact"] in ("serious", "critical")]
            assert not serious, (view, theme, serious)
