"""The theory of dropout (Mianjy's thesis): its figures."""

TASKS = {
    "thesis-fig2-1": "tasks.experiments.thesis.shrinkage:THESIS_FIG2_1",
    "thesis-fig2-2": "tasks.experiments.thesis.shrinkage:THESIS_FIG2_2",
    "thesis-fig2-3-width-20": "tasks.experiments.thesis.shrinkage:THESIS_FIG2_3_WIDTH_20",
    "thesis-fig2-3-width-80": "tasks.experiments.thesis.shrinkage:THESIS_FIG2_3_WIDTH_80",
    "thesis-fig3-2": "tasks.experiments.thesis.deep:THESIS_FIG3_2",
    "thesis-fig3-3": "tasks.experiments.thesis.deep:THESIS_FIG3_3",
}
SUITES = {
    "thesis-fig2-1": "tasks.experiments.thesis.suites:THESIS_FIG2_1",
    "thesis-fig2-2": "tasks.experiments.thesis.suites:THESIS_FIG2_2",
    "thesis-fig2-3": "tasks.experiments.thesis.suites:THESIS_FIG2_3",
    "thesis-fig3-2": "tasks.experiments.thesis.suites:THESIS_FIG3_2",
    "thesis-fig3-3": "tasks.experiments.thesis.suites:THESIS_FIG3_3",
}
