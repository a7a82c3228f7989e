#!/usr/bin/env bash
# slurm.sh - tools/sweep-slurm makes the run that a task's number names, and no other; as Slurm would call it.
here=$(cd "$(dirname "$0")" && pwd)
. "$here/common.sh" "$@"
script=$here/../../tools/sweep-slurm
export FLOWTAPE_BIN=$bin
unset SLURM_ARRAY_TASK_ID SLURM_CPUS_PER_TASK SLURM_NTASKS SLURM_SUBMIT_DIR
mkdir spool # Slurm runs a copy
cp "$script" spool/slurm_script
task() { # number, arguments
	SLURM_ARRAY_TASK_ID=$1 spool/slurm_script "${@:2}" >said 2>stderr
}

table 600 3 >data.csv
sweep=(out data.csv --models "gaussian maf realnvp" --seeds "3 4" -- --steps 8 --set width=8 --set layers=2)
few=(out data.csv --models "gaussian maf" --seeds "3 4" -- --steps 8)
"$script" "${sweep[@]}" >said || fail "the list of tasks"
check "five tasks, for gaussian has no seeds, and a command: $(cat said)" test "$(wc -l <said)" -eq 6
check "the command: $(tail -1 said)" grep -q '^sbatch --array=0-4 .*sweep-slurm out data.csv .*--steps 8' said
task 2 "${few[@]}" || fail "task 2: $(cat stderr)"
check "task 2 is maf with seed 4, alone" test "$(echo out/*)" = out/maf-4
"$bin/tabular" --data data.csv --model maf --seed 4 --steps 8 --quiet --no-figures --out alone >/dev/null
same_run "a task and the command by hand" alone/run.h5 out/maf-4/run.h5
SLURM_CPUS_PER_TASK=2 task 0 "${few[@]}" || fail "task 0: $(cat stderr)"
check "task 0 is gaussian" test -e out/gaussian-3/run.h5
task 2 "${few[@]}" || fail "task 2 again: $(cat stderr)"
check "a run is not repeated: $(cat said)" grep -q "is finished" said
SLURM_ARRAY_TASK_ID=3 refused 2 "there is no task 3; there are 0 to 2" spool/slurm_script "${few[@]}"
SLURM_ARRAY_TASK_ID=x refused 2 "there is no task x" spool/slurm_script "${few[@]}"
SLURM_ARRAY_TASK_ID=0 refused 2 "unknown option --model" spool/slurm_script out data.csv --model maf
FLOWTAPE_BIN=nowhere refused 2 "FLOWTAPE_BIN names their folder" spool/slurm_script "${few[@]}"

mkdir fake # several ranks are srun's
printf '#!/bin/sh\necho "srun $*"\n' >fake/srun
chmod +x fake/srun
PATH=$PWD/fake:$PATH SLURM_NTASKS=4 SLURM_CPUS_PER_TASK=8 task 1 "${few[@]}"
check "ranks: $(cat said)" grep -q "^srun --kill-on-bad-exit=1 .*tabular .*--model maf --seed 3 .*--threads 8$" said

ablation=(--ablation ablate_act --data data.csv --only relu,tanh --seeds 2 --out ab --more "--steps 5")
"$script" "${ablation[@]}" >said
check "variants and seeds: $(cat said)" test "$(wc -l <said)" -eq 5
task 3 "${ablation[@]}" || fail "an ablation's task: $(cat stderr)"
check "the last is tanh with seed 2" test "$(echo ab/*)" = ab/tanh-2
SLURM_ARRAY_TASK_ID=0 refused 2 "no variant" spool/slurm_script --ablation ablate_act --only nosuch
"$bin/ablate_act" "${ablation[@]:2}" --jobs 1 --no-report >said 2>stderr || fail "the ablation finds it: $(cat stderr)"
check "and makes the others" test "$(ls -d ab/*-[12]/run.h5 | wc -l)" -eq 4
report
