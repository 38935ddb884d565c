// SPDX-License-Identifier: GPL-2.0
/*
 * The driver's own verbs: what the device can do, and where an MR's memory is
 * and should be. rdma/rxe-hmm-abi.h describes the interface.
 *
 * A caller names an MR in one of two ways:
 *
 * - By its handle. The handle belongs to the caller's context, and the core
 *   holds the object, so deregistration fails with -EBUSY meanwhile. A context
 *   that was handed to another process (by fork() for instance) still has the
 *   MRs of the process that has registered them; moving that one's memory is
 *   refused with -EPERM.
 * - By the number that netlink shows, with CAP_SYS_ADMIN: any MR of the device,
 *   in the name of its process. Deregistration waits for the reference that is
 *   held here, so it is taken and dropped for each piece of the range.
 *
 * A range is checked as a whole before its first page is looked at.
 */
#include <linux/capability.h>
#include <linux/overflow.h>
#include <linux/sched/signal.h>
#include <rdma/restrack.h>
#include <rdma/rxe-hmm-abi.h>
#include <rdma/uverbs_ioctl.h>
#include <rdma/uverbs_std_types.h>

#include "rxe.h"
#include "rxe_hmm.h"
#include "rxe_loc.h"
#include "rxe_migrate.h"
#include "rxe_mirror.h"
#include "rxe_uapi.h"

#define UVERBS_MODULE_NAME rxe_uapi
#include <rdma/uverbs_named_ioctl.h>

/* A range is worked on in pieces, aligned to their size. */
#define PIECE_PAGES		4096UL
#define PIECE_SIZE		(PIECE_PAGES << PAGE_SHIFT)

/* The length of an attribute has 16 bits. */
#define MAX_STATES		((unsigned long)U16_MAX)

/* The interface's numbers are the driver's own. */
#define SAME(name)		static_assert((int)RXE_HMM_##name == (int)RXE_##name)

SAME(PLACE_SYSTEM);
SAME(PLACE_DEVICE);
SAME(PLACE_STAY);
SAME(PLACE_NONE);
SAME(SKIP_PINNED);
SAME(SKIP_FILE);
SAME(SKIP_SHARED);
SAME(SKIP_KSM);
SAME(SKIP_LOCKED);
SAME(SKIP_FULL);
SAME(SKIP_NOMEM);
SAME(SKIP_ABSENT);
SAME(SKIP_BUSY);
SAME(PAGE_PRESENT);
SAME(PAGE_DEVICE);
SAME(PAGE_WRITE);
static_assert((int)RXE_SKIP_REASONS <= RXE_HMM_MAX_SKIPS);

static_assert(sizeof(struct rxe_hmm_caps) == 64);
static_assert(sizeof(struct rxe_hmm_range) == 32);
static_assert(sizeof(struct rxe_hmm_migrate_resp) == 152);
static_assert(sizeof(struct rxe_hmm_query_range_resp) == 48);
static_assert(sizeof(struct rxe_hmm_heat) == 64);
static_assert(sizeof(struct rxe_hmm_query_heat_resp) == 16);
static_assert(RXE_HMM_HEAT_SHIFT == RXE_REGION_SHIFT);

/*
 * struct call - one call of a method of an MR
 * @attrs: what the core has parsed
 * @range: what the caller asks for
 * @res: the reference to an MR that was named by its number, else NULL
 * @mmr: the MR
 * @start, @end: the range in the process's memory, whole pages
 */
struct call {
	struct uverbs_attr_bundle	*attrs;
	struct rxe_hmm_range		range;
	struct rdma_restrack_entry	*res;
	struct rxe_mirror_mr		*mmr;
	unsigned long			start;
	unsigned long			end;
};

static struct ib_mr *get_by_number(struct call *call)
{
	struct rdma_restrack_entry *res;
	struct ib_ucontext *context;
	u32 number;
	int err;

	if (!capable(CAP_SYS_ADMIN))
		return ERR_PTR(-EPERM);
	err = uverbs_get_const(&number, call->attrs, RXE_HMM_ATTR_MR_NUMBER);
	if (err)
		return ERR_PTR(err);
	context = ib_uverbs_get_ucontext(call->attrs);
	if (IS_ERR(context))
		return ERR_CAST(context);
	res = rdma_restrack_get_byid(context->device, RDMA_RESTRACK_MR, number);
	if (IS_ERR(res))
		return ERR_CAST(res);
	call->res = res;

	return container_of(res, struct ib_mr, res);
}

static void put_mr(struct call *call)
{
	if (call->res)
		rdma_restrack_put(call->res);
	call->res = NULL;
	call->mmr = NULL;
}

