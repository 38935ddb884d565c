// SPDX-License-Identifier: GPL-2.0
/*
 * The policy against patterns of access, on a buffer of four times the device's
 * memory: how much of the accesses the device's memory serves, beside an oracle
 * that knows the distribution, and what the policy costs where it can't help.
 *
 *	tier_rate [PATTERN]...		zipf1.0 zipf1.2 uniform pingpong pressure
 *	tier_rate short1.2		zipf, before and after, in a few lines
 *
 * Under pressure the NIC reads memory that the CPU leaves alone, while the CPU walks
 * over other memory, in a cgroup that has too little for both, with zram to swap to.
 *
 * In zipf patterns the bandwidth is also shown with a model of the link: RAM behind
 * a slow one, the device's memory behind one that is ten times as fast.
 *
 * Needs root and rxe0, and sets its memory and its policy.
 */
#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rv.h"

#define REGIONS		64
#define ON_DEVICE	(REGIONS / 4)
#define LEN		(REGIONS * RV_HUGE)
#define SIZE		2048
#define DEPTH		32
#define SECOND		1000
#define REGION_PAGES	(RV_HUGE / RV_PAGE)

/* Under pressure: what the NIC reads, what the CPU walks over, and the limit. */
#define PRESSED		(16UL << 20)
#define WALKED		(48UL << 20)
#define LIMIT		"56M"
#define CGROUP		"/sys/fs/cgroup/tier_rate"

struct bench {
	struct rv_dev dev;
	struct rv_pair pair;
	struct rv_buf local, buf;
	struct ibv_mr *local_mr, *mr;
	double cdf[REGIONS];		/* of ranks */
	int at[REGIONS];		/* the region of a rank */
	bool cpu_too;			/* the CPU writes where the NIC was */
	uint64_t ops;
};

static void die(const char *what, int err)
{
	fprintf(stderr, "tier_rate: %s: %s\n", what, strerror(err < 0 ? -err : err));
	exit(1);
}

static void set(const char *file, const char *value)
{
	char path[128];
	int err;

	snprintf(path, sizeof(path), "/sys/class/infiniband/%s/hmm/%s",
		 rv_dev_name(), file);
	err = rv_put(path, "%s", value);
	if (err)
		die(path, err);
}

/* RAM at 12 MB/s and 2 us, the device's memory at 120 MB/s and 0.2 us. */
static void set_link(bool on)
{
	set("link_ram_mbps", on ? "12" : "0");
	set("link_ram_ns", on ? "2000" : "0");
	set("link_device_mbps", on ? "120" : "0");
	set("link_device_ns", on ? "200" : "0");
}

static int64_t count(struct bench *b, const char *counter)
{
	return rv_stat_dev(&b->dev, counter);
}

/* Rank r has weight 1 / r^s; 0 is uniform. */
static void distribute(struct bench *b, double s)
{
	double sum = 0;
	int i;

	for (i = 0; i < REGIONS; i++)
		b->cdf[i] = sum += pow(i + 1, -s);
	for (i = 0; i < REGIONS; i++)
		b->cdf[i] /= sum;
	rv_rand_order(b->at, REGIONS);
}

static int draw(struct bench *b)
{
	double x = (rv_rand_below(1 << 30) + 0.5) / (1 << 30);
	int lo = 0, hi = REGIONS - 1;

	while (lo < hi) {
		int mid = (lo + hi) / 2;

		if (b->cdf[mid] < x)
			lo = mid + 1;
		else
			hi = mid;
	}
	return b->at[lo];
}

static void post(struct bench *b)
{
	size_t off = draw(b) * RV_HUGE + rv_rand_below(RV_HUGE - SIZE);
	struct ibv_sge sge = RV_SGE(b->local_mr, b->local.base, SIZE);
	uint8_t *va = b->buf.base + off;
	int err;

	err = rv_post_read(&b->pair.a, &sge, 1, RV_REMOTE(b->mr, va));
	if (err)
		die("post", err);
	if (b->cpu_too && b->ops % 64 == 0)
		*va = b->ops;
}

/* Access for some time; returns MiB a second. */
static double run(struct bench *b, uint64_t ms)
{
	uint64_t start = rv_now_ms(), ops = 0;
	int flying = 0, res;

	do {
		for (; flying < DEPTH; flying++)
			post(b);
		res = rv_wait(&b->pair.a);
		if (res)
			die(rv_status(res), EIO);
		flying--;
		ops++;
		b->ops++;
	} while (rv_now_ms() - start < ms);
	for (ms = rv_now_ms() - start; flying; flying--)
		rv_wait(&b->pair.a);
	return ops * (SIZE / 1048576.0) * 1000 / ms;
}

