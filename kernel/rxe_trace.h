/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Tracepoints of the mirror: /sys/kernel/tracing/events/rxe_hmm/
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM rxe_hmm

#if !defined(RXE_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define RXE_TRACE_H

#include <linux/mmu_notifier.h>
#include <linux/tracepoint.h>

#include "rxe_migrate.h"
#include "rxe_mirror.h"
#include "rxe.h"

#define show_fault_flags(flags)					\
	__print_flags(flags, "|",				\
		      { RXE_FAULT_WRITE, "WRITE" },		\
		      { RXE_FAULT_SNAPSHOT, "SNAPSHOT" },	\
		      { RXE_FAULT_PREFETCH, "PREFETCH" })

#define show_place(place)					\
	__print_symbolic(place,					\
		{ RXE_PLACE_SYSTEM, "system" },			\
		{ RXE_PLACE_DEVICE, "device" })

#define show_notify_event(event)				\
	__print_symbolic(event,					\
		{ MMU_NOTIFY_UNMAP, "UNMAP" },			\
		{ MMU_NOTIFY_CLEAR, "CLEAR" },			\
		{ MMU_NOTIFY_PROTECTION_VMA, "PROTECTION_VMA" },\
		{ MMU_NOTIFY_PROTECTION_PAGE, "PROTECTION_PAGE" }, \
		{ MMU_NOTIFY_SOFT_DIRTY, "SOFT_DIRTY" },	\
		{ MMU_NOTIFY_RELEASE, "RELEASE" },		\
		{ MMU_NOTIFY_MIGRATE, "MIGRATE" },		\
		{ MMU_NOTIFY_EXCLUSIVE, "EXCLUSIVE" })

TRACE_DEFINE_ENUM(RXE_FAULT_WRITE);
TRACE_DEFINE_ENUM(RXE_FAULT_SNAPSHOT);
TRACE_DEFINE_ENUM(RXE_FAULT_PREFETCH);
TRACE_DEFINE_ENUM(RXE_PLACE_SYSTEM);
TRACE_DEFINE_ENUM(RXE_PLACE_DEVICE);
TRACE_DEFINE_ENUM(MMU_NOTIFY_UNMAP);
TRACE_DEFINE_ENUM(MMU_NOTIFY_CLEAR);
TRACE_DEFINE_ENUM(MMU_NOTIFY_PROTECTION_VMA);
TRACE_DEFINE_ENUM(MMU_NOTIFY_PROTECTION_PAGE);
TRACE_DEFINE_ENUM(MMU_NOTIFY_SOFT_DIRTY);
TRACE_DEFINE_ENUM(MMU_NOTIFY_RELEASE);
TRACE_DEFINE_ENUM(MMU_NOTIFY_MIGRATE);
TRACE_DEFINE_ENUM(MMU_NOTIFY_EXCLUSIVE);

/* ret: pages mapped, or the error of rxe_mirror_fault() */
TRACE_EVENT(rxe_mirror_fault,
	TP_PROTO(const struct rxe_mirror *mirror, unsigned long va,
		 unsigned long length, unsigned int flags, int ret),
	TP_ARGS(mirror, va, length, flags, ret),
	TP_STRUCT__entry(
		__field(const void *, mirror)
		__field(unsigned long, va)
		__field(unsigned long, length)
		__field(unsigned int, flags)
		__field(int, ret)
	),
	TP_fast_assign(
		__entry->mirror = mirror;
		__entry->va = va;
		__entry->length = length;
		__entry->flags = flags;
		__entry->ret = ret;
	),
	TP_printk("mirror=%p va=%#lx length=%lu flags=%s ret=%d",
		  __entry->mirror, __entry->va, __entry->length,
		  show_fault_flags(__entry->flags), __entry->ret)
);