static struct ib_mr *get_ibmr(struct call *call)
{
	struct uverbs_attr_bundle *attrs = call->attrs;
	bool handle = uverbs_attr_is_valid(attrs, RXE_HMM_ATTR_MR_HANDLE);
	bool number = uverbs_attr_is_valid(attrs, RXE_HMM_ATTR_MR_NUMBER);

	if (handle == number)
		return ERR_PTR(-EINVAL);
	if (handle)
		return uverbs_attr_get_obj(attrs, RXE_HMM_ATTR_MR_HANDLE);

	return get_by_number(call);
}

/* Turn the range into addresses of whole pages. */
static int locate(struct call *call)
{
	const struct rxe_hmm_range *range = &call->range;
	u64 mr_start = call->mmr->umem.address;
	u64 mr_length = call->mmr->umem.length;
	u64 end, start, last;

	if (check_add_overflow(range->offset, range->length, &end))
		return -EOVERFLOW;
	if (end > mr_length)
		return -ERANGE;
	start = mr_start + range->offset;
	last = start + (range->length - 1);
	if (last >= TASK_SIZE_MAX)
		return -ERANGE;
	if (range->offset && !PAGE_ALIGNED(start))
		return -EINVAL;
	if (end != mr_length && !PAGE_ALIGNED(last + 1))
		return -EINVAL;

	call->start = start & PAGE_MASK;
	call->end = (last | ~PAGE_MASK) + 1;

	return 0;
}

/* Find the MR that the caller names, and the range in it. */
static int get_mr(struct call *call)
{
	struct ib_mr *ibmr = get_ibmr(call);
	struct rxe_mr *mr;
	int err;

	if (IS_ERR(ibmr))
		return PTR_ERR(ibmr);
	mr = to_rmr(ibmr);

	err = -EINVAL;
	if (!is_odp_mr(mr))
		goto err_put;
	call->mmr = umem_to_mirror_mr(mr->umem);

	err = -EPERM;
	if (!call->res && call->mmr->mirror->mm != current->mm)
		goto err_put;

	err = locate(call);
	if (err)
		goto err_put;

	return 0;

err_put:
	put_mr(call);
	return err;
}

/* Is it a range, and its place one of the method's? The MR is not known yet. */
static int check_range(const struct rxe_hmm_range *range, unsigned int num_places)
{
	if (range->comp_mask || range->flags)
		return -EOPNOTSUPP;
	if (range->reserved || range->place >= num_places || !range->length)
		return -EINVAL;

	return 0;
}

static int read_range(struct call *call, struct uverbs_attr_bundle *attrs,
		      unsigned int num_places)
{
	struct rxe_hmm_range *range = &call->range;
	int err;

	call->attrs = attrs;
	err = uverbs_copy_from_or_zero(range, attrs, RXE_HMM_ATTR_MR_RANGE);
	if (err)
		return err;

	return check_range(range, num_places);
}

typedef int (*piece_fn)(struct rxe_mirror_mr *mmr, unsigned long start,
			unsigned long length, void *arg);

/* Call @fn for each piece of the range, in the order of addresses. */
static int run_pieces(struct call *call, piece_fn fn, void *arg)
{
	unsigned long done = 0, start, end;
	int err;

	do {
		err = get_mr(call);
		if (err)
			return err;
		start = call->start + done;
		end = min(round_down(start, PIECE_SIZE) + PIECE_SIZE, call->end);
		done = end - call->start;
		err = fn(call->mmr, start, end - start, arg);
		put_mr(call);
		if (err)
			return err;
		if (fatal_signal_pending(current))
			return -EINTR;
		cond_resched();
	} while (end < call->end);

	return 0;
}

static int UVERBS_HANDLER(RXE_HMM_METHOD_QUERY_CAPS)(struct uverbs_attr_bundle *attrs)
{
	struct ib_ucontext *context = ib_uverbs_get_ucontext(attrs);
	struct rxe_hmm_caps caps = {
		.abi_version = RXE_HMM_ABI_VERSION,
		.caps = RXE_HMM_CAP_MIGRATE | RXE_HMM_CAP_PREFER |
			RXE_HMM_CAP_QUERY_RANGE | RXE_HMM_CAP_QUERY_HEAT,
		.page_sizes = PAGE_SIZE | RXE_DMEM_BLOCK_SIZE,
		.page_size = PAGE_SIZE,
		.max_states = MAX_STATES,
	};
	struct rxe_dmem_info info;

	if (IS_ERR(context))
		return PTR_ERR(context);

	rxe_dmem_get_info(to_rdev(context->device)->hmm->dmem, &info);
	caps.memory_size = (u64)info.size << PAGE_SHIFT;
	caps.memory_used = (u64)info.used << PAGE_SHIFT;

	return uverbs_copy_to_struct_or_zero(attrs, RXE_HMM_ATTR_CAPS, &caps,
					     sizeof(caps));
}

