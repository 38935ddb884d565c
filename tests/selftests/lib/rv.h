/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The library of the verbs selftests.
 *
 * A test program includes kselftest_harness.h and this header, defines its
 * tests and ends with RV_HARNESS_MAIN. The library never asserts: a function
 * returns 0, or something else after it has logged what went wrong, and the
 * test decides with ASSERT_EQ(0, ...) what that means.
 *
 * Results of operations, everywhere:
 *
 *	0		success (IBV_WC_SUCCESS)
 *	positive	the enum ibv_wc_status of the failed completion
 *	negative	-errno of a call, -ETIMEDOUT if the deadline passed
 */
#ifndef RV_H
#define RV_H

#include "rv_log.h"
#include "rv_rand.h"
#include "rv_buf.h"
#include "rv_dev.h"
#include "rv_pair.h"
#include "rv_op.h"
#include "rv_ends.h"
#include "rv_advise.h"
#include "rv_hmm.h"
#include "rv_disk.h"
#include "rv_dmem.h"
#include "rv_engine.h"
#include "rv_link.h"
#include "rv_pager.h"
#include "rv_rereg.h"
#include "rv_stat.h"
#include "rv_stream.h"
#include "rv_stripe.h"
#include "rv_swap.h"
#include "rv_sys.h"
#include "rv_traffic.h"

/*
 * The harness allows a test 30 seconds, which is little on an emulated machine
 * with other work to do. What hangs is found by the library's deadline.
 */
#ifdef TEST_TIMEOUT_DEFAULT
#undef TEST_TIMEOUT_DEFAULT
#define TEST_TIMEOUT_DEFAULT	300
#endif

/* Prints the seed; ends the program with a skip if the device is missing. */
void rv_init(int argc, char **argv);

/* Part of that, to be done again when the module or the device was. */
void rv_keep_policy_out(void);

#define RV_HARNESS_MAIN						\
	int main(int argc, char **argv)				\
	{							\
		rv_init(argc, argv);				\
		return test_harness_run(argc, argv);		\
	}

#endif
