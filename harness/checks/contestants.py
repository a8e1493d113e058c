"""The laws of contestants: what every regularizer must fulfil. The quick ones come first."""

from __future__ import annotations

from harness.checks.contestant_declarations import (
    begins_its_docstring_with_one_sentence,
    enforces_the_range_behind_each_field,
    has_defaults_of_the_types_that_its_fields_declare,
    is_a_frozen_keyword_only_dataclass,
    is_constructed_by_every_corner_of_its_space,
    names_only_its_fields_in_its_space,
    refuses_bad_numbers_by_class_and_field,
    says_what_it_computes_and_where_that_comes_from,
    takes_no_fraction_for_a_whole_number_and_no_text_for_a_number,
)
from harness.checks.contestant_trainings import (
    changes_training_unless_it_says_otherwise,
    draws_from_its_seed_alone,
    ends_after_a_break_as_without_one,
    ends_in_finite_values_with_its_defaults,
    gives_the_same_weights_twice,
    is_not_changed_by_the_baseline_beside_it,
    leaves_inputs_that_are_indices_as_they_are,
    neither_reads_nor_moves_the_global_generators,
    passes_values_through_unchanged_in_eval_mode,
    says_in_one_sentence_where_it_makes_no_sense,
    trains_like_the_baseline_when_switched_off,
)
from harness.checks.entrant import Entrant
from harness.checks.law import Law

__all__ = ["LAWS", "Entrant"]

LAWS: tuple[Law[Entrant], ...] = (
    is_a_frozen_keyword_only_dataclass,
    has_defaults_of_the_types_that_its_fields_declare,
    says_what_it_computes_and_where_that_comes_from,
    begins_its_docstring_with_one_sentence,
    says_in_one_sentence_where_it_makes_no_sense,
    names_only_its_fields_in_its_space,
    is_constructed_by_every_corner_of_its_space,
    refuses_bad_numbers_by_class_and_field,
    enforces_the_range_behind_each_field,
    takes_no_fraction_for_a_whole_number_and_no_text_for_a_number,
    leaves_inputs_that_are_indices_as_they_are,
    ends_in_finite_values_with_its_defaults,
    changes_training_unless_it_says_otherwise,
    trains_like_the_baseline_when_switched_off,
    passes_values_through_unchanged_in_eval_mode,
    gives_the_same_weights_twice,
    ends_after_a_break_as_without_one,
    draws_from_its_seed_alone,
    neither_reads_nor_moves_the_global_generators,
    is_not_changed_by_the_baseline_beside_it,
)