/* The part of the accesses that the device's memory has served, in ms. */
static double hit_rate(struct bench *b, uint64_t ms, double *moved, double *rate)
{
	int64_t all = count(b, "accesses"), hits = count(b, "device_accesses");
	int64_t pages = count(b, "tier_promoted") + count(b, "tier_demoted");

	*rate = run(b, ms);
	all = count(b, "accesses") - all;
	*moved = (double)(count(b, "tier_promoted") + count(b, "tier_demoted") -
			  pages) / REGION_PAGES / all;
	return (double)(count(b, "device_accesses") - hits) / all;
}

/* Start again from RAM. */
static void to_ram(struct bench *b)
{
	set("tier_mode", "manual");
	set("memory_size", "0");
	set("memory_size", "32M");
	run(b, 500);
}

static void show_seconds(struct bench *b, const char *what, int seconds)
{
	double oracle = b->cdf[ON_DEVICE - 1], hit, moved, rate;
	int i;

	for (i = 1; i <= seconds; i++) {
		hit = hit_rate(b, SECOND, &moved, &rate);
		printf("%-22s %2d s  hits %.3f  of the oracle's %.3f  regions moved / access %.5f  %6.1f MiB/s\n",
		       what, i, hit, hit / oracle, moved, rate);
	}
}

/* One line: hits, and the bandwidth without and with the link's model. */
static void show_both(struct bench *b, const char *what)
{
	double hit, moved, rate, modelled;

	hit = hit_rate(b, 2 * SECOND, &moved, &rate);
	set_link(true);
	modelled = run(b, 2 * SECOND);
	set_link(false);
	printf("%-14s %3.0f %% served from the device  %6.1f MiB/s  with the link's model %6.1f MiB/s\n",
	       what, 100 * hit, rate, modelled);
}

static void in_short(struct bench *b, double s)
{
	int64_t in, out;

	distribute(b, s);
	to_ram(b);
	printf("zipf, s = %.1f, over %d MiB; the device has %d MiB and can serve %.0f %%\n",
	       s, (int)(LEN >> 20), (int)(ON_DEVICE * RV_HUGE >> 20),
	       100 * b->cdf[ON_DEVICE - 1]);
	show_both(b, "policy manual");
	in = count(b, "tier_promoted");
	out = count(b, "tier_demoted");
	set("tier_mode", "auto");
	run(b, 5 * SECOND);
	show_both(b, "policy auto");
	printf("moved: %lld MiB to the device, %lld MiB back\n",
	       (long long)(count(b, "tier_promoted") - in) >> 8,
	       (long long)(count(b, "tier_demoted") - out) >> 8);
}

static void zipf(struct bench *b, double s)
{
	char what[64];

	distribute(b, s);
	to_ram(b);
	printf("zipf, s = %.1f: the oracle's hit rate is %.3f\n", s,
	       b->cdf[ON_DEVICE - 1]);
	show_both(b, "policy manual");
	set("tier_mode", "auto");
	show_seconds(b, "policy auto", 10);
	show_both(b, "policy auto");
	rv_rand_order(b->at, REGIONS);
	snprintf(what, sizeof(what), "another hot set");
	show_seconds(b, what, 10);
}

/* Bandwidth with the policy off and all in RAM, and auto, in turns. */
static void no_harm(struct bench *b, const char *what, bool cpu_too)
{
	enum { ROUNDS = 5 };
	double off = 0, on = 0, least = 1e9, most = 0, x, y;
	int64_t pages, accesses;
	int i;

	distribute(b, 0);
	b->cpu_too = cpu_too;
	pages = count(b, "tier_promoted") + count(b, "tier_demoted");
	accesses = count(b, "accesses");
	for (i = 0; i < ROUNDS; i++) {
		to_ram(b);
		set("tier_mode", "off");
		off += x = run(b, 4 * SECOND);
		set("tier_mode", "auto");
		on += y = run(b, 4 * SECOND);
		least = y / x < least ? y / x : least;
		most = y / x > most ? y / x : most;
	}
	b->cpu_too = false;
	pages = count(b, "tier_promoted") + count(b, "tier_demoted") - pages;
	accesses = count(b, "accesses") - accesses;
	printf("%-10s  off %.1f  auto %.1f MiB/s  ratio %.3f (%.3f to %.3f)  regions moved / access %.5f\n",
	       what, off / ROUNDS, on / ROUNDS, on / off, least, most,
	       (double)pages / REGION_PAGES / accesses);
}

static atomic_bool walking;

/* What a program does that has more memory than there is. */
static void *walk(void *mem)
{
	size_t off;

	while (walking)
		for (off = 0; off < WALKED && walking; off += RV_PAGE)
			++*(volatile uint8_t *)(mem + off);
	return NULL;
}

