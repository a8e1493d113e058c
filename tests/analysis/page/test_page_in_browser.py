"""The page in a real Chromium: used by clicks and keys, in two widths, light and dark."""

import itertools
import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from browser import AXE, await_that, browser, needs_axe, needs_browser, open_page, set_window, show_charts
from result_rows import confirmed, row, timed, write

import analysis
from analysis.exports.table_files import csv_text, latex_text, markdown_text
from analysis.exports.tables import NamedTable
from analysis.shown import tables as shown
from harness.records import CURVE_SCHEMA

pytestmark = [needs_browser, pytest.mark.slow]

CONTESTANTS = ("none", "dropout", "dropblock", "weight_decay", "a_regularizer_with_a_very_long_name_from_elsewhere")
TASKS = ("digits-mlp", "digits-200-convnet", "a-task-with-a-rather-long-name-of-somebody-else")
FACTS = {"summary": "It does something.", "formula": "y = m x <b>", "source": "Somebody 2020", "kind": "conv, dense"}
MOST_SHOWN = 10  # rows of the leaderboard, until all are asked for
ODD = "-=50_% & <b>|[x](y)\\~^é…"


CUT = """
return [...document.querySelectorAll(".scroll, .drawing")].filter(each => each.scrollWidth > each.clientWidth + 1)
  .map(each => `${each.scrollWidth} > ${each.clientWidth}: ${each.textContent.slice(0, 80)}`);
"""
OVERLAPPING = """
return [...document.querySelectorAll(".drawing svg")].flatMap(drawing => {
  const labels = [...drawing.querySelectorAll("text")].filter(each => each.textContent)
    .map(each => [each.textContent, each.getBoundingClientRect()]);
  const found = [];
  for (let i = 0; i < labels.length; i++) for (let j = 0; j < i; j++) {
    const [a, one] = labels[i], [b, other] = labels[j];
    const width = Math.min(one.right, other.right) - Math.max(one.left, other.left);
    const height = Math.min(one.bottom, other.bottom) - Math.max(one.top, other.top);
    if (width > 1 && height > 4) found.push(`${drawing.getAttribute("aria-label")}: ${a} on ${b}`);
  }
  return found;
});
"""
UNREADABLE = """
return [...document.querySelectorAll(".drawing")].flatMap(place => [...place.querySelectorAll("svg text")]
  .filter(each => each.textContent).filter(each => {
    const box = each.getBoundingClientRect();
    const around = place.getBoundingClientRect(), isWhole = place.classList.contains("whole");
    return parseFloat(getComputedStyle(each).fontSize) < 11 || box.left < around.left - 1
      || (!isWhole && box.right > around.right + 1);
  }).map(each => each.textContent));
"""
VIOLATIONS = """
const done = arguments[0];
axe.run({resultTypes: ["violations"]}).then(found => done(found.violations.map(each =>
  [each.id, each.help, each.nodes.length, each.nodes[0].html.slice(0, 200), each.nodes[0].failureSummary])));
"""


