#!/bin/sh
# Turns the folder $1 into the root of this mount namespace and becomes its systemd, with the terminal $2 as console.
# Runs as process 1 of namespaces of its own (machine_process.py made them); only the network is the host's.
set -eu
root=$1 console=$2

mount --bind "$root" "$root"
mount --bind /usr "$root/usr"
mount -o remount,bind,ro "$root/usr"
mount -t proc proc "$root/proc"
mount --bind "$root/proc/sys" "$root/proc/sys"
mount -o remount,bind,ro "$root/proc/sys" # the host's knobs: not for this systemd
mount -t sysfs -o ro sysfs "$root/sys"
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup" # begins at our own group, being a namespace
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
for each in null zero full random urandom tty; do
    : >"$root/dev/$each"
    mount --bind "/dev/$each" "$root/dev/$each"
done
ln -s pts/ptmx "$root/dev/ptmx" # systemd itself mounts /dev/pts and /dev/shm
: >"$root/dev/console"
mount --bind "$console" "$root/dev/console"
mount -t tmpfs -o mode=755 tmpfs "$root/run"

cd "$root"
mkdir run/host
pivot_root . run/host
umount -l /run/host
rmdir /run/host
exec env -i PATH=/usr/sbin:/usr/bin container=test \
    SYSTEMD_UNIT_PATH=/etc/systemd/system SYSTEMD_GENERATOR_PATH=/none SYSTEMD_ENVIRONMENT_GENERATOR_PATH=/none \
    /lib/systemd/systemd --system --unit=multi-user.target --log-target=console --log-color=no --show-status=no
