#!/bin/sh
# Runs a command in which programs for arm64 are run by qemu, and those that these start too:
#   as-arm64.sh FOLDER COMMAND [ARGUMENT ...]
# FOLDER has qemu, the C library for arm64 and, in bin/, programs that come first in PATH.
#
# The kernel is told of qemu in a user namespace of its own, which needs Linux 6.7: the rest of this machine isn't
# changed. The users in it are those outside, so that tests can start processes of several users. The process stays the
# same all the way: who ends it ends the command.
set -e

case $1 in
--wait-for-users)
	shift
	until read -r users < /proc/self/uid_map; do sleep 0.01; done
	# Rights in the namespace come with the next program.
	exec "$0" --register "$@"
	;;
--register)
	folder=$2
	shift 2
	mount -t binfmt_misc none /proc/sys/fs/binfmt_misc
	# The first bytes of programs and libraries, and which of their bits count.
	magic='\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00'
	mask='\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff'
	# P: the program is told the name that it was called by. F: qemu is found in other mount namespaces too.
	printf '%s' ":arm64:M::$magic:$mask:$folder/usr/bin/qemu-aarch64:POCF" > /proc/sys/fs/binfmt_misc/register
	export QEMU_LD_PREFIX="$folder/usr/aarch64-linux-gnu" PATH_OF_X64="$PATH" PATH="$folder/bin:$PATH"
	exec "$@"
	;;
esac

own=$$
outside=$(readlink /proc/self/ns/user)
# Only a process outside can name more than one user of the namespace. It is no child of the command.
(
	(
		while [ "$(readlink /proc/$own/ns/user)" = "$outside" ]; do sleep 0.01; done
		echo '0 0 4294967295' > /proc/$own/gid_map
		echo '0 0 4294967295' > /proc/$own/uid_map
	) < /dev/null > /dev/null 2>&1 &
)
exec unshare --user --mount "$0" --wait-for-users "$@"
