/* SPDX-License-Identifier: (GPL-2.0 WITH Linux-syscall-note) OR BSD-2-Clause */
/*
 * What rxe-hmm adds to the verbs interface of rdma_rxe: calls of the kind
 * RDMA_VERBS_IOCTL (rdma_user_ioctl_cmds.h), on the device and on MRs.
 *
 * docs/uapi.md says what each call does and which error means what. Programs
 * use librxedv, which makes these calls.
 *
 * Rules for whoever changes this file:
 *
 * - Structures hold fixed-size types, are a multiple of 8 bytes long and have no
 *   holes. They only grow at their end; a field is never given another meaning.
 * - Reserved fields and unknown bits of flags and comp_mask must be 0 in what
 *   user space sends, or the call fails, and are 0 in what the kernel answers.
 * - A structure that is longer than the kernel's is fine as long as the rest is
 *   0; what the kernel doesn't know of an answer, it fills with 0. A bit of
 *   comp_mask tells of each field that was added later.
 * - Ids of methods and attributes are dense and never used again.
 */
#ifndef RXE_HMM_ABI_H
#define RXE_HMM_ABI_H

#include <linux/types.h>
#include <rdma/ib_user_ioctl_cmds.h>

/* Changes when programs have to change, which should not happen. */
#define RXE_HMM_ABI_VERSION	1

/* Methods of UVERBS_OBJECT_DEVICE. */
enum rxe_hmm_device_methods {
	RXE_HMM_METHOD_QUERY_CAPS = (1U << UVERBS_ID_NS_SHIFT),
};

/* Methods of UVERBS_OBJECT_MR. */
enum rxe_hmm_mr_methods {
	RXE_HMM_METHOD_MIGRATE = (1U << UVERBS_ID_NS_SHIFT),
	RXE_HMM_METHOD_PREFER,
	RXE_HMM_METHOD_QUERY_RANGE,
	RXE_HMM_METHOD_QUERY_HEAT,
};

/* Attributes of RXE_HMM_METHOD_QUERY_CAPS: out, struct rxe_hmm_caps. */
enum rxe_hmm_query_caps_attrs {
	RXE_HMM_ATTR_CAPS = (1U << UVERBS_ID_NS_SHIFT),
};

/*
 * Attributes of the methods of MRs. Either the handle or the number must be
 * given. The number is that of `rdma resource show mr` (mrn), u32, in the field
 * for the data itself; it names any MR of the device and takes CAP_SYS_ADMIN.
 *
 *	MIGRATE		range in, struct rxe_hmm_migrate_resp out
 *	PREFER		range in
 *	QUERY_RANGE	range in, struct rxe_hmm_query_range_resp out; states out,
 *			optional: a byte of enum rxe_hmm_page_state a page
 *	QUERY_HEAT	range in, struct rxe_hmm_query_heat_resp out; heats out:
 *			an array of struct rxe_hmm_heat
 */
enum rxe_hmm_mr_attrs {
	RXE_HMM_ATTR_MR_HANDLE = (1U << UVERBS_ID_NS_SHIFT),
	RXE_HMM_ATTR_MR_NUMBER,
	RXE_HMM_ATTR_MR_RANGE,
	RXE_HMM_ATTR_MR_RESP,
	RXE_HMM_ATTR_MR_STATES,
	RXE_HMM_ATTR_MR_HEATS,
};

/* What the device can do: struct rxe_hmm_caps.caps. */
enum rxe_hmm_cap_flags {
	RXE_HMM_CAP_MIGRATE	= 1 << 0,
	RXE_HMM_CAP_PREFER	= 1 << 1,
	RXE_HMM_CAP_QUERY_RANGE	= 1 << 2,
	RXE_HMM_CAP_QUERY_HEAT	= 1 << 3,
};

/**
 * struct rxe_hmm_caps - answer of RXE_HMM_METHOD_QUERY_CAPS
 * @comp_mask: 0
 * @abi_version: %RXE_HMM_ABI_VERSION of the kernel
 * @caps: enum rxe_hmm_cap_flags
 * @page_sizes: sizes in bytes, each a power of 2, in which device memory is
 *	given out
 * @memory_size: bytes of device memory; 0 if it is off
 * @memory_used: bytes of it in use
 * @page_size: bytes; the unit of pages in all other calls
 * @max_states: pages whose states one QUERY_RANGE can give
 * @migrate_flags: flags that MIGRATE knows
 * @prefer_flags: flags that PREFER knows
 * @query_range_flags: flags that QUERY_RANGE knows
 * @reserved: 0
 */
struct rxe_hmm_caps {
	__u32 comp_mask;
	__u32 abi_version;
	__aligned_u64 caps;
	__aligned_u64 page_sizes;
	__aligned_u64 memory_size;
	__aligned_u64 memory_used;
	__u32 page_size;
	__u32 max_states;
	__u32 migrate_flags;
	__u32 prefer_flags;
	__u32 query_range_flags;
	__u32 reserved;
};

