/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Places where a debug build can be made to wait.
 *
 * The races that matter are a few instructions wide. A test arms a point, sees
 * it reached, does what must not slip in between, and lets it go. Outside debug
 * builds the points are nothing. docs/races.md names the test of each.
 */
#ifndef RXE_RACE_H
#define RXE_RACE_H

struct dentry;

enum rxe_race_point {
	RXE_RACE_MAKING,		/* about to make a mirror, window, region */
	RXE_RACE_UNMAKING,		/* no reference to a mirror, still found */
	RXE_RACE_FAULT_BEGUN,		/* sequence read, page tables not yet */
	RXE_RACE_FAULT_LOOKED,		/* page tables read, nothing faulted in */
	RXE_RACE_FAULT_WALKED,		/* page tables read, nothing installed */
	RXE_RACE_FAULT_CHECKED,		/* not lost to an invalidation, not installed */
	RXE_RACE_INVALIDATE_SEQ,	/* sequence set, entries not yet cleared */
	RXE_RACE_IO_FOUND,		/* the region is found, not locked */
	RXE_RACE_IO_ENTERED,		/* entries checked, nothing copied */
	RXE_RACE_IO_BOTH,		/* the same, of two regions at once */
	RXE_RACE_MIGRATE_LOOKED,	/* pages looked at, none unmapped */
	RXE_RACE_MIGRATE_SETUP,		/* pages unmapped, nothing copied */
	RXE_RACE_MIGRATE_COPIED,	/* all copied, nothing mapped */
	RXE_RACE_COPY_ISSUED,		/* the copies are started, nobody waits yet */
	RXE_RACE_COPY_HELPED,		/* the helper has a piece, not copied */
	RXE_RACE_SEND_FULL,		/* too many packets under way, not said */
	RXE_RACE_POINTS
};

#if IS_ENABLED(CONFIG_RXE_HMM_DEBUG)
void rxe_race_reach(enum rxe_race_point point);
void rxe_race_reach_atomic(enum rxe_race_point point);
void rxe_race_show(struct dentry *parent);
#else
static inline void rxe_race_reach(enum rxe_race_point point) { }
static inline void rxe_race_reach_atomic(enum rxe_race_point point) { }
static inline void rxe_race_show(struct dentry *parent) { }
#endif

#endif /* RXE_RACE_H */
