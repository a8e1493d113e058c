"""Adversarial training with the reflected loss: as with the plain one."""

from search_spaces.adversarial_training import SPACE as SPACE
