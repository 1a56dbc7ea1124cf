# Runs a command as its only child, and says on fd 3 what it cost: seconds of CPU as user and as system, then on a line of its own the exit
# status and microseconds from start to end. Whoever asks is a Node process, to which starting one costs milliseconds; to this one it costs
# next to nothing. CPU is of the command and of all children that it waited for, so not of what it has left running.
#   bash time.bash COMMAND... 3>RESULT
LC_ALL=C
TIMEFORMAT='%3U %3S'
began=${EPOCHREALTIME/./}
{ time "$@" 2>&4 3>&- 4>&-; } 4>&2 2>&3
status=$?
echo "$status $((${EPOCHREALTIME/./} - began))" >&3
