/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the driver's verbs need of device memory, for a driver that has none:
 * nothing can be moved to it, and everything is in RAM.
 */
#ifndef RXE_MIGRATE_NONE_H
#define RXE_MIGRATE_NONE_H

#include <linux/bits.h>
#include <linux/errno.h>
#include <linux/mm.h>
#include <linux/types.h>

struct rxe_mirror_mr;

#define RXE_DMEM_BLOCK_SIZE	BIT(21)

enum rxe_place {
	RXE_PLACE_SYSTEM,
	RXE_PLACE_DEVICE,
	RXE_PLACE_STAY,
	RXE_PLACE_NONE,
};

enum rxe_skip {
	RXE_SKIP_PINNED,
	RXE_SKIP_FILE,
	RXE_SKIP_SHARED,
	RXE_SKIP_KSM,
	RXE_SKIP_LOCKED,
	RXE_SKIP_FULL,
	RXE_SKIP_NOMEM,
	RXE_SKIP_ABSENT,
	RXE_SKIP_FOREIGN,
	RXE_SKIP_BUSY,
	RXE_SKIP_REASONS
};

enum rxe_page_state {
	RXE_PAGE_PRESENT	= BIT(0),
	RXE_PAGE_DEVICE		= BIT(1),
	RXE_PAGE_WRITE		= BIT(2),
};

struct rxe_migrate_counts {
	u64 moved;
	u64 already;
	u64 skipped[RXE_SKIP_REASONS];
};

struct rxe_dmem_info {
	unsigned long size;
	unsigned long used;
	unsigned long peak;
};

static inline void rxe_dmem_get_info(void *dmem, struct rxe_dmem_info *info)
{
	*info = (struct rxe_dmem_info){};
}

static inline int rxe_migrate_range(struct rxe_mirror_mr *mmr,
				    unsigned long start, unsigned long length,
				    enum rxe_place to,
				    struct rxe_migrate_counts *counts)
{
	if (to == RXE_PLACE_DEVICE)
		return -EOPNOTSUPP;
	counts->already += length >> PAGE_SHIFT;

	return 0;
}

static inline int rxe_migrate_prefer(struct rxe_mirror_mr *mmr,
				     unsigned long start, unsigned long length,
				     enum rxe_place place)
{
	return place == RXE_PLACE_DEVICE ? -EOPNOTSUPP : 0;
}

static inline int rxe_migrate_query(struct rxe_mirror_mr *mmr,
				    unsigned long start, unsigned long nr_pages,
				    u8 *states)
{
	return 0;
}

#endif /* RXE_MIGRATE_NONE_H */
