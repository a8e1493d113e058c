"""In which order trials are given out, and a schedule that is made again while workers have trials."""

from dataclasses import replace

from test_plan import essentials, outcome, plan_of, run_to_the_end

from harness.schedule import Schedule


def test_a_schedule_made_again_leaves_alone_what_workers_have_and_goes_on_with_their_ends():
    """As after a retry: the rows that failed are gone, other trials are under way."""
    schedule, out = Schedule(plan_of(), {}), []
    while (pack := schedule.next()) is not None:
        out += pack
    again, run = schedule.again({}, [spec.trial_id for spec in out]), list(out)
    assert again.next() is None
    for spec in out:
        again.record(spec, outcome(spec))
    while (pack := again.next()) is not None:
        run += pack
        again.record(pack[0], outcome(pack[0]))
    expected = run_to_the_end(plan_of())
    assert len(run) == len(expected)
    assert essentials(run) == essentials(expected)


def test_of_what_is_ready_the_longest_goes_first_and_searches_before_the_rest():
    schedule, out = Schedule(plan_of(only=("digits-mlp", "none", "dropout")), {}), []

    def give():
        (spec,) = schedule.next()
        out.append(spec)
        return spec.role, spec.regularizer

    def end(spec):
        schedule.record(spec, replace(outcome(spec), seconds=10.0 if spec.regularizer == "dropout" else 1.0))

    assert [give() for _ in range(12)][::2] == [("tune", "none")] * 5 + [("default", "none")], "by turns at first"
    for spec in out:
        end(spec)
    assert [give() for _ in range(2)] == [("tune", "dropout"), ("tune", "none")], "by the seconds of a trial"
