// SPDX-License-Identifier: GPL-2.0
/*
 * librxedv against a kernel that is made up: ioctl() is ours. What commands it
 * sends, what it makes of answers and errors, and how structures may grow.
 */
#include <errno.h>
#include <infiniband/rxedv.h>
#include <rdma/ib_user_ioctl_cmds.h>
#include <rdma/ib_user_ioctl_verbs.h>
#include <rdma/rdma_user_ioctl.h>
#include <rdma/rdma_user_ioctl_cmds.h>
#include <rdma/rxe-hmm-abi.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/ioctl.h>

#include "tap.h"

#define PAGE		4096ULL
#define HANDLE		77
#define MR_ADDRESS	0x10000064ULL		/* not at a page */
#define MR_LENGTH	(200000 * PAGE)

static struct {
	int calls;
	int fail;			/* this errno, if not 0 */
	int fail_call;			/* in that call, or in all if 0 */
	struct ib_uverbs_ioctl_hdr hdr;
	struct ib_uverbs_attr attrs[8];
	struct rxe_hmm_range range;
} kernel;

static struct ibv_context context = { .cmd_fd = 1000 };
static struct ibv_pd pd = { .context = &context, .handle = 5 };
static struct ibv_mr mr = { .context = &context, .handle = HANDLE };

static struct ib_uverbs_attr *attr(uint16_t id)
{
	int i;

	for (i = 0; i < kernel.hdr.num_attrs; i++)
		if (kernel.attrs[i].attr_id == id)
			return &kernel.attrs[i];
	return NULL;
}

static void *buffer(uint16_t id, size_t len)
{
	struct ib_uverbs_attr *a = attr(id);

	CHECK(a && a->len == len);
	return (void *)(uintptr_t)a->data;
}

static void answer_caps(void)
{
	struct rxe_hmm_caps *caps = buffer(RXE_HMM_ATTR_CAPS, sizeof(*caps));

	caps->abi_version = 1;
	caps->page_size = PAGE;
	caps->caps = 7;
	caps->page_sizes = PAGE | 2 << 20;
	caps->memory_size = 1ULL << 33;
	caps->memory_used = PAGE;
	caps->migrate_flags = 1;
	caps->prefer_flags = 2;
	caps->query_range_flags = 4;
}

static void answer_migrate(void)
{
	struct rxe_hmm_migrate_resp *resp =
		buffer(RXE_HMM_ATTR_MR_RESP, sizeof(*resp));
	int i;

	resp->moved = 1000;
	resp->already = 2000;
	for (i = 0; i < RXE_HMM_MAX_SKIPS; i++)
		resp->skipped[i] = i;
}

/* As many as there is room for, each told by its place; a region is 2 MiB. */
static void answer_heat(void)
{
	struct rxe_hmm_query_heat_resp *resp =
		buffer(RXE_HMM_ATTR_MR_RESP, sizeof(*resp));
	struct ib_uverbs_attr *a = attr(RXE_HMM_ATTR_MR_HEATS);
	struct rxe_hmm_heat *heats = (void *)(uintptr_t)a->data;
	uint32_t i;

	resp->heats = a->len / sizeof(*heats);
	for (i = 0; i < resp->heats; i++) {
		heats[i].address = (uint64_t)i << RXE_HMM_HEAT_SHIFT;
		heats[i].reads = i + 1;
		heats[i].writes = i + 2;
		heats[i].device_accesses = i + 3;
		heats[i].cpu_faults = i + 4;
		heats[i].read_rate = i + 5;
		heats[i].write_rate = i + 6;
		heats[i].device_pages = i + 7;
	}
	resp->next = kernel.range.offset + 12345;
}

