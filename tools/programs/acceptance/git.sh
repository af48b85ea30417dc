#!/bin/sh
# A repository with a history, its copies over a pipe and over TCP, a merge, and its own check.
set -eu
export HOME=/tmp/home GIT_CONFIG_NOSYSTEM=1
mkdir -p "$HOME"
git config --global user.name Somebody
git config --global user.email somebody@localhost
git config --global init.defaultBranch main
git init -q /tmp/one
cd /tmp/one
seq 1000 >numbers
git add numbers
git commit -q -m first
git checkout -q -b side
sed -i 's/^500$/five hundred/' numbers
git commit -q -a -m side
git checkout -q main
sed -i 's/^1$/one/' numbers
git commit -q -a -m main
git merge -q -m merged side
grep -qx one numbers
grep -qx 'five hundred' numbers
git tag -a -m 'a tag' v1
git clone -q file:///tmp/one /tmp/two
[ "$(git -C /tmp/two rev-list --count HEAD)" = 4 ]
touch .git/git-daemon-export-ok
git daemon --listen=127.0.0.1 --base-path=/tmp --reuseaddr --pid-file=/tmp/daemon --detach /tmp
for attempt in $(seq 100); do
    git clone -q git://127.0.0.1/one /tmp/three 2>/tmp/error && break
    [ "$attempt" -lt 100 ] || { cat /tmp/error && exit 1; }
    sleep 0.05
done
git -C /tmp/three describe | grep -qx v1
echo more >>/tmp/two/numbers
git -C /tmp/two commit -q -a -m more
git init -q --bare /tmp/bare
git -C /tmp/two push -q /tmp/bare main
git -C /tmp/three pull -q /tmp/bare main
tail -n 1 /tmp/three/numbers | grep -qx more
git -C /tmp/three gc -q --aggressive
git -C /tmp/three fsck --strict 2>/dev/null
git -C /tmp/three log -p --stat >/tmp/log
grep -q '^+five hundred' /tmp/log
git -C /tmp/three stash list
git archive --format=tar.gz -o /tmp/one.tar.gz v1
kill "$(cat /tmp/daemon)"
echo accepted