def campaign(folder):
    """Five contestants on three tasks, tuned, confirmed and timed, with curves."""
    rng, rows, points = np.random.default_rng(0), [], []
    for (place, name), task in itertools.product(enumerate(CONTESTANTS), TASKS):
        tuned = [
            row(task, name, "tune", tune_index=trial, validation=float(rng.uniform(0.6, 0.9)),
                hp={"drop_rate": trial / 10, "learning_rate": 10.0 ** -(trial % 4)}, train_seconds=1.0)
            for trial in range(6)
        ]  # fmt: skip
        winner = max(tuned, key=lambda each: each["validation_value"])
        values = [0.6 + 0.05 * place + float(rng.normal(0, 0.02)) for _ in range(4)]
        ran = confirmed(
            name,
            values,
            task,
            frozen_from=winner["trial_id"],
            validation=0.6 + place / 100,
            train_seconds=2.0,
            epochs_run=5,
        )
        untuned = [
            row(task, name, "default", seed, value - 0.01, epochs_run=5) for seed, value in enumerate(values[:2])
        ]
        rows += [*tuned, *untuned, *ran, timed(name, 1 + 0.2 * place, task=task)]
        points += [
            {"trial_id": each["trial_id"], "epoch": epoch, "split": split, "metric": "accuracy",
             "value": 0.2 + 0.1 * epoch + 0.01 * place, "train_seconds": float(epoch)}
            for each in ran for epoch in range(1, 6) for split in ("train", "validation", "test")
        ]  # fmt: skip
    rows += [row(TASKS[0], ODD, role="default", status="skipped", reason=ODD)]
    write(folder, rows)
    (folder / "curves").mkdir()
    pq.write_table(pa.Table.from_pylist(points, schema=CURVE_SCHEMA), folder / "curves" / "points.parquet")
    return folder


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    folder = campaign(tmp_path_factory.mktemp("campaign"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("analysis.page.sections.leaderboard.MOST_SHOWN", MOST_SHOWN)
        return Path(analysis.write_report(folder, describe=lambda name: FACTS if name in CONTESTANTS[1:3] else None))


@pytest.fixture(scope="module")
def driver(page, tmp_path_factory):
    downloads = tmp_path_factory.mktemp("downloads")
    with browser(downloads) as driver:
        driver.downloads = downloads
        yield driver


@pytest.fixture
def opened(page, driver):
    set_window(driver, 1280)
    open_page(driver, page)
    show_charts(driver)  # one that is drawn later may move what is to be clicked away from under the pointer
    return driver


def column(driver, name):
    """The texts of a column of the leaderboard, in the rows that fit the filters."""
    return driver.execute_script(
        "const table = document.querySelector('#leaderboard-table table');"
        "const place = [...table.tHead.rows[0].cells].findIndex(cell => cell.dataset.name === arguments[0]);"
        "return [...table.tBodies[0].rows].filter(row => !row.hidden).map(row => row.cells[place].textContent)",
        name,
    )


def heading(driver, name):
    return driver.find_element("css selector", f"#leaderboard-table th[data-name={name}] button")


def test_it_begins_with_the_answer_and_draws_it_without_a_complaint(opened):
    headings = [each.text for each in opened.find_elements("css selector", "h2")]
    assert headings[:2] == ["Which one is best?", "Leaderboard"]
    answer = opened.find_element("css selector", ".answer").text
    assert f"Over the 3 tasks that 5 contestants have in common, {CONTESTANTS[-1]} has the best mean rank (1;" in answer
    assert not [entry for entry in opened.get_log("browser") if entry["level"] == "SEVERE"]


def test_a_heading_sorts_by_its_numbers_and_once_more_the_other_way_round(opened):
    for turn, sign in (("ascending", 1), ("descending", -1)):
        heading(opened, "mean").click()
        means = column(opened, "mean")
        numbers = [float(each) for each in means if each != "–"]
        assert numbers == sorted(numbers, key=lambda each: sign * each)
        assert "–" not in means[: len(numbers)], "missing values are last in both directions"
        assert opened.find_element("css selector", "#leaderboard-table th[data-name=mean]").get_attribute(
            "aria-sort"
        ) == turn  # fmt: skip


def test_the_leaderboard_is_filtered_by_task_kind_cost_and_name(opened):
    from selenium.webdriver.support.select import Select

    everything = len(column(opened, "task"))
    Select(opened.find_element("name", "task")).select_by_visible_text(TASKS[1])
    assert set(column(opened, "task")) == {TASKS[1]}
    Select(opened.find_element("name", "kind")).select_by_visible_text("conv")
    assert column(opened, "regularizer") == ["dropblock", "dropout"]
    opened.find_element("name", "cost").send_keys("1.3")
    assert column(opened, "regularizer") == ["dropout"]
    assert opened.find_element("id", "num-shown").text.startswith("1 of ")
    opened.find_element("css selector", "#filters button[type=reset]").click()
    opened.find_element("name", "name").send_keys("DROP")
    assert set(column(opened, "regularizer")) == {"dropout", "dropblock"}
    opened.find_element("css selector", "#filters button[type=reset]").click()
    opened.execute_async_script("setTimeout(arguments[0], 50)")
    assert len(column(opened, "task")) == everything


def test_a_long_leaderboard_shows_its_first_rows_in_the_present_order_and_all_when_asked(opened):
    def shown_means():
        rows = opened.find_elements("css selector", "#leaderboard-table tbody tr")
        return [row.find_elements("css selector", "td")[4].text for row in rows if row.is_displayed()]

    means = column(opened, "mean")
    assert shown_means() == means[:MOST_SHOWN]
    heading(opened, "mean").click()
    assert shown_means() == sorted(means)[:MOST_SHOWN], "the lowest first, a missing one would be last"
    opened.find_element("id", "more").click()
    assert len(shown_means()) == len(means)
    assert not opened.find_element("id", "more").is_displayed()


@pytest.mark.parametrize("by", ["the pointer", "the keyboard"])
def test_a_heading_says_what_its_column_is_to(opened, by):
    from selenium.webdriver.common.action_chains import ActionChains
    from selenium.webdriver.common.keys import Keys

    button, tip = heading(opened, "mean"), opened.find_element("id", "tip")
    assert not tip.is_displayed()
    if by == "the pointer":
        opened.execute_script("arguments[0].scrollIntoView({block: 'center'})", button)
        ActionChains(opened).move_to_element(button).perform()
    else:
        opened.execute_script("arguments[0].focus()", heading(opened, "rank"))
        ActionChains(opened).send_keys(Keys.TAB).perform()
        assert opened.switch_to.active_element == button
    legend = next(each.legend for each in shown.LEADERBOARD if each.name == "mean")
    await_that(opened, tip.is_displayed)
    assert tip.text == legend
    assert button.get_attribute("aria-describedby") == "tip"
    ActionChains(opened).send_keys(Keys.ESCAPE).perform()
    await_that(opened, lambda: not tip.is_displayed())


def downloaded(driver, name):
    path = driver.downloads / name
    path.unlink(missing_ok=True)
    place = driver.find_element("css selector", "[data-downloads=leaderboard]")
    place.find_element("css selector", f"[data-format={path.suffix[1:]}]").click()
    await_that(driver, lambda: path.exists() and path.stat().st_size)
    return path.read_bytes().decode()


@pytest.mark.parametrize(("ending", "text"), [("csv", csv_text), ("tex", latex_text), ("md", markdown_text)])
def test_a_download_is_what_the_export_writes_of_the_rows_that_are_shown(opened, ending, text):
    names = opened.execute_script(
        "return [...document.querySelectorAll('#leaderboard-table th')].map(each => each.dataset.name)"
    )
    of_name = {each.name: each for each in shown.LEADERBOARD}
    cells = [column(opened, name) for name in names]
    table = NamedTable(
        name=("leaderboard",), title="Leaderboard", columns=tuple(of_name[name] for name in names),
        rows=[list(each) for each in zip(*cells, strict=True)],
    )  # fmt: skip
    assert ODD in cells[names.index("regularizer")]
    assert downloaded(opened, f"leaderboard.{ending}") == text(table)


def test_a_contestant_opens_and_shows_its_formula_its_settings_and_its_curves(opened):
    (place,) = [
        each
        for each in opened.find_elements("css selector", "details.contestant")
        if each.find_element("css selector", "summary").text.startswith("dropout:")
    ]
    place.find_element("css selector", "summary").click()
    show_charts(opened)
    (formula,) = place.find_elements("css selector", ".formula math")
    assert "".join(formula.text.split()) == "y=mx<b>"
    assert formula.size["width"] > 40, "it is drawn"
    assert "Somebody 2020" in place.text
    assert "Where it wins and loses" in place.text
    assert "drop_rate = " in place.text
    assert len(place.find_elements("css selector", ".drawing svg")) == 2
    legend = [each.text for each in place.find_elements("css selector", ".legend [aria-pressed=true]")]
    assert sorted(legend) == ["dropout", "none"]


def test_a_name_in_the_leaderboard_leads_to_the_section_of_the_contestant(opened):
    first, *_ = links = opened.find_elements("css selector", "#leaderboard-table td a")
    for link in links:
        place = opened.find_element("css selector", link.get_dom_attribute("href"))
        summary = place.find_element("css selector", "summary").get_property("textContent")
        assert summary.partition(":")[0] == link.get_property("textContent")
    place = opened.find_element("css selector", first.get_dom_attribute("href"))
    assert place.get_attribute("open") is None
    first.click()
    await_that(opened, lambda: place.get_attribute("open") is not None)
    identifier = place.get_attribute("id")
    opened.refresh()
    assert opened.find_element("id", identifier).get_attribute("open") is not None, "so does an address"


def test_the_legend_and_the_choice_of_a_task_change_a_chart(opened):
    from selenium.webdriver.support.select import Select

    figure = opened.find_element("css selector", "#curves ~ figure")
    before = figure.find_element("css selector", "svg").get_attribute("outerHTML")
    label = figure.find_element("css selector", "svg").get_attribute("aria-label")
    figure.find_element("css selector", ".legend button").click()
    without = figure.find_element("css selector", "svg").get_attribute("outerHTML")
    assert before.count("<path") > without.count("<path")
    Select(figure.find_element("css selector", "select")).select_by_index(1)
    assert figure.find_element("css selector", "svg").get_attribute("aria-label") != label


def open_all(driver):
    driver.execute_script("document.querySelectorAll('details').forEach(each => { each.open = true; })")
    show_charts(driver)


@pytest.mark.parametrize("width", [1280, 400])
def test_nothing_is_cut_and_no_labels_overlap(page, driver, width):
    set_window(driver, width)
    open_page(driver, page)
    open_all(driver)
    assert driver.execute_script("return document.documentElement.scrollWidth") <= width
    cut = driver.execute_script(CUT)
    assert cut == []
    overlapping = driver.execute_script(OVERLAPPING)
    assert overlapping == []
    assert driver.execute_script(UNREADABLE) == []


def test_of_many_contestants_no_labels_overlap_on_a_telephone(driver, tmp_path):
    names = ["none", *(f"wwwwwwwww_of_a_regularizer_{place}_and_weight_decay" for place in range(24))]
    rows = [each for place, name in enumerate(names) for each in confirmed(name, [0.5 + place / 100, 0.52])]
    set_window(driver, 400)
    open_page(driver, Path(analysis.write_report(write(tmp_path, rows))))
    open_all(driver)
    assert driver.execute_script(CUT) == []
    assert driver.execute_script(OVERLAPPING) == []
    assert driver.execute_script(UNREADABLE) == []


def test_a_matrix_of_many_contestants_shows_the_best_on_a_telephone_and_all_when_asked(driver, tmp_path):
    names = ["none", *(f"method_{place}" for place in range(29))]
    rows = [each for place, name in enumerate(names) for each in confirmed(name, [0.5 + place / 100, 0.52])]
    set_window(driver, 400)
    driver.get(Path(analysis.write_report(write(tmp_path, rows))).as_uri())
    show_charts(driver)
    figure = driver.find_element("css selector", "[data-chart=chart-pairs]")

    def labels():
        texts = figure.find_elements("css selector", ".drawing svg text")
        words = [each.get_property("textContent") for each in texts if each.get_property("textContent")]
        assert len(words) == 2 * len(set(words)), "each row and each column has its label"
        return set(words)

    few, more = labels(), figure.find_element("css selector", "button.more")
    assert "method_28" in few, "the best one"
    assert 8 < len(few) < len(names)
    more.click()
    assert labels() == set(names)
    drawing = figure.find_element("css selector", ".drawing")
    assert drawing.get_property("scrollWidth") > drawing.get_property("clientWidth")
    assert drawing.get_attribute("tabindex") == "0", "the keyboard can scroll it"
    assert driver.execute_script(OVERLAPPING) == []
    assert driver.execute_script("return document.documentElement.scrollWidth") <= 400
    more.click()
    assert labels() == few
    set_window(driver, 1280)
    driver.get(driver.current_url)
    show_charts(driver)
    figure = driver.find_element("css selector", "[data-chart=chart-pairs]")
    assert labels() == set(names)
    assert not figure.find_element("css selector", "button.more").is_displayed()


def test_a_leaderboard_with_a_value_in_every_column_fits_a_desktop(driver, tmp_path):
    task, rows = "cifar10-1k-noisy-narrow-resnet", []
    ran = {"validation": 0.8, "epochs_planned": 30, "epochs_run": 30}
    for name in ("none", "localdrop+weight_decay", "feature_map_distortion+weight_decay"):
        tuned = [row(task, name, "tune", tune_index=trial, hp={"lr": 0.1 + trial}, **ran) for trial in range(24)]
        winner = {"hp": {"lr": 0.1}, "frozen_from": tuned[0]["trial_id"]}
        rows += [*tuned, *confirmed(name, [0.81234, None, 0.84321], task, **winner, **ran)]
        rows += [*confirmed(name, [0.7, 0.71], task, role="default", **ran), timed(name, 1.25, task=task, **ran)]
    rows.append(row(task, "dropblock", "default", status="skipped", reason="DropBlock needs a spatial site."))
    rows += confirmed("localdrop+weight_decay", [0.8], "another")  # the others are missing there, and marked
    set_window(driver, 1280)
    open_page(driver, Path(analysis.write_report(write(tmp_path, rows), describe=lambda name: FACTS)))
    headings = driver.find_elements("css selector", "#leaderboard-table th")
    assert [each.text for each in headings] == [each.heading for each in shown.LEADERBOARD[:-1]], "all but left_out"
    assert driver.execute_script(CUT) == []


def test_contestants_of_one_colour_have_their_own_symbols_in_the_chart_and_its_legend(driver, tmp_path):
    names = ["none", *(f"method_{place}" for place in range(29))]
    rows = [
        each
        for place, name in enumerate(names)
        for each in [*confirmed(name, [0.5 + place / 100, 0.52]), timed(name, 1 + place / 20)]
    ]
    set_window(driver, 1280)
    driver.get(Path(analysis.write_report(write(tmp_path, rows))).as_uri())
    show_charts(driver)
    marks = driver.execute_script("""
    const figure = document.querySelector("[data-chart=chart-score-cost]");
    const look = path => `${path.getAttribute("d")} ${getComputedStyle(path).stroke}`;
    return [".drawing path[transform][fill]", ".legend path"].map(
        where => [...figure.querySelectorAll(where)].map(look));
    """)
    drawn, explained = map(sorted, marks)
    assert drawn == explained
    assert len(set(explained)) == len(names)
    assert not any(each.endswith("none") for each in drawn)


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_figures_have_the_colours_of_the_page(page, driver, dark):
    set_window(driver, 1280, dark)
    open_page(driver, page)
    show_charts(driver)
    text, ground = driver.execute_script(
        "const colours = getComputedStyle(document.querySelector('.drawing svg text'));"
        "return [colours.fill, getComputedStyle(document.body).backgroundColor]"
    )
    light = [sum(json.loads(f"[{each.partition('(')[2].rstrip(')')}]")[:3]) / 3 for each in (text, ground)]
    assert (light[0] > 128, light[1] > 128) == (dark, not dark)


@needs_axe
@pytest.mark.parametrize(("width", "dark"), [(1280, False), (400, True)], ids=["1280-light", "400-dark"])
def test_axe_finds_no_barrier(page, driver, width, dark):
    set_window(driver, width, dark)
    open_page(driver, page)
    open_all(driver)
    driver.execute_script(AXE.read_text(encoding="utf-8"))
    assert driver.execute_async_script(VIOLATIONS) == []


def test_the_page_is_small_and_reaches_nothing_else(page, driver, opened):
    assert page.stat().st_size < 1_500_000
    assert (
        opened.execute_script(
            "return performance.getEntriesByType('resource').filter(each => !each.name.startsWith('data:')).length"
        )
        == 0
    )
