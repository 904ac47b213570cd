from exporter.web.markup import Html, join, tag

HOSTILE = """<script>alert(1)</script>"'&"""


def test_text_is_escaped_and_markup_is_not() -> None:
    assert tag("p", HOSTILE, tag("b", "x")) == "<p>&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#x27;&amp;<b>x</b></p>"


def test_attributes_are_escaped() -> None:
    made = tag("p", title=HOSTILE, data_label="a b", class_=None, hidden=True, open=False)
    assert made == ('<p title="&lt;script&gt;alert(1)&lt;/script&gt;&quot;&#x27;&amp;" data-label="a b" hidden></p>')


def test_void_elements_have_no_end() -> None:
    assert tag("meta", charset="utf-8") == '<meta charset="utf-8">'


def test_what_is_missing_leaves_no_trace() -> None:
    assert join("a", None, "", Html("<i>")) == "a<i>"


def test_text_put_together_is_text_again() -> None:
    assert not isinstance(Html("<b>") + "<script>", Html)
    assert join(Html("<b>") + "<script>") == "&lt;b&gt;&lt;script&gt;"
