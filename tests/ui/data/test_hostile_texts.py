"""What a visitor's text may not do."""

from __future__ import annotations

from collections.abc import Iterator

from tests.ui.data.page import PAGE, Open, plain, run, send, sizes

HOSTILE = (
    "![](http://127.0.0.1:9/x)",
    "<img src=http://127.0.0.1:9/y onerror=alert(1)>",
    "[a](javascript:alert(1))",
    ":material/bomb:",
    "$x^2$",
    "`--drop-empty`",
)


def markdown(block) -> Iterator[str]:
    """All that goes to the browser to be read as Markdown: bodies, labels, help."""
    for child in getattr(block, "children", {}).values():
        yield from markdown(child)
    if block.type not in ("text", "code", "arrow_data_frame"):
        proto = getattr(block, "proto", None)
        fields = (getattr(proto, field, "") for field in ("body", "label", "help"))
        yield from (value for value in fields if isinstance(value, str))


def figures(block) -> Iterator[str]:
    for child in getattr(block, "children", {}).values():
        yield from figures(child)
    if block.type == "bidi_component":
        yield block.proto.json


def test_hostile_texts_labels_columns_and_names_stay_plain(app: Open) -> None:
    rows = "".join(
        f'"{text} {i}","{label} x"\n' for i in range(4) for text in HOSTILE for label in (HOSTILE[i],)
    )
    name = f"{HOSTILE[0]} {HOSTILE[1]} {HOSTILE[3]}.csv"
    header = f'"{HOSTILE[0]}","{HOSTILE[2]}","text"\n'
    three = "".join(f'"{HOSTILE[1]}",{line}\n' for line in rows.splitlines())
    test = send(app(PAGE), header + three, name)
    boxes = {box.label: box for box in test.selectbox}
    test = run(boxes["Text column"].set_value(HOSTILE[2]))
    boxes = {box.label: box for box in test.selectbox}
    test = run(boxes["Label column"].set_value("text"))
    assert sizes(test, 1)["Classes"] == "4"
    stages = [test.main]
    test = run(test.button(key="data.save").click())
    stages.append(test.main)
    rows = "".join(f'a{i},"{text}"\nb{i},"{text} "\n' for i, text in enumerate(HOSTILE))
    test = send(test, f"text,label\n{rows}")
    assert "differ only in case, spaces or what" in plain(test.warning[0].value)  # and it quotes them
    stages.append(test.main)
    for stage in stages:
        texts, drawn = list(markdown(stage)), "".join(figures(stage))
        assert len(texts) > 20
        assert [text for text in texts for hostile in HOSTILE if hostile in text] == []
        assert "&#60;img" in drawn or "&lt;img" in drawn  # Plotly reads HTML, though no Markdown
        assert "<img" not in drawn
