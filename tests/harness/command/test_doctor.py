from itertools import islice

import pytest

from harness.command import doctor


def test_the_quick_checks_find_this_machine_well():
    found = {name: (is_well, finding) for name, is_well, finding in islice(doctor.examine(), 5)}
    assert list(found) == ["packages", "processor", "GPU", "free disk here", "a trial in a child process"]
    assert all(is_well for is_well, _ in found.values()), found
    assert "ray 2" in found["packages"][1]
    assert found["a trial in a child process"][1].startswith("completed, test accuracy ")


def test_a_check_that_breaks_is_a_finding_and_the_others_go_on(monkeypatch):
    def broken():
        raise OSError("no such thing")

    monkeypatch.setattr(doctor, "_gpu", broken)
    monkeypatch.setattr(doctor, "PACKAGES", ("optuna", "no-such-package"))
    found = {name: (is_well, finding) for name, is_well, finding in islice(doctor.examine(), 4)}
    assert found["GPU"] == (False, "OSError: no such thing")
    assert found["packages"][0] is False
    assert found["packages"][1].startswith("missing no-such-package; found optuna ")
    assert found["processor"][0] is True


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        ("fpu avx512_bf16 amx_bf16 amx_tile", "multiplies matrices in bf16"),
        ("fpu avx512_vnni avx512_bf16", "computes in bf16"),
        ("fp asimd bf16 i8mm", "computes in bf16"),
        ("fpu avx512f avx512_vnni", "no bf16: on it --precision bf16 slows trials down"),
    ],
)
def test_the_processor_is_told_with_what_bf16_comes_to_on_it(monkeypatch, tmp_path, flags, said):
    (tmp_path / "cpuinfo").write_text(f"model name\t: A processor\nflags\t\t: {flags}\n")
    monkeypatch.setattr(doctor, "_PROCESSOR_FILE", tmp_path / "cpuinfo")
    _, is_well, finding = next(islice(doctor.examine(), 1, None))
    assert is_well
    assert finding.endswith(f" threads, {said}")
