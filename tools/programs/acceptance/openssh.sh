#!/bin/sh
# A server with a key, and what its client asks for: commands, a terminal, files, a forwarded port.
set -eu
mkdir -p /run/sshd /tmp/keys /tmp/client
chmod 755 /run/sshd
ssh-keygen -q -t ed25519 -N '' -f /tmp/keys/host
ssh-keygen -q -t ed25519 -N '' -f /tmp/client/id
cp /tmp/client/id.pub /tmp/keys/authorized
chmod 644 /tmp/keys/authorized
printf '%s\n' 'Port 2222' 'ListenAddress 127.0.0.1' 'HostKey /tmp/keys/host' 'AuthorizedKeysFile /tmp/keys/authorized' 'UsePAM no' \
    'PasswordAuthentication no' 'StrictModes no' 'PidFile /run/sshd.pid' 'Subsystem sftp /usr/lib/openssh/sftp-server' >/tmp/keys/config
/usr/sbin/sshd -D -e -f /tmp/keys/config 2>/tmp/log &
server=$!
printf '[127.0.0.1]:2222 %s\n' "$(cat /tmp/keys/host.pub)" >/tmp/client/known
printf '%s\n' 'Host there' 'HostName 127.0.0.1' 'Port 2222' 'User app' 'IdentityFile /tmp/client/id' 'IdentitiesOnly yes' 'BatchMode yes' \
    'UserKnownHostsFile /tmp/client/known' 'ConnectTimeout 10' 'ConnectionAttempts 20' 'LogLevel ERROR' >/tmp/client/config
there() { ssh -F /tmp/client/config "$@"; }
there there true || { cat /tmp/log && exit 1; }
[ "$(there there 'id -un; echo $((6 * 7))' | tr '\n' ' ')" = 'app 42 ' ]
[ "$(seq 10000 | there there 'wc -l')" = 10000 ]
if there there 'exit 7'; then exit 1; else [ $? -eq 7 ]; fi
there -tt there tty </dev/null | grep -q '^/dev/pts/'
seq 20000 >/tmp/client/numbers
scp -q -F /tmp/client/config /tmp/client/numbers there:/tmp/copy
scp -q -F /tmp/client/config there:/tmp/copy /tmp/client/back
cmp /tmp/client/numbers /tmp/client/back
# The server through a port of its own.
there -N -L 127.0.0.1:2223:127.0.0.1:2222 there &
forward=$!
there -p 2223 -o HostKeyAlias='[127.0.0.1]:2222' there true
kill "$forward"
# A key that it does not know.
ssh-keygen -q -t ed25519 -N '' -f /tmp/client/other
if ssh -F /dev/null -p 2222 -i /tmp/client/other -o BatchMode=yes -o IdentitiesOnly=yes -o LogLevel=INFO \
    -o UserKnownHostsFile=/tmp/client/known app@127.0.0.1 true 2>/tmp/error; then exit 1; fi
grep -q 'Permission denied' /tmp/error
# Whether a shell has to wait for what ends at once is a matter of time; here it has to.
sleep 0.2 &
wait $!
kill "$server"
wait "$server" || [ $? -eq 255 ] || [ $? -eq 143 ]
echo accepted