/* The pages of the range; the state of a page is its number's low bits. */
static int answer_query(void)
{
	struct rxe_hmm_query_range_resp *resp =
		buffer(RXE_HMM_ATTR_MR_RESP, sizeof(*resp));
	uint64_t first = (MR_ADDRESS + kernel.range.offset) / PAGE;
	uint64_t end = (MR_ADDRESS + kernel.range.offset + kernel.range.length +
			PAGE - 1) / PAGE;
	struct ib_uverbs_attr *states = attr(RXE_HMM_ATTR_MR_STATES);
	uint64_t i;

	if (kernel.range.offset && (MR_ADDRESS + kernel.range.offset) % PAGE)
		return EINVAL;
	if (kernel.range.offset + kernel.range.length != MR_LENGTH &&
	    (MR_ADDRESS + kernel.range.offset + kernel.range.length) % PAGE)
		return EINVAL;
	if (states && states->len < end - first)
		return ENOSPC;
	resp->address = MR_ADDRESS + kernel.range.offset;
	resp->pages = end - first;
	for (i = first; i < end; i++) {
		if (states)
			((uint8_t *)(uintptr_t)states->data)[i - first] = i & 7;
		resp->present += i & 1;
		resp->device += !!(i & 2);
		resp->writable += !!(i & 4);
	}
	return 0;
}

static int answer(void)
{
	struct ib_uverbs_attr *a;

	if (kernel.hdr.object_id == UVERBS_OBJECT_DEVICE) {
		answer_caps();
		return 0;
	}
	a = attr(RXE_HMM_ATTR_MR_RANGE);
	if (!a)
		return 0;
	CHECK_INT(sizeof(kernel.range), a->len);
	memcpy(&kernel.range, (void *)(uintptr_t)a->data, sizeof(kernel.range));
	switch (kernel.hdr.method_id) {
	case RXE_HMM_METHOD_MIGRATE:
		answer_migrate();
		return 0;
	case RXE_HMM_METHOD_QUERY_RANGE:
		return answer_query();
	case RXE_HMM_METHOD_QUERY_HEAT:
		answer_heat();
		return 0;
	default:
		return 0;
	}
}

int ioctl(int fd, unsigned long request, ...)
{
	const struct ib_uverbs_ioctl_hdr *hdr;
	va_list ap;
	int err;

	va_start(ap, request);
	hdr = va_arg(ap, void *);
	va_end(ap);

	CHECK_INT(1000, fd);
	CHECK(request == RDMA_VERBS_IOCTL);
	CHECK_INT(RDMA_DRIVER_RXE, hdr->driver_id);
	CHECK_INT(sizeof(*hdr) + hdr->num_attrs * sizeof(kernel.attrs[0]),
		  hdr->length);
	CHECK(!hdr->reserved1 && !hdr->reserved2);
	CHECK(hdr->num_attrs <= 8);
	kernel.hdr = *hdr;
	memcpy(kernel.attrs, hdr->attrs,
	       hdr->num_attrs * sizeof(kernel.attrs[0]));
	kernel.calls++;

	if (kernel.fail && (!kernel.fail_call ||
			    kernel.fail_call == kernel.calls))
		err = kernel.fail;
	else
		err = answer();
	errno = err ? err : 12345;
	return err ? -1 : 0;
}

static void reset(void)
{
	memset(&kernel, 0, sizeof(kernel));
	errno = 4242;
}

static void caps(void)
{
	struct {
		struct rxedv_caps caps;
		uint8_t more[24];
	} longer;
	size_t i;

	reset();
	memset(&longer, 0xaa, sizeof(longer));
	CHECK_INT(0, rxedv_query_caps(&context, &longer.caps, sizeof(longer)));
	CHECK_INT(4242, errno);
	CHECK_INT(RXE_HMM_METHOD_QUERY_CAPS, kernel.hdr.method_id);
	CHECK_INT(1, longer.caps.abi_version);
	CHECK_INT(PAGE, longer.caps.page_size);
	CHECK_INT(7, longer.caps.caps);
	CHECK_INT(PAGE | 2 << 20, longer.caps.page_sizes);
	CHECK(longer.caps.memory_size == 1ULL << 33);
	CHECK_INT(PAGE, longer.caps.memory_used);
	CHECK_INT(1, longer.caps.migrate_flags);
	CHECK_INT(2, longer.caps.prefer_flags);
	CHECK_INT(4, longer.caps.query_range_flags);
	CHECK(!longer.caps.comp_mask && !longer.caps.reserved);
	for (i = 0; i < sizeof(longer.more); i++)
		CHECK(!longer.more[i]);

	CHECK_INT(EINVAL, rxedv_query_caps(&context, &longer.caps,
					   sizeof(longer.caps) - 1));
	CHECK_INT(1, kernel.calls);
}

