"""What a learner does on a notebook's page: finds a cell, moves a slider, types an answer."""


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
