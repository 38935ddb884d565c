// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "rv_dmem.h"
#include "rv_hmm.h"
#include "rv_log.h"
#include "rv_stat.h"
#include "rv_sys.h"

static void file_name(char *path, size_t size, const char *dev,
		      const char *what)
{
	snprintf(path, size, "/sys/class/infiniband/%s/hmm/memory_%s",
		 dev ? dev : rv_dev_name(), what);
}

int64_t rv_dmem_get(const char *dev, const char *what)
{
	char path[128];

	file_name(path, sizeof(path), dev, what);
	return rv_get(path, NULL);
}

int64_t rv_dmem_used(const char *dev)
{
	int64_t bytes = rv_dmem_get(dev, "used");

	return bytes < 0 ? bytes : bytes / RV_PAGE;
}

int rv_dmem_resize(const char *dev, const char *size)
{
	char path[128];

	file_name(path, sizeof(path), dev, "size");
	return rv_put(path, "%s", size);
}

static int64_t move(struct ibv_mr *mr, size_t off, size_t len, int place)
{
	struct rxe_hmm_migrate_resp resp;
	int i, err;

	err = rv_hmm_migrate(mr, off, len, place, &resp);
	if (err) {
		rv_log("migration of %zu bytes at %zu to %d: %s", len, off,
		       place, strerror(-err));
		return err;
	}
	for (i = 0; i < RXE_HMM_MAX_SKIPS; i++)
		if (resp.skipped[i])
			rv_log("to %d: moved %llu, already %llu, skipped %llu for reason %d",
			       place, resp.moved, resp.already,
			       resp.skipped[i], i);
	return resp.moved;
}

int64_t rv_promote(struct ibv_mr *mr, size_t off, size_t len)
{
	return move(mr, off, len, RV_DEVICE);
}

int64_t rv_demote(struct ibv_mr *mr, size_t off, size_t len)
{
	return move(mr, off, len, RV_SYSTEM);
}

static const char *const skip_counters[] = {
	[RXE_HMM_SKIP_PINNED] = "promote_skipped_pinned",
	[RXE_HMM_SKIP_FILE] = "promote_skipped_file",
	[RXE_HMM_SKIP_SHARED] = "promote_skipped_shared",
	[RXE_HMM_SKIP_KSM] = "promote_skipped_ksm",
	[RXE_HMM_SKIP_LOCKED] = "promote_skipped_locked",
	[RXE_HMM_SKIP_FULL] = "promote_skipped_full",
	[RXE_HMM_SKIP_NOMEM] = "promote_skipped_nomem",
	[RXE_HMM_SKIP_ABSENT] = "promote_skipped_absent",
	[RXE_HMM_SKIP_BUSY] = "promote_skipped_busy",
};

#define NR_SKIPS	(sizeof(skip_counters) / sizeof(skip_counters[0]))

static void count_skips(struct rv_dev *d, int64_t counts[NR_SKIPS])
{
	int i;

	for (i = 0; i < NR_SKIPS; i++)
		counts[i] = rv_stat_dev(d, skip_counters[i]);
}

int rv_promote_but(struct rv_dev *d, struct ibv_mr *mr, int reason,
		   uint64_t want)
{
	int64_t before[NR_SKIPS], after[NR_SKIPS], n;
	struct rxe_hmm_migrate_resp resp;
	int i, err;

	count_skips(d, before);
	err = rv_hmm_migrate(mr, 0, mr->length, RV_DEVICE, &resp);
	if (err)
		return err;
	count_skips(d, after);
	for (i = 0; i < NR_SKIPS; i++) {
		n = i == reason ? want : 0;
		if (resp.skipped[i] == n && after[i] - before[i] == n)
			continue;
		rv_log("%s: %llu pages, counter %lld more, not %lld",
		       skip_counters[i], resp.skipped[i],
		       (long long)(after[i] - before[i]), (long long)n);
		err = -EBADMSG;
	}
	if (resp.moved + resp.already + want != mr->length / RV_PAGE) {
		rv_log("moved %llu, already %llu", resp.moved, resp.already);
		err = -EBADMSG;
	}
	return err;
}

int64_t rv_on_device(struct ibv_mr *mr, size_t off, size_t len)
{
	struct rxe_hmm_query_range_resp resp;
	int err = rv_hmm_query(mr, off, len, NULL, 0, &resp);

	return err ? err : (int64_t)resp.device;
}

struct rv_moves rv_moves(struct rv_dev *d)
{
	return (struct rv_moves){
		.promoted = rv_stat_dev(d, "pages_promoted"),
		.demoted = rv_stat_dev(d, "pages_demoted"),
		.evicted = rv_stat_dev(d, "pages_evicted"),
		.cpu_faulted = rv_stat_dev(d, "pages_cpu_faulted"),
	};
}

bool rv_moves_none_left(struct rv_dev *d, const struct rv_moves *since)
{
	struct rv_moves now = rv_moves(d);

	if (now.demoted == since->demoted && now.evicted == since->evicted &&
	    now.cpu_faulted == since->cpu_faulted)
		return true;
	rv_log("demoted %lld, evicted %lld, faulted by the CPU %lld",
	       (long long)(now.demoted - since->demoted),
	       (long long)(now.evicted - since->evicted),
	       (long long)(now.cpu_faulted - since->cpu_faulted));
	return false;
}

static int make_buf(struct rv_buf *b, size_t len, int advice)
{
	int err = rv_buf_alloc_aligned(b, len, RV_HUGE);

	if (err)
		return err;
	if (madvise(b->base, len, advice))
		return -errno;
	rv_buf_fill(b);
	return 0;
}

int rv_dmem_init(struct rv_ends *e, const struct rv_opts *opts,
		 const char *size, size_t len, int advice)
{
	int err;

	memset(e, 0, sizeof(*e));
	err = rv_dmem_resize(NULL, size);
	if (err) {
		rv_log("device memory of %s: %s", size, strerror(-err));
		return err;
	}
	err = rv_dev_open(&e->dev, NULL);
	if (!err)
		err = rv_pair_init(&e->pair, &e->dev, opts);
	if (!err)
		err = make_buf(&e->mem_a, len, advice);
	if (!err)
		err = make_buf(&e->mem_b, len, advice);
	if (err)
		return err;
	e->mr_a = rv_reg_all(&e->dev, &e->mem_a, RV_ACCESS | RV_ODP);
	e->mr_b = rv_reg_all(&e->dev, &e->mem_b, RV_ACCESS | RV_ODP);
	return e->mr_a && e->mr_b ? 0 : -errno;
}

static void dereg(struct ibv_mr **mr)
{
	int err = *mr ? ibv_dereg_mr(*mr) : 0;

	if (err)
		rv_log("ibv_dereg_mr: %s", strerror(err));
	*mr = NULL;
}

int rv_dmem_fini(struct rv_ends *e)
{
	int64_t used;
	int res;

	rv_pair_fini(&e->pair);
	dereg(&e->mr_a);
	dereg(&e->mr_b);
	used = rv_dmem_used(NULL);
	if (used)
		rv_log("%lld pages of device memory are still in use",
		       (long long)used);
	res = rv_ends_check(e);
	rv_buf_free(&e->mem_a);
	rv_buf_free(&e->mem_b);
	rv_dev_close(&e->dev);
	return used || res ? -1 : 0;
}
