// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "rv_buf.h"
#include "rv_log.h"
#include "rv_sys.h"

int rv_run(const char *fmt, ...)
{
	char cmd[512], all[600], line[256];
	va_list ap;
	FILE *out;
	int err;

	va_start(ap, fmt);
	vsnprintf(cmd, sizeof(cmd), fmt, ap);
	va_end(ap);
	snprintf(all, sizeof(all), "{ %s ; } 2>&1 </dev/null", cmd);
	out = popen(all, "re");
	if (!out) {
		rv_log("%s: %s", cmd, strerror(errno));
		return -1;
	}
	while (fgets(line, sizeof(line), out)) {
		line[strcspn(line, "\n")] = '\0';
		rv_log("  %s", line);
	}
	err = pclose(out);
	if (err)
		rv_log("%s: failed (%#x)", cmd, err);
	return err ? -1 : 0;
}

int rv_put(const char *path, const char *fmt, ...)
{
	char text[256];
	va_list ap;
	ssize_t n;
	int fd, err = 0;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	n = write(fd, text, strlen(text));
	if (n < 0)
		err = -errno;
	close(fd);
	return err;
}

int64_t rv_get(const char *path, const char *word)
{
	size_t skip = word ? strlen(word) : 0;
	char line[512], *end;
	int64_t n = -1;
	FILE *f;

	f = fopen(path, "re");
	if (!f)
		return -1;
	while (n < 0 && fgets(line, sizeof(line), f)) {
		if (word && strncmp(line, word, skip))
			continue;
		n = strtoll(line + skip, &end, 0);
		if (end == line + skip)
			n = -1;
	}
	fclose(f);
	return n;
}

int64_t rv_pages(const void *addr, size_t len, uint64_t categories)
{
	struct page_region found[64];
	struct pm_scan_arg arg = {
		.size = sizeof(arg),
		.start = (uintptr_t)addr & ~(RV_PAGE - 1),
		.end = ((uintptr_t)addr + len + RV_PAGE - 1) & ~(RV_PAGE - 1),
		.vec = (uintptr_t)found,
		.vec_len = sizeof(found) / sizeof(found[0]),
		.category_mask = categories,
		.return_mask = categories,
	};
	int64_t pages = 0;
	int fd, n, i;

	fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	do {
		n = ioctl(fd, PAGEMAP_SCAN, &arg);
		if (n < 0) {
			pages = -errno;
			break;
		}
		for (i = 0; i < n; i++)
			pages += (found[i].end - found[i].start) / RV_PAGE;
		arg.start = arg.walk_end;
	} while (arg.walk_end < arg.end);
	close(fd);
	return pages;
}

uint64_t rv_pfn(const void *addr)
{
	uint64_t entry = 0;
	int fd;

	fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	if (pread(fd, &entry, sizeof(entry), (uintptr_t)addr / RV_PAGE *
		  sizeof(entry)) != sizeof(entry))
		entry = 0;
	close(fd);
	return entry >> 63 ? entry & ((1ULL << 55) - 1) : 0;
}

int rv_own_mounts(void)
{
	if (unshare(CLONE_NEWNS) ||
	    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL)) {
		rv_log("own mounts: %s", strerror(errno));
		return -errno;
	}
	return 0;
}

#define GROUPS	"/sys/fs/cgroup/"

int rv_group_put(const char *name, const char *file, const char *value)
{
	char path[128];

	snprintf(path, sizeof(path), GROUPS "%s/%s", name, file);
	return rv_put(path, "%s", value);
}

int64_t rv_group_get(const char *name, const char *file)
{
	char path[128];

	snprintf(path, sizeof(path), GROUPS "%s/%s", name, file);
	return rv_get(path, NULL);
}

int rv_group_enter(const char *name)
{
	char path[128];

	rv_put(GROUPS "cgroup.subtree_control", "+memory");
	snprintf(path, sizeof(path), GROUPS "%s", name);
	if (mkdir(path, 0755) && errno != EEXIST)
		return -ENODEV;
	return rv_group_put(name, "cgroup.procs", "0");
}

void rv_group_leave(const char *name)
{
	char path[128];

	rv_put(GROUPS "cgroup.procs", "0");
	snprintf(path, sizeof(path), GROUPS "%s", name);
	rmdir(path);
}

int rv_reap(int pid)
{
	int status = 0, got = 0;

	if (!rv_wait_for((got = waitpid(pid, &status, WNOHANG)) != 0))
		return -ETIMEDOUT;
	return got == pid ? status : -errno;
}
