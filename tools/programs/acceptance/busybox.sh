#!/bin/sh
# A web server with a file and a program behind it, a client, archives and pipes, all of busybox.
set -eu
mkdir -p /srv/www/cgi-bin
seq 1 20000 >/srv/www/numbers
printf '#!/bin/sh\nprintf "Content-Type: text/plain\\r\\n\\r\\n%%s" "$QUERY_STRING"\n' >/srv/www/cgi-bin/echo
chmod +x /srv/www/cgi-bin/echo
httpd -f -p 127.0.0.1:8080 -h /srv/www &
server=$!
for attempt in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    wget -q -O /tmp/got http://127.0.0.1:8080/numbers && break
    [ "$attempt" -lt 20 ]
    usleep 50000
done
cmp /tmp/got /srv/www/numbers
[ "$(wget -q -O - 'http://127.0.0.1:8080/cgi-bin/echo?a=1')" = 'a=1' ]
if wget -q -O /dev/null http://127.0.0.1:8080/nothing 2>/tmp/error; then exit 1; fi
grep -q 404 /tmp/error
tar -czf /srv/www.tgz -C /srv www
mkdir /tmp/out
tar -xzf /srv/www.tgz -C /tmp/out
[ "$(find /tmp/out -type f -print0 | xargs -0 sha256sum | awk '{ print $1 }' | sort)" = \
    "$(find /srv/www -type f -print0 | xargs -0 sha256sum | awk '{ print $1 }' | sort)" ]
[ "$(sort -rn /tmp/got | sed -n 1p)" = 20000 ]
# Whether a shell has to wait for what ends at once is a matter of time; here it has to.
usleep 200000 &
wait $!
# A call that no signal interrupts elsewhere: the end of the first arrives while the second is signalled.
for attempt in 1 2 3 4 5 6 7 8 9 10; do
    sleep 100 &
    one=$!
    sleep 100 &
    other=$!
    kill "$one" "$other"
    wait "$one" "$other" || [ $? -eq 143 ]
done
kill "$server"
wait "$server" || [ $? -eq 143 ]
echo accepted
