// SPDX-License-Identifier: GPL-2.0
/*
 * The lanes of a device's copy engine: found, lent to batches, given back.
 *
 * A client of a DMA channel keeps its provider's module loaded. So channels are
 * taken when a batch wants them, and given back when none has for IDLE, when
 * the parameter changes, and when the engine has failed.
 *
 * Taking a channel may wait for memory, which a batch must not: its pages are
 * locked. So only the work item "tend" takes channels, and gives them back. A
 * batch that finds none lets it look, and waits SEARCH_LIMIT at most. After a
 * search in vain, or a failure of the engine, batches don't ask for a while.
 *
 * engine->lock is innermost. engines_lock is held to change the parameter and
 * the list; "tend" doesn't take it.
 */
#include <linux/ctype.h>
#include <linux/jiffies.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/mutex.h>
#include <linux/string.h>

#include "rxe.h"
#include "rxe_ce_engine.h"

#define IDLE		(2 * HZ)
#define SEARCH_LIMIT	(HZ / 10)
#define SEARCH_AGAIN	HZ
#define FAILED_AGAIN	(5 * HZ)

#define NAME_SIZE	32
#define MIN_TIMEOUT	10
#define MAX_TIMEOUT	60000

/* A batch that fits here is not worth another lane. */
#define PAGES_PER_LANE	16

static LIST_HEAD(engines);
static DEFINE_MUTEX(engines_lock);

static DEFINE_SPINLOCK(name_lock);	/* for copy_engine */
static char copy_engine[NAME_SIZE] = "auto";
static bool by_cpu;			/* copy_engine is "cpu" */

static unsigned int copy_channels = 2;
static unsigned int copy_timeout_ms = 1000;

static void name_get(char name[NAME_SIZE])
{
	spin_lock(&name_lock);
	memcpy(name, copy_engine, NAME_SIZE);
	spin_unlock(&name_lock);
}

/* What a batch of the old choice still does is over when this returns. */
static void all_give_back(void)
{
	struct rxe_ce_engine *engine;

	lockdep_assert_held(&engines_lock);

	list_for_each_entry(engine, &engines, node) {
		spin_lock(&engine->lock);
		WRITE_ONCE(engine->closing, true);
		engine->next_search = jiffies;
		spin_unlock(&engine->lock);
		mod_delayed_work(system_dfl_wq, &engine->tend, 0);
	}
	list_for_each_entry(engine, &engines, node)
		flush_delayed_work(&engine->tend);
}

static int set_engine(const char *value, const struct kernel_param *kp)
{
	size_t length = strcspn(value, "\n");
	size_t i;

	if (!length || value[length + (value[length] == '\n')])
		return -EINVAL;
	if (length >= NAME_SIZE)
		return -ENAMETOOLONG;
	for (i = 0; i < length; i++)
		if (!isgraph(value[i]) || value[i] == '/')
			return -EINVAL;

	mutex_lock(&engines_lock);
	spin_lock(&name_lock);
	memset(copy_engine, 0, NAME_SIZE);
	memcpy(copy_engine, value, length);
	WRITE_ONCE(by_cpu, !strcmp(copy_engine, "cpu"));
	spin_unlock(&name_lock);
	all_give_back();
	mutex_unlock(&engines_lock);

	return 0;
}

static int get_engine(char *buffer, const struct kernel_param *kp)
{
	char name[NAME_SIZE];

	name_get(name);

	return sysfs_emit(buffer, "%s\n", name);
}

static const struct kernel_param_ops engine_ops = {
	.set = set_engine,
	.get = get_engine,
};
module_param_cb(copy_engine, &engine_ops, NULL, 0644);
MODULE_PARM_DESC(copy_engine, "who copies to and from device memory: auto, cpu, or the name of a DMA channel or engine (default: auto)");

static int set_channels(const char *value, const struct kernel_param *kp)
{
	int err = param_set_uint_minmax(value, kp, 1, RXE_CE_MAX_LANES);

	if (err)
		return err;
	mutex_lock(&engines_lock);
	all_give_back();
	mutex_unlock(&engines_lock);

	return 0;
}

static const struct kernel_param_ops channels_ops = {
	.set = set_channels,
	.get = param_get_uint,
};
module_param_cb(copy_channels, &channels_ops, &copy_channels, 0644);
MODULE_PARM_DESC(copy_channels, "how many channels of the copy engine a device takes, 1 to 8 (default: 2)");

static int set_timeout(const char *value, const struct kernel_param *kp)
{
	return param_set_uint_minmax(value, kp, MIN_TIMEOUT, MAX_TIMEOUT);
}

