/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Memory for transfers, with a shadow that says what it must hold.
 *
 *	map                base                    base + len
 *	|<-- guard page -->|<-------- len -------->|<- tail, guard page ->|
 *
 * The guards are ordinary memory and never part of a registration. A test
 * changes the memory through the device, changes the shadow by
 * rv_buf_expect(), and rv_buf_check() compares all of it, guards included:
 * bytes that had to change and bytes that had to stay.
 */
#ifndef RV_BUF_H
#define RV_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RV_PAGE		4096UL
#define RV_HUGE		(2UL << 20)

struct rv_buf {
	uint8_t *map;		/* everything that is compared */
	size_t map_len;
	uint8_t *base;		/* the part for the test */
	size_t len;
	uint8_t *shadow;	/* expected contents of map */
	bool adopted;		/* map belongs to the caller */
};

/* Anonymous private memory, untouched: reads as zeros. 0 or -errno. */
int rv_buf_alloc(struct rv_buf *b, size_t len);

/* The same with base aligned, to RV_HUGE for instance. */
int rv_buf_alloc_aligned(struct rv_buf *b, size_t len, size_t align);

/*
 * Memory made by the caller (a file, a memfd, hugetlb, ...), no guards. The
 * shadow starts with zeros. rv_buf_free() leaves the memory to the caller.
 */
int rv_buf_adopt(struct rv_buf *b, void *mem, size_t len);

void rv_buf_free(struct rv_buf *b);

/* Random bytes everywhere, guards too; the shadow follows. */
void rv_buf_fill(struct rv_buf *b);

/* Random bytes in the guards only: base stays untouched. */
void rv_buf_fill_guards(struct rv_buf *b);

/* Take the shadow from the memory, or write the memory from the shadow. */
void rv_buf_learn(struct rv_buf *b);
void rv_buf_restore(struct rv_buf *b);

/* From now on the shadow expects these bytes, at an offset from base. */
void rv_buf_expect(struct rv_buf *b, size_t off, const void *bytes, size_t len);
void rv_buf_expect_byte(struct rv_buf *b, size_t off, int byte, size_t len);

/* What the shadow holds at an offset from base. */
uint8_t *rv_buf_shadow(struct rv_buf *b, size_t off);

/* 0, or -1 after logging the first difference, and how many there are. */
int rv_buf_check(struct rv_buf *b);

/* Compare plain memory; the same report. */
int rv_compare(const char *what, const void *seen, const void *want,
	       size_t len);

#endif
