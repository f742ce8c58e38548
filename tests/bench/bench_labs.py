"""How soon a lab follows its slider.

    python -m tests.bench.bench_labs [LAB ...]

Moves the first slider of each lab that has one, in Chromium, and prints from the request to the server: the
first new word or number on the page, and the last change, when all charts are drawn again. What lies in a
canvas is not seen: it is a table's copy for screen readers, which waits 200 ms for the table to rest. Nothing
is asserted: a headless browser draws with the cores of the server.
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path
from statistics import median, quantiles

from tests.bench.browser import dashboard
from tests.e2e.dashboard import settle

LABS = ("temperature", "loss", "divergence", "size", "replay", "choosing")
MOVES = 30
QUIET = 900  # ms, after which nothing more is expected to change

NOTE = """
    window.kd = {};
    const send = WebSocket.prototype.send;
    WebSocket.prototype.send = function (data) {
        window.kd.sent ??= performance.now();
        send.call(this, data);
    };
"""
WATCH = """() => {
    window.kd = {};
    window.kdObserver?.disconnect();
    window.kdObserver = new MutationObserver((changes) => {
        if (window.kd.sent === undefined) return;
        const seen = changes.filter(({target}) => !(target.parentElement ?? target).closest("canvas"));
        if (!seen.length) return;
        if (seen.some(({type}) => type === "characterData")) window.kd.words ??= performance.now();
        window.kd.last = performance.now();
    });
    const main = document.querySelector("[data-testid=stMain]");
    window.kdObserver.observe(main, {subtree: true, childList: true, characterData: true, attributes: true});
}"""


def main() -> None:
    home = Path(tempfile.mkdtemp(prefix="kd-bench-")) / "home"
    home.mkdir()
    with dashboard(home, NOTE) as (server, page):
        for lab in sys.argv[1:] or LABS:
            page.goto(f"{server.url}/{lab}?hide=question")
            settle(page)
            time.sleep(2)
            found = []
            for number in range(MOVES):
                page.evaluate(WATCH)
                page.get_by_role("slider").first.press("ArrowLeft" if number % 2 else "ArrowRight")
                page.wait_for_timeout(QUIET)
                found.append(page.evaluate("() => window.kd"))
            for moment, name in (("words", "first new words"), ("last", "last change")):
                times = [at[moment] - at["sent"] for at in found if moment in at]
                if len(times) < 2:  # a lab may change pictures alone
                    continue
                p95 = quantiles(times, n=20)[-1]
                print(f"{lab}, {name}: p50 {median(times):.0f} ms, p95 {p95:.0f} ms")


if __name__ == "__main__":
    main()
