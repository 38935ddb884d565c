/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The driver's own verbs, see rdma/rxe-hmm-abi.h.
 */
#ifndef RXE_UAPI_H
#define RXE_UAPI_H

#include <rdma/uverbs_ioctl.h>

extern const struct uapi_definition rxe_uapi_defs[];

#endif /* RXE_UAPI_H */
