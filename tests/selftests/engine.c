// SPDX-License-Identifier: GPL-2.0
/*
 * Who copies to and from device memory: a DMA engine, here dmasim, or the CPU
 * when there is none, it fails, is late or goes away. Whatever it is, all bytes
 * must arrive, and nothing may be written after the copy is over.
 */
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <libgen.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "lib/rv.h"

#define SIZE_FILE	"/sys/class/infiniband/rxe0/hmm/memory_size"
#define PARAMETERS	"/sys/module/rdma_rxe/parameters/"
#define DRIVER		"/sys/bus/platform/drivers/dmasim/"
#define REFCOUNT	"/sys/module/dmasim/refcnt"
#define CHANNELS	"/sys/devices/platform/dmasim/dma/dma*chan*"
#define DEVICE		RXE_HMM_PLACE_DEVICE
#define SYSTEM		RXE_HMM_PLACE_SYSTEM
#define LEN		(4UL << 20)
#define PAGES		(LEN / RV_PAGE)

struct counts {
	int64_t batches;
	int64_t engine;
	int64_t cpu;
	int64_t fallbacks;
	int64_t us;
};

FIXTURE(engine)
{
	struct rv_dev dev;
	struct rv_buf mem;
	struct ibv_mr *mr;
	struct counts before;
};

FIXTURE_VARIANT(engine)
{
	int advice;
};

FIXTURE_VARIANT_ADD(engine, pages)
{
	.advice = MADV_NOHUGEPAGE,
};

FIXTURE_VARIANT_ADD(engine, thp)
{
	.advice = MADV_HUGEPAGE,
};

static struct counts counts(struct rv_dev *dev)
{
	return (struct counts){
		.batches = rv_stat_dev(dev, "copy_batches"),
		.engine = rv_stat_dev(dev, "copy_engine_bytes"),
		.cpu = rv_stat_dev(dev, "copy_cpu_bytes"),
		.fallbacks = rv_stat_dev(dev, "copy_fallbacks"),
		.us = rv_stat_dev(dev, "copy_us"),
	};
}

/* What was counted since then. */
static struct counts since(struct rv_dev *dev, const struct counts *then)
{
	struct counts c = counts(dev);

	c.batches -= then->batches;
	c.engine -= then->engine;
	c.cpu -= then->cpu;
	c.fallbacks -= then->fallbacks;
	c.us -= then->us;
	rv_log("batches %ld engine %ld cpu %ld fallbacks %ld us %ld",
	       (long)c.batches, (long)c.engine, (long)c.cpu, (long)c.fallbacks,
	       (long)c.us);

	return c;
}

static uint64_t moved(struct ibv_mr *mr, int place)
{
	struct rxe_hmm_migrate_resp resp;
	int i;

	if (rv_hmm_migrate(mr, 0, LEN, place, &resp))
		return -1;
	for (i = 0; i < ARRAY_SIZE(resp.skipped); i++)
		if (resp.skipped[i])
			rv_log("skipped %llu, reason %d", resp.skipped[i], i);

	return resp.moved;
}

FIXTURE_SETUP(engine)
{
	ASSERT_EQ(0, rv_engine_load());
	ASSERT_EQ(0, rv_engine_timeout(20000));
	ASSERT_EQ(0, rv_put(PARAMETERS "copy_channels", "2"));
	ASSERT_EQ(0, rv_put(SIZE_FILE, "64M"));
	ASSERT_EQ(0, rv_dev_open(&self->dev, NULL));
	ASSERT_EQ(0, rv_buf_alloc_aligned(&self->mem, LEN, RV_HUGE));
	ASSERT_EQ(0, madvise(self->mem.base, LEN, variant->advice));
	rv_buf_fill(&self->mem);
	self->mr = rv_reg_all(&self->dev, &self->mem, RV_ACCESS | RV_ODP);
	ASSERT_NE(NULL, self->mr);
	self->before = counts(&self->dev);
	ASSERT_LE(0, self->before.batches);
}

FIXTURE_TEARDOWN(engine)
{
	EXPECT_EQ(0, ibv_dereg_mr(self->mr));
	EXPECT_EQ(0, rv_buf_check(&self->mem));
	rv_buf_free(&self->mem);
	rv_dev_close(&self->dev);
	EXPECT_EQ(0, rv_engine_unload());
}

