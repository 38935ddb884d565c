// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * The calls of librxedv. Each one turns a structure of rxedv.h, which may be
 * shorter or longer than ours, into a command of rdma/rxe-hmm-abi.h and back.
 *
 * A structure must at least hold what the first version of the library had
 * (FIRST). What a longer one holds beyond ours is 0 going in, or the caller
 * asks for something that this library doesn't know, and is 0 coming out.
 */
#include <assert.h>
#include <errno.h>
#include <infiniband/rxedv.h>
#include <rdma/ib_user_ioctl_cmds.h>
#include <rdma/rxe-hmm-abi.h>
#include <string.h>
#include <unistd.h>

#include "command.h"

#define FIRST(type, last)	(offsetof(type, last) + sizeof(((type *)0)->last))
#define COUNT(array)		(sizeof(array) / sizeof((array)[0]))

/* One answer holds that many: the length of an attribute has 16 bits. */
#define MAX_STATES		UINT16_MAX

#define SAME(name) \
	static_assert((int)RXEDV_##name == (int)RXE_HMM_##name, #name)

SAME(CAP_MIGRATE);
SAME(CAP_PREFER);
SAME(CAP_QUERY_RANGE);
SAME(CAP_QUERY_HEAT);
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
SAME(MAX_SKIPS);
SAME(PAGE_PRESENT);
SAME(PAGE_DEVICE);
SAME(PAGE_WRITE);

/* A region: one of the caller's own, or any of the device by its number. */
struct target {
	struct ibv_context *context;
	const struct ibv_mr *mr;	/* or NULL */
	uint32_t mrn;
};

static struct target own(const struct ibv_mr *mr)
{
	return (struct target){ .context = mr->context, .mr = mr };
}

static struct target any(struct ibv_context *context, uint32_t mrn)
{
	return (struct target){ .context = context, .mrn = mrn };
}

/* Take a caller's structure of inlen bytes. */
static int take(void *to, size_t size, size_t first, const void *from,
		uint32_t inlen)
{
	const uint8_t *bytes = from;
	size_t i;

	if (inlen < first)
		return EINVAL;
	for (i = size; i < inlen; i++)
		if (bytes[i])
			return EOPNOTSUPP;
	memset(to, 0, size);
	memcpy(to, from, inlen < size ? inlen : size);
	return 0;
}

/* Give it back; what is beyond ours, if anything, is 0 already. */
static void give(void *to, uint32_t inlen, const void *from, size_t size)
{
	memcpy(to, from, inlen < size ? inlen : size);
}

static void start(struct command *c, uint16_t method, const struct target *t,
		  const struct rxe_hmm_range *range)
{
	command_init(c, UVERBS_OBJECT_MR, method);
	if (t->mr)
		command_handle(c, RXE_HMM_ATTR_MR_HANDLE, t->mr->handle);
	else
		command_u32(c, RXE_HMM_ATTR_MR_NUMBER, t->mrn);
	command_buf(c, RXE_HMM_ATTR_MR_RANGE, range, sizeof(*range));
}

int rxedv_query_caps(struct ibv_context *context, struct rxedv_caps *caps,
		     uint32_t inlen)
{
	struct rxe_hmm_caps answer = {};
	struct rxedv_caps known = {};
	struct command c;
	int err;

	if (inlen < FIRST(struct rxedv_caps, reserved))
		return EINVAL;

	command_init(&c, UVERBS_OBJECT_DEVICE, RXE_HMM_METHOD_QUERY_CAPS);
	command_buf(&c, RXE_HMM_ATTR_CAPS, &answer, sizeof(answer));
	err = command_run(&c, context);
	/* There is nothing wrong with the call but that it is for rxe. */
	if (err == EINVAL)
		return EOPNOTSUPP;
	if (err)
		return err;

	known.abi_version = answer.abi_version;
	known.page_size = answer.page_size;
	known.caps = answer.caps;
	known.page_sizes = answer.page_sizes;
	known.memory_size = answer.memory_size;
	known.memory_used = answer.memory_used;
	known.migrate_flags = answer.migrate_flags;
	known.prefer_flags = answer.prefer_flags;
	known.query_range_flags = answer.query_range_flags;

	memset(caps, 0, inlen);
	give(caps, inlen, &known, sizeof(known));
	return 0;
}

static int migrate(struct target t, struct rxedv_migrate_attr *attr,
		   uint32_t inlen)
{
	struct rxe_hmm_migrate_resp resp = {};
	struct rxedv_migrate_attr known;
	struct rxe_hmm_range range = {};
	struct command c;
	int err, i;

	err = take(&known, sizeof(known),
		   FIRST(struct rxedv_migrate_attr, skipped), attr, inlen);
	if (err)
		return err;
	if (known.comp_mask)
		return EOPNOTSUPP;
	range.flags = known.flags;
	range.offset = known.offset;
	range.length = known.length;
	range.place = known.place;

	start(&c, RXE_HMM_METHOD_MIGRATE, &t, &range);
	command_buf(&c, RXE_HMM_ATTR_MR_RESP, &resp, sizeof(resp));
	err = command_run(&c, t.context);
	if (err)
		return err;

	known.moved = resp.moved;
	known.already = resp.already;
	for (i = 0; i < RXEDV_MAX_SKIPS; i++)
		known.skipped[i] = resp.skipped[i];
	give(attr, inlen, &known, sizeof(known));
	return 0;
}

int rxedv_migrate(struct ibv_mr *mr, struct rxedv_migrate_attr *attr,
		  uint32_t inlen)
{
	return migrate(own(mr), attr, inlen);
}

int rxedv_migrate_mrn(struct ibv_context *context, uint32_t mrn,
		      struct rxedv_migrate_attr *attr, uint32_t inlen)
{
	return migrate(any(context, mrn), attr, inlen);
}

static int prefer(struct target t, const struct rxedv_prefer_attr *attr,
		  uint32_t inlen)
{
	struct rxedv_prefer_attr known;
	struct rxe_hmm_range range = {};
	struct command c;
	int err;

	err = take(&known, sizeof(known),
		   FIRST(struct rxedv_prefer_attr, flags), attr, inlen);
	if (err)
		return err;
	if (known.comp_mask)
		return EOPNOTSUPP;
	range.flags = known.flags;
	range.offset = known.offset;
	range.length = known.length;
	range.place = known.place;

	start(&c, RXE_HMM_METHOD_PREFER, &t, &range);
	return command_run(&c, t.context);
}

int rxedv_prefer(struct ibv_mr *mr, struct rxedv_prefer_attr *attr,
		 uint32_t inlen)
{
	return prefer(own(mr), attr, inlen);
}

int rxedv_prefer_mrn(struct ibv_context *context, uint32_t mrn,
		     struct rxedv_prefer_attr *attr, uint32_t inlen)
{
	return prefer(any(context, mrn), attr, inlen);
}

/* One call of the kernel: with states, or for the numbers alone. */
static int query(const struct target *t, const struct rxe_hmm_range *range,
		 uint8_t *states, uint16_t num_states,
		 struct rxe_hmm_query_range_resp *resp)
{
	struct command c;

	memset(resp, 0, sizeof(*resp));
	start(&c, RXE_HMM_METHOD_QUERY_RANGE, t, range);
	command_buf(&c, RXE_HMM_ATTR_MR_RESP, resp, sizeof(*resp));
	if (states)
		command_buf(&c, RXE_HMM_ATTR_MR_STATES, states, num_states);
	return command_run(&c, t->context);
}

/*
 * The states of a range that is too long for one answer: in parts, each but the
 * last of as many whole pages as go into one. The first page and the last may
 * belong to the region in part only.
 */
static int query_parts(const struct target *t, const struct rxe_hmm_range *all,
		       uint8_t *states, uint64_t num_states,
		       struct rxe_hmm_query_range_resp *sum)
{
	uint64_t page = sysconf(_SC_PAGESIZE), done = 0, address, end;
	struct rxe_hmm_query_range_resp resp;
	struct rxe_hmm_range part = *all;
	int err;

	/* The range must be good as a whole, before states are written. */
	err = query(t, all, NULL, 0, sum);
	if (err)
		return err;
	if (num_states < sum->pages)
		return ENOSPC;

	address = sum->address;
	end = address + all->length;
	sum->present = 0;
	sum->device = 0;
	sum->writable = 0;
	while (done < sum->pages) {
		uint64_t left = sum->pages - done;

		part.length = end - address;
		if (left > MAX_STATES) {
			left = MAX_STATES;
			part.length = (address & -page) + left * page - address;
		}
		err = query(t, &part, states + done, left, &resp);
		if (err)
			return err;
		sum->present += resp.present;
		sum->device += resp.device;
		sum->writable += resp.writable;
		address += part.length;
		part.offset += part.length;
		done += left;
	}
	return 0;
}

static int query_range(struct target t, struct rxedv_query_range_attr *attr,
		       uint32_t inlen)
{
	struct rxe_hmm_query_range_resp resp;
	struct rxedv_query_range_attr known;
	struct rxe_hmm_range range = {};
	int err;

	err = take(&known, sizeof(known),
		   FIRST(struct rxedv_query_range_attr, writable), attr, inlen);
	if (err)
		return err;
	if (known.comp_mask)
		return EOPNOTSUPP;
	if (known.reserved)
		return EINVAL;
	range.flags = known.flags;
	range.offset = known.offset;
	range.length = known.length;

	if (known.states && known.num_states > MAX_STATES)
		err = query_parts(&t, &range, known.states, known.num_states,
				  &resp);
	else
		err = query(&t, &range, known.states, known.num_states, &resp);
	if (err)
		return err;

	known.address = resp.address;
	known.pages = resp.pages;
	known.present = resp.present;
	known.device = resp.device;
	known.writable = resp.writable;
	give(attr, inlen, &known, sizeof(known));
	return 0;
}

int rxedv_query_range(struct ibv_mr *mr, struct rxedv_query_range_attr *attr,
		      uint32_t inlen)
{
	return query_range(own(mr), attr, inlen);
}

int rxedv_query_range_mrn(struct ibv_context *context, uint32_t mrn,
			  struct rxedv_query_range_attr *attr, uint32_t inlen)
{
	return query_range(any(context, mrn), attr, inlen);
}

static_assert(sizeof(struct rxedv_heat) == sizeof(struct rxe_hmm_heat), "heat");

/* One answer holds that many. */
#define MAX_HEATS		(UINT16_MAX / sizeof(struct rxe_hmm_heat))

static void give_heat(struct rxedv_heat *to, const struct rxe_hmm_heat *from)
{
	to->address = from->address;
	to->reads = from->reads;
	to->writes = from->writes;
	to->device_accesses = from->device_accesses;
	to->cpu_faults = from->cpu_faults;
	to->read_rate = from->read_rate;
	to->write_rate = from->write_rate;
	to->device_pages = from->device_pages;
}

static int query_heat(struct target t, struct rxedv_query_heat_attr *attr,
		      uint32_t inlen)
{
	struct rxe_hmm_query_heat_resp resp = {};
	struct rxe_hmm_heat heats[MAX_HEATS];
	struct rxedv_query_heat_attr known;
	struct rxe_hmm_range range = {};
	struct command c;
	uint32_t max, i;
	int err;

	err = take(&known, sizeof(known),
		   FIRST(struct rxedv_query_heat_attr, next), attr, inlen);
	if (err)
		return err;
	if (known.comp_mask)
		return EOPNOTSUPP;
	if (!known.heats || !known.max_heats)
		return EINVAL;
	range.flags = known.flags;
	range.offset = known.offset;
	range.length = known.length;
	max = known.max_heats < MAX_HEATS ? known.max_heats : MAX_HEATS;

	start(&c, RXE_HMM_METHOD_QUERY_HEAT, &t, &range);
	command_buf(&c, RXE_HMM_ATTR_MR_RESP, &resp, sizeof(resp));
	command_buf(&c, RXE_HMM_ATTR_MR_HEATS, heats, max * sizeof(*heats));
	err = command_run(&c, t.context);
	if (err)
		return err;

	memset(known.heats, 0, resp.heats * sizeof(*known.heats));
	for (i = 0; i < resp.heats; i++)
		give_heat(&known.heats[i], &heats[i]);
	known.num_heats = resp.heats;
	known.next = resp.next;
	give(attr, inlen, &known, sizeof(known));
	return 0;
}

int rxedv_query_heat(struct ibv_mr *mr, struct rxedv_query_heat_attr *attr,
		     uint32_t inlen)
{
	return query_heat(own(mr), attr, inlen);
}

int rxedv_query_heat_mrn(struct ibv_context *context, uint32_t mrn,
			 struct rxedv_query_heat_attr *attr, uint32_t inlen)
{
	return query_heat(any(context, mrn), attr, inlen);
}

int rxedv_advise_mr(struct ibv_pd *pd, enum ibv_advise_mr_advice advice,
		    uint32_t flags, struct ibv_sge *sg_list, uint32_t num_sge)
{
	struct command c;

	if (num_sge > UINT16_MAX / sizeof(*sg_list))
		return EINVAL;

	command_init(&c, UVERBS_OBJECT_MR, UVERBS_METHOD_ADVISE_MR);
	command_handle(&c, UVERBS_ATTR_ADVISE_MR_PD_HANDLE, pd->handle);
	command_u64(&c, UVERBS_ATTR_ADVISE_MR_ADVICE, advice);
	command_u64(&c, UVERBS_ATTR_ADVISE_MR_FLAGS, flags);
	command_buf(&c, UVERBS_ATTR_ADVISE_MR_SGE_LIST, sg_list,
		    num_sge * sizeof(*sg_list));
	return command_run(&c, pd->context);
}

const char *rxedv_place_str(enum rxedv_place place)
{
	static const char *const words[] = {
		[RXEDV_PLACE_SYSTEM] = "system",
		[RXEDV_PLACE_DEVICE] = "device",
		[RXEDV_PLACE_STAY] = "stay",
		[RXEDV_PLACE_NONE] = "none",
	};

	return (size_t)place < COUNT(words) ? words[place] : NULL;
}

const char *rxedv_skip_str(enum rxedv_skip reason)
{
	static const char *const words[] = {
		[RXEDV_SKIP_PINNED] = "pinned",
		[RXEDV_SKIP_FILE] = "file",
		[RXEDV_SKIP_SHARED] = "shared",
		[RXEDV_SKIP_KSM] = "ksm",
		[RXEDV_SKIP_LOCKED] = "locked",
		[RXEDV_SKIP_FULL] = "full",
		[RXEDV_SKIP_NOMEM] = "nomem",
		[RXEDV_SKIP_ABSENT] = "absent",
		[RXEDV_SKIP_BUSY] = "busy",
	};

	return (size_t)reason < COUNT(words) ? words[reason] : NULL;
}
