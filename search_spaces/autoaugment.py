"""AutoAugment."""

from search_spaces.space import Choice, Real, Space

SPACE: Space = {
    "policy": Choice(options=("cifar10", "imagenet"), source="tables 7 and 9 of Cubuk et al. 2019"),
    "image_fraction": Real(low=0.2, high=1.0, source="regarena; 1 in Cubuk et al. 2019"),
}
