#!/bin/sh
# A cluster of its own, filled, queried, cleaned, restarted and read again.
set -eu
bin=/usr/lib/postgresql/15/bin
data=/var/lib/postgresql/data
"$bin/initdb" -D "$data" --locale=C.UTF-8 --auth=trust >/tmp/said
settings="-c listen_addresses=127.0.0.1 -c unix_socket_directories=/tmp -c min_parallel_table_scan_size=0 -c parallel_setup_cost=0"
"$bin/pg_ctl" -D "$data" -w -t 60 -o "$settings" -l /tmp/log start >/tmp/said || { cat /tmp/log && exit 1; }
query() { "$bin/psql" -h "$1" -XqAt -v ON_ERROR_STOP=1 -d postgres -c "$2"; }
query /tmp "CREATE TABLE numbers (n int PRIMARY KEY, square bigint, word text)"
query /tmp "INSERT INTO numbers SELECT n, n::bigint * n, md5(n::text) FROM generate_series(1, 20000) n"
query /tmp "CREATE INDEX ON numbers (word)"
query 127.0.0.1 "ANALYZE numbers"
[ "$(query 127.0.0.1 "SELECT sum(square) FROM numbers")" = 2666866670000 ]
query /tmp "EXPLAIN ANALYZE SELECT sum(square) FROM numbers" >/tmp/plan
grep -q 'Workers Launched' /tmp/plan
query /tmp "DELETE FROM numbers WHERE n % 2 = 0"
query /tmp "VACUUM FULL numbers"
query /tmp "CHECKPOINT"
if query /tmp "INSERT INTO numbers VALUES (1, 1, 'again')" 2>/tmp/error; then exit 1; fi
grep -q 'duplicate key' /tmp/error
"$bin/pg_dump" -h /tmp -d postgres >/tmp/dump
grep -q 'COPY public.numbers' /tmp/dump
"$bin/pg_ctl" -D "$data" -w -t 60 -m fast -o "$settings" -l /tmp/log restart >/tmp/said || { cat /tmp/log && exit 1; }
[ "$(query /tmp "SELECT count(*) FROM numbers")" = 10000 ]
"$bin/pg_ctl" -D "$data" -w -t 60 -m fast stop >/tmp/said
echo accepted
