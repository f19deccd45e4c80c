"""The page: its numbers are the records', it needs nothing from outside, and no caption can break it."""

from __future__ import annotations

import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import pytest
from synthetic_runs import ATTACKS, PrototypeModel, write_records

from sightword.errors import SightwordError
from sightword.evaluation.benchmarks import open_benchmark
from sightword.evaluation.compare import compare_runs
from sightword.evaluation.run import evaluate
from sightword.report import phrases
from sightword.report.page import write_report
from sightword.report.phrases import TIMES

VOID = {"meta", "link", "img", "br"}


class Reader(HTMLParser):
    """Text, tags and attributes of a page; fails where elements are not nested."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] not in ("script", "style"):
            self.words.append(data)

    @property
    def text(self) -> str:
        return " ".join("".join(self.words).split())


@pytest.fixture(scope="module")
def html(page: Path) -> str:
    return page.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def read(html: str) -> Reader:
    return Reader(html)


def test_says_who_is_better_on_both_budgets(three_runs: list[Path], read: Reader) -> None:
    clip, slip, longer = three_runs
    for first, second, budget in ((clip, slip, "At equal samples"), (longer, slip, "At equal FLOPs")):
        (acc1,) = (
            d
            for d in compare_runs(first, second)
            if (d.split, d.task, d.metric) == ("test_artist", "zeroshot", "acc1")
        )
        gap = acc1.difference
        assert budget in read.text
        assert f"{phrases.points_interval(gap.low, gap.high)}" in read.text
        assert phrases.percent(acc1.second).replace(phrases.THIN, " ") in read.text.replace(phrases.THIN, " ")


def test_every_score_of_every_run_stands_in_a_table_with_its_interval(
    three_runs: list[Path], html: str
) -> None:
    for run in three_runs:
        for line in (run / "scores.jsonl").read_text().splitlines():
            score = json.loads(line)
            value, within = phrases.percent(score["value"]), phrases.interval(score["low"], score["high"])
            assert f"<td>{value}<small>{within}<" in html


def test_costs_come_from_the_records(read: Reader) -> None:
    for said in ("25,600", "69,120", f"4.0 {TIMES} 10¹³", f"1.1 {TIMES} 10¹⁴", f"2.7{TIMES}", "1,234,567"):
        assert said in read.text


def test_curves_of_each_term_are_drawn(read: Reader) -> None:
    assert "Loss of clip" in read.text
    assert "Loss of simclr" in read.text
    assert "Zero-shot, top-1 (demo, test artist)" in read.text


def test_scores_taken_while_training_are_points_of_a_curve(three_runs: list[Path], html: str) -> None:
    for run in three_runs:
        events = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
        for event in events:
            if event["kind"] == "score" and event["metric"] == "acc1":
                assert f": {100 * event['value']:.3g}{phrases.THIN}% at {event['samples'] / 1000:.4g}" in html


def test_needs_nothing_from_outside(page: Path, read: Reader, html: str) -> None:
    for _, attributes in read.tags:
        for name in ("src", "href", "xlink:href", "srcset", "data", "poster", "action"):
            address = attributes.get(name)
            assert address is None or address.startswith(("data:", "#")), address
    assert not re.search(r"@import|url\((?!['\"]?(data:|\$\{about))", html)
    assert page.stat().st_size < 6_000_000


def test_captions_are_text_wherever_they_stand(read: Reader, html: str) -> None:
    for attack in ATTACKS:
        assert attack not in html
    assert not any("onerror" in attributes for _, attributes in read.tags)
    assert sum(tag == "script" for tag, _ in read.tags) == 2  # the map's data and the page's own script
    assert any(" ".join(attack.split()) in read.text for attack in ATTACKS)


def test_pictures_have_alternative_texts_and_tables_have_headers(read: Reader) -> None:
    pictures = [attributes for tag, attributes in read.tags if tag == "img"]
    assert len(pictures) > 50
    assert all(attributes.get("alt") for attributes in pictures)
    headers = [attributes for tag, attributes in read.tags if tag == "th"]
    assert headers
    assert all(attributes.get("scope") for attributes in headers)
    drawings = [attributes for tag, attributes in read.tags if tag == "svg"]
    assert all(a.get("role") == "img" or a.get("aria-hidden") == "true" for a in drawings)


def test_names_the_licence_of_every_artist_shown(read: Reader) -> None:
    for said in ("dora, Apache-2.0", "bert, CC-BY-4.0"):
        assert said in read.text


def test_the_same_records_give_the_same_page(
    three_runs: list[Path], html: str, tmp_path: Path, demo_is_small: None
) -> None:
    assert write_report(three_runs, tmp_path / "again.html").read_text(encoding="utf-8") == html


def test_one_run_alone(three_runs: list[Path], tmp_path: Path, demo_is_small: None) -> None:
    alone = Reader(write_report(three_runs[:1], tmp_path / "alone.html").read_text(encoding="utf-8"))
    score = json.loads((three_runs[0] / "scores.jsonl").read_text().splitlines()[0])
    assert f"clip reached {phrases.percent(score['value'])}".replace(phrases.THIN, " ") in alone.text.replace(
        phrases.THIN, " "
    )
    assert "The comparison" not in alone.text


def test_runs_without_a_common_budget_are_not_called_better(
    three_runs: list[Path], tmp_path: Path, demo_is_small: None
) -> None:
    clip, _, longer = three_runs
    text = Reader(write_report([clip, longer], tmp_path / "two.html").read_text(encoding="utf-8")).text
    assert "no two runs had the same budget" in text
    assert "is better" not in text


def test_a_half_finished_run_without_scores_gets_a_page_that_says_so(tmp_path: Path) -> None:
    write_records(tmp_path / "half", "clip", 100, 1e11)
    metrics = tmp_path / "half" / "metrics.jsonl"
    lines = metrics.read_text().splitlines()
    metrics.write_text("\n".join(lines[:-1]) + '\n{"kind": "st', encoding="utf-8")
    text = Reader(write_report([tmp_path / "half"], tmp_path / "half.html").read_text(encoding="utf-8")).text
    assert "clip: not scored yet" in text
    assert "Not finished: clip" in text
    assert "Not scored: clip" in text
    assert "6,400" in text  # the samples of the last whole record


def test_a_run_without_words_gets_its_neighbours_and_its_map(
    tmp_path: Path, demo_is_small: None, three_runs: list[Path]
) -> None:
    write_records(tmp_path / "simclr", "simclr", 100, 1e11)
    train = open_benchmark("demo").train
    assert train is not None
    model = PrototypeModel("simclr", 0.2, 100, 1e11, train)
    model.has_text = False
    evaluate(model, tmp_path / "simclr", ["demo"], ["zeroshot", "knn"], say=lambda line: None)
    text = Reader(write_report([tmp_path / "simclr"], tmp_path / "s.html").read_text(encoding="utf-8")).text
    assert "No run was scored on zero-shot classification here." in text
    assert "No run was scored on retrieval here." in text
    assert "the pictures of demo, train nearest to each" in text


def test_without_training_features_a_picture_is_not_its_own_neighbour(
    three_runs: list[Path], tmp_path: Path, demo_is_small: None
) -> None:
    run = tmp_path / "clip"
    shutil.copytree(three_runs[0], run)
    (run / "features" / "demo-train.safetensors").unlink()
    html = write_report([run], tmp_path / "n.html").read_text(encoding="utf-8")
    part = html[html.index('id="neighbours"') :]
    queries = re.findall(
        r'class="asked"><img src="([^"]+)"(.*?)(?=class="query"|</section>)', part, re.DOTALL
    )
    assert "the pictures of demo, test artist nearest" in part
    assert len(queries) == 8
    assert all(asked not in found for asked, found in queries)


def test_pictures_that_are_gone_are_said_to_be_gone(
    three_runs: list[Path], tmp_path: Path, demo_is_small: None
) -> None:
    moved = tmp_path / "moved"
    shutil.copytree(three_runs[0], moved)
    scores = moved / "scores.jsonl"
    scores.write_text(scores.read_text().replace('"place": "demo"', '"place": "gone/away"'))
    text = Reader(write_report([moved], tmp_path / "m.html").read_text(encoding="utf-8")).text
    assert "No pictures: nothing at 'gone/away'" in text


def test_a_directory_that_is_no_run_is_one_clear_line(tmp_path: Path) -> None:
    with pytest.raises(SightwordError, match=r"holds no config\.toml"):
        write_report([tmp_path], tmp_path / "r.html")
    with pytest.raises(SightwordError, match="is not there"):
        write_report([tmp_path / "nowhere"], tmp_path / "r.html")
    with pytest.raises(SightwordError, match="no run to report on"):
        write_report([], tmp_path / "r.html")
    assert not (tmp_path / "r.html").exists()
