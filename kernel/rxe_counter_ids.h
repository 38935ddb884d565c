/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Counters of a device that this series adds: a part of enum rxe_counters.
 *
 * rxe_counter_names.h names them, docs/odp.md and docs/device-memory.md say
 * what each one counts.
 */
RXE_CNT_PAGE_FAULTS,
RXE_CNT_PAGE_FAULTS_HANDLED,
RXE_CNT_PAGE_FAULT_RETRIES,
RXE_CNT_PAGE_FAULT_PINS,
RXE_CNT_PAGE_INVALIDATIONS,
RXE_CNT_PAGE_INVALIDATIONS_HANDLED,
RXE_CNT_PAGE_PREFETCH,
RXE_CNT_COPY_BATCHES,
RXE_CNT_COPY_ENGINE_BYTES,
RXE_CNT_COPY_CPU_BYTES,
RXE_CNT_COPY_FALLBACKS,
RXE_CNT_COPY_US,