static const struct kernel_param_ops timeout_ops = {
	.set = set_timeout,
	.get = param_get_uint,
};
module_param_cb(copy_timeout_ms, &timeout_ops, &copy_timeout_ms, 0644);
MODULE_PARM_DESC(copy_timeout_ms, "how long a batch waits for the copy engine, 10 to 60000 ms (default: 1000)");

/**
 * rxe_ce_engine_wanted - shall an engine copy at all?
 *
 * Context: any.
 * Return: false if the CPU was chosen.
 */
bool rxe_ce_engine_wanted(void)
{
	return !READ_ONCE(by_cpu);
}

/**
 * rxe_ce_engine_timeout - how long to wait for the engine
 *
 * Context: any.
 * Return: jiffies.
 */
unsigned long rxe_ce_engine_timeout(void)
{
	return msecs_to_jiffies(READ_ONCE(copy_timeout_ms));
}

/* What channels are looked for. */
struct search {
	char			name[NAME_SIZE];
	struct dma_device	*device;	/* the first one's, then */
};

static bool fits(struct dma_chan *chan, void *param)
{
	const struct search *search = param;

	if (search->device && chan->device != search->device)
		return false;
	/* by itself nothing is chosen that might have to be waited for */
	if (!strcmp(search->name, "auto"))
		return chan->device->device_terminate_all;

	return !strcmp(search->name, dma_chan_name(chan)) ||
	       !strcmp(search->name, dev_name(chan->device->dev));
}

static struct rxe_ce_lane *take_lane(struct search *search)
{
	struct rxe_ce_lane *lane;
	struct dma_chan *chan;
	dma_cap_mask_t mask;

	dma_cap_zero(mask);
	dma_cap_set(DMA_MEMCPY, mask);
	chan = dma_request_channel(mask, fits, search);
	if (!chan)
		return NULL;
	search->device = chan->device;
	lane = rxe_ce_lane_create(chan);
	if (!lane)
		dma_release_channel(chan);

	return lane;
}

static void take(struct rxe_ce_engine *engine)
{
	unsigned int wanted = READ_ONCE(copy_channels), n = 0;
	struct rxe_ce_lane *lanes[RXE_CE_MAX_LANES];
	struct search search = {};

	name_get(search.name);
	while (n < wanted) {
		lanes[n] = take_lane(&search);
		if (!lanes[n])
			break;
		n++;
	}

	spin_lock(&engine->lock);
	memcpy(engine->lanes, lanes, n * sizeof(*lanes));
	engine->nr_lanes = n;
	WRITE_ONCE(engine->searching, false);
	engine->last_use = jiffies;
	engine->next_search = jiffies + (n ? 0 : SEARCH_AGAIN);
	spin_unlock(&engine->lock);
	wake_up_all(&engine->wait);
}

static bool is_idle(struct rxe_ce_engine *engine)
{
	bool idle;

	spin_lock(&engine->lock);
	idle = !engine->lent;
	spin_unlock(&engine->lock);

	return idle;
}

/* Lanes are lent for as long as a batch takes, so the wait is short. */
static void give_back(struct rxe_ce_engine *engine)
{
	struct rxe_ce_lane *lanes[RXE_CE_MAX_LANES];
	unsigned int i, n;

	wait_event(engine->wait, is_idle(engine));

	spin_lock(&engine->lock);
	n = engine->nr_lanes;
	memcpy(lanes, engine->lanes, n * sizeof(*lanes));
	engine->nr_lanes = 0;
	spin_unlock(&engine->lock);

	for (i = 0; i < n; i++)
		rxe_ce_lane_destroy(lanes[i]);

	spin_lock(&engine->lock);
	WRITE_ONCE(engine->closing, false);
	spin_unlock(&engine->lock);
	wake_up_all(&engine->wait);
}

/* Stop lending if it is time to; true if lanes are to be given back. */
static bool close_if_due(struct rxe_ce_engine *engine)
{
	unsigned long due;

	spin_lock(&engine->lock);
	due = engine->last_use + IDLE;
	if (engine->nr_lanes && time_after_eq(jiffies, due))
		WRITE_ONCE(engine->closing, true);
	else if (engine->nr_lanes && !engine->closing)
		queue_delayed_work(system_dfl_wq, &engine->tend, due - jiffies);
	due = engine->closing;
	spin_unlock(&engine->lock);

	return due;
}

static void tend(struct work_struct *work)
{
	struct rxe_ce_engine *engine = container_of(to_delayed_work(work),
						    struct rxe_ce_engine, tend);

	if (close_if_due(engine))
		give_back(engine);
	if (READ_ONCE(engine->searching)) {
		take(engine);
		close_if_due(engine);
	}
}

