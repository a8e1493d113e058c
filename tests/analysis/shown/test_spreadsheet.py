"""Cells of other people are text in a spreadsheet, never a formula; numbers stay numbers."""

import io

import pandas as pd
import pytest

from analysis.shown.spreadsheet import csv_of_frame, csv_of_records, harmless


@pytest.mark.parametrize(
    "text", ["=1+1", "+x", "-x", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "=cmd|' /C calc'!A0", "+1 ", "＝1"]
)
def test_a_formula_becomes_text(text):
    assert harmless(text) == f"'{text}"


@pytest.mark.parametrize("value", [-1, -0.5, 1e-300, float("-inf"), None, True, "-0.5", "+1e3", "dropout", "a=b", ""])
def test_numbers_and_plain_text_stay(value):
    assert harmless(value) is value


def test_a_frame_keeps_its_numbers_and_loses_its_formulas_also_in_the_names_of_columns():
    frame = pd.DataFrame({"regularizer": ["=x", "none"], "mean": [-0.1, 0.25], "hp.=y": [None, "@z"]})
    read = pd.read_csv(io.StringIO(csv_of_frame(frame)))
    assert read["regularizer"].tolist() == ["'=x", "none"]
    assert read["mean"].tolist() == [-0.1, 0.25]
    assert read["hp.=y"].tolist()[1] == "'@z"
    renamed = frame.rename(columns={"mean": "=mean"}).astype({"regularizer": "category"})
    assert csv_of_frame(renamed).splitlines()[:2] == ["regularizer,'=mean,hp.=y", "'=x,-0.1,"]


def test_records_are_written_like_frames():
    records = [{"name": "=x", "what": "a, b"}, {"name": "y", "what": -1}]
    assert csv_of_records(records) == 'name,what\n\'=x,"a, b"\ny,-1\n'
    assert csv_of_records([]) == "\n"
