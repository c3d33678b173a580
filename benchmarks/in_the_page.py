"""From the click on Run to the first output, in Chromium on this machine.

Each row is the median, the least and the most of five, and the ratio of the
medians to a bare page that only starts Pyodide and imports NumPy. Needs the
built site (`make build`) and Chromium.
"""

import shutil
import statistics
import time
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

from tests.browser.serving import serve

SITE = Path(__file__).parent.parent / "site"
FLAGS = "--no-sandbox --disable-gpu --disable-background-networking"
FIRST, LATER = "sequence-models/markov-model/", "lstm/forget-gate/"
BARE_PAGE = """<!doctype html><title>bare</title><button>Run</button>
<script>
document.querySelector('button').onclick = () => {
  window.clicked = performance.now();
  new Worker('pyodide/bare.js').onmessage = () => {
    window.shown = performance.now();
  };
};
</script>"""
BARE_WORKER = """importScripts('pyodide.js');
(async () => {
  const numpy = fetch('numpy-trim-pyc.whl').then(r => r.arrayBuffer());
  const python = await loadPyodide({indexURL: './',
    lockFileURL: 'lock-min.json', stdLibURL: 'std-pyc.zip'});
  python.unpackArchive(await numpy, 'wheel');
  python.runPython('import numpy; print(numpy.arange(3))');
  postMessage('done');
})();"""
# Timed inside the page: what a reader sees, without the driver's own time.
CLICK = """() => {
  const cell = document.querySelector('.live');
  const output = cell.querySelector('.live-output');
  const clicked = performance.now();
  window.shown = new Promise(resolve => {
    new MutationObserver(() => {
      if (output.textContent) resolve(performance.now() - clicked);
    }).observe(output, {childList: true, subtree: true});
  });
  cell.querySelector('.live-bar button').click();
}"""


def run(page: Page) -> float:
    page.evaluate(CLICK)
    seconds = page.evaluate("() => window.shown") / 1000
    page.wait_for_function("() => !document.querySelector('.running')")
    return seconds


def stop(page: Page) -> float:
    """From the click on Stop until the loop has ended."""
    cell = page.locator(".live").first
    cell.get_by_role("button", name="Edit").click()
    cell.get_by_role("textbox").fill("while True: 0")
    cell.get_by_role("button", name="Run").click()
    page.wait_for_timeout(500)
    cell.get_by_role("button", name="Stop").click()
    started = time.perf_counter()
    page.wait_for_function("() => !document.querySelector('.running')")
    return time.perf_counter() - started


def once(browser: Browser, address: str) -> dict[str, float]:
    found = {}
    context = browser.new_context()
    page = context.new_page()
    page.goto(address + FIRST, wait_until="networkidle")
    found["first, empty cache"] = run(page)
    found["already started"] = run(page)
    page.goto(address + LATER, wait_until="networkidle")
    found["later page"] = run(page)
    found["stop"] = stop(page)
    context.close()

    context = browser.new_context(service_workers="block")
    page = context.new_page()
    for path, kind, body in (
        ("bare.html", "text/html", BARE_PAGE),
        ("pyodide/bare.js", "text/javascript", BARE_WORKER),
    ):
        context.route(
            address + path,
            lambda route, kind=kind, body=body: route.fulfill(
                content_type=kind, body=body
            ),
        )
    page.goto(address + "bare.html")
    page.evaluate("() => document.querySelector('button').click()")
    page.wait_for_function("() => window.shown", timeout=120_000)
    times = page.evaluate("() => window.shown - window.clicked")
    found["a bare page"] = times / 1000
    context.close()
    return found


def main() -> None:
    with serve(SITE) as address, sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=FLAGS.split()
        )
        rounds = [once(browser, address) for _ in range(5)]
        browser.close()
    bare = statistics.median(found["a bare page"] for found in rounds)
    print(f"{'seconds':20} median   least    most   to a bare page")
    for name in rounds[0]:
        times = [found[name] for found in rounds]
        middle = statistics.median(times)
        print(
            f"{name:20} {middle:6.2f} {min(times):7.2f} {max(times):7.2f} "
            f"{middle / bare:16.2f}"
        )


if __name__ == "__main__":
    main()
