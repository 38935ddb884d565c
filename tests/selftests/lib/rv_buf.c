// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "rv_buf.h"
#include "rv_log.h"
#include "rv_rand.h"

static void *map_anon(size_t len)
{
	void *p = mmap(NULL, len, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

/*
 * Far below where mmap() puts things by itself. A test that unmaps a part of
 * its buffer must not find, say, a completion queue there.
 */
static void *map_apart(size_t len)
{
	static uintptr_t next = 1UL << 44;
	uintptr_t hint = __atomic_fetch_add(&next, len, __ATOMIC_RELAXED);
	void *p = mmap((void *)hint, len, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p == MAP_FAILED ? NULL : p;
}

int rv_buf_alloc_aligned(struct rv_buf *b, size_t len, size_t align)
{
	size_t data = (len + RV_PAGE - 1) & ~(RV_PAGE - 1);
	size_t room = data + 2 * RV_PAGE + align;
	uintptr_t start, base, end;
	uint8_t *raw;
	int err;

	memset(b, 0, sizeof(*b));
	raw = map_apart(room);
	if (!raw) {
		err = errno;
		rv_log("rv_buf: mmap of %zu bytes: %s", room, strerror(err));
		return -err;
	}
	start = (uintptr_t)raw;
	base = (start + RV_PAGE + align - 1) & ~(align - 1);
	end = base + data + RV_PAGE;
	if (base - RV_PAGE > start)
		munmap(raw, base - RV_PAGE - start);
	if (start + room > end)
		munmap((void *)end, start + room - end);

	b->map = (uint8_t *)base - RV_PAGE;
	b->map_len = data + 2 * RV_PAGE;
	b->base = (uint8_t *)base;
	b->len = len;
	b->shadow = map_anon(b->map_len);
	if (!b->shadow) {
		err = errno;
		munmap(b->map, b->map_len);
		rv_log("rv_buf: no memory for the shadow: %s", strerror(err));
		return -err;
	}
	return 0;
}

int rv_buf_alloc(struct rv_buf *b, size_t len)
{
	return rv_buf_alloc_aligned(b, len, RV_PAGE);
}

int rv_buf_adopt(struct rv_buf *b, void *mem, size_t len)
{
	memset(b, 0, sizeof(*b));
	b->map = mem;
	b->map_len = len;
	b->base = mem;
	b->len = len;
	b->adopted = true;
	b->shadow = map_anon(len);
	if (!b->shadow) {
		rv_log("rv_buf: no memory for the shadow: %s", strerror(errno));
		return -errno;
	}
	return 0;
}

void rv_buf_free(struct rv_buf *b)
{
	if (b->shadow)
		munmap(b->shadow, b->map_len);
	if (b->map && !b->adopted)
		munmap(b->map, b->map_len);
	memset(b, 0, sizeof(*b));
}

void rv_buf_fill(struct rv_buf *b)
{
	rv_rand_fill(b->shadow, b->map_len);
	memcpy(b->map, b->shadow, b->map_len);
}

void rv_buf_fill_guards(struct rv_buf *b)
{
	size_t head = b->base - b->map;
	size_t tail = head + ((b->len + RV_PAGE - 1) & ~(RV_PAGE - 1));

	if (b->adopted)
		return;
	rv_rand_fill(b->shadow, head);
	memcpy(b->map, b->shadow, head);
	rv_rand_fill(b->shadow + tail, b->map_len - tail);
	memcpy(b->map + tail, b->shadow + tail, b->map_len - tail);
}

void rv_buf_learn(struct rv_buf *b)
{
	memcpy(b->shadow, b->map, b->map_len);
}

void rv_buf_restore(struct rv_buf *b)
{
	memcpy(b->map, b->shadow, b->map_len);
}

uint8_t *rv_buf_shadow(struct rv_buf *b, size_t off)
{
	return b->shadow + (b->base - b->map) + off;
}

void rv_buf_expect(struct rv_buf *b, size_t off, const void *bytes, size_t len)
{
	memcpy(rv_buf_shadow(b, off), bytes, len);
}

void rv_buf_expect_byte(struct rv_buf *b, size_t off, int byte, size_t len)
{
	memset(rv_buf_shadow(b, off), byte, len);
}

static void log_bytes(const char *tag, const uint8_t *p, size_t n)
{
	char text[3 * 16 + 1] = "";
	size_t i;

	for (i = 0; i < n && i < 16; i++)
		snprintf(text + 3 * i, 4, " %02x", p[i]);
	rv_log("  %s%s", tag, text);
}

/* Offsets are told relative to zero, which is base for a buffer. */
static int compare(const char *what, const uint8_t *seen, const uint8_t *want,
		   size_t len, size_t zero)
{
	size_t first, last, i, bad = 0;

	if (!memcmp(seen, want, len))
		return 0;
	for (first = 0; seen[first] == want[first]; first++)
		;
	for (i = last = first; i < len; i++) {
		if (seen[i] != want[i]) {
			last = i;
			bad++;
		}
	}
	rv_log("%s: %zu bytes differ, offsets %zd to %zd (page %zd, byte %zu)",
	       what, bad, (ssize_t)(first - zero), (ssize_t)(last - zero),
	       ((ssize_t)(first - zero)) >> 12,
	       (first - zero) & (RV_PAGE - 1));
	log_bytes("seen", seen + first, len - first);
	log_bytes("want", want + first, len - first);
	return -1;
}

int rv_buf_check(struct rv_buf *b)
{
	return compare(b->adopted ? "memory" : "buffer", b->map, b->shadow,
		       b->map_len, b->base - b->map);
}

int rv_compare(const char *what, const void *seen, const void *want, size_t len)
{
	return compare(what, seen, want, len, 0);
}
