// SPDX-License-Identifier: GPL-2.0
/*
 * Slow faults: those that wait for their memory, each in a thread of its own.
 *
 * Memory may take any time: it is read from a slow disk, or a process serves it
 * through userfaultfd. A queue pair's work must not wait for that, since nothing
 * could then stop the queue pair, its region or its device. So a fault that
 * would wait (rxe_mirror_fault.c) is begun here. Whoever needs the page waits
 * for SLOW_WAIT_MS, which is enough for an SSD or a nimble pager, and after that
 * is told to come back. Whoever comes while the fault is under way doesn't fault
 * again.
 *
 * A slow fault holds on to the process's memory and to nothing else: neither to
 * a region nor to the device. The mirror knows its slow faults. When it goes,
 * because the last region over it went, they are killed: the waits of the memory
 * manager can be ended by SIGKILL, and a thread is what can get one. They are
 * killed as well when nobody but slow faults uses the memory any more. Nothing
 * tells us of that, so a work item looks every ORPHANS_MS. It matters: mappings
 * of the memory may be all that keeps the regions of a process that has exited.
 *
 * The thread maps the page in the process's page table, not in the mirror. The
 * access that comes back finds it there.
 */
#include <linux/completion.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/sched/mm.h>
#include <linux/sched/signal.h>
#include <linux/sched/task.h>

#include "rxe.h"
#include "rxe_audit.h"
#include "rxe_mirror.h"
#include "rxe_slow.h"

/* How long an access waits for a slow fault, rounded up to the tick. */
#define SLOW_WAIT_MS	2
/* How many slow faults a process may have on a device. */
#define SLOW_MAX	64
/* How often to look for faults whose process has gone. */
#define ORPHANS_MS	50

/*
 * struct slow_fault - a fault that waits for its memory
 * @ref: one for the thread, one for each that waits
 * @node: in the mirror's list, under slow_lock
 * @all: in the list of all, likewise
 * @mirror: whose list that is; NULL when it is in none, under slow_lock
 * @mm: the address space; mm_count is held, and mm_users by the thread
 * @va: the page
 * @write: for writing
 * @stopped: the thread must not begin; it may not be able to get signals yet
 * @since: when it began, in jiffies
 * @task: the thread; NULL while there is none yet, under slow_lock
 * @done: it has ended
 */
struct slow_fault {
	refcount_t		ref;
	struct list_head	node;
	struct list_head	all;
	struct rxe_mirror	*mirror;
	struct mm_struct	*mm;
	unsigned long		va;
	bool			write;
	bool			stopped;
	unsigned long		since;
	struct task_struct	*task;
	struct completion	done;
};

static void kill_orphans(struct work_struct *work);

/* The lists of all mirrors. They are short and seldom used. */
static DEFINE_SPINLOCK(slow_lock);
static LIST_HEAD(all_slow);
static DECLARE_DELAYED_WORK(orphans_work, kill_orphans);

static void slow_put(struct slow_fault *slow)
{
	if (!refcount_dec_and_test(&slow->ref))
		return;
	if (slow->task)
		put_task_struct(slow->task);
	mmdrop(slow->mm);
	kfree(slow);
	rxe_audit_freed(RXE_AUDIT_SLOW);
}

static void slow_unlink(struct slow_fault *slow)
{
	lockdep_assert_held(&slow_lock);

	if (!slow->mirror)
		return;
	list_del(&slow->node);
	list_del(&slow->all);
	slow->mirror->nr_slow--;
	slow->mirror = NULL;
}

static void slow_kill(struct slow_fault *slow)
{
	lockdep_assert_held(&slow_lock);

	WRITE_ONCE(slow->stopped, true);
	send_sig(SIGKILL, slow->task, 1);
}

/* Does nobody but slow faults use the memory? Erring does no harm. */
static bool is_orphan(struct slow_fault *slow)
{
	struct slow_fault *other;
	int n = 0;

	lockdep_assert_held(&slow_lock);

	list_for_each_entry(other, &all_slow, all)
		n += other->mm == slow->mm;

	return atomic_read(&slow->mm->mm_users) <= n;
}

static void look_for_orphans(void)
{
	queue_delayed_work(system_dfl_wq, &orphans_work,
			   msecs_to_jiffies(ORPHANS_MS));
}

