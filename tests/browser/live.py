"""Pages that refresh themselves."""


def refreshed(page, times=1):
    """Wait until the page has fetched itself anew."""
    page.evaluate(
        "times => new Promise((done) =>"
        " document.addEventListener('live:updated', () => { if (--times === 0) done(); }))",
        times,
    )


def hurry(page):
    """Have live sections refresh every second instead of every ten."""
    page.evaluate("for (const each of document.querySelectorAll('[data-live]')) each.dataset.live = 1")