static void caps_errors(void)
{
	static const int errors[][2] = {
		{ EPROTONOSUPPORT, EOPNOTSUPP },	/* the kernel's own rxe */
		{ EINVAL, EOPNOTSUPP },			/* not rxe at all */
		{ EIO, EIO }, { ENOMEM, ENOMEM },
	};
	struct rxedv_caps c;
	size_t i;

	for (i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		reset();
		kernel.fail = errors[i][0];
		memset(&c, 0xaa, sizeof(c));
		CHECK_INT(errors[i][1], rxedv_query_caps(&context, &c, sizeof(c)));
		CHECK_INT(4242, errno);
		CHECK(c.abi_version == 0xaaaaaaaa);
	}
}

static void migrate(void)
{
	struct rxedv_migrate_attr a = {
		.offset = 8192, .length = 4096, .place = RXEDV_PLACE_DEVICE,
		.flags = 0x55,
	};
	int i;

	reset();
	CHECK_INT(0, rxedv_migrate(&mr, &a, sizeof(a)));
	CHECK_INT(4242, errno);
	CHECK_INT(UVERBS_OBJECT_MR, kernel.hdr.object_id);
	CHECK_INT(RXE_HMM_METHOD_MIGRATE, kernel.hdr.method_id);
	CHECK_INT(3, kernel.hdr.num_attrs);
	CHECK_INT(HANDLE, attr(RXE_HMM_ATTR_MR_HANDLE)->data);
	CHECK_INT(0, attr(RXE_HMM_ATTR_MR_HANDLE)->len);
	CHECK_INT(UVERBS_ATTR_F_MANDATORY, attr(RXE_HMM_ATTR_MR_HANDLE)->flags);
	CHECK_INT(8192, kernel.range.offset);
	CHECK_INT(4096, kernel.range.length);
	CHECK_INT(RXE_HMM_PLACE_DEVICE, kernel.range.place);
	CHECK_INT(0x55, kernel.range.flags);
	CHECK(!kernel.range.comp_mask && !kernel.range.reserved);
	CHECK_INT(1000, a.moved);
	CHECK_INT(2000, a.already);
	for (i = 0; i < RXEDV_MAX_SKIPS; i++)
		CHECK_INT(i, a.skipped[i]);
	CHECK_INT(8192, a.offset);

	reset();
	CHECK_INT(0, rxedv_migrate_mrn(&context, 99, &a, sizeof(a)));
	CHECK(!attr(RXE_HMM_ATTR_MR_HANDLE));
	CHECK_INT(99, attr(RXE_HMM_ATTR_MR_NUMBER)->data);
	CHECK_INT(4, attr(RXE_HMM_ATTR_MR_NUMBER)->len);
}

