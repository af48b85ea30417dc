#!/bin/sh
# A client of the nginx that is this container's process.
set -eu
at=http://127.0.0.1:8080
curl -sS -o /tmp/index --retry 50 --retry-connrefused --retry-delay 0 --retry-max-time 10 "$at/"
cmp /tmp/index /var/www/html/index.html
curl -sS -o /tmp/large "$at/large.txt"
cmp /tmp/large /var/www/html/large.txt
[ "$(curl -sS -r 13-25 "$at/large.txt")" = "line 0000001" ]
curl -sS --compressed -D /tmp/head -o /tmp/large "$at/large.txt"
grep -qi '^content-encoding: gzip' /tmp/head
cmp /tmp/large /var/www/html/large.txt
[ "$(curl -sS -o /dev/null -w '%{http_code}' "$at/nothing")" = 404 ]
[ "$(curl -sS -o /dev/null -w '%{http_code}' "$at/private")" = 403 ]
curl -sS -o /tmp/large "$at/upstream/large.txt"
cmp /tmp/large /var/www/html/large.txt
old=$(pgrep -P 1 | sort | head -n 1)
nginx -s reload 2>/tmp/error || { cat /tmp/error && exit 1; }
for attempt in $(seq 100); do
    kill -0 "$old" 2>/dev/null || break
    [ "$attempt" -lt 100 ]
    sleep 0.05
done
curl -sS -o /tmp/index "$at/"
cmp /tmp/index /var/www/html/index.html
echo accepted