static void limit_memory(void)
{
	int err = mkdir(CGROUP, 0755) && errno != EEXIST ? -errno : 0;

	if (!err)
		err = rv_put("/sys/fs/cgroup/cgroup.subtree_control", "+memory");
	if (!err)
		err = rv_put(CGROUP "/memory.max", "%s", LIMIT);
	if (!err)
		err = rv_put(CGROUP "/cgroup.procs", "%d", getpid());
	if (err)
		die(CGROUP, err);
}

/* Bandwidth with the policy in that mode, all the rest the same. */
static double pressed(struct bench *b, const char *mode)
{
	struct rv_buf whole = b->buf, buf;
	struct ibv_mr *mr = b->mr;
	void *walked = mmap(NULL, WALKED, PROT_READ | PROT_WRITE,
			    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	pthread_t walker;
	double rate;
	int i;

	if (walked == MAP_FAILED || rv_buf_alloc_aligned(&buf, PRESSED, RV_HUGE))
		die("memory", errno);
	madvise(buf.base, PRESSED, MADV_NOHUGEPAGE);
	memset(buf.base, 1, PRESSED);
	b->mr = rv_reg_all(&b->dev, &buf, RV_ACCESS | RV_ODP);
	if (!b->mr)
		die("registration", errno);
	b->buf = buf;
	/* all parts of it alike, and none beyond it */
	for (i = 0; i < REGIONS; i++) {
		b->at[i] = i;
		b->cdf[i] = fmin(1, (i + 1) / (double)(PRESSED / RV_HUGE));
	}
	set("tier_mode", mode);
	walking = true;
	if (pthread_create(&walker, NULL, walk, walked))
		die("pthread_create", EAGAIN);
	/* swapped out by then, or moved */
	run(b, 12 * SECOND);
	rate = run(b, 6 * SECOND);
	walking = false;
	pthread_join(walker, NULL);
	ibv_dereg_mr(b->mr);
	rv_buf_free(&buf);
	munmap(walked, WALKED);
	b->buf = whole;
	b->mr = mr;
	return rate;
}

static void pressure(struct bench *b)
{
	enum { ROUNDS = 3 };
	double off = 0, on = 0, least = 1e9, most = 0, x, y;
	struct rv_swap swap;
	int i, err;

	err = rv_swap_start(&swap, RV_ZRAM);
	if (err)
		die("zram", err);
	limit_memory();
	for (i = 0; i < ROUNDS; i++) {
		off += x = pressed(b, "off");
		on += y = pressed(b, "auto");
		least = fmin(least, y / x);
		most = fmax(most, y / x);
	}
	printf("pressure    off %.1f  auto %.1f MiB/s  ratio %.2f (%.2f to %.2f)\n",
	       off / ROUNDS, on / ROUNDS, on / off, least, most);
	rv_put("/sys/fs/cgroup/cgroup.procs", "%d", getpid());
	rv_swap_stop(&swap);
	rmdir(CGROUP);
}

static void init(struct bench *b)
{
	const struct rv_opts opts = { .mtu = 4096 };
	int err;

	rv_rand_init();
	set("memory_size", "32M");
	err = rv_dev_open(&b->dev, NULL);
	if (!err)
		err = rv_pair_init(&b->pair, &b->dev, &opts);
	if (!err)
		err = rv_buf_alloc(&b->local, SIZE);
	if (!err)
		err = rv_buf_alloc_aligned(&b->buf, LEN, RV_HUGE);
	if (err)
		die("set-up", err);
	madvise(b->buf.base, LEN, MADV_HUGEPAGE);
	memset(b->buf.base, 1, LEN);
	b->local_mr = rv_reg_all(&b->dev, &b->local, RV_ACCESS);
	b->mr = rv_reg_all(&b->dev, &b->buf, RV_ACCESS | RV_ODP);
	if (!b->local_mr || !b->mr)
		die("registration", errno);
}

int main(int argc, char **argv)
{
	static const char * const all[] = { "zipf1.0", "zipf1.2", "uniform", "pingpong",
					    "pressure" };
	const char * const *what = argc > 1 ? (const char * const *)argv + 1 : all;
	int n = argc > 1 ? argc - 1 : 5;
	struct bench b = {};

	setvbuf(stdout, NULL, _IOLBF, 0);
	init(&b);
	for (; n--; what++) {
		if (!strncmp(*what, "zipf", 4))
			zipf(&b, atof(*what + 4));
		else if (!strcmp(*what, "pressure"))
			pressure(&b);
		else if (!strncmp(*what, "short", 5))
			in_short(&b, atof(*what + 5));
		else
			no_harm(&b, *what, !strcmp(*what, "pingpong"));
	}
	set("tier_mode", "default");
	return 0;
}
