/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Device memory: pages that only the device can address.
 *
 *	rxe_dmem ---> chunk ------------------> block
 *	(a device's)  (up to 128 MiB of          (2 MiB: one folio, or pages;
 *	              physical address space,     with the memory that stands
 *	              MEMORY_DEVICE_PRIVATE)      in for the device's)
 *
 * A page of it is a struct page that a process may have in its page table, as
 * a device-private entry, and an offset in the device's memory. The device is
 * emulated, so its memory is RAM that nothing else uses: the backing. Only
 * rxe_dmem_backing() tells where that is.
 */
#ifndef RXE_DMEM_H
#define RXE_DMEM_H

#include <linux/atomic.h>
#include <linux/bits.h>
#include <linux/mm.h>
#include <linux/types.h>

struct rxe_dev;
struct rxe_dmem;
struct rxe_dmem_block;

#define RXE_DMEM_BLOCK_SHIFT	21
#define RXE_DMEM_BLOCK_SIZE	BIT(RXE_DMEM_BLOCK_SHIFT)
#define RXE_DMEM_BLOCK_ORDER	(RXE_DMEM_BLOCK_SHIFT - PAGE_SHIFT)
#define RXE_DMEM_BLOCK_PAGES	BIT(RXE_DMEM_BLOCK_ORDER)

/* Ways for a page to come and go. */
enum rxe_dmem_move {
	RXE_DMEM_PROMOTED,	/* came from RAM, or was made here */
	RXE_DMEM_DEMOTED,	/* went by choice */
	RXE_DMEM_EVICTED,	/* went by force */
	RXE_DMEM_CPU_FAULTED,	/* went because the CPU wanted it */
	RXE_DMEM_MOVES
};

/**
 * struct rxe_dmem_user - someone, an MR, that pages are accounted to
 * @id: stands for the user in the pages' tags; 0 is nobody
 * @nr_pages: how many pages of device memory it has
 * @nr_moved: how many came and went, ever; what is unmapped isn't counted
 */
struct rxe_dmem_user {
	u32	id;
	u64	nr_pages;
	u64	nr_moved[RXE_DMEM_MOVES];
};

/**
 * struct rxe_dmem_tag - whose page it is
 * @mirror: id of the mirror through which it came
 * @mr: id of the user, the MR, through which it came
 */
struct rxe_dmem_tag {
	u32 mirror;
	u32 mr;
};

/**
 * struct rxe_dmem_run - pages taken, not in use yet
 * @block: the block they are in
 * @page: the first of them
 * @nr: how many
 */
struct rxe_dmem_run {
	struct rxe_dmem_block	*block;
	struct page		*page;
	unsigned int		nr;
};

/**
 * struct rxe_dmem_info - how much there is, in pages
 * @size: what the device may have
 * @used: in use
 * @free: can be allocated at once
 * @peak: most that was ever in use
 */
struct rxe_dmem_info {
	unsigned long size;
	unsigned long used;
	unsigned long free;
	unsigned long peak;
};

/* rxe_dmem.c */
struct rxe_dmem *rxe_dmem_create(struct rxe_dev *rxe);
void rxe_dmem_destroy(struct rxe_dmem *dmem);

void rxe_dmem_set_size(struct rxe_dmem *dmem, unsigned long pages);
void rxe_dmem_trim(struct rxe_dmem *dmem);
void rxe_dmem_get_info(struct rxe_dmem *dmem, struct rxe_dmem_info *info);
int rxe_dmem_populate(struct rxe_dmem *dmem, unsigned int pages, bool block);
bool rxe_dmem_over(struct rxe_dmem *dmem);
int rxe_dmem_look_begin(void);
void rxe_dmem_look_end(int look);

/* rxe_dmem_page.c */
struct page *rxe_dmem_alloc_folio(struct rxe_dmem *dmem);
unsigned int rxe_dmem_take(struct rxe_dmem *dmem, struct rxe_dmem_run *run,
			   unsigned int want);
struct page *rxe_dmem_next(struct rxe_dmem_run *run);
void rxe_dmem_untake(struct rxe_dmem *dmem, struct rxe_dmem_run *run);
struct page *rxe_dmem_backing(struct page *page);
struct page *rxe_dmem_contents(struct page *page, void **addr, unsigned int *nr);
bool rxe_dmem_is_block(struct page *page);
void rxe_dmem_arrived(struct page *page, unsigned int pages,
		      struct rxe_dmem_tag tag);
void rxe_dmem_left(struct page *page, unsigned int pages,
		   enum rxe_dmem_move move);
void rxe_dmem_touch(struct page *page);
struct rxe_dmem *rxe_dmem_of(struct page *page);
struct rxe_dev *rxe_dmem_dev(struct rxe_dmem *dmem);

struct page *rxe_dmem_front(struct page *backing);
u64 rxe_dmem_clock(struct rxe_dmem *dmem);
unsigned int rxe_dmem_pick_coldest(struct rxe_dmem *dmem, u64 *after, u64 before,
				   unsigned long *pfns);
unsigned int rxe_dmem_pick_mirror(struct rxe_dmem *dmem, u32 mirror,
				  unsigned long *cursor, unsigned long *pfns);

int rxe_dmem_user_add(struct rxe_dmem_user *user);
void rxe_dmem_user_del(struct rxe_dmem *dmem, struct rxe_dmem_user *user);

#endif /* RXE_DMEM_H */
