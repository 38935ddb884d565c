// SPDX-License-Identifier: GPL-2.0
/*
 * Lifetime audit: the counts, and what is said about them at the end.
 */
#include <linux/bug.h>
#include <linux/debugfs.h>

#include "rxe_audit.h"

atomic_t rxe_audit_live[RXE_AUDIT_KINDS];

static const char * const names[RXE_AUDIT_KINDS] = {
	[RXE_AUDIT_MIRRORS]	= "mirrors",
	[RXE_AUDIT_WINDOWS]	= "windows",
	[RXE_AUDIT_REGIONS]	= "regions",
	[RXE_AUDIT_TABLES]	= "tables",
	[RXE_AUDIT_MRS]		= "mrs",
	[RXE_AUDIT_ADVISES]	= "advises",
	[RXE_AUDIT_CHUNKS]	= "chunks",
	[RXE_AUDIT_BACKINGS]	= "backings",
	[RXE_AUDIT_CHANNELS]	= "channels",
	[RXE_AUDIT_SLOW]	= "slow_faults",
};

/**
 * rxe_audit_show - show the counts in debugfs
 * @parent: where to put the folder "live"
 *
 * Context: may sleep.
 */
void rxe_audit_show(struct dentry *parent)
{
	struct dentry *dir = debugfs_create_dir("live", parent);
	unsigned int i;

	for (i = 0; i < RXE_AUDIT_KINDS; i++)
		debugfs_create_atomic_t(names[i], 0400, dir, &rxe_audit_live[i]);
}

/**
 * rxe_audit_end - complain about objects that are left
 *
 * Context: module exit, after all else.
 */
void rxe_audit_end(void)
{
	unsigned int i;
	int n;

	for (i = 0; i < RXE_AUDIT_KINDS; i++) {
		n = atomic_read(&rxe_audit_live[i]);
		WARN(n, "rxe_hmm: %d %s leaked\n", n, names[i]);
	}
}
