/* SPDX-License-Identifier: Apache-2.0 */
#include "rows.h"

#include "common/cleanup.h"

#include <string.h>

#define EVERYWHERE false
#define EXT4	   true

/* path_chown cannot be attached to before Linux 6.1 */
#define CHOWN (HOOK(PATH_CHOWN) | HOOK(INODE_SETATTR))

const struct zone zones[] = {
	{"ro", ZONE_READ_ONLY, false, true},	    {"rw/ro", ZONE_READ_ONLY, true, true},
	{"rw/deny", ZONE_DENIED, true, true},	    {"rw/deny/rw", ZONE_DENIED, true, true},
	{"out", ZONE_UNLISTED, false, true},	    {"ro/rw", ZONE_READ_WRITE, true, true},
	{"rw/ro/rw", ZONE_READ_WRITE, true, true},  {"tmpfs", ZONE_READ_WRITE, true, false},
	{"tmpfs/ro", ZONE_READ_ONLY, true, false},  {"tmpfs/deny", ZONE_DENIED, true, false},
	{"overlay", ZONE_READ_WRITE, true, false},  {"overlay/ro", ZONE_READ_ONLY, true, false},
	{"overlay/deny", ZONE_DENIED, true, false},
};
const size_t zones_len = ARRAY_LEN(zones);

