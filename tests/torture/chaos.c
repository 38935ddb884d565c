// SPDX-License-Identifier: GPL-2.0
/*
 * Chaos: what happens to the whole system, one thing at a time, while processes
 * are at work. None of it changes what a byte is, and none of it fails a verb.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <sys/wait.h>
#include <unistd.h>

#include "torture.h"

#define CGROUP	"/sys/fs/cgroup"
#define GROUPS	2
#define KSM	"/sys/kernel/mm/ksm/"
#define THP	"/sys/kernel/mm/transparent_hugepage/"
#define POOL	"/proc/sys/vm/nr_hugepages"

/* Of each process, for its stripes and for copies after fork. */
#define HUGE_PAGES	(6 * T_THREADS)

static struct rv_swap swap = { .id = -1, .fd = -1 };
static pid_t hog, stopped;
static int64_t pool;

static const char *const devices[] = { NULL, "rxe_a", "rxe_b" };

static void group_file(char *path, size_t len, int group, const char *what)
{
	snprintf(path, len, CGROUP "/torture-%d/%s", group, what);
}

static int put_group(int group, const char *what, const char *text)
{
	char path[96];

	group_file(path, sizeof(path), group, what);
	return rv_put(path, "%s", text);
}

static void signals(const pid_t *pids)
{
	pid_t pid = pids[rv_rand_below(T_PLACES)];
	int i;

	for (i = 0; i < 20; i++)
		kill(pid, SIGUSR1);
}

/* A process stops until the next thing happens; its queue pairs don't. */
static void stop(const pid_t *pids)
{
	stopped = pids[rv_rand_below(T_PLACES)];
	kill(stopped, SIGSTOP);
}

static void drop_caches(const pid_t *pids)
{
	rv_put("/proc/sys/vm/drop_caches", "%d", (int)rv_rand_between(1, 3));
}

static void compact(const pid_t *pids)
{
	rv_put("/proc/sys/vm/compact_memory", "1");
}

/* 2: take apart all that was merged. */
static void merging(const pid_t *pids)
{
	rv_put(KSM "run", "%d", rv_rand_below(4) ? 1 : 2);
}

static void split(const pid_t *pids)
{
	rv_put("/sys/kernel/debug/split_huge_pages", "1");
}

static void group_move(const pid_t *pids)
{
	pid_t pid = pids[rv_rand_below(T_PLACES)];
	char text[16];

	snprintf(text, sizeof(text), "%d", pid);
	put_group(rv_rand_below(GROUPS), "cgroup.procs", text);
}

static void group_limit(const pid_t *pids)
{
	static const char *const limits[] = { "max", "64M", "32M" };
	int group = rv_rand_below(GROUPS);

	put_group(group, "memory.high", limits[rv_rand_below(3)]);
}

static void group_reclaim(const pid_t *pids)
{
	put_group(rv_rand_below(GROUPS), "memory.reclaim", "16M");
}

/*
 * Everything that was swapped out comes in; that may be more than fits. Then who
 * called swapoff() is killed first.
 */
static void swap_off_and_on(const pid_t *pids)
{
	pid_t pid = fork();

	if (!pid) {
		swapoff(swap.path);
		_exit(0);
	}
	if (pid > 0)
		waitpid(pid, NULL, 0);
	swapon(swap.path, 0);
}

/* Who takes all the memory that is left is the first to be killed. */
static void hog_memory(const pid_t *pids)
{
	int64_t kib = rv_get("/proc/meminfo", "MemAvailable:");
	uint64_t percent = rv_rand_between(60, 105);
	char *mem;

	if (hog) {
		kill(hog, SIGKILL);
		waitpid(hog, NULL, 0);
		hog = 0;
		return;
	}
	hog = fork();
	if (hog)
		return;
	rv_put("/proc/self/oom_score_adj", "1000");
	kib = kib * percent / 100;
	mem = mmap(NULL, kib * 1024, PROT_READ | PROT_WRITE, MAP_PRIVATE |
		   MAP_ANONYMOUS | MAP_NORESERVE | MAP_POPULATE, -1, 0);
	for (; mem != MAP_FAILED; rv_pause())
		;
	_exit(0);
}

static void policy(const pid_t *pids)
{
	static const char *const modes[] = { "auto", "auto", "manual", "off" };
	const char *dev = devices[rv_rand_below(3)];
	char path[96];

	snprintf(path, sizeof(path), "/sys/class/infiniband/%s/hmm/tier_mode",
		 dev ? dev : rv_dev_name());
	rv_put(path, "%s", modes[rv_rand_below(4)]);
}

