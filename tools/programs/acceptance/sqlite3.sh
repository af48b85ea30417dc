#!/bin/sh
# A database with two processes in it, its backup and its check.
set -eu
cd /tmp
sqlite3 a.db >mode <<'SQL'
PRAGMA journal_mode=wal;
CREATE TABLE numbers (n INTEGER PRIMARY KEY, word TEXT);
WITH RECURSIVE up(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM up WHERE n < 20000) INSERT INTO numbers SELECT n, hex(n * 7) FROM up;
CREATE INDEX words ON numbers (word);
CREATE VIRTUAL TABLE texts USING fts5(body);
INSERT INTO texts VALUES ('the quick brown fox'), ('jumps over the dog');
SQL
[ "$(cat mode)" = wal ]
[ "$(sqlite3 a.db 'SELECT sum(n) FROM numbers')" = 200010000 ]
[ "$(sqlite3 a.db "SELECT body FROM texts WHERE texts MATCH 'fox'")" = 'the quick brown fox' ]
for writer in 1 2; do
    for row in $(seq 20); do
        echo "PRAGMA busy_timeout=10000; BEGIN IMMEDIATE; INSERT INTO numbers (word) VALUES ('$writer-$row'); COMMIT;"
    done | sqlite3 a.db >/dev/null &
done
wait
[ "$(sqlite3 a.db 'SELECT count(*) FROM numbers')" = 20040 ]
sqlite3 a.db '.backup b.db'
[ "$(sqlite3 b.db 'PRAGMA integrity_check; VACUUM; SELECT count(*) FROM numbers' | tr '\n' ' ')" = 'ok 20040 ' ]
sqlite3 a.db .dump | sqlite3 c.db
[ "$(sqlite3 c.db 'PRAGMA journal_mode=delete; DELETE FROM numbers WHERE n > 10; SELECT count(*) FROM numbers' | tr '\n' ' ')" = 'delete 10 ' ]
echo accepted
