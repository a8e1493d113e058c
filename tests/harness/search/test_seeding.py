import itertools

import pytest

from harness.records import ROLES
from harness.search.seeding import SEEDS_PER_ROLE, study_seed, trial_seed


def test_no_two_roles_numbers_or_campaigns_share_a_seed():
    combinations = list(itertools.product(range(3), ROLES, (0, 1, 2, SEEDS_PER_ROLE - 1)))
    seeds = [trial_seed(*combination) for combination in combinations]
    assert len(set(seeds)) == len(combinations)


@pytest.mark.parametrize("index", [-1, SEEDS_PER_ROLE])
def test_a_number_beyond_a_roles_seeds_is_refused(index):
    with pytest.raises(ValueError, match="0 to 999"):
        trial_seed(0, "confirm", index)


def test_each_cell_and_each_campaign_has_a_sampler_seed_of_its_own_that_optuna_takes():
    cells = list(itertools.product(range(5), ("digits-mlp", "digits-convnet"), ("none", "dropout", "dropout+cutout")))
    seeds = [study_seed(*cell) for cell in cells]
    assert len(set(seeds)) == len(cells)
    assert all(0 <= seed < 2**31 for seed in seeds)
    assert seeds == [study_seed(*cell) for cell in cells]
