"""The files of examples/cluster and the pages about them: what can be checked and run without Slurm and Kubernetes."""

import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
import typer
import yaml  # type: ignore[import-untyped]  # its stubs are a package of their own
from arena import PATIENCE_SECONDS, Arena, await_that, by_id, processes_of
from faulty_contestants import NODE_VARIABLE
from sockets import free_port

from harness.cli import app

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "examples" / "cluster"
PAGES = [ROOT / "docs" / "tutorials" / f"{name}.md" for name in ("slurm", "kubernetes", "clouds")]
NUM_SLOW = 2 * (2 + 3 + 2)


def described(name):
    return yaml.safe_load((EXAMPLES / name).read_text())


def test_ray_up_accepts_the_description_and_refuses_a_mistyped_one():
    from ray.autoscaler._private.util import prepare_config, validate_config

    config = described("aws.yaml")
    validate_config(prepare_config(config))
    with pytest.raises(Exception, match="idle_minutes"):
        validate_config(prepare_config(config | {"idle_minutes": 3}))


FIELDS = {  # of KubeRay 1.6's reference of its resources, and of Kubernetes' pods, by the path of what has them
    "": {"apiVersion", "kind", "metadata", "spec"},
    "spec": {
        "suspend", "managedBy", "autoscalerOptions", "headServiceAnnotations", "enableInTreeAutoscaling",
        "gcsFaultToleranceOptions", "headGroupSpec", "rayVersion", "workerGroupSpecs", "authOptions", "upgradeStrategy",
    },
    "spec.authOptions": {"mode", "secretName", "enableK8sTokenAuth"},
    "spec.autoscalerOptions": {
        "resources", "image", "imagePullPolicy", "securityContext", "idleTimeoutSeconds", "upscalingMode", "version",
        "env", "envFrom", "volumeMounts",
    },
    "spec.headGroupSpec": {
        "template", "headService", "enableIngress", "resources", "labels", "rayStartParams", "serviceType",
    },
    "spec.workerGroupSpecs": {
        "suspend", "groupName", "replicas", "minReplicas", "maxReplicas", "idleTimeoutSeconds", "resources", "labels",
        "rayStartParams", "template", "scaleStrategy", "numOfHosts",
    },
    "template.spec": {"containers", "volumes", "tolerations", "nodeSelector", "serviceAccountName"},
    "containers": {"name", "image", "resources", "volumeMounts", "env", "ports", "command", "args"},
}  # fmt: skip


def test_the_manifest_has_kuberays_fields_and_hangs_together():
    cluster, claim = yaml.safe_load_all((EXAMPLES / "raycluster.yaml").read_text())
    spec = cluster["spec"]
    head, (worker,) = spec["headGroupSpec"], spec["workerGroupSpecs"]
    assert (cluster["apiVersion"], cluster["kind"]) == ("ray.io/v1", "RayCluster")
    assert spec["authOptions"] == {"mode": "token"}
    for path, has in (
        ("", cluster), ("spec", spec), ("spec.authOptions", spec["authOptions"]), ("spec.headGroupSpec", head),
        ("spec.autoscalerOptions", spec["autoscalerOptions"]), ("spec.workerGroupSpecs", worker),
    ):  # fmt: skip
        assert has.keys() <= FIELDS[path], path
    assert worker["minReplicas"] <= worker["replicas"] <= worker["maxReplicas"]
    for group in (head, worker):
        pod = group["template"]["spec"]
        assert pod.keys() <= FIELDS["template.spec"]
        assert all(isinstance(value, str) for value in group["rayStartParams"].values()), "KubeRay takes text only"
        (container,) = pod["containers"]
        assert container.keys() <= FIELDS["containers"]
        assert container["resources"]["limits"] == container["resources"]["requests"]
        mounted = {each["name"] for each in container["volumeMounts"]}
        assert mounted == {each["name"] for each in pod["volumes"]}
        assert {each["persistentVolumeClaim"]["claimName"] for each in pod["volumes"]} == {claim["metadata"]["name"]}
    assert head["rayStartParams"]["num-cpus"] == "0"