/* Where memory is, or should be. STAY and NONE are for PREFER only. */
enum rxe_hmm_place {
	RXE_HMM_PLACE_SYSTEM,
	RXE_HMM_PLACE_DEVICE,
	RXE_HMM_PLACE_STAY,
	RXE_HMM_PLACE_NONE,
};

/**
 * struct rxe_hmm_range - a part of an MR, and a place
 * @comp_mask: 0
 * @flags: flags that the method knows, see struct rxe_hmm_caps
 * @offset: bytes from the MR's start; at a page boundary of the process's
 *	memory, or 0
 * @length: bytes; the range ends at a page boundary, or with the MR
 * @place: enum rxe_hmm_place; 0 for QUERY_RANGE and QUERY_HEAT
 * @reserved: 0
 */
struct rxe_hmm_range {
	__u32 comp_mask;
	__u32 flags;
	__aligned_u64 offset;
	__aligned_u64 length;
	__u32 place;
	__u32 reserved;
};

/* Why pages were not moved. */
enum rxe_hmm_skip {
	RXE_HMM_SKIP_PINNED,	/* someone holds references to it */
	RXE_HMM_SKIP_FILE,	/* it belongs to a file */
	RXE_HMM_SKIP_SHARED,	/* several processes map it */
	RXE_HMM_SKIP_KSM,	/* it is merged with equal pages, or may be */
	RXE_HMM_SKIP_LOCKED,	/* mlock() */
	RXE_HMM_SKIP_FULL,	/* no device memory is left */
	RXE_HMM_SKIP_NOMEM,	/* no memory for the work itself, or in RAM */
	RXE_HMM_SKIP_ABSENT,	/* nothing is mapped there, or it is swapped out */
	RXE_HMM_SKIP_BUSY,	/* it was changing */
};

#define RXE_HMM_MAX_SKIPS	16

/**
 * struct rxe_hmm_migrate_resp - answer of RXE_HMM_METHOD_MIGRATE, in pages
 * @comp_mask: 0
 * @reserved: 0
 * @moved: moved by this call
 * @already: were at the place before
 * @skipped: not moved, by enum rxe_hmm_skip
 */
struct rxe_hmm_migrate_resp {
	__u32 comp_mask;
	__u32 reserved;
	__aligned_u64 moved;
	__aligned_u64 already;
	__aligned_u64 skipped[RXE_HMM_MAX_SKIPS];
};

/* What is known of a page; 0: nothing is there, or it is swapped out. */
enum rxe_hmm_page_state {
	RXE_HMM_PAGE_PRESENT	= 1 << 0,
	RXE_HMM_PAGE_DEVICE	= 1 << 1,	/* in the memory of this device */
	RXE_HMM_PAGE_WRITE	= 1 << 2,	/* can be written without a fault */
};

/**
 * struct rxe_hmm_query_range_resp - answer of RXE_HMM_METHOD_QUERY_RANGE
 * @comp_mask: 0
 * @reserved: 0
 * @address: of the range's first byte, in the process that has registered the
 *	MR
 * @pages: in the range
 * @present: of these, with %RXE_HMM_PAGE_PRESENT
 * @device: of these, with %RXE_HMM_PAGE_DEVICE
 * @writable: of these, with %RXE_HMM_PAGE_WRITE
 */
struct rxe_hmm_query_range_resp {
	__u32 comp_mask;
	__u32 reserved;
	__aligned_u64 address;
	__aligned_u64 pages;
	__aligned_u64 present;
	__aligned_u64 device;
	__aligned_u64 writable;
};

/* What QUERY_HEAT tells of is 2 MiB of address space, at a multiple of that. */
#define RXE_HMM_HEAT_SHIFT	21

/**
 * struct rxe_hmm_heat - how much a part of memory is used
 * @address: its first byte, in the process that has registered the MR; may be
 *	before the range
 * @reads: accesses that read, so far
 * @writes: accesses that write, so far
 * @device_accesses: of both, those served from this device's memory
 * @cpu_faults: times that the CPU has taken pages of it back
 * @read_rate: accesses a second that read, of late
 * @write_rate: accesses a second that write, of late
 * @device_pages: pages of it in this device's memory, as far as is known
 * @reserved: 0
 *
 * The numbers of accesses are brought up to date when the policy looks; in mode
 * off it doesn't.
 */
struct rxe_hmm_heat {
	__aligned_u64 address;
	__aligned_u64 reads;
	__aligned_u64 writes;
	__aligned_u64 device_accesses;
	__aligned_u64 cpu_faults;
	__u32 read_rate;
	__u32 write_rate;
	__u32 device_pages;
	__u32 reserved[3];
};

/**
 * struct rxe_hmm_query_heat_resp - answer of RXE_HMM_METHOD_QUERY_HEAT
 * @comp_mask: 0
 * @heats: how many there are; only what was accessed has one
 * @next: offset from which on to ask again, or the end of the range
 */
struct rxe_hmm_query_heat_resp {
	__u32 comp_mask;
	__u32 heats;
	__aligned_u64 next;
};

#endif /* RXE_HMM_ABI_H */
