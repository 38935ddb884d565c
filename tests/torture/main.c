// SPDX-License-Identifier: GPL-2.0
/*
 * torture: starts a process in each place, kills one now and then and starts
 * another there, has the system changed around them, and tells what was done.
 *
 *	RXE_TORTURE_SECONDS	for how long (60)
 *	RXE_TORTURE_DIR		a folder on a disk, for files (/tmp)
 *	RXE_TORTURE_STOCK	do without what the distribution's module lacks
 *	RXE_SEED		what to do
 *
 * Where the devices rxe_a and rxe_b are connected to each other, one process uses
 * them in the place of rxe0, over a network that loses packets. Needs root.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "torture.h"

#define TICK_MS		100
#define NAMES		96
#define DEATH		"(a process was killed)"
/* Shorter runs don't get around to everything. */
#define ALL_SECONDS	60

/* How often each thing was done, in memory that all processes share. */
static struct tally {
	const char *name;
	uint64_t done;
} *tally;

static struct place {
	pid_t pid;
	int generation;
	bool killed;
} places[T_PLACES];

unsigned int t_stream(int place, int generation, int thread)
{
	return ((place + 1) * 100000 + generation) * 16 + thread;
}

bool t_lossy(int place)
{
	return place == T_PLACES - 1 &&
	       !access("/sys/class/infiniband/rxe_a", F_OK) &&
	       !access("/sys/class/infiniband/rxe_b", F_OK);
}

bool t_stock(void)
{
	return rv_env("RXE_TORTURE_STOCK", 0);
}

const char *t_dir(void)
{
	const char *dir = getenv("RXE_TORTURE_DIR");

	return dir ? dir : "/tmp";
}

void t_count(const char *name)
{
	struct tally *t;

	for (t = tally; t->name; t++)
		if (!strcmp(t->name, name))
			__atomic_fetch_add(&t->done, 1, __ATOMIC_RELAXED);
}

static void add_name(const char *name)
{
	struct tally *t = tally;

	while (t->name)
		t++;
	if (t < tally + NAMES - 1)
		t->name = name;
}

static void make_tally(void)
{
	static const struct t_action *const lists[] = {
		t_verbs, t_space, t_flight,
	};
	const struct t_action *a;
	int i;

	tally = mmap(NULL, NAMES * sizeof(*tally), PROT_READ | PROT_WRITE,
		     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (tally == MAP_FAILED)
		exit(1);
	for (i = 0; i < 3; i++)
		for (a = lists[i]; a->name; a++)
			add_name(a->name);
	for (i = 0; t_chaos_names[i]; i++)
		add_name(t_chaos_names[i]);
	add_name("(stirred)");
	add_name("(a message got lost)");
	add_name(DEATH);
}

/* Was everything done at least once? Losing messages is for the network. */
static int tell(uint64_t seconds)
{
	struct tally *t;
	int missing = 0;

	for (t = tally; t->name; t++) {
		rv_log("%8llu  %s", (unsigned long long)t->done, t->name);
		missing += !t->done && *t->name != '(';
	}
	return seconds < ALL_SECONDS ? 0 : missing;
}

static int start(int i)
{
	sigset_t held, before;
	pid_t pid;

	/* until it can catch them */
	sigemptyset(&held);
	sigaddset(&held, SIGTERM);
	sigaddset(&held, SIGUSR1);
	sigprocmask(SIG_BLOCK, &held, &before);
	pid = fork();
	if (!pid)
		t_process_run(i, places[i].generation, &before);
	sigprocmask(SIG_SETMASK, &before, NULL);
	if (pid < 0)
		return -errno;
	places[i].pid = pid;
	places[i].killed = false;
	return 0;
}

/* The end of a process before it was told to end: only by our own hand. */
static int ended(int i, int status)
{
	places[i].pid = 0;
	if (!places[i].killed || !WIFSIGNALED(status) ||
	    WTERMSIG(status) != SIGKILL) {
		rv_log("process %d.%d ended with status %#x", i,
		       places[i].generation, status);
		return -ECHILD;
	}
	t_count(DEATH);
	places[i].generation++;
	return start(i);
}

static int watch(void)
{
	int i, status, err = 0;

	for (i = 0; i < T_PLACES && !err; i++)
		if (waitpid(places[i].pid, &status, WNOHANG) == places[i].pid)
			err = ended(i, status);
	return err;
}

static void kill_one(void)
{
	bool now = !rv_rand_below(40);
	int i = rv_rand_below(T_PLACES);

	if (!now)
		return;
	places[i].killed = true;
	kill(places[i].pid, SIGKILL);
}

/* A process that was killed is not one that has looked at all its bytes. */
static int stop_all(void)
{
	int i, status, err = 0;

	for (i = 0; i < T_PLACES; i++)
		if (places[i].pid)
			kill(places[i].pid, SIGTERM);
	for (i = 0; i < T_PLACES; i++) {
		if (!places[i].pid)
			continue;
		status = rv_reap(places[i].pid);
		if (!status || (places[i].killed && status == SIGKILL))
			continue;
		rv_log("process %d.%d, told to end: %#x", i,
		       places[i].generation, status);
		kill(places[i].pid, SIGKILL);
		err = -ECHILD;
	}
	return err;
}

static int torture(uint64_t seconds)
{
	uint64_t end = rv_now_ms() + 1000 * seconds, next;
	pid_t pids[T_PLACES];
	int i, err = 0, last;

	for (i = 0; i < T_PLACES && !err; i++)
		err = start(i);
	while (!err && rv_now_ms() < end) {
		next = rv_now_ms() + TICK_MS;
		for (i = 0; i < T_PLACES; i++)
			pids[i] = places[i].pid;
		t_chaos_step(pids);
		kill_one();
		do {
			rv_pause();
			err = watch();
		} while (!err && rv_now_ms() < next);
	}
	t_chaos_calm();
	last = stop_all();
	t_chaos_fini();
	return err ? err : last;
}

int main(int argc, char **argv)
{
	uint64_t seconds = rv_env("RXE_TORTURE_SECONDS", 60);
	int err, missing;

	rv_init(argc, argv);
	rv_rand_stream(0);
	make_tally();
	printf("TAP version 13\n1..2\n");
	err = t_chaos_init();
	if (!err)
		err = torture(seconds);
	else
		rv_log("what should happen around can't: %s", strerror(-err));
	if (!t_lossy(T_PLACES - 1))
		rv_log("no rxe_a and rxe_b: no packet was lost");
	missing = tell(seconds);
	printf("%sok 1 - every byte is as expected\n", err ? "not " : "");
	printf("%sok 2 - everything was done\n", missing ? "not " : "");
	return err || missing;
}
