#!/bin/bash
# A regarena campaign on the nodes of one Slurm job: docs/tutorials/slurm.md explains it.
#
#   sbatch examples/cluster/slurm.sh run leaderboard --data /shared/data --results /shared/results
#
#SBATCH --job-name=regarena
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=1
#SBATCH --cpus-per-task=16
#SBATCH --gpus-per-node=2
#SBATCH --time=24:00:00
#SBATCH --signal=B:TERM@300
#SBATCH --requeue
set -euo pipefail

# Ray refuses whoever does not know this token; only this job does.
RAY_AUTH_TOKEN=$(python3 -c "import secrets; print(secrets.token_hex(32))")
export RAY_AUTH_TOKEN RAY_AUTH_MODE=token RAY_USAGE_STATS_ENABLED=0

port=${REGARENA_PORT:-$((20000 + ${SLURM_JOB_ID:-0} % 10000))} # two jobs on one node need different ones
mapfile -t nodes < <(scontrol show hostnames "$SLURM_JOB_NODELIST")

on_node() { # NODE COMMAND...: run a command there, with all that the job has on the node
    srun --nodes=1 --ntasks=1 --overlap --nodelist="$1" "${@:2}"
}
resources=(--num-cpus="${SLURM_CPUS_PER_TASK:-1}")
if [ -n "${SLURM_GPUS_ON_NODE:-}" ]; then resources+=(--num-gpus="$SLURM_GPUS_ON_NODE"); fi

address=$(on_node "${nodes[0]}" hostname --ip-address | tr " " "\n" | head -n 1)
on_node "${nodes[0]}" ray start --head --block --port="$port" --node-ip-address="$address" \
    --include-dashboard=false "${resources[@]}" &
started=($!)
until (exec 3<>"/dev/tcp/$address/$port") 2>/dev/null; do
    kill -0 "${started[0]}" # ends the script if the head did not start
    sleep 1
done
for node in "${nodes[@]:1}"; do
    on_node "$node" ray start --block --address="$address:$port" "${resources[@]}" &
    started+=($!)
done

# Nodes that are slow to start join while the campaign runs. Slurm's signal ends it cleanly; the same job resumes it.
regarena "$@" --address "$address:$port" &
campaign=$!
trap 'kill -TERM "$campaign"' TERM
code=0
wait "$campaign" || code=$?
if [ "$code" -gt 128 ]; then # the signal ended the waiting, not the campaign
    code=0
    wait "$campaign" || code=$?
fi
kill "${started[@]}" 2>/dev/null || true
wait || true
# 130: it was stopped before its end, so the job goes back into the queue.
if [ "$code" -eq 130 ] && [ -n "${SLURM_JOB_ID:-}" ]; then scontrol requeue "$SLURM_JOB_ID"; fi
exit "$code"
