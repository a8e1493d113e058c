"""The published results: today's code reads every folder without a complaint, and prints what their pages show."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import analysis
from harness.cells import cell_code_hash
from harness.results.verify import verify_folder

ROOT = Path(__file__).resolve().parent.parent
GALLERY = ROOT / "gallery"
FOLDERS = sorted(path.parent.name for path in GALLERY.glob("*/trials"))
MOST_BYTES = 8 * 2**20  # of a published folder
COLUMNS = 126  # of the window in which the pages' tables were printed
SHOWN = re.compile(
    r"^```console\n\$ regarena (?P<arguments>.*? gallery/.*?)\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE
)
PAGES = [ROOT / "README.md", ROOT / "docs" / "results.md", *sorted(GALLERY.rglob("README.md"))]
TABLES = [
    pytest.param(found["arguments"], found["text"], id=f"{page.relative_to(ROOT)}: {found['arguments']}")
    for page in PAGES
    for found in SHOWN.finditer(page.read_text(encoding="utf-8"))
]


def test_there_are_published_folders_and_each_has_a_page():
    assert FOLDERS
    index = (GALLERY / "README.md").read_text(encoding="utf-8")
    for name in FOLDERS:
        assert f"[`{name}`]({name}/README.md)" in index
        assert (GALLERY / name / "README.md").exists()


@pytest.mark.parametrize("name", FOLDERS)
def test_todays_code_finds_no_fault_in_a_published_folder(name):
    folder = GALLERY / name
    assert verify_folder(str(folder)) == []
    trials = analysis.load_trials(folder)
    assert len(trials)
    assert not analysis.ranking_table(trials).empty
    assert sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) <= MOST_BYTES


def test_the_arena_can_be_extended():
    """`run arena --from gallery/arena` trains published trials again if their code has changed, as it must.

    If this fails, train what changed again: `regarena run arena --results COPY --data DATA`, in a copy of the folder.
    """
    trials = analysis.load_trials(GALLERY / "arena")
    published = trials[["task", "regularizer", "code_hash"]].drop_duplicates().itertuples(index=False, name=None)
    changed = [(task, name) for task, name, code in published if cell_code_hash(task, name) != code]
    assert not changed


@pytest.mark.slow
def test_the_searches_of_the_arena_are_found_on_this_processor_too(tmp_path):
    """Proposals are computed again, and their last digits depend on the processor."""
    tasks = "digits-200-convnet,digits-200-mlp,digits-200-noisy-convnet"  # these need no data
    command = f"plan arena --from gallery/arena --only {tasks} --results {tmp_path}/none --json"
    ended = subprocess.run(
        [sys.executable, "-m", "harness.cli", *command.split()],
        cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=300, check=True,
    )  # fmt: skip
    cells = [cell for cell in json.loads(ended.stdout) if not cell["why"]]
    assert len(cells) > 100
    assert [cell for cell in cells if cell["missing"] or cell["done"] != cell["trials"]] == []


@pytest.mark.slow
@pytest.mark.parametrize("name", FOLDERS)
def test_todays_code_writes_the_page_of_a_published_folder(name, tmp_path):
    assert analysis.write_report(GALLERY / name, out=tmp_path)
    assert (tmp_path / "report.html").exists()


@pytest.mark.slow
def test_the_page_of_the_arena_says_what_its_rows_say():
    described = subprocess.run(
        [sys.executable, "gallery/describe.py", "gallery/arena"],
        cwd=ROOT, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True, timeout=300, check=True,
    )  # fmt: skip
    page = " ".join((GALLERY / "arena" / "README.md").read_text(encoding="utf-8").split())
    sentences = described.stdout.removeprefix("- ").rstrip().split("\n- ")
    assert len(sentences) > 3
    assert [sentence for sentence in sentences if sentence not in page] == []


@pytest.mark.slow
@pytest.mark.parametrize(("arguments", "text"), TABLES)
def test_a_page_shows_what_its_command_prints(arguments, text):
    ended = subprocess.run(
        [sys.executable, "-m", "harness.cli", *arguments.split()],
        cwd=ROOT, env=os.environ | {"COLUMNS": str(COLUMNS), "PYTHONPATH": str(ROOT)},
        capture_output=True, text=True, timeout=300, check=True,
    )  # fmt: skip
    assert text in ended.stdout
