// SPDX-License-Identifier: GPL-2.0
/*
 * What a fault asks of the process's address space: what is mapped, what it may
 * have faulted in, and what the page tables say, by hmm_range_fault(). That doesn't
 * know of soft-dirty bits.
 *
 * The walk for that costs as much as half a fault, whatever it finds. A single page
 * in RAM is found by get_user_pages_fast_only() at a third of it, under the same
 * rule: what is found counts if no invalidation has come meanwhile. The page is
 * held for that moment only.
 *
 * Soft-dirty bits tell which pages were written since somebody cleared them
 * (/proc/<pid>/clear_refs). For that, clearing takes the right to write from
 * what is in RAM, so that the next write faults, and the fault sets the bit. It
 * doesn't take it from what is on a device, nor from what is being migrated. So
 * that a page may be written doesn't say that its bit is set.
 *
 * Where the bits are in use, a write of the NIC therefore has the kernel fault
 * for a write, even if the page may be written already: that sets the bit, and
 * brings to RAM what is on a device, where it can't be set. What is only looked
 * at beside gets no right to write. The bit stays set until it is cleared
 * again, which calls the notifiers; a page that comes to RAM meanwhile does too.
 * Either way the fault has lost, and is tried again.
 */
#include <linux/hmm.h>
#include <linux/kthread.h>
#include <linux/mm.h>

#include "rxe.h"
#include "rxe_mirror.h"

/**
 * rxe_mirror_is_mapped - is anything mapped in a range?
 * @mirror: of the process
 * @va: first address
 * @length: bytes, at least 1
 *
 * Context: may sleep; mmap_lock isn't held.
 * Return: whether some of it belongs to a mapping.
 */
bool rxe_mirror_is_mapped(struct rxe_mirror *mirror, unsigned long va,
			  unsigned long length)
{
	bool mapped;

	mmap_read_lock(mirror->mm);
	mapped = find_vma_intersection(mirror->mm, va, va + length);
	mmap_read_unlock(mirror->mm);

	return mapped;
}

/**
 * rxe_mirror_may_fault - may the NIC have a page faulted in?
 * @vma: the page's mapping, or NULL
 * @write: to be written
 *
 * Context: mmap_lock is held.
 * Return: whether hmm_range_fault() would fault there.
 */
bool rxe_mirror_may_fault(const struct vm_area_struct *vma, bool write)
{
	if (!vma || vma->vm_flags & (VM_IO | VM_PFNMAP) ||
	    !(vma->vm_flags & VM_READ))
		return false;

	return !write || vma->vm_flags & VM_WRITE;
}

/* Has somebody cleared soft-dirty bits there? Until then all pages are dirty. */
static bool is_tracked(const struct vm_area_struct *vma)
{
	return IS_ENABLED(CONFIG_MEM_SOFT_DIRTY) &&
	       !(vma->vm_flags & VM_SOFTDIRTY);
}

/* Returns whether the page was there and @page is held. */
static bool get_page_fast(struct mm_struct *mm, unsigned long va, bool write,
			  struct page **page)
{
	bool borrow = current->mm != mm;
	int n;

	/* the address space of another process is not to be changed for this one's */
	if (borrow && (current->mm || !(current->flags & PF_KTHREAD)))
		return false;

	if (borrow)
		kthread_use_mm(mm);
	n = get_user_pages_fast_only(va, 1, write ? FOLL_WRITE : 0, page);
	if (borrow)
		kthread_unuse_mm(mm);

	return n == 1;
}

/**
 * rxe_mirror_look_at_page - look at a page that is likely to be in RAM
 * @vma: its mapping, or NULL
 * @va: its address
 *
 * Of a mapping that may be written only a page that may be, too, is found, so that
 * the first read doesn't hide it. Nor is one found that may be part of a larger
 * entry, for which it takes rxe_mirror_look().
 *
 * Context: may sleep, mmap_lock is held for reading.
 * Return: what hmm_range_fault() says of the page; 0 if it takes a walk to know.
 */
unsigned long rxe_mirror_look_at_page(struct vm_area_struct *vma, unsigned long va)
{
	unsigned long pfn = 0;
	struct page *page;
	bool write;

	if (!rxe_mirror_may_fault(vma, false) || is_tracked(vma))
		return 0;
	mmap_assert_locked(vma->vm_mm);

	write = vma->vm_flags & VM_WRITE;
	if (!get_page_fast(vma->vm_mm, va, write, &page))
		return 0;
	if (folio_order(page_folio(page)) < RXE_REGION_ORDER)
		pfn = page_to_pfn(page) | HMM_PFN_VALID |
		      (write ? HMM_PFN_WRITE : 0);
	put_page(page);

	return pfn;
}

/* [start, end) is tracked; [first, last) is about to be written. */
static int look_at_tracked(struct hmm_range *range, unsigned long start,
			   unsigned long end, unsigned long first,
			   unsigned long last)
{
	const unsigned long need = HMM_PFN_VALID | HMM_PFN_WRITE;
	struct mm_struct *mm = range->notifier->mm;
	unsigned long va, *pfn;
	int err;

	for (va = start; va < end; va += PAGE_SIZE) {
		pfn = &range->hmm_pfns[(va - range->start) >> PAGE_SHIFT];
		if ((*pfn & need) != need)
			continue;
		if (va < first || va >= last) {
			*pfn &= ~HMM_PFN_WRITE;
			continue;
		}
		err = fixup_user_fault(mm, va, FAULT_FLAG_WRITE | FAULT_FLAG_REMOTE,
				       NULL);
		if (err)
			return err;
	}

	return 0;
}

/**
 * rxe_mirror_look - hmm_range_fault() for a fault of the NIC
 * @range: as hmm_range_fault() takes it
 * @start: first address that the NIC is about to write to, of a page
 * @end: end of that; @start if it only reads
 *
 * A page that may be written, as the answer says, has its soft-dirty bit set.
 *
 * Context: as hmm_range_fault(): may sleep, mmap_lock is held for reading.
 * Return: what hmm_range_fault() or fixup_user_fault() returned.
 */
int rxe_mirror_look(struct hmm_range *range, unsigned long start,
		    unsigned long end)
{
	struct mm_struct *mm = range->notifier->mm;
	struct vm_area_struct *vma;
	unsigned long va;
	int err;

	mmap_assert_locked(mm);

	err = hmm_range_fault(range);
	for (va = range->start; !err && va < range->end; va = vma->vm_end) {
		/* mostly one covers it all, and this is the faster way to find it */
		vma = vma_lookup(mm, va);
		if (!vma)
			vma = find_vma_intersection(mm, va, range->end);
		if (!vma)
			break;
		if (is_tracked(vma))
			err = look_at_tracked(range, max(va, vma->vm_start),
					      min(range->end, vma->vm_end),
					      start, end);
	}

	return err;
}
