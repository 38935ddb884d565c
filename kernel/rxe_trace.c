// SPDX-License-Identifier: GPL-2.0
/*
 * The tracepoints' bodies, in a file of their own.
 */
#define CREATE_TRACE_POINTS
#include "rxe_trace.h"