/* Let "tend" look for channels, if there are none and it is time to. */
static bool start_search(struct rxe_ce_engine *engine)
{
	bool start;

	spin_lock(&engine->lock);
	if (!engine->nr_lanes && !engine->closing && !engine->searching &&
	    time_after_eq(jiffies, engine->next_search)) {
		WRITE_ONCE(engine->searching, true);
		mod_delayed_work(system_dfl_wq, &engine->tend, 0);
	}
	start = engine->searching;
	spin_unlock(&engine->lock);

	return start;
}

/* How many lanes of @want were lent; -EAGAIN if there may be some soon. */
static int lend(struct rxe_ce_engine *engine, unsigned int want,
		struct rxe_ce_lane **lanes)
{
	unsigned int i;
	int n = 0;

	spin_lock(&engine->lock);
	for (i = 0; i < engine->nr_lanes && n < want && !engine->closing; i++)
		if (!__test_and_set_bit(i, &engine->lent))
			lanes[n++] = engine->lanes[i];
	if (n)
		engine->last_use = jiffies;
	else if (engine->nr_lanes && !engine->closing)
		n = -EAGAIN;
	spin_unlock(&engine->lock);

	return n;
}

/**
 * rxe_ce_engine_borrow - get lanes for a batch
 * @engine: the engine
 * @nr_pages: the size of the batch
 * @lanes: filled with the lanes
 *
 * Takes what is free, and waits for a lane if none is.
 *
 * Context: may sleep, does not wait for memory.
 * Return: how many lanes; 0 if there is no engine.
 */
unsigned int rxe_ce_engine_borrow(struct rxe_ce_engine *engine,
				  unsigned int nr_pages,
				  struct rxe_ce_lane *lanes[RXE_CE_MAX_LANES])
{
	unsigned int want = min(DIV_ROUND_UP(nr_pages, PAGES_PER_LANE),
				RXE_CE_MAX_LANES);
	int n = 0;

	wait_event_timeout(engine->wait, !READ_ONCE(engine->closing),
			   SEARCH_LIMIT);
	if (start_search(engine))
		wait_event_timeout(engine->wait, !READ_ONCE(engine->searching),
				   SEARCH_LIMIT);
	wait_event_timeout(engine->wait,
			   (n = lend(engine, want, lanes)) != -EAGAIN,
			   rxe_ce_engine_timeout());

	return max(n, 0);
}

/**
 * rxe_ce_engine_return - undo rxe_ce_engine_borrow()
 * @engine: the engine
 * @lanes: the lanes, quiet
 * @nr: how many
 *
 * If one is broken, all of the engine is given up for a while.
 *
 * Context: process context.
 */
void rxe_ce_engine_return(struct rxe_ce_engine *engine,
			  struct rxe_ce_lane **lanes, unsigned int nr)
{
	unsigned int i, k;

	spin_lock(&engine->lock);
	for (i = 0; i < nr; i++) {
		for (k = 0; k < engine->nr_lanes; k++)
			if (engine->lanes[k] == lanes[i])
				__clear_bit(k, &engine->lent);
		if (!lanes[i]->broken)
			continue;
		WRITE_ONCE(engine->closing, true);
		engine->next_search = jiffies + FAILED_AGAIN;
	}
	if (engine->closing)
		mod_delayed_work(system_dfl_wq, &engine->tend, 0);
	spin_unlock(&engine->lock);
	wake_up_all(&engine->wait);
}

/**
 * rxe_ce_engine_init - set up a device's engine, without channels
 * @engine: the engine, zeroed
 *
 * Context: may sleep.
 */
void rxe_ce_engine_init(struct rxe_ce_engine *engine)
{
	spin_lock_init(&engine->lock);
	init_waitqueue_head(&engine->wait);
	INIT_DELAYED_WORK(&engine->tend, tend);
	engine->next_search = jiffies;
	mutex_lock(&engines_lock);
	list_add(&engine->node, &engines);
	mutex_unlock(&engines_lock);
}

/**
 * rxe_ce_engine_fini - undo rxe_ce_engine_init()
 * @engine: the engine, which no batch uses any more
 *
 * Context: may sleep.
 */
void rxe_ce_engine_fini(struct rxe_ce_engine *engine)
{
	mutex_lock(&engines_lock);
	list_del(&engine->node);
	mutex_unlock(&engines_lock);
	cancel_delayed_work_sync(&engine->tend);
	give_back(engine);
}