struct migrate {
	enum rxe_place			to;
	u64				before;
	struct rxe_hmm_migrate_resp	resp;
};

static int migrate_piece(struct rxe_mirror_mr *mmr, unsigned long start,
			 unsigned long length, void *arg)
{
	struct migrate *migrate = arg;
	struct rxe_migrate_counts counts;
	unsigned int i;
	int err;

	/* first, or the policy may undo it at once */
	rxe_migrate_mark_moved(mmr, start, length);
	err = rxe_migrate_range(mmr->mirror, mmr->user.id, start, length,
				migrate->to, migrate->before, &counts);
	if (err)
		return err;

	migrate->resp.moved += counts.moved;
	migrate->resp.already += counts.already;
	for (i = 0; i < RXE_SKIP_REASONS; i++)
		migrate->resp.skipped[i] += counts.skipped[i];

	return 0;
}

static int UVERBS_HANDLER(RXE_HMM_METHOD_MIGRATE)(struct uverbs_attr_bundle *attrs)
{
	struct ib_ucontext *context = ib_uverbs_get_ucontext(attrs);
	struct migrate migrate = {};
	struct call call = {};
	int err;

	if (IS_ERR(context))
		return PTR_ERR(context);
	err = read_range(&call, attrs, RXE_HMM_PLACE_DEVICE + 1);
	if (err)
		return err;
	migrate.to = call.range.place;
	if (migrate.to == RXE_PLACE_DEVICE)
		migrate.before = rxe_migrate_clock(to_rdev(context->device)->hmm,
						   call.range.length >> PAGE_SHIFT);
	/* Nothing is moved for a caller who could not be told. */
	err = uverbs_copy_to_struct_or_zero(attrs, RXE_HMM_ATTR_MR_RESP,
					    &migrate.resp, sizeof(migrate.resp));
	if (err)
		return err;
	err = run_pieces(&call, migrate_piece, &migrate);
	if (err)
		return err;

	return uverbs_copy_to_struct_or_zero(attrs, RXE_HMM_ATTR_MR_RESP,
					     &migrate.resp, sizeof(migrate.resp));
}

static int UVERBS_HANDLER(RXE_HMM_METHOD_PREFER)(struct uverbs_attr_bundle *attrs)
{
	struct call call = {};
	int err;

	err = read_range(&call, attrs, RXE_HMM_PLACE_NONE + 1);
	if (err)
		return err;
	err = get_mr(&call);
	if (err)
		return err;
	err = rxe_migrate_prefer(call.mmr, call.start, call.end - call.start,
				 call.range.place);
	put_mr(&call);

	return err;
}

/*
 * struct query - the pages of a range are looked at
 * @states: of the piece, or of the whole range if the caller wants them
 * @keep: the caller wants them
 */
struct query {
	struct rxe_hmm_query_range_resp	resp;
	u8				*states;
	bool				keep;
};

static int query_piece(struct rxe_mirror_mr *mmr, unsigned long start,
		       unsigned long length, void *arg)
{
	unsigned long pages = length >> PAGE_SHIFT, i;
	struct query *query = arg;
	u8 *states = query->states;
	int err;

	if (query->keep)
		states += query->resp.pages;
	memset(states, 0, pages);
	err = rxe_migrate_query(mmr, start, pages, states);
	if (err)
		return err;

	for (i = 0; i < pages; i++) {
		query->resp.present += !!(states[i] & RXE_PAGE_PRESENT);
		query->resp.device += !!(states[i] & RXE_PAGE_DEVICE);
		query->resp.writable += !!(states[i] & RXE_PAGE_WRITE);
	}
	query->resp.pages += pages;

	return 0;
}

/* The range must be known to be good, and fit into what the caller gave. */
static int alloc_states(struct call *call, struct query *query)
{
	unsigned long pages = PIECE_PAGES;
	int len, err;

	err = get_mr(call);
	if (err)
		return err;
	query->resp.address = call->mmr->umem.address + call->range.offset;
	query->keep = uverbs_attr_is_valid(call->attrs, RXE_HMM_ATTR_MR_STATES);
	if (query->keep)
		pages = (call->end - call->start) >> PAGE_SHIFT;
	put_mr(call);

	if (query->keep) {
		len = uverbs_attr_get_len(call->attrs, RXE_HMM_ATTR_MR_STATES);
		if (pages > len)
			return -ENOSPC;
	}
	query->states = uverbs_zalloc(call->attrs, pages);

	return PTR_ERR_OR_ZERO(query->states);
}