const struct matrix_row matrix[] = {
	{"read", "read F:%", CLASS_READ, HOOK(FILE_OPEN), EVERYWHERE},
	{"read through an O_PATH descriptor's name in /proc", "opath_reopen F:%", CLASS_READ,
	 HOOK(FILE_OPEN), EVERYWHERE},
	{"readdir", "readdir D:%", CLASS_READ, HOOK(FILE_OPEN), EVERYWHERE},
	{"chdir and readdir", "chdir_list D:%", CLASS_READ, HOOK(FILE_OPEN), EVERYWHERE},
	{"inotify", "notify D:%", CLASS_READ, HOOK(PATH_NOTIFY), EVERYWHERE},
	{"map executable", "map_exec F:%", CLASS_READ, HOOK(FILE_OPEN), EVERYWHERE},
	{"stat", "stat F:%", CLASS_LOOK, HOOK(INODE_GETATTR), EVERYWHERE},
	{"lstat", "lstat L:%", CLASS_LOOK, HOOK(INODE_GETATTR), EVERYWHERE},
	{"statx", "statx F:%", CLASS_LOOK, HOOK(INODE_GETATTR), EVERYWHERE},
	{"fstat of an O_PATH descriptor", "stat_opath F:%", CLASS_LOOK, HOOK(INODE_GETATTR),
	 EVERYWHERE},
	{"readlink", "readlink L:%", CLASS_LOOK, HOOK(INODE_READLINK), EVERYWHERE},
	{"readlink of an O_PATH descriptor", "readlink_opath L:%", CLASS_LOOK, HOOK(INODE_READLINK),
	 EVERYWHERE},
	{"getxattr", "getxattr F:%", CLASS_LOOK, HOOK(INODE_GETXATTR), EXT4},
	{"listxattr", "listxattr F:%", CLASS_LOOK, HOOK(INODE_LISTXATTR), EXT4},
	{"read an access control list", "getacl F:%", CLASS_LOOK, HOOK(INODE_GETXATTR), EXT4},
	{"inode flags by path", "file_getattr F:%", CLASS_LOOK, HOOK(INODE_GETATTR), EXT4},
	{"access", "access F:%", CLASS_FIND, 0, EVERYWHERE},
	{"open O_PATH", "opath F:%", CLASS_FIND, 0, EVERYWHERE},
	{"chdir", "chdir D:%", CLASS_FIND, 0, EVERYWHERE},
	{"write", "write F:%", CLASS_WRITE, HOOK(FILE_OPEN), EVERYWHERE},
	{"append", "append F:%", CLASS_WRITE, HOOK(FILE_OPEN), EVERYWHERE},
	{"open read and write", "rdwr F:%", CLASS_WRITE, HOOK(FILE_OPEN), EVERYWHERE},
	{"open for ioctl alone", "ioctl_only F:%", CLASS_IOCTL, HOOK(FILE_OPEN), EVERYWHERE},
	{"write through an O_PATH descriptor's name in /proc", "opath_reopen F:% w", CLASS_WRITE,
	 HOOK(FILE_OPEN), EVERYWHERE},
	{"reopen a read-only descriptor to write", "reopen_write F:%", CLASS_WRITE, HOOK(FILE_OPEN),
	 EVERYWHERE},
	{"truncate", "truncate F:%", CLASS_WRITE, HOOK(PATH_TRUNCATE), EVERYWHERE},
	{"ftruncate", "ftruncate F:%", CLASS_WRITE, HOOK(FILE_OPEN), EVERYWHERE},
	{"open O_TRUNC to read", "otrunc F:%", CLASS_WRITE,
	 HOOK(PATH_TRUNCATE) | HOOK(INODE_SETATTR) | HOOK(FILE_OPEN), EVERYWHERE},
	{"create", "create N:%", CLASS_NAME, HOOK(PATH_MKNOD), EVERYWHERE},
	{"create to read", "create_read_only N:%", CLASS_NAME, HOOK(PATH_MKNOD), EVERYWHERE},
	{"O_TMPFILE", "tmpfile D:%", CLASS_NAME, HOOK(FILE_OPEN), EXT4},
	{"mkdir", "mkdir N:%", CLASS_NAME, HOOK(PATH_MKDIR), EVERYWHERE},
	{"rmdir", "rmdir D:%", CLASS_NAME, HOOK(PATH_RMDIR), EVERYWHERE},
	{"symlink", "symlink N:%", CLASS_NAME, HOOK(PATH_SYMLINK), EVERYWHERE},
	{"mkfifo", "mkfifo N:%", CLASS_NAME, HOOK(PATH_MKNOD), EVERYWHERE},
	{"bind a unix socket", "bind N:%", CLASS_NAME, HOOK(PATH_MKNOD), EVERYWHERE},
	{"unlink", "unlink F:%", CLASS_NAME, HOOK(PATH_UNLINK), EVERYWHERE},
	{"rename", "rename F:% N:%.new", CLASS_NAME, HOOK(PATH_RENAME), EVERYWHERE},
	{"rename a directory", "rename D:% N:%.new", CLASS_NAME, HOOK(PATH_RENAME), EVERYWHERE},
	{"link", "link F:% N:%.new", CLASS_NAME, HOOK(PATH_LINK), EVERYWHERE},
	{"exchange", "exchange F:% F:%.other", CLASS_NAME, HOOK(PATH_RENAME), EVERYWHERE},
	{"rename into read_write", "rename F:% N:rw/moved", CLASS_MOVE, HOOK(PATH_RENAME), EXT4},
	{"rename a directory into read_write", "rename D:% N:rw/moved.d", CLASS_MOVE,
	 HOOK(PATH_RENAME), EXT4},
	{"rename from read_write over it", "rename F:rw/mover F:%", CLASS_MOVE, HOOK(PATH_RENAME),
	 EXT4},
	{"exchange with one in read_write", "exchange F:% F:rw/swapped", CLASS_MOVE,
	 HOOK(PATH_RENAME), EXT4},
	{"link into read_write", "link F:% N:rw/linked", CLASS_LINK, HOOK(PATH_LINK), EXT4},
	{"link an O_PATH descriptor into read_write", "link_opath F:% N:rw/linked.fd", CLASS_LINK,
	 HOOK(PATH_LINK), EXT4},
	{"chmod", "chmod F:%", CLASS_ATTRIBUTE, HOOK(PATH_CHMOD), EVERYWHERE},
	{"chmod through an O_PATH descriptor", "chmod_opath F:%", CLASS_ATTRIBUTE, HOOK(PATH_CHMOD),
	 EVERYWHERE},
	{"fchmod", "fchmod F:%", CLASS_ATTRIBUTE, HOOK(PATH_CHMOD) | HOOK(FILE_OPEN), EVERYWHERE},
	{"chown", "chown F:%", CLASS_ATTRIBUTE, CHOWN, EVERYWHERE},
	{"chown of an O_PATH descriptor", "chown_opath F:%", CLASS_ATTRIBUTE, CHOWN, EVERYWHERE},
	{"utimes", "utimes F:%", CLASS_ATTRIBUTE, HOOK(INODE_SETATTR), EVERYWHERE},
	{"futimens", "utimes_fd F:%", CLASS_ATTRIBUTE, HOOK(INODE_SETATTR) | HOOK(FILE_OPEN),
	 EVERYWHERE},
	{"setxattr", "setxattr F:%", CLASS_ATTRIBUTE, HOOK(INODE_SETXATTR), EXT4},
	{"fsetxattr", "fsetxattr F:%", CLASS_ATTRIBUTE, HOOK(INODE_SETXATTR) | HOOK(FILE_OPEN),
	 EXT4},
	{"removexattr", "removexattr F:%", CLASS_ATTRIBUTE, HOOK(INODE_REMOVEXATTR), EXT4},
	{"set an access control list", "setacl F:%", CLASS_ATTRIBUTE, HOOK(INODE_SETXATTR), EXT4},
	{"remove an access control list", "removeacl F:%", CLASS_ATTRIBUTE, HOOK(INODE_REMOVEXATTR),
	 EXT4},
	{"set inode flags", "setflags F:%", CLASS_ATTRIBUTE, HOOK(FILE_IOCTL) | HOOK(FILE_OPEN),
	 EXT4},
	{"set extended inode flags", "setflags_xattr F:%", CLASS_ATTRIBUTE,
	 HOOK(FILE_IOCTL) | HOOK(FILE_OPEN), EXT4},
	{"set inode flags by path", "file_setattr F:%", CLASS_ATTRIBUTE,
	 HOOK(INODE_SETATTR) | HOOK(INODE_GETATTR), EXT4},
	{"connect to a unix socket", "connect S:%", CLASS_CONNECT, HOOK(UNIX_STREAM_CONNECT), EXT4},
	{"connect to a datagram socket", "connect_dgram G:%", CLASS_CONNECT, HOOK(UNIX_MAY_SEND),
	 EXT4},
	{"send to a datagram socket", "sendto G:%", CLASS_CONNECT, HOOK(UNIX_MAY_SEND), EXT4},
	{"execute", "exec P:%", CLASS_EXECUTE, HOOK(FILE_OPEN), EVERYWHERE},
	{"execute a script", "exec H:%", CLASS_EXECUTE, HOOK(FILE_OPEN), EVERYWHERE},
	{"execute an O_PATH descriptor", "exec_opath P:%", CLASS_EXECUTE, HOOK(FILE_OPEN),
	 EVERYWHERE},
	{"execute an O_PATH descriptor's name in /proc", "exec_proc_fd P:%", CLASS_EXECUTE,
	 HOOK(FILE_OPEN), EVERYWHERE},
	{"execute a copy", "copy_exec P:% N:rw/copied", CLASS_READ, HOOK(FILE_OPEN), EXT4},
};
const size_t matrix_len = ARRAY_LEN(matrix);

void matrix_words(const struct matrix_row *row, const char *zone, char ret[static 512])
{
	size_t n = 0;

	for (const char *p = row->act; *p; p++) {
		if (*p != '%') {
			ret[n++] = *p;
			continue;
		}
		/* A name of its own for each act, so that none sees what another left. */
		n += (size_t)snprintf(ret + n, 512 - n, "%s/m%zu", zone, (size_t)(row - matrix));
	}
	ret[n] = '\0';
}

void matrix_make_sockets(struct stage *stage)
{
	char words[512], real[1024];

	for (size_t i = 0; i < matrix_len; i++) {
		if (matrix[i].class != CLASS_CONNECT)
			continue;
		for (size_t j = 0; j < zones_len; j++) {
			if (!zones[j].ext4)
				continue;
			matrix_words(&matrix[i], zones[j].path, words);
			stage_prepare(stage, words, real);
		}
	}
}
