// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include "rv_disk.h"
#include "rv_log.h"
#include "rv_sys.h"

#define DISKS	"/sys/kernel/config/nullb/"

int rv_disk_make(const char *name, unsigned int mib, const char *settings,
		 char *path)
{
	char index[128];

	if (rv_run("modprobe -q null_blk nr_devices=0"))
		return -ENODEV;
	if (rv_run("mkdir " DISKS "%s && cd " DISKS "%s && echo %u >size && "
		   "echo 1 >memory_backed && echo 4096 >blocksize && "
		   "for s in %s; do echo ${s#*=} >${s%%=*} || exit 1; done && "
		   "echo 1 >power", name, name, mib, settings))
		return -EIO;
	snprintf(index, sizeof(index), DISKS "%s/index", name);
	snprintf(path, 64, "/dev/nullb%d", (int)rv_get(index, NULL));
	if (access(path, F_OK))
		snprintf(path, 64, "/dev/%s", name);
	return rv_wait_for(!access(path, W_OK)) ? 0 : -ENODEV;
}

void rv_disk_remove(const char *name)
{
	rv_run("if [ -d " DISKS "%s ]; then echo 0 >" DISKS "%s/power; "
	       "rmdir " DISKS "%s; fi", name, name, name);
}