static int UVERBS_HANDLER(RXE_HMM_METHOD_QUERY_RANGE)(struct uverbs_attr_bundle *attrs)
{
	struct query query = {};
	struct call call = {};
	int err;

	err = read_range(&call, attrs, 1);
	if (err)
		return err;
	err = alloc_states(&call, &query);
	if (err)
		return err;
	err = run_pieces(&call, query_piece, &query);
	if (err)
		return err;

	if (query.keep) {
		err = uverbs_copy_to_struct_or_zero(attrs, RXE_HMM_ATTR_MR_STATES,
						    query.states,
						    query.resp.pages);
		if (err)
			return err;
	}

	return uverbs_copy_to_struct_or_zero(attrs, RXE_HMM_ATTR_MR_RESP,
					     &query.resp, sizeof(query.resp));
}

/* What was found, as the interface has it. */
static int give_heats(struct call *call, const struct rxe_tier_heat *found,
		      struct rxe_hmm_query_heat_resp *resp)
{
	struct rxe_hmm_heat *heats;
	unsigned int i;
	int err;

	heats = uverbs_zalloc(call->attrs, max(resp->heats, 1U) * sizeof(*heats));
	if (IS_ERR(heats))
		return PTR_ERR(heats);
	for (i = 0; i < resp->heats; i++) {
		heats[i].address = found[i].base;
		heats[i].reads = found[i].reads;
		heats[i].writes = found[i].writes;
		heats[i].device_accesses = found[i].on_device;
		heats[i].cpu_faults = found[i].cpu_faults;
		heats[i].read_rate = found[i].read_rate;
		heats[i].write_rate = found[i].write_rate;
		heats[i].device_pages = found[i].device_pages;
	}
	err = uverbs_copy_to(call->attrs, RXE_HMM_ATTR_MR_HEATS, heats,
			     resp->heats * sizeof(*heats));
	if (err)
		return err;

	return uverbs_copy_to_struct_or_zero(call->attrs, RXE_HMM_ATTR_MR_RESP,
					     resp, sizeof(*resp));
}

static int UVERBS_HANDLER(RXE_HMM_METHOD_QUERY_HEAT)(struct uverbs_attr_bundle *attrs)
{
	struct rxe_hmm_query_heat_resp resp = {};
	struct rxe_tier_heat *found;
	struct call call = {};
	unsigned long start;
	int max, err;

	err = read_range(&call, attrs, 1);
	if (err)
		return err;
	max = uverbs_attr_get_len(attrs, RXE_HMM_ATTR_MR_HEATS) /
	      sizeof(struct rxe_hmm_heat);
	found = uverbs_zalloc(attrs, max * sizeof(*found));
	if (IS_ERR(found))
		return PTR_ERR(found);

	err = get_mr(&call);
	if (err)
		return err;
	start = call.start;
	resp.heats = rxe_tier_report(call.mmr->mirror, &start, call.end, found, max);
	resp.next = start == call.end ? call.range.offset + call.range.length :
		    start - call.mmr->umem.address;
	put_mr(&call);

	return give_heats(&call, found, &resp);
}

/* The structures, and the last member that each of them has had from the start. */
#define CAPS_TYPE \
	UVERBS_ATTR_STRUCT(struct rxe_hmm_caps, reserved)
#define RANGE_TYPE \
	UVERBS_ATTR_STRUCT(struct rxe_hmm_range, reserved)
#define MIGRATE_RESP_TYPE \
	UVERBS_ATTR_STRUCT(struct rxe_hmm_migrate_resp, skipped)
#define QUERY_RANGE_RESP_TYPE \
	UVERBS_ATTR_STRUCT(struct rxe_hmm_query_range_resp, writable)
#define QUERY_HEAT_RESP_TYPE \
	UVERBS_ATTR_STRUCT(struct rxe_hmm_query_heat_resp, next)

DECLARE_UVERBS_NAMED_METHOD(RXE_HMM_METHOD_QUERY_CAPS,
			    UVERBS_ATTR_PTR_OUT(RXE_HMM_ATTR_CAPS,
						CAPS_TYPE,
						UA_MANDATORY));

