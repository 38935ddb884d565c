/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * librxedv: what the rdma_rxe of rxe-hmm can do beyond verbs. See rxedv(7).
 *
 * All calls return 0 or a positive errno, and leave errno alone. A structure
 * goes with its size as inlen, so that old programs work with new libraries and
 * the other way round.
 */
#ifndef INFINIBAND_RXEDV_H
#define INFINIBAND_RXEDV_H

#include <stdint.h>
#include <infiniband/verbs.h>

#ifdef __cplusplus
extern "C" {
#endif

enum rxedv_cap {
	RXEDV_CAP_MIGRATE	= 1 << 0,
	RXEDV_CAP_PREFER	= 1 << 1,
	RXEDV_CAP_QUERY_RANGE	= 1 << 2,
	RXEDV_CAP_QUERY_HEAT	= 1 << 3,
};

/* rxedv_query_caps(3) */
struct rxedv_caps {
	uint64_t comp_mask;
	uint32_t abi_version;
	uint32_t page_size;		/* bytes; what other calls count in */
	uint64_t caps;			/* enum rxedv_cap */
	uint64_t page_sizes;		/* of device memory, as a mask */
	uint64_t memory_size;		/* bytes; 0: device memory is off */
	uint64_t memory_used;		/* bytes */
	uint32_t migrate_flags;		/* flags that the calls know */
	uint32_t prefer_flags;
	uint32_t query_range_flags;
	uint32_t reserved;
};

enum rxedv_place {
	RXEDV_PLACE_SYSTEM,		/* RAM */
	RXEDV_PLACE_DEVICE,		/* the device's memory */
	RXEDV_PLACE_STAY,		/* rxedv_prefer(): where it is */
	RXEDV_PLACE_NONE,		/* rxedv_prefer(): no preference */
};

enum rxedv_skip {
	RXEDV_SKIP_PINNED,
	RXEDV_SKIP_FILE,
	RXEDV_SKIP_SHARED,
	RXEDV_SKIP_KSM,
	RXEDV_SKIP_LOCKED,
	RXEDV_SKIP_FULL,
	RXEDV_SKIP_NOMEM,
	RXEDV_SKIP_ABSENT,
	RXEDV_SKIP_BUSY,
	RXEDV_MAX_SKIPS = 16,
};

/* rxedv_migrate(3); what comes back is in pages */
struct rxedv_migrate_attr {
	uint64_t comp_mask;		/* in, 0 */
	uint64_t offset;		/* in, from the region's start */
	uint64_t length;		/* in, bytes */
	uint32_t place;			/* in, enum rxedv_place */
	uint32_t flags;			/* in, 0 */
	uint64_t moved;			/* out */
	uint64_t already;		/* out */
	uint64_t skipped[RXEDV_MAX_SKIPS];	/* out, by enum rxedv_skip */
};

/* rxedv_prefer(3) */
struct rxedv_prefer_attr {
	uint64_t comp_mask;		/* in, 0 */
	uint64_t offset;		/* in, from the region's start */
	uint64_t length;		/* in, bytes */
	uint32_t place;			/* in, enum rxedv_place */
	uint32_t flags;			/* in, 0 */
};

enum rxedv_page {
	RXEDV_PAGE_PRESENT	= 1 << 0,
	RXEDV_PAGE_DEVICE	= 1 << 1,
	RXEDV_PAGE_WRITE	= 1 << 2,
};

/* rxedv_query_range(3) */
struct rxedv_query_range_attr {
	uint64_t comp_mask;		/* in, 0 */
	uint64_t offset;		/* in, from the region's start */
	uint64_t length;		/* in, bytes */
	uint8_t *states;		/* in, NULL or room for num_states */
	uint64_t num_states;		/* in */
	uint32_t flags;			/* in, 0 */
	uint32_t reserved;		/* in, 0 */
	uint64_t address;		/* out, where the range begins */
	uint64_t pages;			/* out */
	uint64_t present;		/* out, of the pages */
	uint64_t device;		/* out, of the pages */
	uint64_t writable;		/* out, of the pages */
};

/* 2 MiB of memory that a region's accesses were in */
struct rxedv_heat {
	uint64_t address;		/* a multiple of 2 MiB */
	uint64_t reads;			/* so far */
	uint64_t writes;
	uint64_t device_accesses;	/* of both, from device memory */
	uint64_t cpu_faults;		/* that took pages back */
	uint32_t read_rate;		/* a second, of late */
	uint32_t write_rate;
	uint32_t device_pages;		/* on the device */
	uint32_t reserved[3];
};

/* rxedv_query_heat(3) */
struct rxedv_query_heat_attr {
	uint64_t comp_mask;		/* in, 0 */
	uint64_t offset;		/* in, from the region's start */
	uint64_t length;		/* in, bytes */
	struct rxedv_heat *heats;	/* in, room for max_heats */
	uint32_t max_heats;		/* in */
	uint32_t flags;			/* in, 0 */
	uint32_t num_heats;		/* out */
	uint32_t reserved;		/* out, 0 */
	uint64_t next;			/* out, offset from which to go on */
};

int rxedv_query_caps(struct ibv_context *context, struct rxedv_caps *caps,
		     uint32_t inlen);

int rxedv_migrate(struct ibv_mr *mr, struct rxedv_migrate_attr *attr,
		  uint32_t inlen);
int rxedv_prefer(struct ibv_mr *mr, struct rxedv_prefer_attr *attr,
		 uint32_t inlen);
int rxedv_query_range(struct ibv_mr *mr, struct rxedv_query_range_attr *attr,
		      uint32_t inlen);

int rxedv_query_heat(struct ibv_mr *mr, struct rxedv_query_heat_attr *attr,
		     uint32_t inlen);

/* The same for any region of the device, by the number that netlink shows. */
int rxedv_migrate_mrn(struct ibv_context *context, uint32_t mrn,
		      struct rxedv_migrate_attr *attr, uint32_t inlen);
int rxedv_prefer_mrn(struct ibv_context *context, uint32_t mrn,
		     struct rxedv_prefer_attr *attr, uint32_t inlen);
int rxedv_query_range_mrn(struct ibv_context *context, uint32_t mrn,
			  struct rxedv_query_range_attr *attr, uint32_t inlen);

int rxedv_query_heat_mrn(struct ibv_context *context, uint32_t mrn,
			 struct rxedv_query_heat_attr *attr, uint32_t inlen);

/* ibv_advise_mr(3), also where libibverbs does not have it for rxe */
int rxedv_advise_mr(struct ibv_pd *pd, enum ibv_advise_mr_advice advice,
		    uint32_t flags, struct ibv_sge *sg_list, uint32_t num_sge);

/* A word for each, or NULL; rxedv_str(3) */
const char *rxedv_place_str(enum rxedv_place place);
const char *rxedv_skip_str(enum rxedv_skip reason);

#ifdef __cplusplus
}
#endif

#endif /* INFINIBAND_RXEDV_H */