def test_image_manifest_and_packages_have_one_version_of_ray():
    dockerfile = (EXAMPLES / "Dockerfile").read_text()
    (tag,) = re.findall(r"^FROM rayproject/ray:([\d.]+)-py311-gpu$", dockerfile, re.MULTILINE)
    (installed,) = re.findall(r'"ray\[tune\]==([\d.]+)"', dockerfile)
    cluster = next(yaml.safe_load_all((EXAMPLES / "raycluster.yaml").read_text()))
    assert tag == installed == cluster["spec"]["rayVersion"]
    extras = re.findall(r"/regarena\[([\w,]+)\]", dockerfile)[0].split(",")
    project = (ROOT / "pyproject.toml").read_text()
    assert all(re.search(rf"^{extra} = \[", project, re.MULTILINE) for extra in extras)


def commands_of(page):
    """(command, options) of each call of regarena in the blocks of a page."""
    for block in re.findall(r"```bash\n(.*?)```", page.read_text().replace("\\\n", " "), re.DOTALL):
        for line in block.splitlines():
            for call in re.findall(r"(?:regarena|slurm\.sh) ((?:run|status|stop|merge|plan|retry)\b[^\"#]*)", line):
                name, *rest = call.split()
                yield name, [word for word in rest if word.startswith("--")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_commands_of_the_pages_exist(page):
    command: Any = typer.main.get_command(app)
    known = command.commands
    found = list(commands_of(page))
    assert found
    for name, options in found:
        assert set(options) <= {flag for each in known[name].params for flag in each.opts}, name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_the_pages_name_what_the_files_have(page):
    text, files = page.read_text(), set(re.findall(r"examples/cluster/([\w.]+)", page.read_text()))
    assert all((EXAMPLES / name).exists() for name in files)
    rows = re.findall(r"^\| (`.*?`.*?) \|", text, re.MULTILINE)
    named = [word for row in rows for word in re.findall(r"`([^`]+)`", row)]
    contents = "".join((EXAMPLES / name).read_text() for name in files)
    for word in named:
        assert all(part in contents for part in re.findall(r"[\w-]{3,}", word)), word


SRUN = """#!/bin/bash
while [[ "$1" == --* ]]; do case "$1" in --nodelist=*) node=${1#*=};; esac; shift; done
if [ "$1" = hostname ]; then echo "$node fe80::1"; exit; fi
export NODE_VARIABLE=$node
if [[ "$*" == *" --address"* ]]; then set -- "$@" --node-ip-address="$node"; fi
exec "$@"
"""
SCONTROL = """#!/bin/bash
case "$1" in
    show) printf '127.0.0.2\\n127.0.0.3\\n' ;;
    requeue) echo "$2" >> "$REQUEUED" ;;
esac
"""


RAY = """#!/usr/bin/env python3
import signal, socket, sys, time
signal.signal(signal.SIGTERM, lambda *_: (print("ray ends", flush=True), sys.exit(0)))
listening = [socket.create_server(("127.0.0.2", int(a[7:]))) for a in sys.argv if a.startswith("--port=")]
print("ray starts", flush=True)
time.sleep(600)
"""
REGARENA = """#!/usr/bin/env python3
import os, pathlib, signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(130))
print("regarena", *sys.argv[1:], flush=True)
while pathlib.Path(os.environ["SAID"]).read_text().count("ray starts") < 2:
    time.sleep(0.02)
time.sleep(float(sys.argv[1]))
sys.exit(int(sys.argv[2]))
"""


@pytest.mark.parametrize(
    ("seconds", "code", "is_stopped", "expected"),
    [(0.5, 0, False, 0), (0.5, 1, False, 1), (0.5, 130, False, 130), (600, 0, True, 130)],
    ids=["completed", "failed", "stopped by regarena stop", "stopped by Slurm"],
)
def test_the_script_for_slurm_ends_as_the_campaign_does_and_leaves_nothing(
    tmp_path, seconds, code, is_stopped, expected
):
    """All commands are stand-ins; only after Slurm's signal the job goes back into the queue."""
    for name, text in (("srun", SRUN), ("scontrol", SCONTROL), ("ray", RAY), ("regarena", REGARENA)):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    said, requeued = tmp_path / "said", tmp_path / "requeued"
    environment = os.environ | {
        "PATH": f"{tmp_path}:{os.environ['PATH']}", "SLURM_JOB_NODELIST": "127.0.0.[2-3]", "SLURM_JOB_ID": "7",
        "REGARENA_PORT": str(free_port()), "REQUEUED": str(requeued), "SAID": str(said),
    }  # fmt: skip
    with said.open("w") as output:
        command = ["bash", str(EXAMPLES / "slurm.sh"), str(seconds), str(code)]
        job = subprocess.Popen(command, env=environment, stdout=output, stderr=subprocess.STDOUT)
    await_that(lambda: said.read_text().count("ray starts") == 2 and "regarena" in said.read_text(), "all start")
    if is_stopped:
        job.send_signal(signal.SIGTERM)
    assert job.wait(PATIENCE_SECONDS) == expected, said.read_text()
    assert said.read_text().count("ray ends") == 2
    assert requeued.exists() == is_stopped


@pytest.mark.slow
@pytest.mark.long
def test_the_script_for_slurm_runs_on_two_nodes_and_resumes_after_slurm_stops_it(tmp_path):
    """The commands of Slurm are stand-ins: they start both nodes on loopback."""
    arena = Arena(tmp_path)
    tools, said = tmp_path / "tools", tmp_path / "said"
    tools.mkdir()
    for name, text in (("srun", SRUN.replace("NODE_VARIABLE", NODE_VARIABLE)), ("scontrol", SCONTROL)):
        (tools / name).write_text(text)
        (tools / name).chmod(0o755)
    with tempfile.TemporaryDirectory(dir="/tmp", ignore_cleanup_errors=True) as session:
        environment = arena.environment | {
            "PATH": os.pathsep.join([str(tools), str(Path(sys.executable).parent), os.environ["PATH"]]),
            "SLURM_JOB_NODELIST": "127.0.0.[2-3]", "SLURM_JOB_ID": "7", "SLURM_CPUS_PER_TASK": "1",
            "RAY_TMPDIR": session, "REQUEUED": str(tmp_path / "requeued"), "RAY_worker_niceness": "0",
        }  # fmt: skip

        def start():
            command = ["bash", str(EXAMPLES / "slurm.sh"), "run", "slow", "--results", "slow"]
            with said.open("w") as output:  # no pipe: Ray's agents hold it for a minute
                return subprocess.Popen(
                    command, cwd=tmp_path, env=environment | {"REGARENA_PORT": str(free_port())},
                    stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
                )  # fmt: skip

        try:
            job = start()
            await_that(lambda: len(list((tmp_path / "slow" / "trials").glob("[!.]*.parquet"))) >= 2, "2 rows", job)
            job.send_signal(signal.SIGTERM)  # as --signal=B:TERM does: to the script alone
            assert job.wait(PATIENCE_SECONDS) == 130, said.read_text()
            assert (tmp_path / "requeued").read_text() == "7\n"
            assert start().wait(PATIENCE_SECONDS) == 0, said.read_text()
        finally:
            for left in processes_of(arena):
                with contextlib.suppress(ProcessLookupError):
                    os.kill(left, signal.SIGKILL)
    rows = by_id(tmp_path / "slow")
    assert len(rows) == NUM_SLOW
    assert {row["status"] for row in rows.values()} == {"completed"}
    assert {line.split()[-1] for line in arena.executions} == {"127.0.0.2", "127.0.0.3"}


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash")
def test_the_script_for_slurm_is_valid_and_keeps_its_settings_ahead_of_its_commands():
    script = EXAMPLES / "slurm.sh"
    subprocess.run(["bash", "-n", str(script)], check=True)
    lines = script.read_text().splitlines()
    settings = [number for number, line in enumerate(lines) if line.startswith("#SBATCH")]
    first_command = next(number for number, line in enumerate(lines) if line and not line.startswith("#"))
    assert settings[-1] < first_command, "Slurm ignores settings after the first command"
    assert os.access(script, os.X_OK)
