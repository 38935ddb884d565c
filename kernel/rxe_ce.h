/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Copies between device memory and RAM: by a DMA engine, or by the CPU.
 */
#ifndef RXE_CE_H
#define RXE_CE_H

struct page;
struct rxe_ce;
struct rxe_dev;

/**
 * struct rxe_ce_copy - pages to copy
 * @dst: the first page to write
 * @src: the first page to read; NULL fills @dst with zeros
 * @nr_pages: how many pages, one behind the other in memory on either side
 * @dst_addr: where the CPU is to write them, if not in the direct map
 * @src_addr: where the CPU is to read them, likewise
 *
 * No other user writes the pages meanwhile.
 */
struct rxe_ce_copy {
	struct page	*dst;
	struct page	*src;
	unsigned int	nr_pages;
	void		*dst_addr;
	void		*src_addr;
};

struct rxe_ce *rxe_ce_create(struct rxe_dev *rxe);
void rxe_ce_destroy(struct rxe_ce *ce);

void rxe_ce_run(struct rxe_ce *ce, const struct rxe_ce_copy *copies,
		unsigned int nr, void (*meanwhile)(void *arg), void *arg);

#endif /* RXE_CE_H */
