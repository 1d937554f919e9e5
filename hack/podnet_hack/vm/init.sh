#!/bin/busybox sh
# First process of the VM: makes the machine's own files the root, with an overlay in memory, and runs the command
# that lies in the shared directory. Settings: SHARE, MODULES (paths on the machine).
set -e
export PATH=/bin
/bin/busybox --install -s /bin
. /settings

mkdir -p /lower /upper /new
for module in /modules/*; do insmod "$module"; done

files=trans=virtio,version=9p2000.L,msize=524288
mount -t 9p -o "ro,cache=loose,$files" root /lower
mount -t tmpfs -o size=75% tmpfs /upper
mkdir /upper/files /upper/work
mount -t overlay -o "lowerdir=/lower,upperdir=/upper/files,workdir=/upper/work" overlay /new

mount -t proc proc /new/proc
mount -t sysfs sysfs /new/sys
mount -t devtmpfs devtmpfs /new/dev
mkdir -p /new/dev/pts /new/dev/shm
mount -t devpts devpts /new/dev/pts
for directory in dev/shm run; do mount -t tmpfs -o mode=1777 tmpfs "/new/$directory"; done
mount -t cgroup2 cgroup2 /new/sys/fs/cgroup
mkdir -m 1777 /new/run/tmp
mkdir -p "/new/lib/modules/$(uname -r)"
mount -o bind "/lower$MODULES" "/new/lib/modules/$(uname -r)"
mount -t 9p -o "$files" share "/new$SHARE"

exec switch_root /new /bin/sh "$SHARE/start.sh"