static void migrate_errors(void)
{
	struct rxedv_migrate_attr a = { .length = 4096 }, before = a;
	struct {
		struct rxedv_migrate_attr a;
		uint64_t more[3];
	} longer = { .a.length = 4096 };
	int i;

	reset();
	CHECK_INT(EINVAL, rxedv_migrate(&mr, &a, sizeof(a) - 1));
	CHECK_INT(EINVAL, rxedv_migrate(&mr, &a, 0));
	a.comp_mask = 1;
	CHECK_INT(EOPNOTSUPP, rxedv_migrate(&mr, &a, sizeof(a)));
	a.comp_mask = 0;
	for (i = 0; i < 3; i++) {
		longer.more[i] = 1ULL << 63;
		CHECK_INT(EOPNOTSUPP, rxedv_migrate(&mr, &longer.a,
						    sizeof(longer)));
		longer.more[i] = 0;
	}
	CHECK_INT(0, kernel.calls);
	CHECK_INT(0, rxedv_migrate(&mr, &longer.a, sizeof(longer)));
	CHECK_INT(1000, longer.a.moved);

	for (i = 1; i < 130; i++) {
		reset();
		kernel.fail = i;
		CHECK_INT(i == EPROTONOSUPPORT ? EOPNOTSUPP : i,
			  rxedv_migrate(&mr, &a, sizeof(a)));
		CHECK_INT(4242, errno);
		CHECK(!memcmp(&a, &before, sizeof(a)));
	}
}

static void prefer(void)
{
	struct rxedv_prefer_attr a = {
		.offset = 4096, .length = 8192, .place = RXEDV_PLACE_STAY,
	};

	reset();
	CHECK_INT(0, rxedv_prefer(&mr, &a, sizeof(a)));
	CHECK_INT(RXE_HMM_METHOD_PREFER, kernel.hdr.method_id);
	CHECK_INT(2, kernel.hdr.num_attrs);
	CHECK_INT(4096, kernel.range.offset);
	CHECK_INT(8192, kernel.range.length);
	CHECK_INT(RXE_HMM_PLACE_STAY, kernel.range.place);
	CHECK_INT(0, rxedv_prefer_mrn(&context, 3, &a, sizeof(a)));
	CHECK_INT(3, attr(RXE_HMM_ATTR_MR_NUMBER)->data);
	CHECK_INT(EINVAL, rxedv_prefer(&mr, &a, sizeof(a) - 1));
	a.comp_mask = 2;
	CHECK_INT(EOPNOTSUPP, rxedv_prefer(&mr, &a, sizeof(a)));
}

/* Query the range with and without states: the numbers, and each state. */
static void check_query(uint64_t offset, uint64_t length)
{
	uint64_t first = (MR_ADDRESS + offset) / PAGE, i, room = 250000;
	struct rxedv_query_range_attr a = { .offset = offset, .length = length };
	struct rxedv_query_range_attr b = a;
	uint8_t *states = malloc(room);

	memset(states, 0xaa, room);
	reset();
	CHECK_INT(0, rxedv_query_range(&mr, &a, sizeof(a)));
	CHECK(!attr(RXE_HMM_ATTR_MR_STATES));
	CHECK_INT(1, kernel.calls);
	CHECK_INT(MR_ADDRESS + offset, a.address);

	b.states = states;
	b.num_states = room;
	CHECK_INT(0, rxedv_query_range(&mr, &b, sizeof(b)));
	CHECK_INT(a.address, b.address);
	CHECK_INT(a.pages, b.pages);
	CHECK_INT(a.present, b.present);
	CHECK_INT(a.device, b.device);
	CHECK_INT(a.writable, b.writable);
	for (i = 0; i < b.pages; i++)
		if (states[i] != ((first + i) & 7))
			break;
	CHECK_INT(b.pages, i);
	CHECK_INT(0xaa, states[b.pages]);

	b.num_states = b.pages;
	CHECK_INT(0, rxedv_query_range(&mr, &b, sizeof(b)));
	b.num_states = b.pages - 1;
	memset(states, 0xaa, room);
	CHECK_INT(ENOSPC, rxedv_query_range(&mr, &b, sizeof(b)));
	CHECK_INT(0xaa, states[0]);
	free(states);
}

static void query(void)
{
	uint64_t first = PAGE - MR_ADDRESS % PAGE;

	check_query(0, MR_LENGTH);
	check_query(0, first);
	check_query(0, first + 65534 * PAGE);
	check_query(0, first + 65535 * PAGE);
	check_query(first, 65535 * PAGE);
	check_query(first, 65536 * PAGE);
	check_query(first + PAGE, MR_LENGTH - first - PAGE);
	check_query(MR_LENGTH - MR_ADDRESS % PAGE, MR_ADDRESS % PAGE);
}

