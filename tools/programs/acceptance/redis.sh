#!/bin/sh
# A client of the redis that is this container's process.
set -eu
for attempt in $(seq 100); do
    [ "$(redis-cli ping 2>/dev/null)" = PONG ] && break
    [ "$attempt" -lt 100 ]
    sleep 0.05
done
[ "$(redis-cli set fruit pear)" = OK ]
[ "$(redis-cli get fruit)" = pear ]
[ "$(redis-cli -r 500 incr count | tail -n 1)" = 500 ]
[ "$(redis-cli rpush list a b c)" = 3 ]
[ "$(redis-cli lrange list 0 -1 | tr '\n' ' ')" = "a b c " ]
[ "$(redis-cli eval 'return redis.call("incrby", KEYS[1], ARGV[1])' 1 count 7)" = 507 ]
[ "$(redis-cli set short lived px 50)" = OK ]
for attempt in $(seq 100); do
    [ "$(redis-cli exists short)" = 0 ] && break
    [ "$attempt" -lt 100 ]
    sleep 0.05
done
# Both by a child of the server.
redis-cli bgsave >/tmp/said
for attempt in $(seq 200); do
    redis-cli info persistence | tr -d '\r' >/tmp/info
    grep -q '^rdb_bgsave_in_progress:0' /tmp/info && break
    [ "$attempt" -lt 200 ]
    sleep 0.05
done
grep -q '^rdb_last_bgsave_status:ok' /tmp/info
redis-check-rdb /data/dump.rdb | grep -q 'Checksum OK'
redis-cli bgrewriteaof >/tmp/said
for attempt in $(seq 200); do
    redis-cli info persistence | tr -d '\r' >/tmp/info
    grep -q '^aof_rewrite_in_progress:0' /tmp/info && grep -q '^aof_rewrite_scheduled:0' /tmp/info && break
    [ "$attempt" -lt 200 ]
    sleep 0.05
done
grep -q '^aof_last_bgrewrite_status:ok' /tmp/info
echo accepted
