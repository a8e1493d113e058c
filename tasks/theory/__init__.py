"""Closed forms of the theory of dropout, as pure torch functions in float64.

Nothing is imported here, so that `import tasks.theory` stays free of torch. Import the module you need:

* `tasks.theory.drop_rates`: DropBlock's drop rate at each pixel.
* `tasks.theory.structured`: Dropout, DropBlock and DropConnect on one hidden layer (Pal et al. 2020).
* `tasks.theory.linear`: dropout in two-layer linear networks (Mianjy, thesis, chapter 2).
* `tasks.theory.landscape`: whether a critical point of tied weights is an optimum or a strict saddle (chapter 2).
* `tasks.theory.deep_linear`: dropout in deep linear networks (Mianjy, thesis, chapter 3).
* `tasks.theory.matrix_completion`, `tasks.theory.flows`: dropout in factor models and ReLU networks (chapter 4).
* `tasks.theory.lazy_dropout`, `tasks.theory.subnetworks`: dropout in wide networks, and sub-networks (chapter 5).
* `tasks.theory.adversarial_bounds`: guarantees of adversarial training and of its attacks (Mianjy, thesis, chapter 6).
* `tasks.theory.rademacher`: the Rademacher complexity bounds of LocalDrop (Lu et al. 2021).
* `tasks.theory.checks`: checks of arguments.
"""
