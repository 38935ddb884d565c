// SPDX-License-Identifier: GPL-2.0
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "rv_fail.h"
#include "rv_log.h"
#include "rv_sys.h"

#define DEBUGFS		"/sys/kernel/debug/"
#define NTH_MAX		4000
#define WORKERS		256

/* The last one never fails: copies from and to the process are its own. */
static const char * const kinds[] = {
	"failslab", "fail_page_alloc", "fail_usercopy",
};

static void tune(const char *kind, const char *what, const char *value)
{
	char path[128];

	snprintf(path, sizeof(path), DEBUGFS "%s/%s", kind, what);
	rv_put(path, "%s", value);
}

bool rv_fail_here(void)
{
	return !access(DEBUGFS "failslab/require-start", W_OK);
}

/* For what is called from [start, end). */
static void set_range(const char *what, uint64_t start, uint64_t end)
{
	char name[32], value[32];
	int i;

	for (i = 0; i < 2; i++) {
		snprintf(name, sizeof(name), "%s-start", what);
		snprintf(value, sizeof(value), "%#llx", (unsigned long long)start);
		tune(kinds[i], name, value);
		snprintf(name, sizeof(name), "%s-end", what);
		snprintf(value, sizeof(value), "%#llx", (unsigned long long)end);
		tune(kinds[i], name, value);
	}
}

void rv_fail_reset(void)
{
	unsigned int i;

	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		tune(kinds[i], "verbose", "0");
		tune(kinds[i], "probability", "0");
		tune(kinds[i], "times", "-1");
		tune(kinds[i], "task-filter", "N");
		tune(kinds[i], "ignore-gfp-wait", "N");
		tune(kinds[i], "ignore-gfp-highmem", "N");
		tune(kinds[i], "min-order", "0");
	}
	tune("fail_usercopy", "require-start", "0x1");
	tune("fail_usercopy", "require-end", "0x2");
	set_range("require", 0, UINT64_MAX);
	set_range("reject", 0, 0);
}

static void fail_often(const char *kind, int percent)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", percent);
	tune(kind, "probability", text);
}

void rv_fail_often(int percent)
{
	fail_often("failslab", percent);
}

void rv_fail_pages_often(int percent)
{
	fail_often("fail_page_alloc", percent);
}

/* Where a function of the kernel is: 0 or -errno. */
static int find(const char *function, uint64_t *start, uint64_t *end)
{
	char line[512], sym[256], kind;
	unsigned long long at;
	int pass;
	FILE *f;

	*start = 0;
	*end = UINT64_MAX;
	for (pass = 0; pass < 2; pass++) {
		f = fopen("/proc/kallsyms", "re");
		if (!f)
			return -errno;
		while (fgets(line, sizeof(line), f)) {
			if (sscanf(line, "%llx %c %255s", &at, &kind, sym) != 3)
				continue;
			if (!pass && !strcmp(sym, function))
				*start = at;
			if (pass && at > *start && at < *end)
				*end = at;
		}
		fclose(f);
		if (!*start)
			return -ENOENT;
	}
	return 0;
}

int rv_fail_only(const char *function)
{
	uint64_t start, end;
	int err = find(function, &start, &end);

	if (!err)
		set_range("require", start, end);
	return err;
}

int rv_fail_not_in(const char *function, const char *other)
{
	uint64_t start[2], end[2];
	int err = find(function, &start[0], &end[0]);

	if (!err)
		err = find(other, &start[1], &end[1]);
	if (!err)
		set_range("reject", start[0] < start[1] ? start[0] : start[1],
			  end[0] > end[1] ? end[0] : end[1]);
	return err;
}

static int fail_fd(void)
{
	static __thread int fd = -1;

	if (fd < 0)
		fd = open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC);
	return fd;
}

void rv_fail_nth(int n)
{
	char text[16];
	int len = snprintf(text, sizeof(text), "%d", n);

	if (pwrite(fail_fd(), text, len, 0) != len)
		rv_log("fail-nth: %s", strerror(errno));
}

bool rv_fail_hit(void)
{
	char text[16] = "";

	if (pread(fail_fd(), text, sizeof(text) - 1, 0) < 0)
		rv_log("fail-nth: %s", strerror(errno));
	rv_fail_nth(0);
	return !atoi(text);
}

static int workers[WORKERS], num_workers;

static bool is_worker(int pid)
{
	char path[64], comm[32] = "";
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	f = fopen(path, "re");
	if (!f)
		return false;
	if (!fgets(comm, sizeof(comm), f))
		comm[0] = 0;
	fclose(f);
	return !strncmp(comm, "kworker/u", 9);
}

static void find_workers(void)
{
	struct dirent *entry;
	DIR *proc = opendir("/proc");
	int pid;

	num_workers = 0;
	while (proc && (entry = readdir(proc)) && num_workers < WORKERS) {
		pid = atoi(entry->d_name);
		if (pid && is_worker(pid))
			workers[num_workers++] = pid;
	}
	if (proc)
		closedir(proc);
}

void rv_fail_workers_nth(int n)
{
	char path[64];
	int i;

	find_workers();
	for (i = 0; i < num_workers; i++) {
		snprintf(path, sizeof(path), "/proc/%d/fail-nth", workers[i]);
		rv_put(path, "%d", n);
	}
}

bool rv_fail_workers_hit(void)
{
	bool hit = false;
	char path[64];
	int i;

	for (i = 0; i < num_workers; i++) {
		snprintf(path, sizeof(path), "/proc/%d/fail-nth", workers[i]);
		hit |= rv_get(path, NULL) == 0;
		rv_put(path, "0");
	}
	return hit;
}

static bool proper(struct rv_sweep *s, int res)
{
	return !res || res == -ENOMEM || res == -ENOBUFS ||
	       (s->efault_ok && res == -EFAULT);
}

int rv_sweep(struct rv_sweep *s)
{
	int max = s->max ? s->max : NTH_MAX;
	bool injected = true;
	int n, res;

	for (n = 1; injected && n < max; n++) {
		rv_fail_nth(n);
		res = s->try(s);
		injected = rv_fail_hit();
		s->failures += injected && res;
		if (!proper(s, res) || (res && !injected)) {
			rv_log("%s: allocation %d %s: %s", s->name, n,
			       injected ? "failed" : "did not fail",
			       strerror(-res));
			return -1;
		}
		if (s->undo(s, res)) {
			rv_log("%s: allocation %d failed: something is left, or wrong",
			       s->name, n);
			return -1;
		}
	}
	rv_log("%s: %d allocations, %d failures", s->name, n - 2, s->failures);
	return injected || (!s->failures && !s->hides) ? -1 : 0;
}