static void query_errors(void)
{
	struct rxedv_query_range_attr a = { .length = MR_LENGTH }, before;
	uint8_t *states = malloc(250000);
	int call;

	reset();
	CHECK_INT(EINVAL, rxedv_query_range(&mr, &a, sizeof(a) - 1));
	a.reserved = 1;
	CHECK_INT(EINVAL, rxedv_query_range(&mr, &a, sizeof(a)));
	a.reserved = 0;
	a.comp_mask = 1;
	CHECK_INT(EOPNOTSUPP, rxedv_query_range(&mr, &a, sizeof(a)));
	a.comp_mask = 0;
	CHECK_INT(0, kernel.calls);

	/* An error in any part of a long range. */
	a.states = states;
	a.num_states = 250000;
	before = a;
	for (call = 1; call <= 5; call++) {
		reset();
		kernel.fail = ENOENT;
		kernel.fail_call = call;
		CHECK_INT(ENOENT, rxedv_query_range(&mr, &a, sizeof(a)));
		CHECK_INT(call, kernel.calls);
		CHECK(!memcmp(&a, &before, sizeof(a)));
	}
	free(states);
}

static void advise(void)
{
	static struct ibv_sge sge[4096] = { { .addr = 1, .length = 2, .lkey = 3 } };

	reset();
	CHECK_INT(0, rxedv_advise_mr(&pd, IBV_ADVISE_MR_ADVICE_PREFETCH_WRITE,
				     IBV_ADVISE_MR_FLAG_FLUSH, sge, 2));
	CHECK_INT(UVERBS_OBJECT_MR, kernel.hdr.object_id);
	CHECK_INT(UVERBS_METHOD_ADVISE_MR, kernel.hdr.method_id);
	CHECK_INT(4, kernel.hdr.num_attrs);
	CHECK_INT(5, attr(UVERBS_ATTR_ADVISE_MR_PD_HANDLE)->data);
	CHECK_INT(1, attr(UVERBS_ATTR_ADVISE_MR_ADVICE)->data);
	CHECK_INT(8, attr(UVERBS_ATTR_ADVISE_MR_ADVICE)->len);
	CHECK_INT(1, attr(UVERBS_ATTR_ADVISE_MR_FLAGS)->data);
	CHECK(buffer(UVERBS_ATTR_ADVISE_MR_SGE_LIST, 2 * sizeof(sge[0])) == sge);
	CHECK_INT(4242, errno);

	/* as many as the length of an attribute can tell */
	reset();
	CHECK_INT(0, rxedv_advise_mr(&pd, 0, 0, sge, 4095));
	CHECK(buffer(UVERBS_ATTR_ADVISE_MR_SGE_LIST, 4095 * sizeof(sge[0])) ==
	      sge);

	reset();
	CHECK_INT(EINVAL, rxedv_advise_mr(&pd, 0, 0, sge, 4096));
	CHECK_INT(EINVAL, rxedv_advise_mr(&pd, 0, 0, sge, 4097));
	CHECK_INT(EINVAL, rxedv_advise_mr(&pd, 0, 0, sge, UINT32_MAX));
	CHECK_INT(0, kernel.calls);
	kernel.fail = EFAULT;
	CHECK_INT(EFAULT, rxedv_advise_mr(&pd, 0, 0, sge, 1));
	/* another driver, or a kernel without the call */
	kernel.fail = EPROTONOSUPPORT;
	CHECK_INT(EOPNOTSUPP, rxedv_advise_mr(&pd, 0, 0, sge, 1));
}

