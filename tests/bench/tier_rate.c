// SPDX-License-Identifier: GPL-2.0
/*
 * The policy against patterns of access, on a buffer of four times the device's
 * memory: how much of the accesses the device's memory serves, beside an oracle
 * that knows the distribution, and what the policy costs where it can't help.
 *
 *	tier_rate [PATTERN]...		zipf1.0 zipf1.2 uniform pingpong
 *
 * Needs root and rxe0, and sets its memory and its policy.
 */
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "rv.h"

#define REGIONS		64
#define ON_DEVICE	(REGIONS / 4)
#define LEN		(REGIONS * RV_HUGE)
#define SIZE		2048
#define DEPTH		32
#define SECOND		1000

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

static int64_t count(struct bench *b, const char *counter)
{
	return rv_stat_dev(&b->dev, counter);
}

static void shuffle(struct bench *b)
{
	int i, k, swap;

	for (i = 0; i < REGIONS; i++)
		b->at[i] = i;
	for (i = REGIONS - 1; i > 0; i--) {
		k = rv_rand_below(i + 1);
		swap = b->at[i];
		b->at[i] = b->at[k];
		b->at[k] = swap;
	}
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
	shuffle(b);
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
			  pages) / all;
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
		printf("%-22s %2d s  hits %.3f  of the oracle's %.3f  pages moved / access %.4f  %6.1f MiB/s\n",
		       what, i, hit, hit / oracle, moved, rate);
	}
}

static void zipf(struct bench *b, double s)
{
	char what[64];

	distribute(b, s);
	to_ram(b);
	printf("zipf, s = %.1f: the oracle's hit rate is %.3f\n", s,
	       b->cdf[ON_DEVICE - 1]);
	show_seconds(b, "policy manual", 1);
	set("tier_mode", "auto");
	show_seconds(b, "policy auto", 10);
	shuffle(b);
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
	printf("%-10s  off %.1f  auto %.1f MiB/s  ratio %.3f (%.3f to %.3f)  pages moved / access %.4f\n",
	       what, off / ROUNDS, on / ROUNDS, on / off, least, most,
	       (double)pages / accesses);
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
	static const char * const all[] = { "zipf1.0", "zipf1.2", "uniform", "pingpong" };
	const char * const *what = argc > 1 ? (const char * const *)argv + 1 : all;
	int n = argc > 1 ? argc - 1 : 4;
	struct bench b = {};

	setvbuf(stdout, NULL, _IOLBF, 0);
	init(&b);
	for (; n--; what++) {
		if (!strncmp(*what, "zipf", 4))
			zipf(&b, atof(*what + 4));
		else
			no_harm(&b, *what, !strcmp(*what, "pingpong"));
	}
	set("tier_mode", "default");
	return 0;
}
