"""Only folders that the working directory does not hold are bound, under their real paths."""

from pathlib import Path

from steerability.rules.binds import bind_words, weight_sources


def test_folders_below_the_working_directory_need_no_bind(tmp_path: Path) -> None:
    assert bind_words(tmp_path, writable=[tmp_path / "results/store"], readable=[tmp_path]) == ()
    assert (tmp_path / "results/store").is_dir()


def test_folders_elsewhere_are_bound(tmp_path: Path) -> None:
    home = tmp_path / "repository"
    (tmp_path / "weights").mkdir()
    home.mkdir()
    words = bind_words(
        home,
        writable=[tmp_path / "store"],
        readable=[tmp_path / "weights", tmp_path / "missing"],
    )
    store, weights = tmp_path / "store", tmp_path / "weights"
    assert words == ("--bind", f"{store}:{store}", "--bind", f"{weights}:{weights}:ro")


def test_a_folder_that_is_written_is_not_bound_read_only(tmp_path: Path) -> None:
    home = tmp_path / "repository"
    home.mkdir()
    words = bind_words(home, writable=[tmp_path / "w"], readable=[tmp_path / "w"])
    assert words == ("--bind", f"{tmp_path}/w:{tmp_path}/w")


def test_a_link_is_bound_where_it_leads(tmp_path: Path) -> None:
    home, scratch = tmp_path / "repository", tmp_path / "scratch"
    home.mkdir()
    scratch.mkdir()
    (home / "results").symlink_to(scratch)
    words = bind_words(home, writable=[home / "results"], readable=[])
    assert words == ("--bind", f"{scratch}:{scratch}")


def test_links_among_the_weights_are_followed(tmp_path: Path) -> None:
    cache, weights = tmp_path / "cache", tmp_path / "weights"
    cache.mkdir()
    weights.mkdir()
    (cache / "blob").touch()
    (weights / "a.gguf").symlink_to(cache / "blob")
    found = weight_sources(weights, [tmp_path / "package" / "b.gguf"], {"HF_HOME": "/hub"})
    assert found == [Path("/hub/hub"), cache, tmp_path / "package"]


def test_a_folder_above_does_not_cover_the_working_directory(tmp_path: Path) -> None:
    home = tmp_path / "repository"
    home.mkdir()
    words = bind_words(home, writable=[], readable=[tmp_path])
    assert words == ("--bind", f"{tmp_path}:{tmp_path}:ro", "--bind", f"{home}:{home}")
