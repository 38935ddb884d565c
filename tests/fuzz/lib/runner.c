// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <libgen.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "corpus.h"
#include "kcov.h"
#include "runner.h"
#include "rv_log.h"
#include "rv_rand.h"

#define SECONDS		60	/* by default */
#define HANG_MS		60000	/* an input that takes longer hangs */
#define REPORT_MS	10000

static struct {
	const char *name;
	const char *corpus;
	const char *out;
	uint64_t seconds;
	runner_fn run;
	uint64_t inputs;
	uint64_t deaths;
} r;

static void usage(void)
{
	printf("usage: %s [-t SECONDS] [-s SEED] [-c CORPUS] [-o OUT] [INPUT]...\n"
	       "Without INPUT: run what is in the folder CORPUS, then changes of it, for\n"
	       "SECONDS. What finds new branches is kept in the folder OUT, which holds the\n"
	       "input that is being run as \"current\". With INPUT: run these files, once.\n"
	       "From the environment: RXE_FUZZ_SECONDS, RXE_SEED, RXE_FUZZ_CORPUS, RXE_FUZZ_OUT\n",
	       r.name);
}

static void show_stack(pid_t pid)
{
	char line[512];
	FILE *f;

	snprintf(line, sizeof(line), "/proc/%d/stack", pid);
	f = fopen(line, "r");
	while (f && fgets(line, sizeof(line), f))
		rv_log("%s", strtok(line, "\n"));
	if (f)
		fclose(f);
}

/* The child's wait status, or -1 if it isn't dead within ms. */
static int reap(pid_t pid, uint64_t ms)
{
	uint64_t end = rv_now_ms() + ms;
	struct timespec slice = { .tv_nsec = 100000000 };
	sigset_t child;
	int status;

	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	while (!waitpid(pid, &status, WNOHANG)) {
		if (rv_now_ms() >= end)
			return -1;
		sigtimedwait(&child, NULL, &slice);
	}
	return status;
}

static void child(struct input *in)
{
	sigset_t all;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	sigemptyset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	in->pos = 0;
	r.run(in);
	_exit(0);
}

/* 0, or -1 if the input hangs. */
static int run_one(struct input *in)
{
	int status;
	pid_t pid;

	r.inputs++;
	pid = fork();
	if (!pid)
		child(in);
	if (pid < 0) {
		rv_log("fork: %s", strerror(errno));
		return -1;
	}
	status = reap(pid, HANG_MS);
	if (status < 0) {
		rv_log("an input is not done after %d s:", HANG_MS / 1000);
		show_stack(pid);
		kill(pid, SIGKILL);
		if (reap(pid, HANG_MS) < 0) {
			rv_log("and it cannot be killed:");
			show_stack(pid);
		}
		return -1;
	}
	if (WIFSIGNALED(status))
		r.deaths++;
	return 0;
}

static int run_kept(struct input *in)
{
	char path[PATH_MAX];
	size_t found;

	snprintf(path, sizeof(path), "%s/current", r.out);
	if (input_save(in, path)) {
		rv_log("cannot write %s", path);
		return -1;
	}
	if (run_one(in)) {
		rv_log("the input is %s", path);
		return -1;
	}
	found = kcov_collect();
	if (found)
		corpus_add(in, r.out);
	return 0;
}

static void report(void)
{
	rv_log("%llu inputs, %zu branches, %zu kept",
	       (unsigned long long)r.inputs, kcov_total(), corpus_size());
}

static int run_corpus(uint64_t end)
{
	size_t i, n = corpus_size();
	struct input in;

	for (i = 0; i < n && rv_now_ms() < end; i++) {
		in = *corpus_get(i);
		if (run_kept(&in))
			return -1;
	}
	return 0;
}

static int run_changes(uint64_t end)
{
	uint64_t next = 0;
	struct input in;

	while (rv_now_ms() < end) {
		if (rv_now_ms() >= next) {
			report();
			next = rv_now_ms() + REPORT_MS;
		}
		corpus_mutate(&in);
		if (run_kept(&in))
			return -1;
	}
	return 0;
}

static int fuzz(void)
{
	uint64_t end = rv_now_ms() + 1000 * r.seconds;
	size_t n = corpus_load(r.corpus);

	if (mkdir(r.out, 0777) && errno != EEXIST) {
		rv_log("cannot make the folder %s: %s", r.out, strerror(errno));
		return -1;
	}
	rv_log("%zu inputs from %s, %llu s, new ones go to %s; %s", n, r.corpus,
	       (unsigned long long)r.seconds, r.out,
	       kcov_works() ? "guided by coverage" :
			      "no KCOV here: changes at random");
	if (run_corpus(end) || run_changes(end))
		return -1;
	report();
	if (r.deaths)
		rv_log("%llu inputs ended with a signal",
		       (unsigned long long)r.deaths);
	return 0;
}

static int run_files(char **paths)
{
	struct input in;
	int err;

	for (; *paths; paths++) {
		err = input_load(&in, *paths);
		if (err) {
			rv_log("%s: %s", *paths, strerror(-err));
			return -1;
		}
		rv_log("%s", *paths);
		if (run_one(&in))
			return -1;
		rv_log("  %zu new branches", kcov_collect());
	}
	return 0;
}

static void set_defaults(char *argv0)
{
	static char beside[PATH_MAX];
	char self[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", self, sizeof(self) - 1);

	r.name = basename(argv0);
	self[n > 0 ? n : 0] = 0;
	snprintf(beside, sizeof(beside), "%s/corpus", dirname(self));
	r.corpus = getenv("RXE_FUZZ_CORPUS") ?: beside;
	r.out = getenv("RXE_FUZZ_OUT") ?: "fuzz-out";
	r.seconds = rv_env("RXE_FUZZ_SECONDS", SECONDS);
}

int runner_main(int argc, char **argv, runner_fn run)
{
	sigset_t chld;
	int opt, err;

	r.run = run;
	setvbuf(stdout, NULL, _IOLBF, 0);
	setvbuf(stderr, NULL, _IOLBF, 0);
	set_defaults(argv[0]);
	while ((opt = getopt(argc, argv, "t:s:c:o:h")) != -1) {
		switch (opt) {
		case 't':
			r.seconds = strtoull(optarg, NULL, 0);
			break;
		case 's':
			setenv("RXE_SEED", optarg, 1);
			break;
		case 'c':
			r.corpus = optarg;
			break;
		case 'o':
			r.out = optarg;
			break;
		default:
			usage();
			return opt == 'h' ? 0 : 2;
		}
	}
	rv_rand_init();
	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	sigprocmask(SIG_BLOCK, &chld, NULL);
	kcov_open();

	printf("TAP version 13\n1..1\n");
	rv_log("seed: RXE_SEED=%#llx", (unsigned long long)rv_rand_seed());
	err = argv[optind] ? run_files(argv + optind) : fuzz();
	printf("%sok 1 %s.%s\n", err ? "not " : "", r.name,
	       argv[optind] ? "inputs" : "inputs_at_random");
	return err ? 1 : 0;
}