/* The engine copies all, both ways, and the fault of a CPU. */
TEST_F(engine, copies)
{
	struct counts c;

	ASSERT_EQ(PAGES, moved(self->mr, DEVICE));
	ASSERT_EQ(PAGES, moved(self->mr, SYSTEM));
	ASSERT_EQ(0, rv_buf_check(&self->mem));
	c = since(&self->dev, &self->before);
	ASSERT_LE(2, c.batches);
	ASSERT_EQ(2 * LEN, c.engine);
	ASSERT_EQ(0, c.cpu);
	ASSERT_EQ(0, c.fallbacks);
	ASSERT_LT(0, c.us);
	ASSERT_EQ(2 * LEN, rv_engine_get("bytes"));

	ASSERT_EQ(PAGES, moved(self->mr, DEVICE));
	ASSERT_EQ(0, rv_buf_check(&self->mem));
	c = since(&self->dev, &self->before);
	ASSERT_EQ(4 * LEN, c.engine);
	ASSERT_EQ(0, c.fallbacks);
}

/* One that is there is found by its name, by a channel's, and by itself. */
TEST_F(engine, names)
{
	const char *names[3] = { "auto", "dmasim" };
	struct counts c;
	glob_t found;
	int i;

	ASSERT_EQ(0, glob(CHANNELS, 0, NULL, &found));
	names[2] = basename(found.gl_pathv[0]);
	for (i = 0; i < ARRAY_SIZE(names); i++) {
		self->before = counts(&self->dev);
		ASSERT_EQ(0, rv_put(PARAMETERS "copy_engine", "%s\n", names[i]));
		ASSERT_EQ(PAGES, moved(self->mr, DEVICE));
		ASSERT_EQ(PAGES, moved(self->mr, SYSTEM));
		c = since(&self->dev, &self->before);
		ASSERT_EQ(2 * LEN, c.engine) TH_LOG("%s", names[i]);
		ASSERT_EQ(0, c.cpu);
	}
	globfree(&found);
}

/* Chosen: that is no fallback. */
TEST_F(engine, cpu)
{
	struct counts c;

	ASSERT_EQ(0, rv_engine_choose("cpu"));
	ASSERT_EQ(PAGES, moved(self->mr, DEVICE));
	ASSERT_EQ(PAGES, moved(self->mr, SYSTEM));
	c = since(&self->dev, &self->before);
	ASSERT_EQ(0, c.engine);
	ASSERT_EQ(2 * LEN, c.cpu);
	ASSERT_EQ(0, c.fallbacks);
	ASSERT_EQ(0, rv_engine_get("descriptors"));
}

/* Asked for and not there: every batch is a fallback. */
TEST_F(engine, missing)
{
	struct counts c;

	ASSERT_EQ(0, rv_engine_choose("none-such"));
	ASSERT_EQ(PAGES, moved(self->mr, DEVICE));
	ASSERT_EQ(PAGES, moved(self->mr, SYSTEM));
	c = since(&self->dev, &self->before);
	ASSERT_EQ(0, c.engine);
	ASSERT_EQ(2 * LEN, c.cpu);
	ASSERT_EQ(c.batches, c.fallbacks);
}

/* Descriptors fail half way: those runs are copied again. */
TEST_F(engine, errors)
{
	struct counts c;
	int i;

	ASSERT_EQ(0, rv_engine_knob("error_ppm", 300000));
	for (i = 0; i < 8; i++) {
		ASSERT_EQ(PAGES, moved(self->mr, DEVICE));
		ASSERT_EQ(PAGES, moved(self->mr, SYSTEM));
		ASSERT_EQ(0, rv_buf_check(&self->mem));
	}
	c = since(&self->dev, &self->before);
	ASSERT_EQ(16 * LEN, c.engine + c.cpu);
	ASSERT_LT(0, c.engine);
	ASSERT_LT(0, c.cpu);
	ASSERT_LT(0, c.fallbacks);
	ASSERT_LT(0, rv_engine_get("failed"));
}

TEST_F(engine, only_errors)
{
	struct counts c;

	ASSERT_EQ(0, rv_engine_knob("error_ppm", 1000000));
	ASSERT_EQ(PAGES, moved(self->mr, DEVICE));
	ASSERT_EQ(PAGES, moved(self->mr, SYSTEM));
	c = since(&self->dev, &self->before);
	ASSERT_EQ(0, c.engine);
	ASSERT_EQ(2 * LEN, c.cpu);
	ASSERT_EQ(c.batches, c.fallbacks);
}

