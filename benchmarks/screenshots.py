"""A report page at three widths, for eyes: light on a screen, dark on a tablet, light on a phone.

    python benchmarks/screenshots.py report.html FOLDER

Writes FOLDER/report-1280.png, report-768.png and report-375.png, cut at `--height` pixels (0: the whole page).
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from playwright.sync_api import sync_playwright

VIEWS = ((1280, "light", 1), (768, "dark", 1), (375, "light", 2))


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("page", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--height", type=int, default=0)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for width, scheme, scale in VIEWS:
            view = {"width": width, "height": options.height or 900}
            tab = browser.new_page(viewport=view, color_scheme=scheme, device_scale_factor=scale)
            tab.goto(options.page.resolve().as_uri())
            target = options.folder / f"report-{width}.png"
            tab.screenshot(path=target, full_page=not options.height)
            print(target)
        browser.close()


if __name__ == "__main__":
    main()
