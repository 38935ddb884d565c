/* SPDX-License-Identifier: GPL-2.0 */
/* The queue pair that packets are sent to; its peer is us. */
#ifndef TARGET_H
#define TARGET_H

#include <stdbool.h>
#include <stdint.h>

#include "rv_pair.h"

/* psn: of the first request; rts: ready to send, too. 0 or -errno. */
int target_connect(struct rv_qp *q, uint32_t psn, bool rts);

bool target_in_error(struct rv_qp *q);

#endif
