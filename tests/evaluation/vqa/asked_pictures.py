"""Pictures of one colour with questions about it, in each publisher's format, written by hand."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

COLOURS = {
    "red": (210, 30, 30),
    "green": (30, 190, 30),
    "blue": (30, 40, 220),
    "yellow": (230, 210, 20),
}


def square(colour: str, seed: int, kind: str) -> bytes:
    """A picture of 20 x 16 noisy pixels."""
    noise = np.random.default_rng(seed).normal(0, 25, (16, 20, 3))
    out = io.BytesIO()
    pixels = (np.array(COLOURS[colour]) + noise).clip(0, 255).astype(np.uint8)
    Image.fromarray(pixels).save(out, kind, **({"quality": 95} if kind == "JPEG" else {}))
    return out.getvalue()


def colour_of(i: int) -> str:
    return list(COLOURS)[(7 * i + i // 4) % 4]


def dumped(path: Path, content: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content))


def write_vqav2(root: Path, train: int = 40, val: int = 12, agreeing: int = 10) -> Path:
    """Two questions a picture: its colour (answered alike by `agreeing` of ten), and whether it is one."""
    for split, count, start in (("train", train, 1000), ("val", val, 500_000)):
        questions, annotations = [], []
        for i in range(count):
            image, colour = start + 3 * i, colour_of(i)
            asked = list(COLOURS)[(i // 2) % 4] if i % 2 else colour
            file = root / f"{split}2014" / f"COCO_{split}2014_{image:012d}.jpg"
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(square(colour, image, "JPEG"))
            said = [colour] * agreeing + ["a dark " + colour] * (10 - agreeing)
            yes = "yes" if asked == colour else "no"
            for j, (text, answers, kind, start_of) in enumerate(
                [
                    ("What color is the square?", said, "other", "what color is the"),
                    (f"Is the square {asked}?", [yes] * 10, "yes/no", "is the"),
                ]
            ):
                id = 1000 * image + j
                questions.append({"image_id": image, "question": text, "question_id": id})
                annotations.append(
                    {
                        "question_type": start_of,
                        "multiple_choice_answer": answers[0],
                        "answers": [
                            {"answer": answer, "answer_confidence": "yes", "answer_id": n + 1}
                            for n, answer in enumerate(answers)
                        ],
                        "image_id": image,
                        "answer_type": kind,
                        "question_id": id,
                    }
                )
        about = {
            "info": {"version": "2.0", "year": 2017},
            "license": {"name": "CC BY 4.0"},
            "data_subtype": f"{split}2014",
            "data_type": "mscoco",
        }
        # Questions about one picture need not follow each other, nor need annotations follow the questions.
        apart = questions[::2] + questions[1::2]
        first = {**about, "task_type": "Open-Ended", "questions": apart}
        dumped(root / f"v2_OpenEnded_mscoco_{split}2014_questions.json", first)
        dumped(root / f"v2_mscoco_{split}2014_annotations.json", {**about, "annotations": annotations[::-1]})
    return root


def gqa_question(image: str, text: str, answer: str, types: Sequence[str]) -> dict[str, object]:
    """One entry of a GQA file."""
    structural, semantic, detailed = types
    return {
        "semantic": [
            {"operation": "select", "dependencies": [], "argument": "square (1)"},
            {"operation": "query", "dependencies": [0], "argument": "color"},
        ],
        "entailed": [],
        "equivalent": [],
        "question": text,
        "imageId": image,
        "isBalanced": True,
        "groups": {"global": "color", "local": "10q-square_color"},
        "answer": answer,
        "semanticStr": "select: square (1)->query: color [0]",
        "annotations": {"answer": {}, "question": {"4": "1"}, "fullAnswer": {"1": "1"}},
        "types": {"detailed": detailed, "semantic": semantic, "structural": structural},
        "fullAnswer": f"The square is {answer}.",
    }


def write_gqa(root: Path, counts: Sequence[tuple[str, int]]) -> Path:
    """Two questions a picture, splits of so many pictures."""
    (root / "images").mkdir(parents=True)
    for s, (split, count) in enumerate(counts):
        questions = {}
        for i in range(count):
            image, colour = f"{'n' if s else ''}{100 * s + i}", colour_of(i)
            (root / "images" / f"{image}.jpg").write_bytes(square(colour, 100 * s + i, "JPEG"))
            asked = list(COLOURS)[(i // 2) % 4] if i % 2 else colour
            yes = "yes" if asked == colour else "no"
            types = ("query", "attr", "directWhich"), ("verify", "attr", "verifyAttr")
            questions[f"{s}{i:05}"] = gqa_question(image, "What color is the square?", colour, types[0])
            questions[f"{s}{i:05}1"] = gqa_question(image, f"Is the square {asked}?", yes, types[1])
        dumped(root / "questions" / f"{split}_balanced_questions.json", questions)
    return root


def write_clevr(root: Path, train: int = 6, val: int = 4) -> Path:
    """Three questions a picture, one of them about all its pixels being one square."""
    for split, count in (("train", train), ("val", val)):
        questions = []
        for i in range(count):
            name, colour = f"CLEVR_{split}_{i:06}.png", colour_of(i)
            file = root / "images" / split / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(square(colour, i, "PNG"))
            for family, text, answer, last in (
                (74, "What color is the square?", colour, "query_color"),
                (0, "How many squares are there?", "1", "count"),
                (9, "Are there more squares than spheres?", "yes", "greater_than"),
            ):
                questions.append(
                    {
                        "image_index": i,
                        "program": [
                            {"inputs": [], "function": "scene", "value_inputs": []},
                            {"inputs": [0], "function": last, "value_inputs": []},
                        ],
                        "question_index": len(questions),
                        "image_filename": name,
                        "question_family_index": family,
                        "split": split,
                        "answer": answer,
                        "question": text,
                    }
                )
        info = {"split": split, "license": "Creative Commons Attribution (CC BY 4.0)", "version": "1.0"}
        dumped(root / "questions" / f"CLEVR_{split}_questions.json", {"info": info, "questions": questions})
    return root
