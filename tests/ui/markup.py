"""A page as a tree of elements, read strictly: a tag that is not closed, or closed wrongly, fails the test."""

import xml.etree.ElementTree as ET
from html.parser import HTMLParser

VOID = {"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"}


class _Reader(HTMLParser):
    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.builder = ET.TreeBuilder()
        self.open = []

    def handle_starttag(self, tag, attrs):
        self.builder.start(tag, {name: value if value is not None else "" for name, value in attrs})
        if tag in VOID:
            self.builder.end(tag)
        else:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.builder.start(tag, dict(attrs))
        self.builder.end(tag)

    def handle_endtag(self, tag):
        assert self.open, f"</{tag}> closes nothing"
        assert self.open[-1] == tag, f"</{tag}> closes <{self.open[-1]}> on line {self.getpos()[0]}"
        self.open.pop()
        self.builder.end(tag)

    def handle_data(self, data):
        if self.open:
            self.builder.data(data)


class Markup:
    """The elements of a page. No id stands twice on it."""

    def __init__(self, html):
        reader = _Reader()
        reader.feed(html)
        reader.close()
        assert reader.open == [], f"not closed: {reader.open}"
        self.root = reader.builder.close()
        ids = [element.get("id") for element in self.root.iter() if element.get("id")]
        assert sorted(set(ids)) == sorted(ids), "an id stands twice"

    def all(self, path):
        """The elements at an ElementTree path, from anywhere: "form[@data-api]"."""
        return self.root.findall(f".//{path}")

    def one(self, path):
        found = self.all(path)
        assert len(found) == 1, f"{len(found)} elements at {path}"
        return found[0]

    def calls(self):
        """What the forms, buttons and fields of the page ask of the API, as "METHOD path"."""
        return [element.get("data-api") for element in self.all("*[@data-api]")] + [
            f"PATCH {element.get('data-patch')}" for element in self.all("*[@data-patch]")
        ]


def text_of(element):
    """The text of an element with its white space made even, and a blank between the texts of elements."""
    return " ".join(" ".join(element.itertext()).split())


def page(client, path, status=200):
    """Ask for a page; returns its `Markup`. Every field on it has a label, and every button a name."""
    answer = client.get(path)
    assert answer.status_code == status, answer.text[:300]
    markup = Markup(answer.text)
    labelled = {label.get("for") for label in markup.all("label")}
    inside = {id(field) for label in markup.all("label") for field in label.iter()}
    for kind in ("input", "select", "textarea"):
        for field in markup.all(kind):
            named = field.get("type") == "hidden" or field.get("id") in labelled or field.get("aria-label")
            assert named or id(field) in inside, ET.tostring(field)
    assert all(text_of(button) or button.get("aria-label") for button in markup.all("button"))
    assert not [element for element in markup.root.iter() if element.get("style") or element.get("onclick")]
    return markup
