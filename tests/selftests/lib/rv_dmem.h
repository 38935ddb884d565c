/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Device memory: its files in sysfs, its counters, pages that move, and both
 * ends of a transfer with regions that are meant to.
 */
#ifndef RV_DMEM_H
#define RV_DMEM_H

#include <rdma/rxe-hmm-abi.h>
#include <stdint.h>

#include "rv_ends.h"

#define RV_SYSTEM	RXE_HMM_PLACE_SYSTEM
#define RV_DEVICE	RXE_HMM_PLACE_DEVICE
#define RV_STAY		RXE_HMM_PLACE_STAY
#define RV_NONE		RXE_HMM_PLACE_NONE

/* Bytes in memory_<what>, or -1. dev NULL: rv_dev_name(). */
int64_t rv_dmem_get(const char *dev, const char *what);

/* Pages in use. */
int64_t rv_dmem_used(const char *dev);

/* size is a text as sysfs takes it. 0 or -errno. */
int rv_dmem_resize(const char *dev, const char *size);

/* Pages that moved, or -errno; the others are logged. */
int64_t rv_promote(struct ibv_mr *mr, size_t off, size_t len);
int64_t rv_demote(struct ibv_mr *mr, size_t off, size_t len);

/*
 * Promote all of a region. These many pages must be skipped for this reason,
 * the rest must move or be there, and the device's counters must say the same.
 * 0, -EBADMSG, or the call's error.
 */
int rv_promote_but(struct rv_dev *d, struct ibv_mr *mr, int reason,
		   uint64_t want);

/* Pages of a range that are on the device, or -errno. */
int64_t rv_on_device(struct ibv_mr *mr, size_t off, size_t len);

/* What has moved since the device was made, in pages, and why. */
struct rv_moves {
	int64_t promoted, demoted, evicted, cpu_faulted;
};

struct rv_moves rv_moves(struct rv_dev *d);

/* Has nothing left the device since? Logs what has. */
bool rv_moves_none_left(struct rv_dev *d, const struct rv_moves *since);

/*
 * Set the device's size, open it, and map, fill and register two buffers that
 * start at 2 MiB. advice is MADV_HUGEPAGE or MADV_NOHUGEPAGE. 0 or -errno.
 */
int rv_dmem_init(struct rv_ends *e, const struct rv_opts *opts,
		 const char *size, size_t len, int advice);

/*
 * Drop all of it. 0, or -1 after logging if device memory is still in use when
 * the regions are gone, or if a byte of the buffers differs then.
 */
int rv_dmem_fini(struct rv_ends *e);

#endif
