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

on_one_node=(srun --nodes=1 --ntasks=1 --overlap)
started=() # Ray on each node; it ends with this script, however that ends
trap 'kill "${started[@]}" 2>/dev/null; wait || true' EXIT
resources=(--num-cpus="${SLURM_CPUS_PER_TASK:-1}")
if [ -n "${SLURM_GPUS_ON_NODE:-}" ]; then resources+=(--num-gpus="$SLURM_GPUS_ON_NODE"); fi

address=$("${on_one_node[@]}" --nodelist="${nodes[0]}" hostname --ip-address | tr " " "\n" | head -n 1)
"${on_one_node[@]}" --nodelist="${nodes[0]}" ray start --head --block --port="$port" \
    --node-ip-address="$address" --include-dashboard=false "${resources[@]}" &
started+=($!)
until (exec 3<>"/dev/tcp/$address/$port") 2>/dev/null; do
    kill -0 "${started[0]}" # ends the script if the head did not start
    sleep 1
done
for node in "${nodes[@]:1}"; do
    "${on_one_node[@]}" --nodelist="$node" ray start --block --address="$address:$port" "${resources[@]}" &
    started+=($!)
done

# Nodes that are slow to start join while the campaign runs. Slurm's signal ends it cleanly; the same job resumes it.
stopped= campaign=
trap 'stopped=yes; [ -z "$campaign" ] || kill -TERM "$campaign"' TERM
regarena "$@" --address "$address:$port" &
campaign=$!
[ -z "$stopped" ] || kill -TERM "$campaign"
code=0
wait "$campaign" || code=$?
if [ "$code" -eq 143 ]; then # the signal ended the waiting, not the campaign
    code=0
    wait "$campaign" || code=$?
fi
# Stopped by Slurm before its end: the job goes back into the queue. After `regarena stop` it does not.
if [ -n "$stopped" ] && [ "$code" -eq 130 ]; then scontrol requeue "$SLURM_JOB_ID"; fi
exit "$code"
