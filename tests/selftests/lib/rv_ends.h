/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Both ends of a transfer: a device, a pair of queue pairs, and memory on
 * each side. mem_a is what the asking side names in its SGLs, mem_b what the
 * answering side offers.
 *
 * rv_ends_*() do one operation and compare both buffers, whole. They return
 * the operation's result, or -EBADMSG if the result was success and the
 * memory is not what it should be; either way after logging the operation.
 */
#ifndef RV_ENDS_H
#define RV_ENDS_H

#include "rv_op.h"

struct rv_ends {
	struct rv_dev dev;
	struct rv_pair pair;
	struct rv_buf mem_a, mem_b;
	struct ibv_mr *mr_a, *mr_b;
	int64_t iova_a, iova_b;		/* iova - address, for each region */
};

/* Opens the device, maps and fills both buffers, registers nothing. */
int rv_ends_open(struct rv_ends *e, const struct rv_opts *opts, size_t len);

/* The same, and both regions, with RV_ACCESS and these flags. */
int rv_ends_init(struct rv_ends *e, const struct rv_opts *opts, size_t len,
		 unsigned int flags_a, unsigned int flags_b);
void rv_ends_fini(struct rv_ends *e);

/* Between rv_ends_open() and use: both regions, as above. */
int rv_ends_reg(struct rv_ends *e, unsigned int flags_a, unsigned int flags_b);

/* mem_b anew, of small pages that nobody has touched. */
int rv_ends_untouched(struct rv_ends *e, size_t len);

struct ibv_sge rv_ends_sge_a(struct rv_ends *e, size_t off, size_t len);
struct ibv_sge rv_ends_sge_b(struct rv_ends *e, size_t off, size_t len);
struct rv_remote rv_ends_remote(struct rv_ends *e, size_t off);

/* 0 if both buffers are as expected, -EBADMSG if not. */
int rv_ends_check(struct rv_ends *e);

/* len bytes between offset off_a of mem_a and off_b of mem_b. */
typedef int (*rv_ends_fn)(struct rv_ends *e, size_t off_a, size_t off_b,
			  size_t len);
int rv_ends_write(struct rv_ends *e, size_t off_a, size_t off_b, size_t len);
int rv_ends_write_imm(struct rv_ends *e, size_t off_a, size_t off_b,
		      size_t len);
int rv_ends_read(struct rv_ends *e, size_t off_a, size_t off_b, size_t len);
int rv_ends_send(struct rv_ends *e, size_t off_a, size_t off_b, size_t len);

/* The same, but no memory is looked at: what is on the device stays there. */
int rv_ends_write_blind(struct rv_ends *e, size_t off_a, size_t off_b,
			size_t len);
int rv_ends_read_blind(struct rv_ends *e, size_t off_a, size_t off_b,
		       size_t len);

/*
 * Accesses that may be refused, at any offset of mem_b: nothing is expected of
 * the memory and nothing compared.
 */
int rv_ends_write_at(struct rv_ends *e, size_t off_b, size_t len);
int rv_ends_read_at(struct rv_ends *e, size_t off_b, size_t len);
int rv_ends_add_at(struct rv_ends *e, size_t off_b);

/* Atomics at off_b; the old value goes to off_a. */
int rv_ends_cmp_swap(struct rv_ends *e, size_t off_a, size_t off_b,
		     uint64_t compare, uint64_t swap);
int rv_ends_fetch_add(struct rv_ends *e, size_t off_a, size_t off_b,
		      uint64_t add);
int rv_ends_atomic_write(struct rv_ends *e, size_t off_b, uint64_t value);

#endif
