"""The tutorials: their commands and code run as they stand, one page after the other, in one folder."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from harness.command.new import write_package
from harness.command.parameters import NewKind
from tasks.regularizers import base

DOCS = Path(__file__).parent.parent / "docs"
NOTEBOOK = DOCS.parent / "examples" / "results.ipynb"
BLOCK = re.compile(
    r'^```(?P<language>sh|python|toml)(?: title="(?P<file>[\w.]+)")?\n(?P<text>.*?)^```$', re.DOTALL | re.MULTILINE
)
TUTORIALS = ("first-campaign", "pandas", "own-regularizer", "own-model")  # run here, in this order
ON_CLUSTERS = ("slurm", "kubernetes", "clouds")  # tests/test_cluster_examples.py has their commands and files
OUTSIDE = sorted(path for path in DOCS.parent.glob("*.md")) + sorted((DOCS.parent / "gallery").rglob("*.md"))
REFERENCE = {"commands", "columns", "regularizers", "tasks", "suites", "architectures", "datasets"}  # made when built


def blocks(page: str) -> list[tuple[str, str | None, str]]:
    """(language, file to write or None, text) of each block of a page that is to be run."""
    text = (DOCS / page).read_text(encoding="utf-8")
    return [(found["language"], found["file"], found["text"]) for found in BLOCK.finditer(text)]


@pytest.mark.slow
def test_the_tutorials_run_as_they_stand(tmp_path: Path) -> None:
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    pages = [f"tutorials/{name}.md" for name in TUTORIALS]
    for page in pages:
        found = blocks(page)
        assert found, page
        for _, file, text in found:
            if file is not None:
                (tmp_path / file).write_text(text, encoding="utf-8")
        code = "".join(text for language, file, text in found if language == "python" and file is None)
        commands = ["set -e\n" + "".join(text for language, _, text in found if language == "sh")]
        for command in (["bash", "-c", *commands], [sys.executable, "-c", code]):
            ended = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=900)
            assert ended.returncode == 0, f"{page}: {ended.stdout}\n{ended.stderr}"
    for results in ("first", "results/mine", "results/tune-my-net"):
        assert (tmp_path / results / "report.html").exists()
    executed = NotebookClient(
        nbformat.read(NOTEBOOK, as_version=4), resources={"metadata": {"path": tmp_path}},
        startup_timeout=600, iopub_timeout=600,
    ).execute()  # fmt: skip
    outputs = [output for cell in executed.cells if cell.cell_type == "code" for output in cell.outputs]
    assert {output.output_type for output in outputs} <= {"execute_result", "display_data"}, (
        "no warning, nothing printed"
    )
    assert sum("image/png" in output.data for output in outputs) == 2


def test_every_page_is_in_the_navigation_and_every_link_has_its_page() -> None:
    pages = {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")}
    made = {f"reference/{name}.md" for name in REFERENCE}
    navigation = set(re.findall(r": ([\w/-]+\.md)$", (DOCS.parent / "mkdocs.yml").read_text(), re.MULTILINE))
    assert navigation == pages | made
    for page in pages:
        for target in re.findall(r"\]\(([^)#]+\.md)", (DOCS / page).read_text(encoding="utf-8")):
            linked = os.path.normpath(Path(page).parent / target)
            assert linked in pages | made, f"{page} links to {target}"


def test_every_tutorial_is_run_or_is_of_clusters() -> None:
    assert sorted([*TUTORIALS, *ON_CLUSTERS]) == sorted(path.stem for path in (DOCS / "tutorials").glob("*.md"))


def anchors_of(page: Path) -> set[str]:
    """The anchors of a page's headings, by GitHub's rule."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", OUTSIDE, ids=lambda page: page.relative_to(DOCS.parent).as_posix())
def test_links_of_pages_outside_of_the_documentation_lead_to_files_and_headings(page: Path) -> None:
    text = re.sub(r"^```.*?^```$", "", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    for target, _, anchor in re.findall(r"\]\((?!\w+:)([^)#\s]*)(#([^)]+))?\)", text):
        linked = page.parent / target if target else page
        assert linked.exists(), target
        assert not anchor or anchor in anchors_of(linked), f"{target}#{anchor}"


def test_links_lead_to_files_so_that_a_browser_opens_the_pages_without_a_server() -> None:
    assert re.search(r"^use_directory_urls: false\b", (DOCS.parent / "mkdocs.yml").read_text(), re.MULTILINE)


def test_the_tutorial_on_regularizers_documents_every_hook() -> None:
    page = (DOCS / "tutorials/own-regularizer.md").read_text(encoding="utf-8")
    shown = re.findall(r"^::: tasks\.regularizers\.base\.(\w+)$", page, re.MULTILINE)
    documented = {name for each in shown for name in vars(getattr(base, each))}
    assert {name for name in dir(base.Regularizer) if not name.startswith("_")} <= documented


def test_the_tutorial_shows_the_module_that_its_command_writes(tmp_path: Path) -> None:
    page = (DOCS / "tutorials/own-regularizer.md").read_text(encoding="utf-8")
    kind, name = re.findall(r"^regarena new (\w+) (\w+)$", page, re.MULTILINE)[0]
    package = write_package(NewKind(kind), name, str(tmp_path / name))
    shown = re.findall(rf'^```python title="{name}/src/{name}.py"\n(.*?)^```$', page, re.DOTALL | re.MULTILINE)
    assert shown == [package.module.read_text(encoding="utf-8")]
    project = tomllib.loads((package.folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    points = tomllib.loads(re.findall(r"^```toml\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)[0])["project"]
    assert project["entry-points"] == points["entry-points"]
