/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Spare RAM: where pages of device memory will go, allocated before they do.
 */
#ifndef RXE_MIGRATE_SPARE_H
#define RXE_MIGRATE_SPARE_H

#include <linux/gfp_types.h>
#include <linux/types.h>
#include <linux/workqueue.h>

#include "rxe_dmem.h"

struct folio;
struct page;

/**
 * struct rxe_spare - RAM that nobody uses yet
 * @next: the first of @pages that is left
 * @nr: where @pages ends
 * @pages: single pages
 * @folio: 2 MiB, or NULL
 * @stocking: @work was queued, and is the one that may look at all this
 * @want: how many pages @work is to allocate, 0 for a folio
 * @node: where
 * @work: allocates
 */
struct rxe_spare {
	unsigned int		next;
	unsigned int		nr;
	struct page		*pages[RXE_DMEM_BLOCK_PAGES];
	struct folio		*folio;
	bool			stocking;
	unsigned int		want;
	int			node;
	struct work_struct	work;
};

void rxe_spare_init(struct rxe_spare *spare);
void rxe_spare_fini(struct rxe_spare *spare);
void rxe_spare_stock_pages(struct rxe_spare *spare, unsigned int want, bool here);
void rxe_spare_stock_folio(struct rxe_spare *spare, bool here);
struct page *rxe_spare_page(struct rxe_spare *spare, unsigned int want);
struct folio *rxe_spare_folio(struct rxe_spare *spare);

#endif /* RXE_MIGRATE_SPARE_H */
