// SPDX-License-Identifier: GPL-2.0
/*
 * librxedv as it is installed, on a device: the calls work together with the
 * driver. What each wrong call gets is for the unit tests and for the driver's
 * own.
 */
#include "region.h"
#include "tap.h"

#define PAGE	4096UL
#define PAGES	256UL
#define LEN	(PAGES * PAGE)
#define LARGE	(70000UL * PAGE)

static struct ibv_context *ctx;
static struct ibv_pd *pd;
static struct ibv_mr *mr;
static struct rxedv_caps known;

static void fill(void)
{
	size_t i;

	for (i = 0; i < LEN; i++)
		((unsigned char *)mr->addr)[i] = i * 7 + (i >> 12);
}

static bool intact(void)
{
	size_t i;

	for (i = 0; i < LEN; i++)
		if (((unsigned char *)mr->addr)[i] !=
		    (unsigned char)(i * 7 + (i >> 12)))
			return false;
	return true;
}

static void caps(void)
{
	CHECK_INT(0, rxedv_query_caps(ctx, &known, sizeof(known)));
	CHECK_INT(1, known.abi_version);
	CHECK_INT(PAGE, known.page_size);
	CHECK_INT(RXEDV_CAP_MIGRATE | RXEDV_CAP_PREFER | RXEDV_CAP_QUERY_RANGE |
		  RXEDV_CAP_QUERY_HEAT, known.caps);
}

static uint64_t migrate(enum rxedv_place place, uint64_t *other)
{
	struct rxedv_migrate_attr attr = { .length = LEN, .place = place };
	int i;

	CHECK_INT(0, rxedv_migrate(mr, &attr, sizeof(attr)));
	*other = attr.already;
	for (i = 0; i < RXEDV_MAX_SKIPS; i++)
		*other += attr.skipped[i];
	return attr.moved;
}

static uint64_t on_device(void)
{
	struct rxedv_query_range_attr attr = { .length = LEN };

	CHECK_INT(0, rxedv_query_range(mr, &attr, sizeof(attr)));
	CHECK_INT(PAGES, attr.pages);
	CHECK_INT(PAGES, attr.present);
	CHECK_INT((uintptr_t)mr->addr, attr.address);
	return attr.device;
}

static void there_and_back(void)
{
	uint64_t other;

	fill();
	CHECK_INT(PAGES, migrate(RXEDV_PLACE_DEVICE, &other));
	CHECK_INT(0, other);
	CHECK_INT(PAGES, on_device());
	CHECK_INT(0, migrate(RXEDV_PLACE_DEVICE, &other));
	CHECK_INT(PAGES, other);
	CHECK_INT(PAGES, migrate(RXEDV_PLACE_SYSTEM, &other));
	CHECK_INT(0, on_device());
	CHECK_INT(PAGES, migrate(RXEDV_PLACE_DEVICE, &other));
	CHECK(intact());
	CHECK_INT(0, on_device());
}

static void states(void)
{
	uint8_t bytes[PAGES];
	struct rxedv_query_range_attr attr = {
		.length = LEN, .states = bytes, .num_states = PAGES,
	};
	uint64_t other, i;

	fill();
	CHECK_INT(PAGES, migrate(RXEDV_PLACE_DEVICE, &other));
	CHECK_INT(0, rxedv_query_range(mr, &attr, sizeof(attr)));
	for (i = 0; i < PAGES; i++)
		CHECK(bytes[i] & RXEDV_PAGE_PRESENT &&
		      bytes[i] & RXEDV_PAGE_DEVICE);
	attr.num_states--;
	CHECK_INT(ENOSPC, rxedv_query_range(mr, &attr, sizeof(attr)));
	CHECK(intact());
}

/* More pages than the kernel tells the states of at once. */
static void large(void)
{
	struct ibv_mr *big = region_register(pd, LARGE, IBV_ACCESS_ON_DEMAND);
	uint8_t *bytes = malloc(LARGE / PAGE), *mem = big->addr;
	struct rxedv_query_range_attr attr = {
		.length = LARGE, .states = bytes, .num_states = LARGE / PAGE,
	};
	uint64_t i;

	CHECK_INT(0, madvise(mem, LARGE, MADV_NOHUGEPAGE));
	mem[0] = 1;
	mem[65535 * PAGE] = 1;
	mem[LARGE - 1] = 1;
	CHECK_INT(0, rxedv_query_range(big, &attr, sizeof(attr)));
	CHECK_INT(LARGE / PAGE, attr.pages);
	CHECK_INT(3, attr.present);
	for (i = 0; i < LARGE / PAGE; i++)
		if (!bytes[i] != (i != 0 && i != 65535 && i != LARGE / PAGE - 1))
			break;
	CHECK_INT(LARGE / PAGE, i);
	CHECK_INT(0, ibv_dereg_mr(big));
	munmap(mem, LARGE);
	free(bytes);
}

