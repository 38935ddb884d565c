// SPDX-License-Identifier: GPL-2.0
/*
 * Spare RAM: what comes back from the device needs pages to go to.
 *
 * To allocate them takes as long as to copy into them, where the kernel zeroes
 * what it hands out. So when a batch is on its way and more will follow, RAM for
 * the next one is allocated while the copies run: by who waits for the engine,
 * or, if the CPU copies, by a work item on another CPU.
 *
 * What is there is taken, and nobody waits for memory: pages may be locked. If
 * the work hasn't begun when its pages are wanted there is no idle CPU, and it is
 * called off.
 *
 * All of it belongs to the thread that moves the batch, but from the time the
 * work is queued until it is waited for or called off.
 */
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/string.h>

#include "rxe.h"
#include "rxe_migrate_spare.h"

static void allocate(struct rxe_spare *spare, gfp_t gfp, int node,
		     unsigned int want)
{
	memset(spare->pages, 0, want * sizeof(*spare->pages));
	spare->nr = alloc_pages_bulk_node(gfp, node, want, spare->pages);
	spare->next = 0;
}

static void spare_work(struct work_struct *work)
{
	struct rxe_spare *spare = container_of(work, struct rxe_spare, work);

	if (spare->want)
		allocate(spare, (GFP_HIGHUSER_MOVABLE | __GFP_NOWARN) &
				~__GFP_DIRECT_RECLAIM, spare->node, spare->want);
	else
		spare->folio = __folio_alloc_node(GFP_TRANSHUGE_LIGHT | __GFP_NOWARN,
						  RXE_DMEM_BLOCK_ORDER,
						  spare->node);
}

static void stock(struct rxe_spare *spare, unsigned int want, bool here)
{
	spare->want = want;
	spare->node = numa_mem_id();
	if (here) {
		spare_work(&spare->work);
		return;
	}
	spare->stocking = true;
	queue_work(system_dfl_wq, &spare->work);
}

/* Have all of it to ourselves again. */
static void settle(struct rxe_spare *spare)
{
	if (!spare->stocking)
		return;
	if (!cancel_work(&spare->work))
		flush_work(&spare->work);
	spare->stocking = false;
}

/* The lowest first, so that neighbours go to neighbours, as one run. */
static struct page *take_page(struct rxe_spare *spare)
{
	return spare->next < spare->nr ? spare->pages[spare->next++] : NULL;
}

/**
 * rxe_spare_init - begin with nothing
 * @spare: the spare RAM
 *
 * Context: any.
 */
void rxe_spare_init(struct rxe_spare *spare)
{
	spare->next = 0;
	spare->nr = 0;
	spare->folio = NULL;
	spare->stocking = false;
	INIT_WORK(&spare->work, spare_work);
}

/**
 * rxe_spare_fini - free what is left
 * @spare: the spare RAM
 *
 * Context: may sleep.
 */
void rxe_spare_fini(struct rxe_spare *spare)
{
	struct page *page;

	settle(spare);
	while ((page = take_page(spare)))
		__free_page(page);
	if (spare->folio)
		folio_put(spare->folio);
}

/**
 * rxe_spare_stock_pages - allocate pages, or start to
 * @spare: the spare RAM
 * @want: how many may be needed soon, RXE_DMEM_BLOCK_PAGES at most
 * @here: now, by this CPU; else by another one meanwhile
 *
 * Does nothing while there are some.
 *
 * Context: may sleep.
 */
void rxe_spare_stock_pages(struct rxe_spare *spare, unsigned int want, bool here)
{
	settle(spare);
	if (want && spare->next == spare->nr)
		stock(spare, want, here);
}

/**
 * rxe_spare_stock_folio - allocate 2 MiB in one piece, or start to
 * @spare: the spare RAM
 * @here: as above
 *
 * Does nothing while there are some.
 *
 * Context: may sleep.
 */
void rxe_spare_stock_folio(struct rxe_spare *spare, bool here)
{
	settle(spare);
	if (!spare->folio)
		stock(spare, 0, here);
}

/**
 * rxe_spare_page - take a page
 * @spare: the spare RAM
 * @want: how many of them are needed now; may be allocated at once
 *
 * Context: may sleep.
 * Return: a page with one reference, or NULL: try to get just one.
 */
struct page *rxe_spare_page(struct rxe_spare *spare, unsigned int want)
{
	settle(spare);
	if (spare->next == spare->nr && want > 1)
		allocate(spare, GFP_HIGHUSER_MOVABLE, numa_mem_id(),
			 min(want, RXE_DMEM_BLOCK_PAGES));

	return take_page(spare);
}

/**
 * rxe_spare_folio - take 2 MiB, if there are any
 * @spare: the spare RAM
 *
 * Context: may sleep.
 * Return: a folio with one reference, or NULL.
 */
struct folio *rxe_spare_folio(struct rxe_spare *spare)
{
	struct folio *folio;

	settle(spare);
	folio = spare->folio;
	spare->folio = NULL;

	return folio;
}