/*
 * The engine stops in the middle. It is stopped for good before the CPU takes
 * over, so when it goes on it does not write old data over new.
 */
TEST_F(engine, stall)
{
	struct counts c;
	int64_t bytes;

	ASSERT_EQ(0, rv_engine_timeout(100));
	ASSERT_EQ(0, rv_engine_knob("stall_after", 1));
	ASSERT_EQ(PAGES, moved(self->mr, DEVICE));
	c = since(&self->dev, &self->before);
	ASSERT_EQ(LEN, c.engine + c.cpu);
	ASSERT_LT(0, c.cpu);
	ASSERT_LE(1, c.fallbacks);
	ASSERT_EQ(1, rv_engine_get("stall"));
	ASSERT_LT(0, rv_engine_get("terminated"));
	ASSERT_EQ(PAGES, moved(self->mr, SYSTEM));
	ASSERT_EQ(0, rv_buf_check(&self->mem));

	/* new data, most likely where the engine was about to write old data */
	rv_buf_fill(&self->mem);
	bytes = rv_engine_get("bytes");
	ASSERT_EQ(PAGES, moved(self->mr, DEVICE));
	ASSERT_EQ(0, rv_engine_knob("stall", 0));
	ASSERT_EQ(PAGES, moved(self->mr, SYSTEM));
	ASSERT_EQ(0, rv_buf_check(&self->mem));
	/* what failed is left alone for some seconds */
	ASSERT_EQ(bytes, rv_engine_get("bytes"));

	/* unless it is asked for again */
	ASSERT_EQ(0, rv_engine_timeout(20000));
	ASSERT_EQ(0, rv_engine_choose("dmasim"));
	self->before = counts(&self->dev);
	ASSERT_EQ(PAGES, moved(self->mr, DEVICE));
	c = since(&self->dev, &self->before);
	ASSERT_EQ(LEN, c.engine);
}

static void *promote(void *arg)
{
	return (void *)moved(arg, DEVICE);
}

/* The hardware is pulled while a batch is under way. */
TEST_F(engine, removal)
{
	struct counts c;
	pthread_t thread;
	void *pages;

	ASSERT_EQ(0, rv_engine_knob("bandwidth_mib", 1));
	ASSERT_EQ(0, pthread_create(&thread, NULL, promote, self->mr));
	ASSERT_TRUE(rv_wait_for(rv_engine_get("bytes") > 0));
	ASSERT_EQ(0, rv_put(DRIVER "unbind", "dmasim"));
	ASSERT_EQ(0, pthread_join(thread, &pages));
	ASSERT_EQ(PAGES, (uint64_t)pages);
	c = since(&self->dev, &self->before);
	ASSERT_EQ(LEN, c.engine + c.cpu);
	ASSERT_LT(0, c.cpu);
	ASSERT_LE(1, c.fallbacks);
	ASSERT_EQ(PAGES, moved(self->mr, SYSTEM));
	ASSERT_EQ(0, rv_buf_check(&self->mem));

	/* and put back */
	ASSERT_EQ(0, rv_put(DRIVER "bind", "dmasim"));
	ASSERT_EQ(0, rv_engine_choose("dmasim"));
	self->before = counts(&self->dev);
	ASSERT_EQ(PAGES, moved(self->mr, DEVICE));
	c = since(&self->dev, &self->before);
	ASSERT_EQ(LEN, c.engine);
}

/* Neither module goes while a copy is under way, and the copy goes on. */
TEST_F(engine, unload_in_flight)
{
	struct counts c;
	pthread_t thread;
	void *pages;

	ASSERT_EQ(0, rv_engine_knob("bandwidth_mib", 4));
	ASSERT_EQ(0, pthread_create(&thread, NULL, promote, self->mr));
	ASSERT_TRUE(rv_wait_for(rv_engine_get("bytes") > 0));
	ASSERT_EQ(-1, syscall(SYS_delete_module, "dmasim", O_NONBLOCK));
	ASSERT_TRUE(errno == EWOULDBLOCK || errno == EBUSY);
	ASSERT_EQ(-1, syscall(SYS_delete_module, "rdma_rxe", O_NONBLOCK));
	ASSERT_TRUE(errno == EWOULDBLOCK || errno == EBUSY);
	ASSERT_EQ(0, pthread_join(thread, &pages));
	ASSERT_EQ(PAGES, (uint64_t)pages);
	c = since(&self->dev, &self->before);
	ASSERT_EQ(LEN, c.engine);
	ASSERT_EQ(0, c.fallbacks);
}

