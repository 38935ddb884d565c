// SPDX-License-Identifier: GPL-2.0
/*
 * What a copy alone costs: pages of RAM, one by one, as the kernel copies them.
 *
 * Writing a number of MiB to /sys/module/bare_copy/parameters/mib copies as
 * many between two sets of pages, and leaves the nanoseconds in "ns". The pages
 * are allocated for the occasion, one by one, and touched before the clock runs.
 */
#include <linux/highmem.h>
#include <linux/ktime.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/moduleparam.h>

#define MIB_MAX		1024
#define MIB_PAGES	(SZ_1M >> PAGE_SHIFT)

static unsigned long long ns;
module_param(ns, ullong, 0444);
MODULE_PARM_DESC(ns, "what the last copy took");

static void free_pages_of(struct page **pages, unsigned long n)
{
	while (n--)
		__free_page(pages[n]);
	kvfree(pages);
}

static struct page **alloc_pages_of(unsigned long n)
{
	struct page **pages;
	unsigned long i;

	pages = kvmalloc_array(n, sizeof(*pages), GFP_KERNEL);
	if (!pages)
		return NULL;
	for (i = 0; i < n; i++) {
		pages[i] = alloc_page(GFP_KERNEL);
		if (!pages[i]) {
			free_pages_of(pages, i);
			return NULL;
		}
		clear_highpage(pages[i]);
		cond_resched();
	}

	return pages;
}

static int set_mib(const char *val, const struct kernel_param *kp)
{
	struct page **from, **to;
	unsigned int mib;
	unsigned long i, n;
	u64 since;
	int err;

	err = kstrtouint(val, 0, &mib);
	if (err)
		return err;
	if (!mib || mib > MIB_MAX)
		return -ERANGE;

	n = mib * MIB_PAGES;
	from = alloc_pages_of(n);
	if (!from)
		return -ENOMEM;
	to = alloc_pages_of(n);
	if (!to) {
		free_pages_of(from, n);
		return -ENOMEM;
	}
	since = ktime_get_ns();
	for (i = 0; i < n; i++)
		copy_highpage(to[i], from[i]);
	ns = ktime_get_ns() - since;
	free_pages_of(from, n);
	free_pages_of(to, n);

	return 0;
}

static const struct kernel_param_ops mib_ops = {
	.set = set_mib,
};

module_param_cb(mib, &mib_ops, NULL, 0200);
MODULE_PARM_DESC(mib, "copy so many MiB");

MODULE_DESCRIPTION("Speed of a page by page copy in the kernel");
MODULE_LICENSE("GPL");