TRACE_EVENT(rxe_mirror_invalidate,
	TP_PROTO(const struct rxe_mirror *mirror, unsigned long start,
		 unsigned long last, int event, u64 pages),
	TP_ARGS(mirror, start, last, event, pages),
	TP_STRUCT__entry(
		__field(const void *, mirror)
		__field(unsigned long, start)
		__field(unsigned long, last)
		__field(int, event)
		__field(u64, pages)
	),
	TP_fast_assign(
		__entry->mirror = mirror;
		__entry->start = start;
		__entry->last = last;
		__entry->event = event;
		__entry->pages = pages;
	),
	TP_printk("mirror=%p start=%#lx last=%#lx event=%s pages=%llu",
		  __entry->mirror, __entry->start, __entry->last,
		  show_notify_event(__entry->event), __entry->pages)
);

/* promote and demote: pages moved, microseconds for all of the range */
TRACE_EVENT(rxe_migrate_range,
	TP_PROTO(const struct rxe_mirror *mirror, unsigned long va,
		 unsigned long length, int to, u64 pages, s64 us),
	TP_ARGS(mirror, va, length, to, pages, us),
	TP_STRUCT__entry(
		__field(const void *, mirror)
		__field(unsigned long, va)
		__field(unsigned long, length)
		__field(int, to)
		__field(u64, pages)
		__field(s64, us)
	),
	TP_fast_assign(
		__entry->mirror = mirror;
		__entry->va = va;
		__entry->length = length;
		__entry->to = to;
		__entry->pages = pages;
		__entry->us = us;
	),
	TP_printk("mirror=%p va=%#lx length=%lu to=%s pages=%llu us=%lld",
		  __entry->mirror, __entry->va, __entry->length,
		  show_place(__entry->to), __entry->pages, __entry->us)
);

TRACE_EVENT(rxe_migrate_evict,
	TP_PROTO(const struct rxe_dev *rxe, unsigned int tried,
		 unsigned int pages, s64 us),
	TP_ARGS(rxe, tried, pages, us),
	TP_STRUCT__entry(
		__string(dev, rxe->ib_dev.name)
		__field(unsigned int, tried)
		__field(unsigned int, pages)
		__field(s64, us)
	),
	TP_fast_assign(
		__assign_str(dev);
		__entry->tried = tried;
		__entry->pages = pages;
		__entry->us = us;
	),
	TP_printk("dev=%s tried=%u pages=%u us=%lld", __get_str(dev),
		  __entry->tried, __entry->pages, __entry->us)
);

TRACE_EVENT(rxe_migrate_cpu_fault,
	TP_PROTO(const struct rxe_dev *rxe, unsigned long va,
		 unsigned int pages, s64 us),
	TP_ARGS(rxe, va, pages, us),
	TP_STRUCT__entry(
		__string(dev, rxe->ib_dev.name)
		__field(unsigned long, va)
		__field(unsigned int, pages)
		__field(s64, us)
	),
	TP_fast_assign(
		__assign_str(dev);
		__entry->va = va;
		__entry->pages = pages;
		__entry->us = us;
	),
	TP_printk("dev=%s va=%#lx pages=%u us=%lld", __get_str(dev),
		  __entry->va, __entry->pages, __entry->us)
);

TRACE_EVENT(rxe_ce_copy,
	TP_PROTO(const struct rxe_dev *rxe, unsigned int copies,
		 u64 engine_bytes, u64 cpu_bytes, bool fell_back, s64 us),
	TP_ARGS(rxe, copies, engine_bytes, cpu_bytes, fell_back, us),
	TP_STRUCT__entry(
		__string(dev, rxe->ib_dev.name)
		__field(unsigned int, copies)
		__field(u64, engine_bytes)
		__field(u64, cpu_bytes)
		__field(bool, fell_back)
		__field(s64, us)
	),
	TP_fast_assign(
		__assign_str(dev);
		__entry->copies = copies;
		__entry->engine_bytes = engine_bytes;
		__entry->cpu_bytes = cpu_bytes;
		__entry->fell_back = fell_back;
		__entry->us = us;
	),
	TP_printk("dev=%s copies=%u engine_bytes=%llu cpu_bytes=%llu fell_back=%d us=%lld",
		  __get_str(dev), __entry->copies, __entry->engine_bytes,
		  __entry->cpu_bytes, __entry->fell_back, __entry->us)
);

#endif /* RXE_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE rxe_trace
#include <trace/define_trace.h>