static void preferences(void)
{
	struct rxedv_prefer_attr attr = { .length = LEN };
	int place;

	for (place = RXEDV_PLACE_SYSTEM; place <= RXEDV_PLACE_NONE; place++) {
		attr.place = place;
		CHECK_INT(0, rxedv_prefer(mr, &attr, sizeof(attr)));
	}
	attr.place++;
	CHECK_INT(EINVAL, rxedv_prefer(mr, &attr, sizeof(attr)));
	attr.place = 0;
	attr.flags = 1;
	CHECK_INT(EOPNOTSUPP, rxedv_prefer(mr, &attr, sizeof(attr)));
}

static void errors(void)
{
	struct ibv_mr *pinned = region_register(pd, PAGE, 0);
	struct rxedv_migrate_attr attr = { .length = LEN + PAGE };

	CHECK_INT(ERANGE, rxedv_migrate(mr, &attr, sizeof(attr)));
	attr.length = LEN - 1;
	CHECK_INT(EINVAL, rxedv_migrate(mr, &attr, sizeof(attr)));
	attr.length = PAGE;
	CHECK_INT(EINVAL, rxedv_migrate(pinned, &attr, sizeof(attr)));
	CHECK_INT(ENOENT, rxedv_migrate_mrn(ctx, UINT32_MAX, &attr,
					    sizeof(attr)));
	CHECK_INT(0, ibv_dereg_mr(pinned));
}

/* Prefetch makes the pages of untouched memory. */
static void advise(void)
{
	struct ibv_mr *fresh = region_register(pd, LEN, IBV_ACCESS_ON_DEMAND);
	struct rxedv_query_range_attr attr = { .length = LEN };
	struct ibv_sge sge = {
		.addr = (uintptr_t)fresh->addr, .length = LEN,
		.lkey = fresh->lkey,
	};

	CHECK_INT(0, rxedv_query_range(fresh, &attr, sizeof(attr)));
	CHECK_INT(0, attr.present);
	CHECK_INT(0, rxedv_advise_mr(pd, IBV_ADVISE_MR_ADVICE_PREFETCH_WRITE,
				     IBV_ADVISE_MR_FLAG_FLUSH, &sge, 1));
	CHECK_INT(0, rxedv_query_range(fresh, &attr, sizeof(attr)));
	CHECK_INT(PAGES, attr.present);
	CHECK_INT(PAGES, attr.writable);
	sge.lkey ^= 0x7f000000;
	CHECK_INT(ENOENT, rxedv_advise_mr(pd, IBV_ADVISE_MR_ADVICE_PREFETCH,
					  IBV_ADVISE_MR_FLAG_FLUSH, &sge, 1));
	CHECK_INT(0, ibv_dereg_mr(fresh));
}

static const enum ibv_advise_mr_advice advices[] = {
	IBV_ADVISE_MR_ADVICE_PREFETCH,
	IBV_ADVISE_MR_ADVICE_PREFETCH_WRITE,
	IBV_ADVISE_MR_ADVICE_PREFETCH_NO_FAULT,
};

/* What each advice gets, in the call and in the background; errno is left alone. */
static void refused(int err, struct ibv_pd *domain, struct ibv_sge *sgl,
		    uint32_t n)
{
	uint32_t flags;
	size_t i;

	for (i = 0; i < sizeof(advices) / sizeof(advices[0]); i++)
		for (flags = 0; flags <= IBV_ADVISE_MR_FLAG_FLUSH; flags++) {
			errno = 4242;
			CHECK_INT(err, rxedv_advise_mr(domain, advices[i], flags,
						       sgl, n));
			CHECK_INT(4242, errno);
		}
}

/* The regions that can't be prefetched, and the ranges. */
static void advise_errors(void)
{
	struct ibv_mr *pinned = region_register(pd, PAGE, 0);
	struct ibv_sge good = {
		.addr = (uintptr_t)mr->addr, .length = LEN, .lkey = mr->lkey,
	};
	struct ibv_sge sgl[3] = { good, good, good };
	struct ibv_pd *other = ibv_alloc_pd(ctx);
	int i;

	refused(0, pd, sgl, 3);
	refused(EPERM, other, sgl, 3);
	for (i = 0; i < 3; i++) {
		sgl[i].lkey ^= 0x7f000000;
		refused(ENOENT, pd, sgl, 3);
		sgl[i].lkey = pinned->lkey;
		sgl[i].addr = (uintptr_t)pinned->addr;
		sgl[i].length = PAGE;
		refused(EINVAL, pd, sgl, 3);
		sgl[i] = good;
		sgl[i].addr++;
		refused(EFAULT, pd, sgl, 3);
		sgl[i] = good;
	}
	CHECK_INT(0, ibv_dealloc_pd(other));
	CHECK_INT(0, ibv_dereg_mr(pinned));
}

