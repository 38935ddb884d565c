// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "rv_log.h"
#include "rv_pager.h"
#include "rv_rand.h"

static int failed(const char *what)
{
	int err = errno;

	rv_log("%s: %s", what, strerror(err));
	return -err;
}

static int open_uffd(void)
{
	struct uffdio_api api = {
		.api = UFFD_API,
		.features = UFFD_FEATURE_MINOR_SHMEM |
			    UFFD_FEATURE_PAGEFAULT_FLAG_WP,
	};
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return failed("userfaultfd");
	if (ioctl(fd, UFFDIO_API, &api)) {
		failed("UFFDIO_API");
		close(fd);
		return -ENOSYS;
	}
	return fd;
}

static int protect(struct rv_pager *p, uint64_t start, size_t len, bool on)
{
	struct uffdio_writeprotect wp = {
		.range = { .start = start, .len = len },
		.mode = on ? UFFDIO_WRITEPROTECT_MODE_WP : 0,
	};

	return ioctl(p->uffd, UFFDIO_WRITEPROTECT, &wp) ? -errno : 0;
}

static int watch(struct rv_pager *p)
{
	static const uint64_t modes[] = {
		[RV_MISSING] = UFFDIO_REGISTER_MODE_MISSING,
		[RV_MINOR] = UFFDIO_REGISTER_MODE_MINOR,
		[RV_PROTECTED] = UFFDIO_REGISTER_MODE_WP,
	};
	struct uffdio_register reg = {
		.range = { .start = (uintptr_t)p->base, .len = p->len },
		.mode = modes[p->mode],
	};

	if (p->mode == RV_MISSING) {
		p->content = malloc(p->len);
		if (!p->content)
			return -ENOMEM;
		memcpy(p->content, p->base, p->len);
		if (madvise(p->base, p->len, MADV_DONTNEED))
			return failed("MADV_DONTNEED");
	}
	if (ioctl(p->uffd, UFFDIO_REGISTER, &reg))
		return failed("UFFDIO_REGISTER");
	if (p->mode == RV_PROTECTED && protect(p, (uintptr_t)p->base, p->len, 1))
		return failed("UFFDIO_WRITEPROTECT");
	return 0;
}

/* Somebody else may have served the page meanwhile. */
static int serve(struct rv_pager *p, uint64_t va)
{
	struct uffdio_copy copy = {
		.dst = va,
		.src = (uintptr_t)p->content + (va - (uintptr_t)p->base),
		.len = RV_PAGE,
	};
	struct uffdio_continue cont = {
		.range = { .start = va, .len = RV_PAGE },
	};
	struct uffdio_range range = { .start = va, .len = RV_PAGE };
	int err;

	switch (p->mode) {
	case RV_MISSING:
		err = ioctl(p->uffd, UFFDIO_COPY, &copy) ? -errno : 0;
		break;
	case RV_MINOR:
		err = ioctl(p->uffd, UFFDIO_CONTINUE, &cont) ? -errno : 0;
		break;
	default:
		return protect(p, va, RV_PAGE, false);
	}
	if (err == -EEXIST)
		err = ioctl(p->uffd, UFFDIO_WAKE, &range) ? -errno : 0;
	return err;
}

static void note(struct rv_pager *p, uint64_t va)
{
	if (p->nr_notes == RV_PAGER_NOTES)
		p->err = -ENOSPC;
	else
		p->notes[p->nr_notes++] = va;
	__atomic_store_n(&p->asked, p->asked + 1, __ATOMIC_RELEASE);
}

static void read_faults(struct rv_pager *p)
{
	struct uffd_msg msg;

	while (read(p->uffd, &msg, sizeof(msg)) == sizeof(msg))
		if (msg.event == UFFD_EVENT_PAGEFAULT)
			note(p, msg.arg.pagefault.address & ~(RV_PAGE - 1));
}

