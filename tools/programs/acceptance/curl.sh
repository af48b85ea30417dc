#!/bin/sh
# Transfers of several kinds from servers in the same container.
set -eu
mkdir -p /tmp/www /tmp/got
seq 50000 >/tmp/www/numbers
for n in 1 2 3 4 5 6; do seq "$n" 1000 >/tmp/www/part$n; done
busybox httpd -f -p 127.0.0.1:8080 -h /tmp/www &
web=$!
at=http://127.0.0.1:8080
curl -sS --retry 50 --retry-connrefused --retry-delay 0 --retry-max-time 10 -o /tmp/got/numbers "$at/numbers"
cmp /tmp/got/numbers /tmp/www/numbers
[ "$(curl -sS -r 0-3 "$at/numbers" | tr '\n' ' ')" = "1 2 " ]
head -c 1000 /tmp/www/numbers >/tmp/got/rest
curl -sS -C - -o /tmp/got/rest "$at/numbers"
cmp /tmp/got/rest /tmp/www/numbers
curl -sS -Z --parallel-max 3 -o '/tmp/got/part#1' "$at/part[1-6]"
for n in 1 2 3 4 5 6; do cmp "/tmp/got/part$n" "/tmp/www/part$n"; done
[ "$(curl -sS -o /dev/null -w '%{http_code}' "$at/nothing")" = 404 ]
curl -sS -I "$at/numbers" | grep -qi '^content-length: '
curl -sS "file:///tmp/www/part1" | cmp - /tmp/www/part1
# Where nobody listens, by both protocols: whether a name is tried by the second is a matter of time.
if curl -sS http://127.0.0.1:1/ 2>/tmp/error; then exit 1; fi
if curl -sS 'http://[::1]:1/' 2>/tmp/error; then exit 1; fi
openssl req -x509 -newkey rsa:2048 -nodes -keyout /tmp/key -out /tmp/certificate -days 2 -subj /CN=localhost \
    -addext subjectAltName=DNS:localhost 2>/tmp/said
cd /tmp/www
openssl s_server -quiet -accept 127.0.0.1:8443 -cert /tmp/certificate -key /tmp/key -WWW >/tmp/said 2>&1 &
secure=$!
curl -sS --cacert /tmp/certificate --retry 50 --retry-connrefused --retry-delay 0 --retry-max-time 10 -o /tmp/got/secure \
    https://localhost:8443/numbers
cmp /tmp/got/secure /tmp/www/numbers
kill "$web" "$secure"
echo accepted