DECLARE_UVERBS_NAMED_METHOD(RXE_HMM_METHOD_MIGRATE,
			    UVERBS_ATTR_IDR(RXE_HMM_ATTR_MR_HANDLE,
					    UVERBS_OBJECT_MR,
					    UVERBS_ACCESS_READ,
					    UA_OPTIONAL),
			    UVERBS_ATTR_PTR_IN(RXE_HMM_ATTR_MR_NUMBER,
					       UVERBS_ATTR_TYPE(u32),
					       UA_OPTIONAL),
			    UVERBS_ATTR_PTR_IN(RXE_HMM_ATTR_MR_RANGE,
					       RANGE_TYPE,
					       UA_MANDATORY),
			    UVERBS_ATTR_PTR_OUT(RXE_HMM_ATTR_MR_RESP,
						MIGRATE_RESP_TYPE,
						UA_MANDATORY));

DECLARE_UVERBS_NAMED_METHOD(RXE_HMM_METHOD_PREFER,
			    UVERBS_ATTR_IDR(RXE_HMM_ATTR_MR_HANDLE,
					    UVERBS_OBJECT_MR,
					    UVERBS_ACCESS_READ,
					    UA_OPTIONAL),
			    UVERBS_ATTR_PTR_IN(RXE_HMM_ATTR_MR_NUMBER,
					       UVERBS_ATTR_TYPE(u32),
					       UA_OPTIONAL),
			    UVERBS_ATTR_PTR_IN(RXE_HMM_ATTR_MR_RANGE,
					       RANGE_TYPE,
					       UA_MANDATORY));

DECLARE_UVERBS_NAMED_METHOD(RXE_HMM_METHOD_QUERY_RANGE,
			    UVERBS_ATTR_IDR(RXE_HMM_ATTR_MR_HANDLE,
					    UVERBS_OBJECT_MR,
					    UVERBS_ACCESS_READ,
					    UA_OPTIONAL),
			    UVERBS_ATTR_PTR_IN(RXE_HMM_ATTR_MR_NUMBER,
					       UVERBS_ATTR_TYPE(u32),
					       UA_OPTIONAL),
			    UVERBS_ATTR_PTR_IN(RXE_HMM_ATTR_MR_RANGE,
					       RANGE_TYPE,
					       UA_MANDATORY),
			    UVERBS_ATTR_PTR_OUT(RXE_HMM_ATTR_MR_RESP,
						QUERY_RANGE_RESP_TYPE,
						UA_MANDATORY),
			    UVERBS_ATTR_PTR_OUT(RXE_HMM_ATTR_MR_STATES,
						UVERBS_ATTR_MIN_SIZE(1),
						UA_OPTIONAL));

DECLARE_UVERBS_NAMED_METHOD(RXE_HMM_METHOD_QUERY_HEAT,
			    UVERBS_ATTR_IDR(RXE_HMM_ATTR_MR_HANDLE,
					    UVERBS_OBJECT_MR,
					    UVERBS_ACCESS_READ,
					    UA_OPTIONAL),
			    UVERBS_ATTR_PTR_IN(RXE_HMM_ATTR_MR_NUMBER,
					       UVERBS_ATTR_TYPE(u32),
					       UA_OPTIONAL),
			    UVERBS_ATTR_PTR_IN(RXE_HMM_ATTR_MR_RANGE,
					       RANGE_TYPE,
					       UA_MANDATORY),
			    UVERBS_ATTR_PTR_OUT(RXE_HMM_ATTR_MR_RESP,
						QUERY_HEAT_RESP_TYPE,
						UA_MANDATORY),
			    UVERBS_ATTR_PTR_OUT(RXE_HMM_ATTR_MR_HEATS,
						UVERBS_ATTR_MIN_SIZE(sizeof(struct rxe_hmm_heat)),
						UA_MANDATORY));

ADD_UVERBS_METHODS(device_methods, UVERBS_OBJECT_DEVICE,
		   &UVERBS_METHOD(RXE_HMM_METHOD_QUERY_CAPS));

ADD_UVERBS_METHODS(mr_methods, UVERBS_OBJECT_MR,
		   &UVERBS_METHOD(RXE_HMM_METHOD_MIGRATE),
		   &UVERBS_METHOD(RXE_HMM_METHOD_PREFER),
		   &UVERBS_METHOD(RXE_HMM_METHOD_QUERY_RANGE),
		   &UVERBS_METHOD(RXE_HMM_METHOD_QUERY_HEAT));

const struct uapi_definition rxe_uapi_defs[] = {
	UAPI_DEF_CHAIN_OBJ_TREE(UVERBS_OBJECT_DEVICE, &device_methods),
	UAPI_DEF_CHAIN_OBJ_TREE(UVERBS_OBJECT_MR, &mr_methods),
	{},
};

#if IS_ENABLED(CONFIG_RXE_HMM_KUNIT)
#include "rxe_uapi_test.c"
#endif
