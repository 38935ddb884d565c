// SPDX-License-Identifier: GPL-2.0
/*
 * Transfers whose every byte is compared, and the speed of large ones.
 *
 *	odp_check data pinned|odp [OPERATIONS]
 *	odp_check speed write|read [ROUNDS]
 *
 * data: random operations at random offsets and lengths between two buffers of
 * random bytes. After each operation both buffers are compared with what they
 * must hold, guards on either side included. With "odp" the process changes
 * the memory under the regions between the operations; a pinned region would
 * go on with the pages that the process no longer sees, so there it does not.
 * Prints "operations N compared BYTES failed N".
 *
 * speed: messages of 64 KiB between the same two buffers, registered both
 * ways, in interleaved rounds; fewer of them on a machine that is slow. Prints
 * "pinned MIB_PER_S odp MIB_PER_S" for each round. The buffers are resident: one
 * transfer of everything goes first.
 *
 * The memory and the queue pairs are those of the selftests' library.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/rv.h"

#define MTU		4096
#define LEN		(1024 * 1024 + 3 * RV_PAGE)
#define PAGES		(LEN / RV_PAGE)

static int wrong;
static unsigned long long compared;

static void done(struct rv_ends *e, const char *what, int result)
{
	compared += e->mem_a.map_len + e->mem_b.map_len;
	if (!result)
		return;
	wrong++;
	rv_log("%s: %s", what, rv_status(result));
	/* Go on from what is there, with queue pairs that work. */
	rv_buf_learn(&e->mem_a);
	rv_buf_learn(&e->mem_b);
	if (rv_pair_again(&e->pair))
		exit(1);
}

static void must(int failed, const char *what)
{
	if (!failed)
		return;
	rv_log("%s: %s", what, strerror(errno));
	exit(1);
}

/* Operations. */

static void transfer(struct rv_ends *e, rv_ends_fn fn, const char *what)
{
	size_t len = rv_rand_len(1, LEN - RV_PAGE);

	done(e, what, fn(e, rv_rand_below(LEN - len + 1),
			 rv_rand_below(LEN - len + 1), len));
}

static size_t word(void)
{
	return 8 * rv_rand_below(LEN / 8);
}

static void operation(struct rv_ends *e)
{
	uint64_t now;
	size_t off;

	switch (rv_rand_below(10)) {
	case 0 ... 2:
		transfer(e, rv_ends_write, "write");
		break;
	case 3:
		transfer(e, rv_ends_write_imm, "write with immediate");
		break;
	case 4 ... 5:
		transfer(e, rv_ends_read, "read");
		break;
	case 6:
		transfer(e, rv_ends_send, "send");
		break;
	case 7:
		off = word();
		memcpy(&now, rv_buf_shadow(&e->mem_b, off), sizeof(now));
		done(e, "compare and swap",
		     rv_ends_cmp_swap(e, word(), off, now, rv_rand()));
		break;
	case 8:
		done(e, "fetch and add",
		     rv_ends_fetch_add(e, word(), word(), rv_rand()));
		break;
	case 9:
		done(e, "atomic write",
		     rv_ends_atomic_write(e, word(), rv_rand()));
		break;
	}
}

/* Changes to a range of pages of one buffer. */

struct range {
	struct rv_buf *b;
	size_t off, len;
};

static void cpu_write(const struct range *r)
{
	rv_rand_fill(r->b->base + r->off, r->len);
	rv_buf_expect(r->b, r->off, r->b->base + r->off, r->len);
}

