import base64
import json
from pathlib import Path
from typing import Any

import pytest
import run_exports as runs

from producer.export import export_run, generator
from tasks.errors import BadInputError
from tasks.schemas.export import RunExport
from tasks.schemas.status import ItemCounts


def embed(png: bytes, card: dict[str, Any]) -> bytes:
    """Stand in for the real one: the card after the picture's end, as readers ignore it there."""
    return png + base64.b64encode(json.dumps(card).encode())


def monogram(name: str) -> bytes:
    return runs.png(width=len(name), height=1)


def write(export: RunExport, out: Path) -> Path:
    return export_run(export, out, embed=embed, monogram=monogram)


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def test_a_run_is_written_file_by_file(tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert write(runs.run(), out) == out
    assert files(out) == {
        "run.json",
        "index.html",
        "mei-lin/card.json",
        "mei-lin/card.png",
        "mei-lin/calendar.json",
        "mei-lin/tweets.json",
        "mei-lin/images/01.png",
        "mei-lin/images/02.png",
    }
    assert read(out / "mei-lin" / "card.json") == runs.card()
    assert (out / "mei-lin" / "images" / "01.png").read_bytes() == runs.png()


def test_run_json_is_the_status_and_where_it_comes_from(tmp_path: Path) -> None:
    export = runs.run()
    write(export, tmp_path / "out")
    document = read(tmp_path / "out" / "run.json")
    assert document == export.status.model_dump(mode="json") | {
        "out": str(tmp_path / "out"),
        "kind": "run",
        "created": "2026-11-23T10:00:00Z",
        "provider": "simulated",
        "language": "en",
        "ai_generated": True,
        "generator": generator(),
    }
    assert document["generator"].startswith("castline")


def test_tweets_json_has_exactly_the_promised_fields(tmp_path: Path) -> None:
    person = runs.persona(
        tweets=(runs.tweet(1), runs.tweet(2, image=None, picture_status="failed", status="done"))
    )
    write(runs.run(person), tmp_path / "out")
    assert read(tmp_path / "out" / "mei-lin" / "tweets.json") == {
        "persona": "Mei Lin",
        "tweets": [
            {
                "slot": 1,
                "date": "2026-11-01",
                "text": "Tweet number 1",
                "image_prompt": "prompt 1",
                "image": "images/01.png",
                "status": "done",
                "model": "model-a",
            },
            {
                "slot": 2,
                "date": "2026-11-02",
                "text": "Tweet number 2",
                "image_prompt": "prompt 2",
                "image": None,
                "status": "done",
                "model": "model-a",
            },
        ],
    }


def test_the_card_goes_into_the_users_portrait(tmp_path: Path) -> None:
    portrait = runs.png(width=9, height=9)
    write(runs.run(runs.persona(portrait=portrait)), tmp_path / "out")
    written = (tmp_path / "out" / "mei-lin" / "card.png").read_bytes()
    assert written == embed(portrait, runs.card())


def test_a_character_without_a_portrait_gets_its_monogram(tmp_path: Path) -> None:
    write(runs.run(), tmp_path / "out")
    written = (tmp_path / "out" / "mei-lin" / "card.png").read_bytes()
    assert written == embed(monogram("Mei Lin"), runs.card())


def test_chinese_text_is_readable_in_the_files(tmp_path: Path) -> None:
    person = runs.persona(card=runs.card("林小雨"), tweets=(runs.tweet(1, text="早上好 🌧"),))
    write(runs.run(person, language="zh"), tmp_path / "out")
    folder = tmp_path / "out" / "character-01"
    assert "林小雨" in (folder / "card.json").read_text(encoding="utf-8")
    assert "早上好 🌧" in (folder / "tweets.json").read_text(encoding="utf-8")


def test_half_an_emoji_from_a_model_still_makes_valid_files(tmp_path: Path) -> None:
    person = runs.persona(tweets=(runs.tweet(1, text="rain \ud83c"),))
    write(runs.run(person), tmp_path / "out")
    assert read(tmp_path / "out" / "mei-lin" / "tweets.json")["tweets"][0]["text"] == "rain \ud83c"
    assert "rain ?" in (tmp_path / "out" / "index.html").read_text(encoding="utf-8")


def test_a_character_whose_chain_failed_is_named_but_has_no_folder(tmp_path: Path) -> None:
    failed = runs.persona(
        2, label="the broken brief", card=None, error="core: refused", tweets=(), calendar=None
    )
    write(runs.run(runs.persona(), failed), tmp_path / "out")
    folders = {path.name for path in (tmp_path / "out").iterdir() if path.is_dir()}
    page = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    assert folders == {"mei-lin"}
    assert "the broken brief" in page
    assert "core: refused" in page


def test_a_run_whose_every_character_failed_still_has_its_page(tmp_path: Path) -> None:
    failed = runs.persona(card=None, error="core: refused", tweets=(), calendar=None)
    status = runs.status(state="failed", personas=ItemCounts(total=1, failed=1))
    write(runs.run(failed, status=status), tmp_path / "out")
    assert files(tmp_path / "out") == {"run.json", "index.html"}


def test_pictures_for_a_tweets_file_need_no_card(tmp_path: Path) -> None:
    person = runs.persona(card=None, calendar=None, label="tweets.json")
    write(runs.run(person, kind="images"), tmp_path / "out")
    assert files(tmp_path / "out") == {
        "run.json",
        "index.html",
        "tweets-json/tweets.json",
        "tweets-json/images/01.png",
        "tweets-json/images/02.png",
    }


def test_a_run_without_pictures_has_no_pictures_folder(tmp_path: Path) -> None:
    person = runs.persona(tweets=(runs.tweet(1, image=None, picture_status=""),))
    write(runs.run(person, kind="tweets"), tmp_path / "out")
    assert not (tmp_path / "out" / "mei-lin" / "images").exists()


def test_characters_of_one_name_have_folders_of_their_own(tmp_path: Path) -> None:
    write(runs.run(runs.persona(1), runs.persona(2)), tmp_path / "out")
    assert {"mei-lin/card.json", "mei-lin-2/card.json"} <= files(tmp_path / "out")


def test_writing_a_run_again_shows_what_is_new_and_drops_what_is_gone(tmp_path: Path) -> None:
    out = tmp_path / "out"
    write(runs.run(runs.persona(tweets=(runs.tweet(1),))), out)
    (out / "notes.txt").write_text("my own")
    write(runs.run(runs.persona(card=runs.card("Ana"))), out)
    assert "ana/images/02.png" in files(out)
    assert "mei-lin/card.json" not in files(out)
    assert (out / "notes.txt").read_text() == "my own"


def test_another_runs_folder_is_left_as_it_was(tmp_path: Path) -> None:
    out = tmp_path / "out"
    write(runs.run(), out)
    before = {name: (out / name).read_bytes() for name in files(out)}
    with pytest.raises(BadInputError, match="already holds the run r1"):
        write(runs.run(status=runs.status("r2")), out)
    assert {name: (out / name).read_bytes() for name in files(out)} == before


def test_an_export_that_breaks_leaves_nothing_behind(tmp_path: Path) -> None:
    def broken(png: bytes, card: dict[str, Any]) -> bytes:
        raise ValueError("not a PNG")

    with pytest.raises(ValueError, match="not a PNG"):
        export_run(runs.run(), tmp_path / "out", embed=broken, monogram=monogram)
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_told_in_words(tmp_path: Path) -> None:
    def full(png: bytes, card: dict[str, Any]) -> bytes:
        raise OSError(28, "No space left on device")

    with pytest.raises(BadInputError, match="No space left on device"):
        export_run(runs.run(), tmp_path / "out", embed=full, monogram=monogram)
    assert list(tmp_path.iterdir()) == []
