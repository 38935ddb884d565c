/* SPDX-License-Identifier: GPL-2.0 */
/* An entry of a region's page table: what it says, and how it is made. */
#ifndef RXE_MIRROR_ENTRY_H
#define RXE_MIRROR_ENTRY_H

#include <linux/bits.h>
#include <linux/memremap.h>
#include <linux/mm.h>

#include "rxe_dmem.h"

/*
 * An entry maps one page, or the whole region if it is region->huge: the page
 * frame number, shifted, and these flags. An entry of 0 maps nothing.
 *
 * DEVICE says that the page is device memory; the frame is that of its backing,
 * so the data path doesn't care. Such an entry is DIRTY from the start, since
 * the folio that the flag speaks of isn't the one behind the frame.
 *
 * DIRTY says that the folio was marked dirty after the entry was installed.
 * Whoever cleans a folio makes its ptes read-only or removes them first, which
 * invalidates the entry, so DIRTY can't outlive the folio's own flag.
 *
 * USED says that the page was accessed, or that a fault was for it. Without, it
 * was only taken along (rxe_readahead.h). What maps the whole region is USED.
 */
enum rxe_entry_flags {
	RXE_ENTRY_VALID		= BIT(0),
	RXE_ENTRY_WRITE		= BIT(1),
	RXE_ENTRY_DIRTY_BIT	= 2,
	RXE_ENTRY_DIRTY		= BIT(RXE_ENTRY_DIRTY_BIT),
	RXE_ENTRY_DEVICE	= BIT(3),
	RXE_ENTRY_USED_BIT	= 4,
	RXE_ENTRY_USED		= BIT(RXE_ENTRY_USED_BIT),
	RXE_ENTRY_PFN_SHIFT	= 8,
};

/* What the data path notes in an entry. */
#define RXE_ENTRY_MARKS	(RXE_ENTRY_DIRTY | RXE_ENTRY_USED)

static inline unsigned long rxe_entry(unsigned long pfn, bool write)
{
	return pfn << RXE_ENTRY_PFN_SHIFT | RXE_ENTRY_VALID | RXE_ENTRY_USED |
	       (write ? RXE_ENTRY_WRITE : 0);
}

/* The entry of a page as hmm_range_fault() reports it. */
static inline unsigned long rxe_entry_of(unsigned long pfn, bool write)
{
	struct page *page = pfn_to_page(pfn);

	if (likely(!is_device_private_page(page)))
		return rxe_entry(pfn, write);

	return rxe_entry(page_to_pfn(rxe_dmem_backing(page)), write) |
	       RXE_ENTRY_DEVICE;
}

static inline struct page *rxe_entry_page(unsigned long entry)
{
	return pfn_to_page(entry >> RXE_ENTRY_PFN_SHIFT);
}

#endif /* RXE_MIRROR_ENTRY_H */
