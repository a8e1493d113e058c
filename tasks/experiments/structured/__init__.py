"""Structured dropout (Pal et al. 2020): its figures."""

TASKS = {
    "shallow-linear-dropblock": "tasks.linear.shallow:SHALLOW_LINEAR_DROPBLOCK",
    "shallow-linear-dropblock-keep-0.8": "tasks.linear.shallow:SHALLOW_LINEAR_DROPBLOCK_KEEP_08",
    "structured-fig1": "tasks.experiments.structured.tasks:STRUCTURED_FIG1",
    "structured-fig2": "tasks.experiments.structured.tasks:STRUCTURED_FIG2",
    "structured-fig2-orthogonal": "tasks.experiments.structured.tasks:STRUCTURED_FIG2_ORTHOGONAL",
    "structured-fig2-correlated": "tasks.experiments.structured.tasks:STRUCTURED_FIG2_CORRELATED",
    "structured-fig3-mnist": "tasks.experiments.structured.features:STRUCTURED_FIG3_MNIST",
    "structured-fig3-cifar10": "tasks.experiments.structured.features:STRUCTURED_FIG3_CIFAR10",
    "structured-fig4": "tasks.experiments.structured.tasks:STRUCTURED_FIG4",
}
SUITES = {
    "structured-fig1": "tasks.experiments.structured.suites:STRUCTURED_FIG1",
    "structured-fig2": "tasks.experiments.structured.suites:STRUCTURED_FIG2",
    "structured-fig3": "tasks.experiments.structured.suites:STRUCTURED_FIG3",
    "structured-fig4": "tasks.experiments.structured.suites:STRUCTURED_FIG4",
}
