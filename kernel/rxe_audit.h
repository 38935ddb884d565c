/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Lifetime audit: how many objects of each kind there are.
 *
 * Whoever makes an object says so, and whoever frees it. When the module goes
 * there must be none, or it says which kind leaked. Debug builds show the
 * numbers in debugfs, rxe_hmm/live/<kind>.
 *
 * These objects are made rarely: never on the data path, a region once for
 * 2 MiB. So the audit is always there.
 */
#ifndef RXE_AUDIT_H
#define RXE_AUDIT_H

#include <linux/atomic.h>

struct dentry;

enum rxe_audit_kind {
	RXE_AUDIT_MIRRORS,
	RXE_AUDIT_WINDOWS,
	RXE_AUDIT_REGIONS,
	RXE_AUDIT_TABLES,
	RXE_AUDIT_MRS,
	RXE_AUDIT_ADVISES,
	RXE_AUDIT_CHUNKS,
	RXE_AUDIT_BACKINGS,
	RXE_AUDIT_CHANNELS,
	RXE_AUDIT_SLOW,
	RXE_AUDIT_KINDS
};

extern atomic_t rxe_audit_live[RXE_AUDIT_KINDS];

static inline void rxe_audit_made(enum rxe_audit_kind kind)
{
	atomic_inc(&rxe_audit_live[kind]);
}

static inline void rxe_audit_freed(enum rxe_audit_kind kind)
{
	atomic_dec(&rxe_audit_live[kind]);
}

void rxe_audit_show(struct dentry *parent);
void rxe_audit_end(void);

#endif /* RXE_AUDIT_H */