/* Channels are given back when nothing is copied, so dmasim can be unloaded. */
TEST_F(engine, idle)
{
	ASSERT_EQ(PAGES, moved(self->mr, DEVICE));
	ASSERT_NE(0, rv_get(REFCOUNT, NULL));
	ASSERT_TRUE(rv_wait_for(rv_get(REFCOUNT, NULL) == 0));
	ASSERT_EQ(0, rv_run("rmmod dmasim"));
	ASSERT_EQ(PAGES, moved(self->mr, SYSTEM));
}

/* And at once when another engine is chosen. */
TEST_F(engine, given_back)
{
	ASSERT_EQ(PAGES, moved(self->mr, DEVICE));
	ASSERT_LT(0, rv_get(REFCOUNT, NULL));
	ASSERT_EQ(0, rv_engine_choose("cpu"));
	ASSERT_EQ(0, rv_get(REFCOUNT, NULL));
}

#define SECOND		"rxe_engine"
#define SECOND_SIZE	"/sys/class/infiniband/" SECOND "/hmm/memory_size"

static int add_second(void)
{
	return rv_run("ip link add " SECOND " type dummy && "
		      "ip link set " SECOND " mtu 9000 up && "
		      "ip address add 198.51.100.78/32 dev " SECOND " && "
		      "rdma link add " SECOND " type rxe netdev " SECOND " && "
		      "timeout 30 sh -c 'until grep -qi ffff:c633:644e "
		      "/sys/class/infiniband/" SECOND "/ports/1/gids/* "
		      "2>/dev/null; do sleep 0.05; done'");
}

static void remove_second(void)
{
	rv_run("rdma link delete " SECOND " 2>/dev/null || true; "
	       "ip link delete " SECOND " 2>/dev/null || true");
}

/* Two devices have channels of their own, and one gives back when it goes. */
TEST_F(engine, device_goes)
{
	struct rv_dev dev;
	struct rv_buf mem;
	struct ibv_mr *mr;

	remove_second();
	ASSERT_EQ(0, add_second());
	ASSERT_EQ(0, rv_put(SECOND_SIZE, "16M"));
	ASSERT_EQ(0, rv_dev_open(&dev, SECOND));
	ASSERT_EQ(0, rv_buf_alloc_aligned(&mem, LEN, RV_HUGE));
	rv_buf_fill(&mem);
	mr = rv_reg_all(&dev, &mem, RV_ACCESS | RV_ODP);
	ASSERT_NE(NULL, mr);

	ASSERT_EQ(PAGES, moved(mr, DEVICE));
	ASSERT_EQ(PAGES, moved(self->mr, DEVICE));
	EXPECT_EQ(4, rv_get(REFCOUNT, NULL));
	ASSERT_EQ(0, rv_stat_dev(&dev, "copy_cpu_bytes"));
	ASSERT_EQ(LEN, rv_stat_dev(&dev, "copy_engine_bytes"));
	ASSERT_EQ(0, rv_buf_check(&mem));
	ASSERT_EQ(PAGES, moved(mr, DEVICE));
	ASSERT_EQ(0, ibv_dereg_mr(mr));
	rv_dev_close(&dev);
	remove_second();
	ASSERT_GE(2, rv_get(REFCOUNT, NULL));
	ASSERT_EQ(0, rv_buf_check(&mem));
	rv_buf_free(&mem);
}

/*
 * A process is killed while its pages are copied, and its device deleted. Both
 * wait for the copy, and nobody else's bytes change.
 */
TEST_F(engine, device_goes_in_flight)
{
	struct rv_dev dev;
	struct rv_buf mem;
	struct ibv_mr *mr;
	pid_t user, remover;

	remove_second();
	ASSERT_EQ(0, add_second());
	ASSERT_EQ(0, rv_put(SECOND_SIZE, "16M"));
	ASSERT_EQ(PAGES, moved(self->mr, DEVICE));
	ASSERT_EQ(0, rv_engine_knob("bandwidth_mib", 1));
	self->before.engine = rv_engine_get("bytes");
	user = fork();
	if (!user) {
		if (rv_dev_open(&dev, SECOND) ||
		    rv_buf_alloc_aligned(&mem, LEN, RV_HUGE))
			_exit(1);
		rv_buf_fill(&mem);
		mr = rv_reg_all(&dev, &mem, RV_ACCESS | RV_ODP);
		_exit(!mr || moved(mr, DEVICE) != PAGES);
	}
	ASSERT_TRUE(rv_wait_for(rv_engine_get("bytes") > self->before.engine));
	remover = fork();
	if (!remover)
		_exit(rv_run("rdma link delete " SECOND) ? 1 : 0);
	ASSERT_EQ(0, kill(user, SIGKILL));
	ASSERT_EQ(SIGKILL, rv_reap(user));
	ASSERT_EQ(0, rv_reap(remover));
	ASSERT_NE(0, access(SECOND_SIZE, F_OK));
	ASSERT_EQ(0, rv_engine_knob("bandwidth_mib", 0));
	remove_second();
	ASSERT_EQ(0, rv_buf_check(&self->mem));
}

