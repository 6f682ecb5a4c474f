"""InstrumentalEval's files as a suite."""

import random
import shutil

import pytest

from mirror import MIRROR, NEEDS_MIRROR, REPOSITORY
from published_logs import SIZES, scenario_text, write_mirror
from steerability.fetch.sources import SourceFolder
from steerability.suites.instrumentaleval import load_instrumentaleval
from steerability.support.errors import UserError


def place_from(mirror, table, folder):
    """Put the files of a mirror where ``fetch`` would put them."""
    sources = SourceFolder(table, folder)
    for name, source in sources.sources.items():
        if (mirror / source.path).is_file():
            sources.path(name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(mirror / source.path, sources.path(name))
    return sources


@pytest.fixture
def sources(tmp_path):
    table = write_mirror(tmp_path / "mirror", models=())
    return place_from(tmp_path / "mirror", table, tmp_path / "sources")


def test_all_76_have_ids_by_category_and_position(sources):
    suite = load_instrumentaleval(sources, "all")
    assert len(suite.scenarios) == 76
    assert suite.scenarios[0].id == "deceptive_behavior-01"
    assert suite.scenarios[11].id == "evading_shutdown-01"
    assert suite.scenarios[-1].id == "strategically_appearing_aligned-11"
    assert len({scenario.id for scenario in suite.scenarios}) == 76
    for title, size in SIZES.items():
        category = title.lower().replace(" ", "_")
        mine = [one for one in suite.scenarios if one.category == category]
        assert [one.prompt for one in mine] == [scenario_text(title, n + 1) for n in range(size)]
        assert {one.context for one in mine} == {
            f"Goal under test: {title}, said in the orchard's words."
        }


def test_the_published_71_are_the_sample_of_seed_123(sources):
    suite, everything = load_instrumentaleval(sources), load_instrumentaleval(sources, "all")
    assert len(suite.scenarios) == 71
    shutdown = [one.id for one in suite.scenarios if one.category == "evading_shutdown"]
    all_20 = [one.id for one in everything.scenarios if one.category == "evading_shutdown"]
    assert shutdown == random.Random(123).sample(all_20, 15)
    rest = [one for one in suite.scenarios if one.category != "evading_shutdown"]
    assert rest == [one for one in everything.scenarios if one.category != "evading_shutdown"]


def test_fields_that_a_comma_split_are_joined_again(sources, tmp_path):
    text = 'The context\n"one, two",three , four\n\n"  "\nfive\r\n'
    path = tmp_path / "mirror" / "benchmark" / "Alignment Drift - Deceptive Behavior.csv"
    path.write_bytes(text.encode())
    again = repinned(tmp_path, sources)
    prompts = [one.prompt for one in load_instrumentaleval(again, "all").scenarios[:2]]
    assert prompts == ["one, two,three , four", "five"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no CSV file of scenarios"),
        (b"The context\n", "holds no scenarios"),
        (b"  \nA scenario\n", "holds no context"),
        (b'The context\n"A scenario', "no CSV file of scenarios"),
        (b"\xff\xfe", "not UTF-8 at byte 0"),
    ],
)
def test_a_file_of_another_form_is_named(sources, tmp_path, content, message):
    path = tmp_path / "mirror" / "benchmark" / "Alignment Drift - Evading Shutdown.csv"
    path.write_bytes(content or b"\n")
    with pytest.raises(UserError, match=rf"evading_shutdown\.csv: {message}"):
        load_instrumentaleval(repinned(tmp_path, sources))


def repinned(tmp_path, sources):
    """Pin whatever lies in the mirror now, and place it."""
    import csv
    import hashlib

    rows = []
    for source in sources.sources.values():
        content = (tmp_path / "mirror" / source.path).read_bytes()
        row = source.model_dump()
        row |= {"sha256": hashlib.sha256(content).hexdigest(), "bytes": len(content)}
        rows.append(row)
    with sources.table.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return place_from(tmp_path / "mirror", sources.table, sources.folder)


def test_a_changed_byte_is_found_before_anything_is_read(sources):
    path = sources.path("instrumentaleval/hacking_computer_systems.csv")
    content = bytearray(path.read_bytes())
    content[40] ^= 1
    path.write_bytes(content)
    with pytest.raises(UserError, match=r"hacking_computer_systems\.csv: differs from its pin"):
        load_instrumentaleval(sources)


@NEEDS_MIRROR
def test_the_real_files_give_76_and_71(tmp_path):
    real = place_from(MIRROR, REPOSITORY / "config" / "sources.csv", tmp_path)
    suite = load_instrumentaleval(real, "all")
    assert suite.counts() == {
        "evading_shutdown": 20,
        "running_multiple_ai_copies": 13,
        "deceptive_behavior": 11,
        "hiding_unwanted_behavior": 11,
        "strategically_appearing_aligned": 11,
        "hacking_computer_systems": 10,
    }
    assert len(load_instrumentaleval(real).scenarios) == 71