static void map_fresh(const struct range *r)
{
	void *p = r->b->base + r->off;

	must(mmap(p, r->len, PROT_READ | PROT_WRITE,
		  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != p, "mmap");
	rv_buf_expect_byte(r->b, r->off, 0, r->len);
}

static void drop(const struct range *r)
{
	must(madvise(r->b->base + r->off, r->len, MADV_DONTNEED),
	     "MADV_DONTNEED");
	rv_buf_expect_byte(r->b, r->off, 0, r->len);
}

/* A peer's write to a page that the process could not write itself. */
static void refused(struct rv_ends *e, size_t off, const char *what)
{
	struct ibv_sge sge = rv_ends_sge_a(e, 100, 1000);
	int res;

	res = rv_write(&e->pair.a, &sge, 1, rv_ends_remote(e, off + 10));
	if (res == IBV_WC_REM_ACCESS_ERR)
		res = 0;
	else if (!res)
		res = -EBADMSG;
	must(rv_pair_again(&e->pair), "queue pairs");
	done(e, what, res);
}

static void hole(struct rv_ends *e, struct range *r)
{
	r->b = &e->mem_b;
	must(munmap(r->b->base + r->off, r->len), "munmap");
	refused(e, r->off, "write into a hole");
	map_fresh(r);
}

static void read_only(struct rv_ends *e, struct range *r)
{
	void *p;

	r->b = &e->mem_b;
	p = r->b->base + r->off;
	must(mprotect(p, r->len, PROT_READ), "mprotect");
	refused(e, r->off, "write to read-only memory");
	done(e, "read of read-only memory", rv_ends_read(e, 1, r->off, r->len));
	must(mprotect(p, r->len, PROT_READ | PROT_WRITE), "mprotect");
}

/*
 * A child shares all pages until one side writes. The device writes for us,
 * so the child must not see it: its copies of memory and shadow stay equal.
 */
static void copy_on_write(struct rv_ends *e)
{
	int go[2], status;
	pid_t child;
	char c;

	must(pipe(go), "pipe");
	child = fork();
	must(child < 0, "fork");
	if (!child) {
		close(go[1]);
		_exit(read(go[0], &c, 1) != 0 || rv_ends_check(e));
	}
	close(go[0]);
	transfer(e, rv_ends_write, "write after fork");
	transfer(e, rv_ends_read, "read after fork");
	close(go[1]);
	must(waitpid(child, &status, 0) != child, "waitpid");
	done(e, "the child's memory after fork", status ? -EBADMSG : 0);
}

static void change(struct rv_ends *e)
{
	size_t pages = rv_rand_between(1, 64);
	struct range r = {
		.b = rv_rand_below(2) ? &e->mem_a : &e->mem_b,
		.off = rv_rand_below(PAGES - pages + 1) * RV_PAGE,
		.len = pages * RV_PAGE,
	};

	switch (rv_rand_below(6)) {
	case 0:
		cpu_write(&r);
		break;
	case 1:
		drop(&r);
		break;
	case 2:
		map_fresh(&r);
		break;
	case 3:
		hole(e, &r);
		break;
	case 4:
		read_only(e, &r);
		break;
	case 5:
		copy_on_write(e);
		break;
	}
}

static int data(unsigned int flags, int operations)
{
	struct rv_opts opts = { .mtu = MTU };
	struct rv_ends e;
	int i;

	must(rv_ends_init(&e, &opts, LEN, flags, flags), "setting up");
	for (i = 0; i < operations; i++) {
		operation(&e);
		if (flags && !rv_rand_below(3))
			change(&e);
	}
	rv_ends_fini(&e);
	printf("operations %d compared %llu failed %d\n", operations, compared,
	       wrong);

	return wrong != 0;
}

/* Speed. */

#define MESSAGE		(64 * 1024)
#define SPEED_LEN	(1024 * 1024)
#define MESSAGES	192
#define DEPTH		32
/* The least number of rounds, and when to stop after that. */
#define MIN_ROUNDS	5
#define ENOUGH_MS	6000

static uint64_t now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000ULL + ts.tv_nsec / 1000;
}

/* MiB/s. */
static double stream(struct rv_stream *s, int messages)
{
	uint64_t start = now_us();

	must(rv_streams_run(s, 1, messages), "transfer");
	return 1e6 * messages * MESSAGE / (1 << 20) / (now_us() - start);
}

static int speed(enum rv_stream_op op, int rounds)
{
	struct rv_opts opts = { .mtu = MTU };
	struct rv_stream sides[2];
	double mib[2];
	struct rv_ends e;
	uint64_t enough;
	int i, k;

	must(rv_ends_open(&e, &opts, SPEED_LEN), "setting up");
	for (k = 0; k < 2; k++) {
		unsigned int access = RV_ACCESS | (k ? RV_ODP : 0);

		sides[k] = (struct rv_stream){
			.pair = &e.pair, .op = op,
			.mr_a = rv_reg_all(&e.dev, &e.mem_a, access),
			.mr_b = rv_reg_all(&e.dev, &e.mem_b, access),
			.base_a = e.mem_a.base, .base_b = e.mem_b.base,
			.len = SPEED_LEN, .size = MESSAGE, .depth = DEPTH,
		};
		must(!sides[k].mr_a || !sides[k].mr_b, "registering");
		stream(&sides[k], SPEED_LEN / MESSAGE);
	}
	enough = rv_now_ms() + ENOUGH_MS;
	for (i = 0; i < rounds; i++) {
		if (i >= MIN_ROUNDS && rv_now_ms() > enough)
			break;
		/* take turns at being first */
		for (k = 0; k < 2; k++)
			mib[k ^ (i & 1)] = stream(&sides[k ^ (i & 1)], MESSAGES);
		printf("pinned %.1f odp %.1f\n", mib[0], mib[1]);
	}
	k = rv_compare("both buffers", e.mem_a.base, e.mem_b.base, SPEED_LEN);
	for (i = 0; i < 2; i++) {
		ibv_dereg_mr(sides[i].mr_a);
		ibv_dereg_mr(sides[i].mr_b);
	}
	rv_ends_fini(&e);

	return k != 0;
}

int main(int argc, char **argv)
{
	const char *what = argc > 1 ? argv[1] : "";
	const char *how = argc > 2 ? argv[2] : "";
	int n = argc > 3 ? atoi(argv[3]) : 0;

	rv_init(argc, argv);
	if (!strcmp(what, "data") && !strcmp(how, "pinned"))
		return data(0, n ?: 100);
	if (!strcmp(what, "data") && !strcmp(how, "odp"))
		return data(RV_ODP, n ?: 100);
	if (!strcmp(what, "speed") && !strcmp(how, "write"))
		return speed(RV_STREAM_WRITE, n ?: 25);
	if (!strcmp(what, "speed") && !strcmp(how, "read"))
		return speed(RV_STREAM_READ, n ?: 25);

	fprintf(stderr, "usage: odp_check data pinned|odp [OPERATIONS]\n"
			"       odp_check speed write|read [ROUNDS]\n");
	return 2;
}
