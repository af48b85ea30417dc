#!/bin/bash
# A client of the memcached that is this container's process.
set -eu
for attempt in $(seq 100); do
    { exec 3<>/dev/tcp/127.0.0.1/11211; } 2>/dev/null && break
    [ "$attempt" -lt 100 ]
    sleep 0.05
done
# ask LINE…: sends lines, and prints the first line of the answer.
ask() {
    local answer
    printf '%s\r\n' "$@" >&3
    read -r -t 30 answer <&3
    printf '%s' "${answer%$'\r'}"
}
# answer: the next line.
answer() {
    local line
    read -r -t 30 line <&3
    printf '%s' "${line%$'\r'}"
}
[ "$(ask 'set fruit 7 0 4' pear)" = STORED ]
[ "$(ask 'get fruit')" = 'VALUE fruit 7 4' ]
[ "$(answer)" = pear ]
[ "$(answer)" = END ]
[ "$(ask 'add fruit 0 0 1' x)" = NOT_STORED ]
[ "$(ask 'set count 0 0 2' 40)" = STORED ]
[ "$(ask 'incr count 2')" = 42 ]
read -r _ _ _ _ unique <<<"$(ask 'gets count')"
answer >/dev/null
answer >/dev/null
[ "$(ask "cas count 0 0 1 $unique" 1)" = STORED ]
[ "$(ask "cas count 0 0 1 $unique" 2)" = EXISTS ]
[ "$(ask 'delete fruit')" = DELETED ]
[ "$(ask 'get fruit')" = END ]
large=$(printf 'x%.0s' $(seq 20000))
[ "$(ask 'set large 0 0 20000' "$large")" = STORED ]
[ "$(ask 'get large')" = 'VALUE large 0 20000' ]
[ "$(answer)" = "$large" ]
[ "$(answer)" = END ]
# Several at once, for its threads.
for client in $(seq 8); do
    bash -c 'exec 3<>/dev/tcp/127.0.0.1/11211; for n in $(seq 50); do printf "set k%s.%s 0 0 1\r\n1\r\n" "$0" "$n" >&3; read -r _ <&3; done' "$client" &
done
wait
[[ "$(ask stats)" == 'STAT pid '* ]]
while line=$(answer) && [ "$line" != END ]; do
    if [[ $line == 'STAT curr_items '* ]]; then items=${line##* }; fi
done
[ "$items" = 402 ]
[ "$(ask 'flush_all')" = OK ]
echo accepted