/* The call itself: its list, its domain, and what it asks for. */
static void advise_bad_calls(void)
{
	struct ibv_sge sge = {
		.addr = (uintptr_t)mr->addr, .length = LEN, .lkey = mr->lkey,
	};
	struct ibv_context *again = ibv_open_device(ctx->device);
	struct ibv_pd *foreign = ibv_alloc_pd(again), wrong = *pd;

	refused(EINVAL, pd, &sge, 0);
	refused(EINVAL, pd, NULL, 0);
	refused(EFAULT, pd, NULL, 1);
	/* more than a list holds: the kernel would see the rest of the number */
	refused(EINVAL, pd, &sge, 4096);
	refused(EINVAL, pd, &sge, 65536 / sizeof(sge) + 1);
	refused(EINVAL, pd, &sge, UINT32_MAX);
	/* known in the device, and another's */
	refused(EPERM, foreign, &sge, 1);
	wrong.handle = 0x7fffff00;
	refused(ENOENT, &wrong, &sge, 1);
	wrong.handle = mr->handle;
	refused(EINVAL, &wrong, &sge, 1);
	CHECK_INT(EINVAL, rxedv_advise_mr(pd, IBV_ADVISE_MR_ADVICE_PREFETCH, 2,
					  &sge, 1));
	CHECK_INT(EINVAL, rxedv_advise_mr(pd, IBV_ADVISE_MR_ADVICE_PREFETCH,
					  UINT32_MAX, &sge, 1));
	CHECK_INT(EOPNOTSUPP, rxedv_advise_mr(pd, 3, 0, &sge, 1));
	CHECK_INT(EOPNOTSUPP, rxedv_advise_mr(pd, 99, 0, &sge, 1));
	CHECK_INT(0, ibv_dealloc_pd(foreign));
	CHECK_INT(0, ibv_close_device(again));
}

/* Memory that may only be read, by the region's rights or the process's. */
static void advise_read_only(void)
{
	void *mem = mmap(NULL, LEN, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct ibv_mr *reading = ibv_reg_mr(pd, mem, LEN, IBV_ACCESS_ON_DEMAND);
	struct ibv_sge sge = {
		.addr = (uintptr_t)mem, .length = LEN, .lkey = reading->lkey,
	};
	uint32_t flags;

	for (flags = 0; flags <= IBV_ADVISE_MR_FLAG_FLUSH; flags++) {
		CHECK_INT(0, rxedv_advise_mr(pd, advices[0], flags, &sge, 1));
		CHECK_INT(EPERM, rxedv_advise_mr(pd, advices[1], flags, &sge, 1));
		CHECK_INT(0, rxedv_advise_mr(pd, advices[2], flags, &sge, 1));
	}
	CHECK_INT(0, ibv_dereg_mr(reading));

	reading = ibv_reg_mr(pd, mem, LEN, IBV_ACCESS_ON_DEMAND |
			     IBV_ACCESS_LOCAL_WRITE);
	sge.lkey = reading->lkey;
	CHECK_INT(0, mprotect(mem, LEN, PROT_READ));
	CHECK_INT(0, rxedv_advise_mr(pd, advices[0], IBV_ADVISE_MR_FLAG_FLUSH,
				     &sge, 1));
	CHECK_INT(EFAULT, rxedv_advise_mr(pd, advices[1],
					  IBV_ADVISE_MR_FLAG_FLUSH, &sge, 1));
	CHECK_INT(0, munmap(mem, LEN));
	CHECK_INT(EFAULT, rxedv_advise_mr(pd, advices[0],
					  IBV_ADVISE_MR_FLAG_FLUSH, &sge, 1));
	CHECK_INT(0, ibv_dereg_mr(reading));
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	ctx = region_device(argc > 1 ? argv[1] : "rxe0");
	pd = ibv_alloc_pd(ctx);
	mr = region_register(pd, LEN, IBV_ACCESS_ON_DEMAND);
	RUN(caps);
	if (known.memory_size) {
		RUN(there_and_back);
		RUN(states);
		RUN(preferences);
	}
	RUN(large);
	RUN(errors);
	RUN(advise);
	RUN(advise_errors);
	RUN(advise_bad_calls);
	RUN(advise_read_only);
	ibv_dereg_mr(mr);
	ibv_dealloc_pd(pd);
	ibv_close_device(ctx);
	return tap_end();
}
