"""The theory of dropout (Mianjy's thesis): its figures."""

TASKS = {
    "thesis-fig2-1": "tasks.experiments.thesis.shrinkage:THESIS_FIG2_1",
    "thesis-fig2-2": "tasks.experiments.thesis.shrinkage:THESIS_FIG2_2",
    "thesis-fig2-3-width-20": "tasks.experiments.thesis.shrinkage:THESIS_FIG2_3_WIDTH_20",
    "thesis-fig2-3-width-80": "tasks.experiments.thesis.shrinkage:THESIS_FIG2_3_WIDTH_80",
    "thesis-fig3-2": "tasks.experiments.thesis.deep:THESIS_FIG3_2",
    "thesis-fig3-3": "tasks.experiments.thesis.deep:THESIS_FIG3_3",
    "thesis-fig6-1": "tasks.experiments.thesis.chapter6_calculations:THESIS_FIG6_1",
    "thesis-fig6-2": "tasks.experiments.thesis.chapter6_calculations:THESIS_FIG6_2",
    "thesis-table6-1": "tasks.experiments.thesis.adversarial:THESIS_TABLE6_1",
    "thesis-table6-2": "tasks.experiments.thesis.adversarial:THESIS_TABLE6_2",
    "mnist-0v1": "tasks.experiments.thesis.adversarial:MNIST_0V1",
    "mnist-0v1-robust": "tasks.experiments.thesis.adversarial:MNIST_0V1_ROBUST",
    "cifar10-convnet_small-robust": "tasks.experiments.thesis.adversarial:CIFAR10_CONVNET_ROBUST",
}
SUITES = {
    "thesis-fig2-1": "tasks.experiments.thesis.suites:THESIS_FIG2_1",
    "thesis-fig2-2": "tasks.experiments.thesis.suites:THESIS_FIG2_2",
    "thesis-fig2-3": "tasks.experiments.thesis.suites:THESIS_FIG2_3",
    "thesis-fig3-2": "tasks.experiments.thesis.suites:THESIS_FIG3_2",
    "thesis-fig3-3": "tasks.experiments.thesis.suites:THESIS_FIG3_3",
    "thesis-fig6-1": "tasks.experiments.thesis.adversarial_suites:THESIS_FIG6_1",
    "thesis-fig6-2": "tasks.experiments.thesis.adversarial_suites:THESIS_FIG6_2",
    "thesis-table6-1": "tasks.experiments.thesis.adversarial_suites:THESIS_TABLE6_1",
    "thesis-table6-2": "tasks.experiments.thesis.adversarial_suites:THESIS_TABLE6_2",
    "adversarial": "tasks.experiments.thesis.adversarial_suites:ADVERSARIAL",
    "thesis": "tasks.experiments.thesis.thesis_suite:THESIS",
}
