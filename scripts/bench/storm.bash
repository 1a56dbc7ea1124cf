# Starts a command COUNT times at once, as ocserv would its connect-script for as many users, and waits for all. Each has a user, an ID and
# an address of its own (population.ts) by its number from FIRST on, and FOLDER/NUMBER for its stderr. Then it says: microseconds from the first
# start to the last end; the number of each user and the exit status, a line each; and what CPU they took, as `times` has it.
#   bash storm.bash COUNT FIRST FOLDER COMMAND...
LC_ALL=C
count=$1 first=$2 folder=$3
shift 3
began=${EPOCHREALTIME/./}
for ((n = first; n < first + count; n++)); do
	USERNAME=user$n ID=$((n + 1)) IP_REAL=10.$((n >> 16)).$((n >> 8 & 255)).$((n & 255)) "$@" 2>>"$folder/$n" &
	pids[n]=$!
done
for ((n = first; n < first + count; n++)); do
	wait "${pids[n]}"
	statuses[n]=$?
done
echo "took $((${EPOCHREALTIME/./} - began))"
for ((n = first; n < first + count; n++)); do echo "$n ${statuses[n]}"; done
times