static void heat(void)
{
	static struct rxedv_heat heats[2000];
	struct rxedv_query_heat_attr a = {
		.offset = 8192, .length = 1 << 30, .heats = heats, .max_heats = 3,
		.flags = 0x55,
	};
	int i;

	memset(heats, 0xff, sizeof(heats));
	reset();
	CHECK_INT(0, rxedv_query_heat(&mr, &a, sizeof(a)));
	CHECK_INT(4242, errno);
	CHECK_INT(RXE_HMM_METHOD_QUERY_HEAT, kernel.hdr.method_id);
	CHECK_INT(HANDLE, attr(RXE_HMM_ATTR_MR_HANDLE)->data);
	CHECK_INT(8192, kernel.range.offset);
	CHECK_INT(1 << 30, kernel.range.length);
	CHECK_INT(0x55, kernel.range.flags);
	CHECK_INT(3, a.num_heats);
	CHECK_INT(8192 + 12345, a.next);
	for (i = 0; i < 3; i++) {
		CHECK_INT((uint64_t)i << 21, heats[i].address);
		CHECK_INT(i + 1, heats[i].reads);
		CHECK_INT(i + 2, heats[i].writes);
		CHECK_INT(i + 3, heats[i].device_accesses);
		CHECK_INT(i + 4, heats[i].cpu_faults);
		CHECK_INT(i + 5, heats[i].read_rate);
		CHECK_INT(i + 6, heats[i].write_rate);
		CHECK_INT(i + 7, heats[i].device_pages);
		CHECK(!heats[i].reserved[0] && !heats[i].reserved[2]);
	}
	CHECK(heats[3].reads == UINT64_MAX);

	/* no more than fit into one answer */
	a.max_heats = 2000;
	reset();
	CHECK_INT(0, rxedv_query_heat_mrn(&context, 99, &a, sizeof(a)));
	CHECK_INT(99, attr(RXE_HMM_ATTR_MR_NUMBER)->data);
	CHECK_INT(1023, a.num_heats);
	CHECK(heats[1023].reads == UINT64_MAX);
}

static void heat_errors(void)
{
	struct rxedv_heat one;
	struct rxedv_query_heat_attr a = { .length = 4096, .heats = &one };

	reset();
	CHECK_INT(EINVAL, rxedv_query_heat(&mr, &a, sizeof(a)));
	a.max_heats = 1;
	a.heats = NULL;
	CHECK_INT(EINVAL, rxedv_query_heat(&mr, &a, sizeof(a)));
	a.heats = &one;
	CHECK_INT(EINVAL, rxedv_query_heat(&mr, &a, sizeof(a) - 1));
	a.comp_mask = 1;
	CHECK_INT(EOPNOTSUPP, rxedv_query_heat(&mr, &a, sizeof(a)));
	CHECK_INT(0, kernel.calls);
	a.comp_mask = 0;
	a.num_heats = 77;
	kernel.fail = ERANGE;
	CHECK_INT(ERANGE, rxedv_query_heat(&mr, &a, sizeof(a)));
	CHECK_INT(77, a.num_heats);
}

static void words(void)
{
	CHECK_STR("system", rxedv_place_str(RXEDV_PLACE_SYSTEM));
	CHECK_STR("none", rxedv_place_str(RXEDV_PLACE_NONE));
	CHECK(!rxedv_place_str(RXEDV_PLACE_NONE + 1));
	CHECK(!rxedv_place_str(-1));
	CHECK_STR("pinned", rxedv_skip_str(0));
	CHECK_STR("busy", rxedv_skip_str(RXEDV_SKIP_BUSY));
	CHECK(!rxedv_skip_str(RXEDV_SKIP_BUSY + 1));
	CHECK(!rxedv_skip_str(RXEDV_MAX_SKIPS));
	CHECK(!rxedv_skip_str(-1));
}

int main(void)
{
	RUN(caps);
	RUN(caps_errors);
	RUN(migrate);
	RUN(migrate_errors);
	RUN(prefer);
	RUN(query);
	RUN(query_errors);
	RUN(heat);
	RUN(heat_errors);
	RUN(advise);
	RUN(words);
	return tap_end();
}
