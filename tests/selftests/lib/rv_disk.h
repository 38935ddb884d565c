/* SPDX-License-Identifier: GPL-2.0 */
/* A disk that null_blk makes up, as slow as it is told to be. Needs root. */
#ifndef RV_DISK_H
#define RV_DISK_H

/*
 * Make a disk of so many mebibytes that keeps what is written to it. The
 * settings are null_blk's: "mbps=1 max_sectors=32". path, of 64 bytes, gets its
 * device file. 0, -ENODEV if the kernel has no null_blk, or another -errno after
 * logging.
 */
int rv_disk_make(const char *name, unsigned int mib, const char *settings,
		 char *path);

/* It need not be there. */
void rv_disk_remove(const char *name);

#endif
