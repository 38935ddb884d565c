/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A job: a part of a range, in one region, that is to move.
 */
#ifndef RXE_MIGRATE_JOB_H
#define RXE_MIGRATE_JOB_H

#include <linux/string.h>

#include "rxe_migrate.h"
#include "rxe_mirror.h"

/* What became of a page: a reason of enum rxe_skip, or one of these. */
enum rxe_outcome {
	RXE_OUTCOME_MOVED = RXE_SKIP_REASONS,
	RXE_OUTCOME_ALREADY,
	RXE_OUTCOME_PENDING,	/* to be moved */
};

/**
 * struct rxe_job - a part of a range on its way
 * @mirror: of the process whose memory it is
 * @user: id of the MR that pages on the device are accounted to
 * @hmm: its device
 * @batch: for the transactions
 * @to: where to
 * @holes: only pages that don't exist yet
 * @blind: there was no look
 * @map_noted: @map_seq is that of the last look
 * @map_seq: changes when somebody holds mmap_lock for writing
 * @patience: so often may a look come too early
 * @stale: it did, for some of the part
 * @full: why there is no room at the other side
 * @starved: there was none for some page, another may have taken it
 * @clock: what was used on the device after this is not evicted for it
 * @range_end: where the range ends, of which this is a part
 * @base: first address of the region
 * @first: the part, in pages of the region, from this
 * @end: up to this
 * @pfns: what a look has found, from @first on
 * @outcomes: one for each page from @base on
 *
 * Belongs to one thread.
 */
struct rxe_job {
	struct rxe_mirror	*mirror;
	struct rxe_hmm_dev	*hmm;
	struct rxe_batch	*batch;
	u32			user;
	enum rxe_place		to;
	bool			holes;
	bool			blind;
	bool			map_noted;
	unsigned int		map_seq;
	unsigned int		patience;
	bool			stale;
	u8			full;
	bool			starved;
	u64			clock;
	unsigned long		range_end;
	unsigned long		base;
	unsigned int		first;
	unsigned int		end;
	unsigned long		pfns[RXE_REGION_PAGES];
	u8			outcomes[RXE_REGION_PAGES];
};

static inline void rxe_job_set(struct rxe_job *job, unsigned int first,
			       unsigned int end, u8 outcome)
{
	memset(&job->outcomes[first], outcome, end - first);
}

/* Has the whole part that outcome? */
static inline bool rxe_job_all(const struct rxe_job *job, u8 outcome)
{
	return !memchr_inv(&job->outcomes[job->first], outcome,
			   job->end - job->first);
}

/* Has some page of it? */
static inline bool rxe_job_any(const struct rxe_job *job, u8 outcome)
{
	return memchr(&job->outcomes[job->first], outcome,
		      job->end - job->first);
}

struct rxe_job *rxe_job_create(struct rxe_mirror *mirror, u32 user,
			       enum rxe_place to, u64 before);
void rxe_job_destroy(struct rxe_job *job);
int rxe_job_look(struct rxe_job *job);
bool rxe_job_may_unmap(struct rxe_job *job);
bool rxe_job_make_room(struct rxe_job *job, unsigned int n);
unsigned int rxe_job_move(struct rxe_job *job);

#endif /* RXE_MIGRATE_JOB_H */
