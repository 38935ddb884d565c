/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Heat: how much the NIC uses a region, and how much of late.
 *
 * The data path counts accesses in plain words beside the region's lock, whose
 * cache line it has just written. Two queue pairs that count at the same moment
 * may lose one: no atomic operation is spent on it. Somebody, one at a time,
 * folds what was counted into sums that decay, so that an access counts half as
 * much after each half-life. Who folds remembers what he has seen of the words of
 * the data path, which grow and wrap. A counter that was interrupted between its
 * load and its store can set one back; that counts as nothing new.
 *
 * Nothing here knows of memory, takes a lock or reads a clock: time is given, in
 * milliseconds. docs/tiering.md has the mathematics.
 */
#ifndef RXE_HEAT_H
#define RXE_HEAT_H

#include <linux/atomic.h>
#include <linux/compiler.h>
#include <linux/types.h>

/* Sums have so many bits behind the point. */
#define RXE_HEAT_SHIFT		16

/**
 * struct rxe_heat - the heat of a region
 * @reads: accesses that read, counted by the data path
 * @writes: accesses that write, likewise
 * @on_device: of both, those served from the device's memory
 * @bytes: bytes of both
 * @cpu_faults: CPU faults that brought pages of the region to RAM
 * @seen_reads: @reads when last folded
 * @seen_writes: @writes when last folded
 * @seen_on_device: @on_device when last folded
 * @seen_bytes: @bytes when last folded
 * @read_sum: decayed number of reads
 * @write_sum: decayed number of writes
 * @change_sum: decayed sum of the squares of how far each fold was off from what
 *	the one before let expect
 * @last_rate: accesses in a ms that the last fold has found
 * @nr_reads: all reads
 * @nr_writes: all writes
 * @nr_on_device: of both, those served from the device's memory
 * @stamp: when last folded, in ms
 *
 * The first five are for anybody, the others for who folds; they may be read at
 * any time.
 */
struct rxe_heat {
	u32		reads;
	u32		writes;
	u32		on_device;
	atomic_t	cpu_faults;
	u64		bytes;
	u64		seen_bytes;
	u32		seen_reads;
	u32		seen_writes;
	u32		seen_on_device;
	u64		read_sum;
	u64		write_sum;
	u64		change_sum;
	u64		last_rate;
	u64		nr_reads;
	u64		nr_writes;
	u64		nr_on_device;
	u64		stamp;
};

/**
 * struct rxe_heat_found - what a fold has found
 * @accesses: reads and writes since the fold before
 * @on_device: of these, those served from the device's memory
 * @bytes: of all of them
 */
struct rxe_heat_found {
	u32 accesses;
	u32 on_device;
	u64 bytes;
};

/* Count an access; the caller holds the region's lock for reading. */
static inline void rxe_heat_count(struct rxe_heat *heat, bool write, bool device,
				  unsigned int bytes)
{
	u32 *n = write ? &heat->writes : &heat->reads;

	WRITE_ONCE(*n, READ_ONCE(*n) + 1);
	WRITE_ONCE(heat->bytes, READ_ONCE(heat->bytes) + bytes);
	if (device)
		WRITE_ONCE(heat->on_device, READ_ONCE(heat->on_device) + 1);
}

/* How much the data path has counted so far: grows and wraps. */
static inline u32 rxe_heat_counted(const struct rxe_heat *heat)
{
	return READ_ONCE(heat->reads) + READ_ONCE(heat->writes);
}

/* Has anything been counted since the last fold? */
static inline bool rxe_heat_is_fresh(const struct rxe_heat *heat)
{
	return READ_ONCE(heat->reads) != heat->seen_reads ||
	       READ_ONCE(heat->writes) != heat->seen_writes;
}

u64 rxe_heat_decay(u64 sum, u64 ms, u32 half_life);
struct rxe_heat_found rxe_heat_fold(struct rxe_heat *heat, u64 now, u32 half_life);
u64 rxe_heat_sum(const struct rxe_heat *heat, u64 now, u32 half_life);
u64 rxe_heat_noise(const struct rxe_heat *heat);
u64 rxe_heat_rate(u64 sum, u32 half_life);
u64 rxe_heat_sum_of_rate(u64 rate, u32 half_life);

#endif /* RXE_HEAT_H */