static void kill_orphans(struct work_struct *work)
{
	struct slow_fault *slow;

	spin_lock(&slow_lock);
	list_for_each_entry(slow, &all_slow, all)
		if (slow->task && !slow->stopped && is_orphan(slow))
			slow_kill(slow);
	if (!list_empty(&all_slow))
		look_for_orphans();
	spin_unlock(&slow_lock);
}

/*
 * Drops the references to the memory and to the fault that its thread had. The
 * memory goes first: when the fault is known to be over, and it was the last to
 * use it, an access that comes back must not find it.
 */
static void slow_end(struct slow_fault *slow)
{
	mmput_async(slow->mm);
	spin_lock(&slow_lock);
	slow_unlink(slow);
	spin_unlock(&slow_lock);
	complete_all(&slow->done);
	slow_put(slow);
	rxe_slow_wake();
}

static void slow_run(struct slow_fault *slow)
{
	unsigned int flags = FAULT_FLAG_REMOTE;
	bool unlocked = false;

	if (slow->write)
		flags |= FAULT_FLAG_WRITE;
	if (mmap_read_lock_killable(slow->mm))
		return;
	/* an error shows again when the access comes back */
	fixup_user_fault(slow->mm, slow->va, flags, &unlocked);
	mmap_read_unlock(slow->mm);
}

static int slow_thread(void *arg)
{
	struct slow_fault *slow = arg;

	allow_signal(SIGKILL);
	/* set before the signal that may have been too early */
	if (!READ_ONCE(slow->stopped))
		slow_run(slow);
	slow_end(slow);

	module_put_and_kthread_exit(0);
}

static struct slow_fault *slow_find(struct rxe_mirror *mirror,
				    unsigned long va, bool write)
{
	struct slow_fault *slow;

	lockdep_assert_held(&slow_lock);

	list_for_each_entry(slow, &mirror->slow, node)
		if (slow->va == va && slow->write == write)
			return slow;

	return NULL;
}

static struct slow_fault *slow_alloc(struct rxe_mirror *mirror,
				     unsigned long va, bool write)
{
	struct slow_fault *slow;

	slow = kzalloc_obj(*slow, GFP_KERNEL | __GFP_NOWARN);
	if (!slow)
		return NULL;
	rxe_audit_made(RXE_AUDIT_SLOW);
	refcount_set(&slow->ref, 1);
	init_completion(&slow->done);
	mmgrab(mirror->mm);
	slow->mm = mirror->mm;
	slow->va = va;
	slow->write = write;
	slow->since = jiffies;

	return slow;
}

static bool slow_start(struct slow_fault *slow)
{
	struct task_struct *task;

	if (!mmget_not_zero(slow->mm))
		return false;
	if (!try_module_get(THIS_MODULE))
		goto err_mm;
	task = kthread_create(slow_thread, slow, "rxe_slow");
	if (IS_ERR(task))
		goto err_module;
	/* the thread's own */
	refcount_inc(&slow->ref);
	spin_lock(&slow_lock);
	slow->task = get_task_struct(task);
	spin_unlock(&slow_lock);
	wake_up_process(task);
	look_for_orphans();

	return true;

err_module:
	module_put(THIS_MODULE);
err_mm:
	mmput_async(slow->mm);
	return false;
}

/* Make a slow fault known and start it, unless another was faster. */
static struct slow_fault *slow_begin(struct rxe_mirror *mirror,
				     unsigned long va, bool write)
{
	struct slow_fault *slow, *other;

	slow = slow_alloc(mirror, va, write);
	if (!slow)
		return NULL;

	spin_lock(&slow_lock);
	other = slow_find(mirror, va, write);
	if (other) {
		refcount_inc(&other->ref);
	} else if (mirror->nr_slow < SLOW_MAX) {
		list_add(&slow->node, &mirror->slow);
		list_add(&slow->all, &all_slow);
		mirror->nr_slow++;
		slow->mirror = mirror;
	}
	spin_unlock(&slow_lock);

	if (!other && slow->mirror) {
		if (slow_start(slow)) {
			rxe_counter_inc(mirror->rxe, RXE_CNT_PAGE_FAULTS_SLOW);
			return slow;
		}
		spin_lock(&slow_lock);
		slow_unlink(slow);
		spin_unlock(&slow_lock);
		complete_all(&slow->done);
	}
	slow_put(slow);

	return other;
}

