"""The page says what the analysis found, no more and no less, whatever study it is of."""

from __future__ import annotations

import csv
import html
import json
import re
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from synthetic_study import ARMS, conduct_of, findings_of, points_of, study_of

from sightword.study.findings import Findings, RunState, analyse
from sightword.study.page.page import write_page

TEN = (
    *("clip", "clip + simclr", "clip + mae", "clip + byol", "clip + mocov3", "clip + 0.5 * simclr"),
    *("clip + 0.5 * mae", "siglip", "siglip + simclr", "clip + 0.25 * simclr + 0.25 * mae {lr=3e-3, wd=0.1}"),
)
MINUS, THIN, TIMES = "\u2212", "\u202f", "\u00d7"
VOID = {"meta", "link", "input", "br", "img", "hr"}
# What is no result: levels, ranks, years, arXiv numbers, the words of metrics and papers.
FIXED = {"95", "5", "0", "1", "2", "3", "1.4"}


class Read(HTMLParser):
    """The page's words without those of style and of axes, and whether its elements close in order."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.words: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.muted = 0
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag in VOID:
            return
        self.open.append(tag)
        self.muted += tag == "style" or (tag == "text" and "class" not in dict(attrs))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag
        if tag in ("style", "text"):
            self.muted = max(0, self.muted - 1) if tag == "style" else 0

    def handle_data(self, data: str) -> None:
        if not self.muted:
            self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))


@pytest.fixture(scope="module")
def read(out: Path) -> Read:
    return Read((out / "study.html").read_text())


def page_of(findings: Findings, out: Path) -> Read:
    read = Read(write_page(findings, out).read_text())
    assert read.open == []
    assert "nan" not in re.findall(r"\w+", read.text)
    for file in (out / "figures").glob("*.svg"):
        ET.parse(file)
    return read


def test_it_is_whole_and_needs_nothing_else(out: Path, read: Read) -> None:
    assert read.open == []
    addresses = [value for _, given in read.tags for name, value in given.items() if name in ("src", "href")]
    assert all(value.startswith(("#", "data:")) for value in addresses)
    anchors = {given["id"] for _, given in read.tags if given.get("id")}
    assert {value[1:] for value in addresses if value.startswith("#")} <= anchors
    ids = [given["id"] for _, given in read.tags if given.get("id")]
    assert len(ids) == len(set(ids))
    assert "<script" not in (out / "study.html").read_text()


def test_every_verdict_stands_there_with_its_word_and_sentences(found: Findings, read: Read) -> None:
    for one in found.verdicts:
        for sentence in one.sentences():
            assert re.sub(r"\s+", " ", sentence) in read.text
    words = {1: "Yes", 0: "Undetermined", -1: "No, it is worse"}
    page = html.unescape(read.text)
    body = page[page.index("Decided by") : page.index("Gain over clip in points, all charts")]
    for side, word in words.items():
        assert body.count(f" {word} ") == sum(one.pays == side for one in found.verdicts)


def test_undetermined_is_as_large_as_yes(out: Path) -> None:
    page = (out / "study.html").read_text()
    said = re.findall(r'<p class="word">.*?<span>([^<]+)</span></p>', page)
    assert {"Undetermined", "No, it is worse"} <= set(said)
    assert len(said) == 4  # two arms, two budgets, one size of letters


def rows_of(page: str) -> Iterator[tuple[str, list[list[str]]]]:
    """Tables of gains: the name of each and its cells."""
    for said, body in re.findall(r"<summary>([^<]+)</summary><div[^>]*><table[^>]*>(.*?)</table>", page):
        rows = re.findall(r"<tr[^>]*>(.*?)</tr>", body.partition("</thead>")[2])
        yield (
            html.unescape(said),
            [[text_in(cell) for cell in re.split(r"</t[hd]>", row)[:-1]] for row in rows],
        )


def text_in(cell: str) -> str:
    return html.unescape(re.sub(r"<[^>]+>", "", cell))


def signed(value: float) -> str:
    rounded = round(100 * value, 1)
    return f"{'+' if rounded > 0 else MINUS if rounded < 0 else ''}{abs(rounded):.1f}"


def p_of(value: str) -> str:
    return "\u2013" if not value else "< 0.001" if float(value) < 0.001 else f"{float(value):.3f}"


def test_the_tables_of_gains_are_the_table_of_gains(out: Path) -> None:
    """Each row of each table against gains.csv, written out independently."""
    with (out / "gains.csv").open() as file:
        gains = list(csv.DictReader(file))
    wanted = {}
    for row in gains:
        value, low, high = (float(row[name]) for name in ("gain", "gain_low", "gain_high"))
        ends = " to ".join(signed(end).lstrip("+") for end in (low, high))
        tested = (p_of(row["p"]), p_of(row["p_holm"]), "shown" if row["shown"] == "True" else "")
        cells = [row["objective"], f"{int(row['size']):,}", signed(value), ends, row["seeds"], *tested]
        budget = {"samples": "equal samples", "flops": "equal FLOPs"}[row["budget"]]
        task = {"zeroshot": "Zero-shot", "knn": "Nearest neighbours"}[row["task"]]
        mean = row["dataset"].startswith("mean")
        about = f"{task}, {row['dataset'] if mean else 'top-1 on ' + row['dataset']}, {budget}"
        wanted.setdefault(about, []).append(cells)
    shown = dict(rows_of((out / "study.html").read_text()))
    shown.pop("The fitted laws", None)
    assert shown == wanted
    assert sum(len(rows) for rows in wanted.values()) == len(gains) == 2 * 2 * 2 * 4 * 4


def test_every_number_on_the_page_is_in_the_records(out: Path, read: Read) -> None:
    """Rounded as it is written, as a number, in percent, or as the half of an interval in points."""
    numbers: set[float] = set()
    for line in (out / "findings.jsonl").read_text().splitlines():
        collect(json.loads(line), numbers)
    for name in ("points", "laws"):
        with (out / f"{name}.csv").open() as file:
            for row in csv.DictReader(file):
                collect([float(v) for v in row.values() if re.fullmatch(r"-?[\d.]+(e-?\d+)?", v)], numbers)
    means(out, numbers)
    words = re.sub(r"arXiv:\S+|\b(19|20)\d\d\b|CC\d+M|top-1|vit-\w+|N₀|10[⁰-⁹]+|1\.4 B", " ", read.text)
    told = re.findall(rf"[+{MINUS}±-]?" r"\d[\d,]*(?:\.\d+)?(?:e-?\d+)?(?: (?:thousand|million))?", words)
    assert len(told) > 400
    lost = {one for one in told if one.strip(f"+-{MINUS}±") not in FIXED and not known(one, numbers)}
    anchors = {"11,300,000", "1,400,000,000"} | published_numbers()
    assert lost - anchors == set()


def collect(value: object, into: set[float]) -> None:
    if isinstance(value, dict):
        low, high = value.get("gain_low"), value.get("gain_high")
        if low is not None and high is not None:
            into.add((high - low) / 2)
        for one in value.values():
            collect(one, into)
        shares = value.get("seeds_share")
        if shares is not None:
            into.add(1 - shares)
    elif isinstance(value, list):
        into.add(float(len(value)))
        for one in value:
            collect(one, into)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        into.add(float(value))


def means(out: Path, numbers: set[float]) -> None:
    """Errors of single seeds, their means and differences, from the points; counts of runs."""
    with (out / "points.csv").open() as file:
        points = [row for row in csv.DictReader(file) if row["task"]]
    cells: dict[tuple[str, ...], dict[tuple[str, str], list[float]]] = {}
    for row in points:
        place = (row["budget"], row["task"], row["size"])
        cells.setdefault(place, {}).setdefault((row["objective"], row["seed"]), []).append(
            float(row["value"])
        )
    for of in cells.values():
        mean = {key: sum(values) / len(values) for key, values in of.items()}
        numbers.update(1 - value for value in mean.values())
        numbers.update(mean[arm, seed] - mean["clip", seed] for arm, seed in mean)
        for arm in {arm for arm, _ in mean}:
            seeds = [value for (name, _), value in mean.items() if name == arm]
            numbers.add(1 - sum(seeds) / len(seeds))
    lines = [json.loads(line) for line in (out / "findings.jsonl").read_text().splitlines()]
    runs = [line for line in lines if line["kind"] == "run"]
    numbers.update((len(runs), sum(run["state"] == "finished" for run in runs)))
    numbers.add(len({(run["model"], run["size"], run["seed"]) for run in runs}))
    sizes = [size for line in lines if line["kind"] == "verdict" for size in line["sizes"]]
    numbers.update(
        line["size"] / max(sizes) for line in lines if line["kind"] == "crossover" and line["size"]
    )


def known(one: str, numbers: set[float]) -> bool:
    """Whether some record is what is written, to its last digit."""
    written, _, unit = one.replace(",", "").replace(MINUS, "-").lstrip("+±").partition(" ")
    scale = {"thousand": 1e3, "million": 1e6}.get(unit, 1.0)
    value, digits = float(written) * scale, len(written.partition(".")[2])
    half = 0.5000001 * scale * 10.0**-digits
    for number in numbers:
        if any(abs(abs(number) * by - abs(value)) <= half for by in (1, 100)):
            return True
        if float(f"{number:.3g}") == value or f"{number:.1e}".partition("e")[0] == written:
            return True
    return False


def published_numbers() -> set[str]:
    from sightword.study.analysis.published import published

    told = published()
    models = {one.model for one in told.anchors}
    values = [v for one in told.anchors if (v := one.value("zeroshot")) is not None]
    gains = [gain for model in models for _, gain in told.gains("zeroshot", model)]
    epochs = {str(one.epochs) for one in told.anchors}
    return epochs | {f"{100 - 100 * v:.1f}" for v in values} | {signed(gain) for gain in gains}


def test_the_heat_map_has_every_gain_of_its_size(out: Path) -> None:
    with (out / "gains.csv").open() as file:
        gains = [r for r in csv.DictReader(file) if (r["budget"], r["size"]) == ("flops", "40000")]
    root = ET.parse(out / "figures" / "heat-vit-tiny-flops-40000.svg").getroot()
    drawn = [
        e for e in root.iter("{http://www.w3.org/2000/svg}text") if "number" in e.get("class", "").split()
    ]
    cells = sorted("".join(e.itertext()).split(")")[-1] for e in drawn if e.get("text-anchor") == "middle")
    written = sorted(
        f"{', shown' if r['shown'] == 'True' else ', not shown'}{signed(float(r['gain']))}" for r in gains
    )
    assert cells == written
    frames = [e for e in root.iter("{http://www.w3.org/2000/svg}rect") if e.get("class") == "frame"]
    assert len(frames) == sum(row["shown"] == "True" for row in gains) > 0


def test_marks_of_shown_gains_are_filled_and_others_hollow(found: Findings, out: Path) -> None:
    for answer in found.deciding["vit-tiny"]:
        for arm in answer.arms:
            name = f"gain-vit-tiny-zeroshot-{answer.question.budget}-{arm.objective.replace(' ', '')}.svg"
            drawn = (out / "figures" / name).read_text()
            body = drawn[drawn.index("</style>") :]
            assert body.count('class="dot"') == sum(gain.shown for gain in arm.gains)
            assert body.count('class="hollow"') == sum(not gain.shown for gain in arm.gains)
            assert body.count('class="dot seed"') == 3 * len(arm.gains)
            crosses = arm.crossover is not None and arm.crossover.size is not None
            assert ('class="stretch"' in body) == crosses


def test_nothing_is_drawn_beyond_a_decade(found: Findings, out: Path) -> None:
    with (out / "curves.csv").open() as file:
        rows = list(csv.DictReader(file))
    sizes = [float(row["size"]) for row in rows]
    assert max(sizes) == pytest.approx(400_000)
    assert min(sizes) == pytest.approx(100)
    assert {row["extrapolated"] for row in rows if 1000 <= float(row["size"]) <= 40_000} == {"False"}
    assert {row["extrapolated"] for row in rows if not 1000 <= float(row["size"]) <= 40_000} == {"True"}


def test_the_same_findings_make_the_same_bytes(tmp_path: Path, out: Path) -> None:
    study = study_of()
    points = list(points_of(study))
    write_page(analyse(study, points[::-1], conduct_of(study), resamples=60), tmp_path)
    files = sorted(file.relative_to(out) for file in out.rglob("*") if file.is_file())
    assert files == sorted(file.relative_to(tmp_path) for file in tmp_path.rglob("*") if file.is_file())
    assert [name for name in files if (out / name).read_bytes() != (tmp_path / name).read_bytes()] == []


def test_figures_of_an_earlier_page_go_away(tmp_path: Path) -> None:
    (tmp_path / "figures").mkdir()
    (tmp_path / "figures" / "old.svg").write_text("<svg/>")
    page_of(findings_of(study_of(sizes=(8000,), seeds=(0,), arms=ARMS[:2])), tmp_path)
    assert not (tmp_path / "figures" / "old.svg").exists()


def test_one_seed_shows_nothing(tmp_path: Path) -> None:
    read = page_of(findings_of(study_of(seeds=(0,))), tmp_path)
    assert "how much seeds differ is not known" in read.text
    assert (
        'class="dot"'
        not in (tmp_path / "figures" / "gain-vit-tiny-zeroshot-samples-clip+mae.svg").read_text()
    )
    assert "one seed: not known" in read.text


@pytest.mark.parametrize(
    ("of", "asked"),
    [
        ({"sizes": (8000,)}, {}),
        ({"budgets": ("samples",)}, {}),
        ({"sizes": (8000,), "seeds": (0,), "budgets": ("samples",), "arms": ARMS[:2]}, {"sets": ("mine",)}),
        ({"arms": TEN, "sizes": (1000, 9000), "seeds": (0, 1)}, {"sets": ("pets",), "tasks": ("zeroshot",)}),
        (
            {"models": ("vit-tiny", "vit-small"), "sizes": (1000, 9000), "seeds": (0, 1)},
            {"tasks": ("retrieval",)},
        ),
    ],
    ids=["one size", "one budget", "one of everything", "ten arms", "two models"],
)
def test_studies_of_every_shape(tmp_path: Path, of: dict, asked: dict) -> None:
    findings = findings_of(study_of(**of), **asked)
    read = page_of(findings, tmp_path)
    for arm in findings.study.arms:
        assert arm.name in read.text
        assert arm.label in read.text
    for model in findings.study.models:
        assert model in read.text
        assert list((tmp_path / "figures").glob(f"gain-{model}-*.svg"))
    assert len(findings.verdicts) == (
        len(findings.study.models) * len(findings.study.budgets) * (len(findings.study.arms) - 1)
    )


def test_missing_and_failed_runs_are_told_and_their_gains_left_out(tmp_path: Path) -> None:
    study = study_of(sizes=(1000, 9000), seeds=(0, 1))
    lost = {
        ("clip + mae", 9000, 1, "flops"),
        ("clip + mae", 9000, 1, "samples"),
        ("clip + mae", 9000, 0, "flops"),
    }
    points = [p for p in points_of(study) if (p.objective, p.size, p.seed, p.budget) not in lost]
    read = page_of(analyse(study, points, conduct_of(study, failed=2, missing=1), resamples=60), tmp_path)
    assert "17 of 20 planned runs are in these results: 2 failed and 1 are missing." in read.text
    assert (
        "Failed: clip + mae, vit-tiny, 9,000 pairs, seed 1, equal FLOPs: the loss became NaN at step 17"
        in read.text
    )
    with (tmp_path / "gains.csv").open() as file:
        rows = {(r["objective"], r["size"], r["budget"]): r["seeds"] for r in csv.DictReader(file)}
    assert ("clip + mae", "9000", "flops") not in rows
    assert rows["clip + mae", "9000", "samples"] == "1"


def test_names_are_text_in_every_language_and_cannot_act(tmp_path: Path) -> None:
    name = "</title><script>alert(1)</script> ünïcödé 日本 & \"quotes\" 'too'"
    study = study_of(sizes=(1000, 9000), seeds=(0, 1), arms=ARMS[:2])
    conduct = conduct_of(study)
    state = RunState(conduct.runs[0].cell, "failed", "<img src=x onerror=alert(1)>", ("<b>collapse</b>",))
    runs = (state, *conduct.runs[1:])
    findings = analyse(
        study, points_of(study, sets=(name,)), type(conduct)(runs, conduct.costs), resamples=60
    )
    read = page_of(findings, tmp_path)
    kinds = {tag for tag, _ in read.tags}
    assert not kinds & {"script", "img", "b"}
    assert name in read.text
    assert "<img src=x onerror=alert(1)>" in read.text
    assert "<b>collapse</b>" in read.text
    assert all(re.fullmatch(r"[A-Za-z0-9.+=_-]+", file.name) for file in (tmp_path / "figures").iterdir())


def test_a_size_that_was_not_run_is_predicted(tmp_path: Path) -> None:
    read = page_of(findings_of(study_of(arms=ARMS[:2]), size=8000), tmp_path)
    assert "With 8,000 pairs:" in read.text
    assert "predicted from the other sizes" in read.text


def test_how_it_was_run_is_told(read: Read) -> None:
    for said in (
        "the best of 3 for each arm, chosen on validation pairs",
        "all arms had the same pairs in the same order in 12 of 12 parts",
        "60 of 60 planned runs finished.",
        "pets: 3 of 400",
        f"4.0 {TIMES} 10⁹",
        f"1.9{TIMES}",
        "0.0005, 0.001, 0.002",
        f"31.1{THIN}%, 35.2{THIN}%, 34.7{THIN}%",
    ):
        assert re.sub(r"\s+", " ", said) in read.text


def test_shares_of_seeds_are_those_of_the_table(out: Path) -> None:
    with (out / "gains.csv").open() as file:
        rows = [r for r in csv.DictReader(file) if (r["dataset"][:4], r["task"]) == ("mean", "zeroshot")]
    for budget in ("samples", "flops"):
        drawn = (out / "figures" / f"luck-vit-tiny-zeroshot-{budget}.svg").read_text()
        wanted = []
        for row in (row for row in rows if row["budget"] == budget):
            share = float(row["seeds_error"]) ** 2 / float(row["error"]) ** 2
            half = 50 * (float(row["gain_high"]) - float(row["gain_low"]))
            wanted.append(f"{100 * share:.0f}{THIN}% seeds; ±{half:.1f} points")
        assert re.findall(r">([^<]+ seeds; [^<]+)<", drawn) == wanted
        assert len(wanted) == 8


def test_the_laws_of_the_page_are_those_of_the_table(out: Path) -> None:
    with (out / "laws.csv").open() as file:
        rows = [r for r in csv.DictReader(file) if (r["dataset"][:4], r["task"]) == ("mean", "zeroshot")]
    page = (out / "study.html").read_text()
    shown = re.findall(r"<tr[^>]*>(.*?)</tr>", page[page.index("The fitted laws") :].partition("</table>")[0])
    told = [[text_in(cell) for cell in re.split(r"</t[hd]>", row)[1:-1]] for row in shown[1:]]
    assert told == [
        [
            *(f"{100 * float(row[name]):.1f}{THIN}%" for name in "ab"),
            f"{float(row['c']):.2f}",
            f"{float(row['c_low']):.2f} to {float(row['c_high']):.2f}",
        ]
        for row in rows
    ]
    assert len(told) == 6


def test_parquet_holds_what_csv_holds(out: Path) -> None:
    for name in ("gains", "points"):
        with (out / f"{name}.csv").open() as file:
            written = list(csv.reader(file))
        table = pq.read_table(out / f"{name}.parquet")
        assert table.column_names == written[0]
        rows = [["" if value is None else str(value) for value in row.values()] for row in table.to_pylist()]
        assert rows == written[1:]


def test_a_study_of_one_run_each_has_tables_with_heads(tmp_path: Path) -> None:
    study = study_of(sizes=(8000,), seeds=(0,), arms=ARMS[:2])
    write_page(analyse(study, points_of(study), resamples=20), tmp_path)  # nothing is known of its runs
    for name in ("laws", "crossovers", "curves"):
        head, *rows = (tmp_path / f"{name}.csv").read_text().splitlines()
        assert head.startswith("budget,model,dataset,task,metric,")
        assert rows == []