/* Many at once, on few channels that are slow to start and fail at times. */
TEST_F(engine, crowd)
{
	struct {
		struct rv_buf mem;
		struct ibv_mr *mr;
		pthread_t thread;
	} own[4];
	struct counts c;
	void *pages;
	int i, round;

	ASSERT_EQ(0, rv_engine_knob("error_ppm", 50000));
	ASSERT_EQ(0, rv_engine_knob("latency_us", 50));
	for (i = 0; i < ARRAY_SIZE(own); i++) {
		ASSERT_EQ(0, rv_buf_alloc_aligned(&own[i].mem, LEN, RV_HUGE));
		ASSERT_EQ(0, madvise(own[i].mem.base, LEN, variant->advice));
		rv_buf_fill(&own[i].mem);
		own[i].mr = rv_reg_all(&self->dev, &own[i].mem,
				       RV_ACCESS | RV_ODP);
		ASSERT_NE(NULL, own[i].mr);
	}
	for (round = 0; round < 3; round++) {
		for (i = 0; i < ARRAY_SIZE(own); i++)
			ASSERT_EQ(0, pthread_create(&own[i].thread, NULL,
						    promote, own[i].mr));
		for (i = 0; i < ARRAY_SIZE(own); i++) {
			ASSERT_EQ(0, pthread_join(own[i].thread, &pages));
			EXPECT_EQ(PAGES, (uint64_t)pages);
		}
		for (i = 0; i < ARRAY_SIZE(own); i++)
			ASSERT_EQ(0, rv_buf_check(&own[i].mem));
	}
	for (i = 0; i < ARRAY_SIZE(own); i++) {
		ASSERT_EQ(0, ibv_dereg_mr(own[i].mr));
		rv_buf_free(&own[i].mem);
	}
	c = since(&self->dev, &self->before);
	ASSERT_LT(0, c.engine);
	ASSERT_LT(0, c.fallbacks);
	/* there and back, three times each */
	ASSERT_EQ(3 * 2 * ARRAY_SIZE(own) * LEN, c.engine + c.cpu);
}

/* A bad value is refused and changes nothing. */
TEST_F(engine, bad_parameters)
{
	static const struct {
		const char *name, *value;
		int err;
	} cases[] = {
		{ "copy_engine", "\n", -EINVAL },
		{ "copy_engine", "two words", -EINVAL },
		{ "copy_engine", "a/b", -EINVAL },
		{ "copy_engine", "two\nlines", -EINVAL },
		{ "copy_engine", "0123456789abcdef0123456789abcdef",
		  -ENAMETOOLONG },
		{ "copy_channels", "0", -EINVAL },
		{ "copy_channels", "9", -EINVAL },
		{ "copy_channels", "-1", -EINVAL },
		{ "copy_channels", "two", -EINVAL },
		{ "copy_timeout_ms", "9", -EINVAL },
		{ "copy_timeout_ms", "60001", -EINVAL },
		{ "copy_timeout_ms", "", 0 },
	};
	char path[96];
	int i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		snprintf(path, sizeof(path), PARAMETERS "%s", cases[i].name);
		EXPECT_EQ(cases[i].err, rv_put(path, "%s", cases[i].value))
			TH_LOG("%s=%s", cases[i].name, cases[i].value);
	}
	ASSERT_EQ(2, rv_get(PARAMETERS "copy_channels", NULL));
	ASSERT_EQ(20000, rv_get(PARAMETERS "copy_timeout_ms", NULL));
	ASSERT_EQ(PAGES, moved(self->mr, DEVICE));
	ASSERT_EQ(LEN, since(&self->dev, &self->before).engine);
}

RV_HARNESS_MAIN
