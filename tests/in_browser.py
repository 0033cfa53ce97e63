"""What a learner does on a notebook's page: finds a cell, moves a slider, types an answer. And how wide a phone is."""

PHONE = 390
# What sticks out on the right, and is in no box that scrolls.
OVERFLOWING = """() => {
    const scrolls = e => e && (getComputedStyle(e).overflowX !== 'visible' || scrolls(e.parentElement));
    return [...document.querySelectorAll('body *')]
        .filter(e => e.checkVisibility() && e.getBoundingClientRect().right > window.innerWidth + 1)
        .filter(e => !scrolls(e.parentElement))
        .map(e => e.outerHTML.slice(0, 120));
}"""


def cell(page, text):
    """The cell with this code."""
    return page.locator(".jp-CodeCell").filter(has=page.locator(".jp-InputArea", has_text=text)).first


def press(page, slider, key, times):
    slider.locator(".noUi-handle").first.focus()
    for _ in range(times):
        page.keyboard.press(key)


def answer(page, stub, text):
    """Type an answer into the cell with this stub, run it and its check."""
    editor = cell(page, stub).locator(".cm-content")
    editor.click()
    page.keyboard.press("Control+a")
    page.keyboard.insert_text(text)
    page.keyboard.press("Shift+Enter")
    page.keyboard.press("Shift+Enter")