static struct slow_fault *slow_get(struct rxe_mirror *mirror, unsigned long va,
				   bool write)
{
	struct slow_fault *slow;

	spin_lock(&slow_lock);
	slow = slow_find(mirror, va, write);
	if (slow)
		refcount_inc(&slow->ref);
	spin_unlock(&slow_lock);

	return slow ? slow : slow_begin(mirror, va, write);
}

/* Returns whether the fault ended while an access may wait for it. */
static bool slow_wait(struct slow_fault *slow)
{
	unsigned long until = slow->since + msecs_to_jiffies(SLOW_WAIT_MS);
	long left = until - jiffies;

	if (left <= 0)
		return completion_done(&slow->done);

	return wait_for_completion_timeout(&slow->done, left);
}

static int slow_finish(struct rxe_mirror *mirror, struct slow_fault *slow)
{
	bool done = false;

	if (slow) {
		done = slow_wait(slow);
		slow_put(slow);
	}
	if (done)
		return 0;
	rxe_counter_inc(mirror->rxe, RXE_CNT_PAGE_FAULTS_DEFERRED);

	return -EAGAIN;
}

/**
 * rxe_slow_fault - fault in a page that takes long
 * @mirror: of the process; the caller has a region over it
 * @va: an address of the page
 * @write: for writing
 *
 * Waits for a short time if the fault has just begun. There is no waiting for
 * one that has been under way for longer, or that can't be begun because there
 * are too many or because there is no memory.
 *
 * Context: may sleep; neither mmap_lock nor a lock of the mirror is held.
 * Return: 0 if the fault has ended, well or not: try the access again, or
 * -EAGAIN: come back later.
 */
int rxe_slow_fault(struct rxe_mirror *mirror, unsigned long va, bool write)
{
	va &= PAGE_MASK;

	return slow_finish(mirror, slow_get(mirror, va, write));
}

/* A fault for writing doesn't keep anybody from reading. */
static struct slow_fault *slow_find_in(struct rxe_mirror *mirror,
				       unsigned long first, unsigned long last,
				       bool write)
{
	struct slow_fault *slow;

	lockdep_assert_held(&slow_lock);

	list_for_each_entry(slow, &mirror->slow, node)
		if (slow->va >= first && slow->va <= last &&
		    (write || !slow->write))
			return slow;

	return NULL;
}

/**
 * rxe_slow_check - is a fault under way that an access has to wait for?
 * @mirror: of the process; the caller has a region over it
 * @va: first address
 * @length: bytes, at least 1
 * @write: for writing
 *
 * Waits like rxe_slow_fault(), so that what comes again doesn't fault again.
 *
 * Context: as for rxe_slow_fault().
 * Return: 0, or -EAGAIN: come back later.
 */
int rxe_slow_check(struct rxe_mirror *mirror, unsigned long va,
		   unsigned long length, bool write)
{
	struct slow_fault *slow;

	if (likely(list_empty_careful(&mirror->slow)))
		return 0;

	spin_lock(&slow_lock);
	slow = slow_find_in(mirror, va & PAGE_MASK, va + length - 1, write);
	if (slow)
		refcount_inc(&slow->ref);
	spin_unlock(&slow_lock);

	return slow ? slow_finish(mirror, slow) : 0;
}

/**
 * rxe_slow_stop - end the slow faults of a mirror
 * @mirror: the mirror, without users
 *
 * They end soon, and no longer refer to the mirror when this returns.
 *
 * Context: any that may take a spinlock.
 */
void rxe_slow_stop(struct rxe_mirror *mirror)
{
	struct slow_fault *slow, *next;

	spin_lock(&slow_lock);
	list_for_each_entry_safe(slow, next, &mirror->slow, node) {
		slow_unlink(slow);
		/* the caller had the last region: all of them have a thread */
		slow_kill(slow);
	}
	spin_unlock(&slow_lock);
}

/**
 * rxe_slow_exit - stop what runs now and then
 *
 * Context: module exit, may sleep; no slow fault and no queue pair is left.
 */
void rxe_slow_exit(void)
{
	cancel_delayed_work_sync(&orphans_work);
	rxe_slow_qp_exit();
}