/* Less than what is there: pages leave. */
static void device_size(const pid_t *pids)
{
	static const char *const sizes[] = { "4M", "16M", "64M" };
	const char *dev = devices[rv_rand_below(3)];

	rv_dmem_resize(dev, sizes[rv_rand_below(3)]);
}

/*
 * To replace the queue instead would leave the device without one for a moment,
 * which rxe takes for an error of the request.
 */
static void network(const pid_t *pids)
{
	int loss = rv_rand_below(20), late = rv_rand_below(30);
	int twice = rv_rand_below(20), ms = rv_rand_between(1, 4);

	if (t_lossy(T_PLACES - 1))
		rv_run("for i in torture_a torture_b; do "
		       "tc qdisc change dev $i root netem limit 10000 "
		       "loss 0.%02d%% duplicate 0.%02d%% delay %dms "
		       "reorder %d%%; done", loss * 5, twice * 5, ms,
		       100 - late);
}

static const struct {
	void (*fn)(const pid_t *pids);
	unsigned int weight;
} acts[] = {
	{ signals, 4 }, { stop, 3 }, { drop_caches, 2 }, { compact, 2 },
	{ merging, 3 }, { split, 2 }, { group_move, 3 }, { group_limit, 2 },
	{ group_reclaim, 4 }, { swap_off_and_on, 1 }, { hog_memory, 3 },
	{ policy, 4 }, { device_size, 3 }, { network, 3 },
};

const char *const t_chaos_names[] = {
	"signals", "stop", "drop caches", "compact", "merge equal pages",
	"split huge pages", "move to a cgroup", "limit a cgroup",
	"reclaim from a cgroup", "swap off and on", "take all memory",
	"policy of a device", "size of a device", "network", NULL
};

static int make_groups(void)
{
	char path[96];
	int i;

	rv_put(CGROUP "/cgroup.subtree_control", "+memory");
	for (i = 0; i < GROUPS; i++) {
		group_file(path, sizeof(path), i, "");
		if (mkdir(path, 0755) && errno != EEXIST)
			return -errno;
		if (put_group(i, "memory.high", "max"))
			return -EOPNOTSUPP;
	}
	return 0;
}

int t_chaos_init(void)
{
	int i, err = make_groups();

	if (err)
		return err;
	pool = rv_get(POOL, NULL);
	err = rv_put(POOL, "%d", (int)pool + T_PLACES * HUGE_PAGES);
	if (!err)
		err = rv_swap_start(&swap, RV_ZRAM);
	if (!err)
		err = rv_put(KSM "run", "1");
	rv_put(KSM "pages_to_scan", "2000");
	rv_put(KSM "sleep_millisecs", "20");
	rv_put(THP "enabled", "always");
	rv_put(THP "khugepaged/scan_sleep_millisecs", "20");
	rv_put(THP "khugepaged/alloc_sleep_millisecs", "20");
	rv_put("/proc/sys/vm/overcommit_memory", "1");
	if (t_stock())
		return err;
	for (i = 0; i < 3 && !err; i++)
		if (!devices[i] || t_lossy(T_PLACES - 1))
			err = rv_dmem_resize(devices[i], "16M");
	return err;
}

/* Each once, so that a short run has all of them; then by weight. */
static unsigned int pick(void)
{
	enum { ACTS = sizeof(acts) / sizeof(acts[0]) };
	static int order[ACTS];
	static unsigned int done;
	unsigned int i, sum = 0, at;

	if (!done)
		rv_rand_order(order, ACTS);
	if (done < ACTS)
		return order[done++];

	for (i = 0; i < ACTS; i++)
		sum += acts[i].weight;
	at = rv_rand_below(sum);
	for (i = 0; at >= acts[i].weight; i++)
		at -= acts[i].weight;
	return i;
}

void t_chaos_step(const pid_t *pids)
{
	unsigned int i = pick();

	acts[i].fn(pids);
	t_count(t_chaos_names[i]);
	if (acts[i].fn != stop && stopped) {
		kill(stopped, SIGCONT);
		stopped = 0;
	}
}

/* No more of it, so that the processes can finish. */
void t_chaos_calm(void)
{
	int i;

	if (stopped)
		kill(stopped, SIGCONT);
	if (hog) {
		kill(hog, SIGKILL);
		waitpid(hog, NULL, 0);
	}
	for (i = 0; i < GROUPS; i++)
		put_group(i, "memory.high", "max");
}

/* What the processes don't need any more goes. */
void t_chaos_fini(void)
{
	rv_put(KSM "run", "2");
	rv_put(KSM "run", "0");
	rv_swap_stop(&swap);
	rv_put(POOL, "%lld", (long long)pool);
}
