"""Adversarial training: radius of the attacks, number of steps and step size."""

from search_spaces.space import Integer, Real, Space

SPACE: Space = {
    "radius": Real(
        low=2 / 255,
        high=0.3,
        log=True,
        source="2/255 in table 6-II of Mianjy's thesis; 0.3 in Madry et al. 2018, MNIST",
    ),
    "num_steps": Integer(
        low=1, high=40, log=True, source="40 in Madry et al. 2018, section 5, MNIST, down to one step"
    ),
    "step_size": Real(
        low=0.01,
        high=10.0,
        log=True,
        source="0.01 (signs) in Madry et al. 2018, section 5, MNIST; 10 (raw) in Mianjy's thesis, section 6.5.2",
    ),
}
