"""A report on somebody's results folder: nothing of theirs runs, and no file leaves the folder."""

import re
from pathlib import Path

import matplotlib
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from browser import await_that, browser, needs_browser, open_page, show_charts
from result_rows import confirmed, row, timed, write

import analysis
from analysis.page.file_names import FileNames
from analysis.page.scripts import as_markup, policy, texts
from harness.records import CURVE_SCHEMA

RUN = "document.documentElement.dataset.hacked='yes'"
HOSTILE = (
    f"t</script><script>{RUN}</script>",
    f'"><img src=x onerror="{RUN}">\'',
    f"<a href='javascript:{RUN}'>x</a><b onmouseover=\"{RUN}\">y</b>{{{{ 7 * 7 }}}}",
    f"]]>--><svg onload={RUN}></svg>",
)
TASK = f"../../../x/{HOSTILE[0]}"
FORMULA = "$\\frac{x$ $_{"  # no formula that matplotlib could draw


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Rows that say in every column of text what would run if it were taken for markup."""
    folder = tmp_path_factory.mktemp("above") / "results"
    rows = []
    for regularizer in ("none", FORMULA, HOSTILE[1]):
        rows += confirmed(
            regularizer, [0.5, 0.6], TASK, suite=HOSTILE[2], metric=HOSTILE[1], architecture=HOSTILE[3],
            dataset=HOSTILE[2], torch_version=HOSTILE[3], hardware_key=HOSTILE[0],
        )  # fmt: skip
    points = [
        {"trial_id": each["trial_id"], "epoch": epoch, "split": "test", "metric": HOSTILE[1], "value": 0.1 * epoch}
        for each in rows
        for epoch in range(3)
    ]
    rows += [
        row(regularizer=HOSTILE[0], task=TASK, role="default", status="skipped", reason=HOSTILE[1]),
        row(regularizer=HOSTILE[3], task=TASK, role="default", status="failed", error_type=HOSTILE[0],
            error_message=HOSTILE[2], reason=HOSTILE[3]),
        timed(HOSTILE[1], 1.25, HOSTILE[0]),
    ]  # fmt: skip
    write(folder, rows)
    (folder / "curves").mkdir()
    pq.write_table(pa.Table.from_pylist(points, schema=CURVE_SCHEMA), folder / "curves" / "points.parquet")
    before = set(folder.parent.parent.rglob("*"))
    analysis.write_report(folder)
    written = set(folder.parent.parent.rglob("*")) - before
    return folder, written


@pytest.fixture(scope="module")
def driver():
    with browser() as driver:
        yield driver


@pytest.fixture
def opened(folder, driver):
    open_page(driver, folder[0] / "report.html")
    driver.execute_script("document.querySelectorAll('details').forEach(each => { each.open = true; })")
    show_charts(driver)
    return driver


@pytest.mark.slow
@needs_browser
def test_nothing_of_theirs_runs_in_a_browser(opened):
    assert opened.execute_script("return document.documentElement.dataset.hacked") is None
    assert opened.title.startswith("regarena: ")


@pytest.mark.slow
@needs_browser
def test_their_names_stand_on_the_page_as_text(opened):
    text = opened.execute_script("return document.body.textContent")
    for name in (TASK, FORMULA, *HOSTILE):
        assert name in text
    theirs = (
        "img:not([src^='data:image/png'])",
        "a[href*=javascript]",
        "b",
        "svg[onload]",
        "[onerror]",
        "[onmouseover]",
    )
    count = "return arguments[0].map(each => document.querySelectorAll(each).length)"
    assert opened.execute_script(count, list(theirs)) == [0] * len(theirs)
    runs = "return document.querySelectorAll('script:not([type=\"application/json\"])').length"
    assert opened.execute_script(runs) == len(texts())


@pytest.mark.slow
@needs_browser
def test_the_charts_are_drawn_by_the_scripts_that_the_policy_admits(opened):
    assert opened.execute_script("return document.querySelectorAll('.drawing svg').length") > 5
    legend = opened.execute_script(
        "return [...document.querySelectorAll('#curves ~ figure .legend button')].map(each => each.textContent)"
    )
    assert sorted(legend) == sorted(["none", FORMULA, HOSTILE[1]])
    assert not [entry for entry in opened.get_log("browser") if "Content Security Policy" in entry["message"]]


@pytest.mark.slow
@needs_browser
def test_the_policy_refuses_what_a_fault_of_ours_would_let_in(opened):
    """The second line of defence: were a name written as markup, it would still not run."""
    opened.execute_script(
        "document.body.insertAdjacentHTML('beforeend', arguments[0]);"
        "const script = document.createElement('script'); script.textContent = arguments[1];"
        "document.body.append(script)",
        HOSTILE[1],
        RUN,
    )
    opened.execute_async_script("setTimeout(arguments[0], 200)")
    assert opened.execute_script("return document.documentElement.dataset.hacked") is None
    await_that(
        opened,
        lambda: [entry for entry in opened.get_log("browser") if "Content Security Policy" in entry["message"]],
    )


def test_every_file_of_the_report_lies_in_its_folder(folder):
    results, written = folder
    files = [path for path in written if path.is_file()]
    assert results / "report.html" in files
    assert {path.parent for path in files} <= {results, results / "tables", results / "figures"}
    assert all(re.fullmatch(r"[\w.+-]+", path.name) for path in files)


def test_only_constants_stand_on_the_page_unescaped():
    sources = [
        path.read_text() for path in Path(analysis.__file__).parent.rglob("*.*") if path.suffix in (".py", ".j2", ".js")
    ]
    assert sum(len(re.findall(r"\bMarkup\(", source)) for source in sources) == 1
    assert not [source for source in sources if re.search(r"\|\s*safe\b|autoescape\s*(=\s*False|false)", source)]
    own = [path.read_text() for path in (Path(analysis.__file__).parent / "page").glob("*.js")]
    assert not [
        source for source in own if re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", source)
    ]


def test_a_script_that_would_end_its_element_is_refused():
    with pytest.raises(ValueError, match="may not hold"):
        as_markup("a </SCRIPT> b")


def test_without_scripts_the_policy_admits_none():
    assert "script-src 'none'" in policy([])


@pytest.mark.parametrize(
    "parts",
    [("..",), ("/etc/passwd",), ("../../x", "y"), (".hidden",), ("",), ("a\\b",), ("a\0b",), ("x" * 10_000,), ("CON",),
     ("é" * 200,), ("a\nb",), ("~",), ("a:b",)],
)  # fmt: skip
def test_a_file_name_is_one_name_whatever_it_is_made_of(parts):
    name = FileNames().of(*parts)
    assert re.fullmatch(r"[A-Za-z0-9_+-][A-Za-z0-9._+-]{0,120}", name)
    assert name.casefold() != "con"
    assert name == FileNames().of(*parts), "the same in every report"


def test_names_that_meet_get_different_files():
    names, parts = FileNames(), [("a", "b-c"), ("a-b", "c"), ("A", "b-c"), ("a/b-c",), ("a_b-c",), ("a?b-c",)]
    given = [names.of(*each) for each in parts]
    assert len({name.casefold() for name in given}) == len(parts)
    crafted = names.of("a/b")
    assert names.of(crafted) != crafted, "a name made to look like another one's"
    assert [names.of(*each) for each in parts] == given


@pytest.mark.parametrize("link", ["figures", "tables"])
def test_a_link_that_leads_out_of_the_folder_is_refused(tmp_path, link):
    results, elsewhere = tmp_path / "results", tmp_path / "elsewhere"
    elsewhere.mkdir()
    write(results, confirmed("none", [0.5]))
    (results / link).symlink_to(elsewhere)
    with pytest.raises(PermissionError, match="is a link"):
        analysis.write_report(results)
    assert not list(elsewhere.iterdir())


@pytest.mark.slow
def test_a_link_in_place_of_the_page_is_replaced_and_not_written_through(tmp_path):
    results, elsewhere = tmp_path / "results", tmp_path / "elsewhere.html"
    elsewhere.write_text("as it was")
    write(results, confirmed("none", [0.5]))
    (results / "report.html").symlink_to(elsewhere)
    analysis.write_report(results)
    assert elsewhere.read_text() == "as it was"
    assert not (results / "report.html").is_symlink()


@pytest.mark.slow
def test_a_matplotlibrc_in_the_present_folder_has_no_say(tmp_path):
    """It might have LaTeX run, with a preamble of its own."""
    with matplotlib.rc_context({"text.usetex": True, "text.latex.preamble": r"\input{/etc/passwd}"}):
        analysis.write_report(write(tmp_path, confirmed("none", [0.5])))
        assert matplotlib.rcParams["text.usetex"]