static void *run(void *arg)
{
	struct rv_pager *p = arg;
	struct pollfd fds[2] = {
		{ .fd = p->uffd, .events = POLLIN },
		{ .fd = p->wake[0], .events = POLLIN },
	};
	unsigned int i;
	char c = 0;
	int err;

	while (c != 'q' && poll(fds, 2, -1) >= 0) {
		if (fds[1].revents && read(p->wake[0], &c, 1) != 1)
			break;
		read_faults(p);
		if (__atomic_load_n(&p->held, __ATOMIC_ACQUIRE))
			continue;
		for (i = 0; i < p->nr_notes; i++) {
			err = serve(p, p->notes[i]);
			if (err && !p->err)
				p->err = err;
		}
		p->nr_notes = 0;
	}
	return NULL;
}

int rv_pager_start(struct rv_pager *p, struct rv_buf *b, size_t len,
		   enum rv_pager_mode mode)
{
	int err;

	memset(p, 0, sizeof(*p));
	p->mode = mode;
	p->base = b->base;
	p->len = len;
	p->held = true;
	p->uffd = open_uffd();
	if (p->uffd < 0)
		return p->uffd;
	err = watch(p);
	if (!err && pipe2(p->wake, O_CLOEXEC))
		err = failed("pipe2");
	if (!err)
		err = -pthread_create(&p->thread, NULL, run, p);
	if (err)
		close(p->uffd);
	p->started = !err;
	return err;
}

static void poke(struct rv_pager *p, char c)
{
	if (write(p->wake[1], &c, 1) != 1)
		failed("pipe");
}

void rv_pager_release(struct rv_pager *p)
{
	__atomic_store_n(&p->held, false, __ATOMIC_RELEASE);
	poke(p, 'r');
}

void rv_pager_hold(struct rv_pager *p)
{
	__atomic_store_n(&p->held, true, __ATOMIC_RELEASE);
}

uint64_t rv_pager_asked(struct rv_pager *p)
{
	return __atomic_load_n(&p->asked, __ATOMIC_ACQUIRE);
}

int rv_pager_wait(struct rv_pager *p, uint64_t n)
{
	if (rv_wait_for(rv_pager_asked(p) >= n))
		return 0;
	rv_log("%llu faults for the pager, %llu wanted",
	       (unsigned long long)rv_pager_asked(p), (unsigned long long)n);
	return -ETIMEDOUT;
}

void rv_pager_stop(struct rv_pager *p)
{
	if (!p->started)
		return;
	p->started = false;
	poke(p, 'q');
	pthread_join(p->thread, NULL);
	if (p->err)
		rv_log("pager: %s", strerror(-p->err));
	close(p->uffd);
	close(p->wake[0]);
	close(p->wake[1]);
	free(p->content);
	p->content = NULL;
}

int rv_pager_map(struct rv_buf *b, size_t len)
{
	int fd = memfd_create("rv_pager", MFD_CLOEXEC), err = 0;
	void *mem = MAP_FAILED;

	if (fd >= 0 && !ftruncate(fd, len))
		mem = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (mem == MAP_FAILED)
		err = failed("memfd");
	if (fd >= 0)
		close(fd);
	if (!err)
		err = rv_buf_adopt(b, mem, len);
	if (err)
		return err;
	rv_buf_fill(b);
	/* the pages stay in the file */
	return madvise(mem, len, MADV_DONTNEED) ? failed("MADV_DONTNEED") : 0;
}

static bool is_slow_fault(const char *pid)
{
	char path[300], comm[32] = "";
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%s/comm", pid);
	f = fopen(path, "re");
	if (!f)
		return false;
	if (!fgets(comm, sizeof(comm), f))
		comm[0] = '\0';
	fclose(f);
	return !strcmp(comm, "rxe_slow\n");
}

int rv_pager_threads(void)
{
	DIR *dir = opendir("/proc");
	struct dirent *d;
	int n = 0;

	while (dir && (d = readdir(dir)))
		if (d->d_name[0] > '0' && d->d_name[0] <= '9')
			n += is_slow_fault(d->d_name);
	if (dir)
		closedir(dir);
	return n;
}
