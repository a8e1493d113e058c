"""A campaign's file on a ResNet and a ViT of timm and own images, from an empty folder: from `init` to `rank`."""

import json
import tomllib

import pytest
from arena import Arena, await_that, by_id, finish, rows
from image_folders import write_images

pytest.importorskip("timm")  # in the extras nets and dev
pytestmark = pytest.mark.slow

NETWORKS = {"my-resnet18": "timm:resnet18", "my-vit_tiny_patch16_224": "timm:vit_tiny_patch16_224"}
SMALLER = {  # what the file says after `init`, and what makes its trials take seconds
    "image-size = 64 ": "image-size = 32 ",
    'architecture = "timm:resnet18"\n': 'architecture = "timm:resnet18"\noptions = { layers = [1, 1, 1, 1] }\n',
    'architecture = "timm:vit_tiny_patch16_224"\n': (
        'architecture = "timm:vit_tiny_patch16_224"\n'
        "options = { patch_size = 8, embed_dim = 48, depth = 2, num_heads = 3 }\n"
    ),
    'contestants = ["none", "dropout", "drop_path", "label_smoothing"]': 'contestants = ["none", "drop_path"]',
    "epochs = 20\n": "epochs = 2\n",
    "tune-trials = 8 ": "tune-trials = 1 ",
    "seeds = 3 ": "seeds = 1 ",
}
NUM_TRIALS = 2 * 2 * (1 + 1 + 1)  # two networks, two contestants; default, tune and confirm trials
NO_NETWORK = dict.fromkeys(("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"), "http://127.0.0.1:9")


def small(text):
    for old, new in SMALLER.items():
        assert old in text, f"`init` does not write {old!r} any more"
        text = text.replace(old, new)
    return text


def num_rows(results):
    return len(list((results / "trials").glob("[!.]*.parquet")))


def known_values(results):
    """The values of each row, without nulls: files that are compacted gain columns of other rows."""
    return {
        trial_id: {name: value for name, value in row.items() if value is not None}
        for trial_id, row in by_id(results).items()
    }


@pytest.fixture(scope="module")
def arena(tmp_path_factory):
    """An empty folder but for images; weights can neither be found in a cache nor fetched."""
    arena = Arena(tmp_path_factory.mktemp("home"))
    arena.folder = tmp_path_factory.mktemp("empty")
    arena.environment |= NO_NETWORK | {"HF_HOME": str(arena.folder.parent / "no cache")}
    write_images(arena.folder / "photos", ("ant", "bee", "cow"), num_train=12, num_val=4, size=(40, 36))
    return arena


def test_a_file_with_networks_of_timm_is_planned_run_stopped_resumed_and_ranked(arena):
    def told(*arguments):
        ended = arena.regarena(*arguments)
        assert ended.returncode == 0, ended.stderr
        return ended.stdout

    networks = [part for name in NETWORKS.values() for part in ("--architecture", name)]
    told("init", "mine.toml", *networks, "--images", "photos")
    file = arena.folder / "mine.toml"
    assert {n: task["architecture"] for n, task in tomllib.loads(file.read_text())["own-tasks"].items()} == NETWORKS
    file.write_text(small(file.read_text()))
    assert {cell["missing"] for cell in json.loads(told("plan", "mine.toml", "--json"))} == {NUM_TRIALS // 4}

    results = arena.folder / "results" / "mine"
    run = arena.start("run", "mine.toml", "--workers", "1")
    await_that(lambda: num_rows(results) >= 2, "2 rows", run)
    during = json.loads(told("status", "results/mine", "--json"))
    assert during["is_running"]
    assert during["num_trials"] == NUM_TRIALS
    assert "The same `regarena run` resumes" in told("stop", "results/mine")
    stopped = finish(run)
    assert stopped.returncode == 130, stopped.stderr
    assert "Stopped by `regarena stop`." in stopped.stderr
    assert "not running" in told("status", "results/mine")
    before = known_values(results)
    assert 2 <= len(before) < NUM_TRIALS

    again = arena.start("run", "mine.toml", "--workers", "1")
    await_that(lambda: num_rows(results) > len(before), "another row", again)
    assert "not running" in told("status", "results/mine", "--watch"), "it ends with the run"
    resumed = finish(again)
    assert resumed.returncode == 0, resumed.stderr
    assert f"{len(before)} trials of this campaign are finished already" in resumed.stdout + resumed.stderr
    after = rows(results)
    assert len(after) == NUM_TRIALS
    assert {row["status"] for row in after} == {"completed"}
    kept = known_values(results)
    assert {trial_id: kept[trial_id] for trial_id in before} == before, "what was finished was not trained again"
    kinds = {row["task"]: row["network_kind"] for row in after}
    assert kinds == dict(zip(NETWORKS, ("residual", "attention"), strict=True))
    ranked = json.loads(told("rank", "results/mine", "--json"))
    for task in NETWORKS:
        assert {row["regularizer"]: row["rank"] for row in ranked if row["task"] == task}.keys() == {
            "none",
            "drop_path",
        }
        assert all(row["rank"] is not None for row in ranked if row["task"] == task)
    assert (results / "report.html").exists()
    assert {cell["missing"] for cell in json.loads(told("plan", "mine.toml", "--json"))} == {0}
