from __future__ import annotations

import pytest

from sightword.errors import SightwordError
from sightword.pairs.lists.columns import captions_in, choose_columns, path_in, usual_caption
from sightword.pairs.reading import Reading


def test_open_clips_names_are_the_default():
    columns = choose_columns(["title", "caption", "image", "filepath"], Reading(), "x.csv")
    assert (columns.image, columns.captions, columns.key, columns.notes) == ("filepath", ("title",), "", ())
    assert columns.spoken == {"", "filepath", "title"}


@pytest.mark.parametrize(
    ("names", "image", "caption"),
    [
        (["image_path", "caption"], "image_path", "caption"),
        (["text", "file_name"], "file_name", "text"),
        (["Image", "TEXT", "url"], "Image", "TEXT"),
        (["path", "sentences", "split"], "path", "sentences"),
    ],
)
def test_usual_names_are_taken_and_told(names, image, caption):
    columns = choose_columns(names, Reading(), "x.csv")
    assert (columns.image, columns.captions) == (image, (caption,))
    assert f"no column 'filepath': pictures come from '{image}'" in columns.notes[0]
    assert f"no column 'title': captions come from '{caption}'" in columns.notes[1]


def test_what_is_asked_for_is_taken_or_refused():
    names = ["id", "pic", "short", "long", "caption"]
    columns = choose_columns(names, Reading("pic", "short, long"), "x.csv")
    assert (columns.image, columns.captions, columns.key) == ("pic", ("short", "long"), "id")
    assert columns.kept == {"short", "long"}
    with pytest.raises(SightwordError) as error:
        choose_columns(names, Reading("pics", "short"), "x.csv")
    assert str(error.value) == (
        "'x.csv' has no column 'pics'; its columns: 'id', 'pic', 'short', 'long', 'caption';"
        " perhaps --csv-img-key 'pic'?"
    )
    with pytest.raises(SightwordError, match=r"no column 'text'.*perhaps --csv-caption-key 'caption'"):
        choose_columns(names, Reading("pic", "text"), "x.csv")
    with pytest.raises(SightwordError, match="name the column with --csv-img-key, in a header line"):
        choose_columns(["a boy plays", "b"], Reading(), "x.csv")


def test_web_addresses_are_no_paths():
    with pytest.raises(SightwordError, match=r"web addresses \(column 'url'\).*img2dataset"):
        choose_columns(["caption", "url"], Reading(), "x.csv")


def test_two_columns_of_one_name_are_refused():
    with pytest.raises(SightwordError, match="two columns 'title'"):
        choose_columns(["title", "filepath", "title"], Reading(), "x.csv")


def test_pictures_alone_need_no_captions():
    assert choose_columns(["filepath"], Reading(captionless=True), "x.csv").captions == ()
    with pytest.raises(SightwordError, match="--csv-caption-key"):
        choose_columns(["filepath"], Reading(), "x.csv")


def test_title_and_description_stay_apart():
    columns = choose_columns(["filepath", "title", "description"], Reading(), "x.csv")
    assert columns.kept == {"title", "description"}


def test_values():
    assert captions_in("a") == ("a",)
    assert captions_in(["a", 3, "b", None]) == ("a", "b")
    assert captions_in(None) == captions_in(7) == ()
    assert (
        path_in({"path": "x.jpg", "bytes": None}) == path_in(" x.jpg") == path_in("file://x.jpg") == "x.jpg"
    )
    assert path_in(None) == path_in({"path": None}) == path_in(3) == ""
    assert usual_caption(["n", "caption"], Reading()) == ("caption",)
    assert usual_caption(["b", "a"], Reading(caption_key="a,b,c")) == ("a", "b")
