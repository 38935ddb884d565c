/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Names of the counters in rxe_counter_ids.h, for `rdma statistic show link`.
 */
[RXE_CNT_PAGE_FAULTS].name = "page_faults",
[RXE_CNT_PAGE_FAULTS_HANDLED].name = "page_faults_handled",
[RXE_CNT_PAGE_FAULT_RETRIES].name = "page_fault_retries",
[RXE_CNT_PAGE_FAULT_PINS].name = "page_fault_pins",
[RXE_CNT_PAGE_INVALIDATIONS].name = "page_invalidations",
[RXE_CNT_PAGE_INVALIDATIONS_HANDLED].name = "page_invalidations_handled",
[RXE_CNT_PAGE_PREFETCH].name = "page_prefetch",
[RXE_CNT_COPY_BATCHES].name = "copy_batches",
[RXE_CNT_COPY_ENGINE_BYTES].name = "copy_engine_bytes",
[RXE_CNT_COPY_CPU_BYTES].name = "copy_cpu_bytes",
[RXE_CNT_COPY_FALLBACKS].name = "copy_fallbacks",
[RXE_CNT_COPY_US].name = "copy_us",
